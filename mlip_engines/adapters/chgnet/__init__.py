"""Models of CHGNet: ``mlip-export --from chgnet NAME -o model.pt``.

``NAME`` is one of the models that come with the package, ``0.3.0`` or ``r2scan``, or a file that its trainer has
written (``.pth.tar``). **Such a file is a pickle, which is a program**: opening it runs what its author put there.

The weights are taken over into a network of our own (``network.py``), so the model file does not need chgnet, and on
several MPI processes each atom is evaluated once. CHGNet's energies by composition become reference energies. The
magnetic moments are in the file as a head of their own, ``magnetic_moments``.
"""

from __future__ import annotations

import contextlib
import copy
import io
import warnings
from pathlib import Path
from typing import Any

from mlip_engines.checkpoints import Exportable

_CITATION = "Deng et al., Nature Mach. Intell. 5, 1031 (2023)"
_SHIPPED = {
    "0.3.0": _CITATION,
    "r2scan": f"{_CITATION}; Huang, Deng, Zhong, Kaplan, Persson, Ceder, npj Comput. Mater. 11 (2025)",
    "0.2.0": _CITATION,
}
_SHIPPED_LICENCE = "BSD-3-Clause-LBNL, that of chgnet"


def open(file: str, species: list[str] | None, dtype: str) -> Exportable:
    """Open a model of CHGNet.

    Parameters
    ----------
    file : str
        ``0.3.0``, ``r2scan`` or a file of its trainer.
    species : list of str, optional
        Chemical symbols to keep; by default all that the model has an energy for.
    dtype : {"float32", "float64"}

    Raises
    ------
    FileNotFoundError
        If there is neither such a model nor such a file.
    ImportError
        If chgnet is not installed.
    ValueError
        If it is no model of CHGNet, one whose energy does not depend on neighbours alone, or one that lacks an element.
    """
    import torch
    from ase.data import chemical_symbols

    model = _model(file)
    by_number = _energies_by_composition(file, model)
    known = [chemical_symbols[z] for z in by_number]
    missing = sorted(set(species or []) - set(known))
    if missing:
        raise ValueError(
            f"{file}: the model knows {', '.join(known)}, got {', '.join(missing)}; leave out what it does not know"
        )
    numbers = [z for z in by_number if species is None or chemical_symbols[z] in species]
    from mlip_engines.adapters.chgnet.conversion import convert
    from mlip_engines.adapters.chgnet.reference import InACell

    model = model.to(getattr(torch, dtype)).eval()
    try:
        network = convert(model, numbers)
    except ValueError as e:
        raise ValueError(f"{file}: {e}") from e
    return Exportable(
        network,
        [chemical_symbols[z] for z in numbers],
        name=f"chgnet-{file}" if file in _SHIPPED else Path(file).name.split(".")[0],
        reference_energies={chemical_symbols[z]: by_number[z] for z in numbers},
        licence=_SHIPPED_LICENCE if file in _SHIPPED else "of the model's authors",
        citation=_SHIPPED.get(file, _CITATION),
        reference=InACell(copy.deepcopy(model)),
    )


def _model(file: str) -> Any:
    """Return the ``CHGNet`` of a name or a file."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from chgnet.model import CHGNet
    except ImportError as e:
        raise ImportError(
            f"models of CHGNet are opened with its package ({e}); run: pip install 'mlip-engines[chgnet]'"
        ) from e
    with contextlib.redirect_stdout(io.StringIO()):  # it reports its number of parameters
        if file in _SHIPPED:
            return CHGNet.load(model_name=file, use_device="cpu", verbose=False)
        if not Path(file).is_file():
            raise FileNotFoundError(
                f"expected a file of CHGNet's trainer or one of {', '.join(_SHIPPED)}, found nothing at {file!r}"
            )
        warnings.warn(
            f"{file} is a pickle, and a pickle is a program: open only models of people you trust",
            stacklevel=3,
        )
        try:
            return CHGNet.from_file(file)
        except Exception as e:  # whatever a pickle of another package raises
            raise ValueError(
                f"{file}: expected a file of CHGNet's trainer (.pth.tar), which this is not: {type(e).__name__}: {e}"
            ) from e


def _energies_by_composition(file: str, model: Any) -> dict[int, float]:
    """Return an energy by atomic number, eV, of the elements that were in the data."""
    composition = model.composition_model
    n_elements = model.atom_embedding.embedding.num_embeddings
    if composition is None:
        return dict.fromkeys(range(1, n_elements + 1), 0.0)
    if not hasattr(composition, "fc") or type(composition).__name__ != "AtomRef":
        raise ValueError(
            f"{file}: expected an energy per element beside the network (AtomRef), got {type(composition).__name__}, "
            "whose energy depends on the composition as a whole"
        )
    energies = composition.fc.weight.detach().double().flatten().tolist()
    # a fit gives elements that it has not seen nothing
    return {z: energy for z, energy in enumerate(energies, 1) if abs(energy) > 1e-3}
