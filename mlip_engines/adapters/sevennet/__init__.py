"""Models of SevenNet: ``mlip-export --from sevennet FILE -o model.pt``.

``FILE`` is a checkpoint (``checkpoint_best.pth``), or the name of a model that comes with the package or that it can
download: ``7net-0``, ``7net-l3i5``, ``7net-omni`` and so on. A model of several levels of theory ("modalities") gets
one of them: ``7net-mf-0#PBE``. **A checkpoint is a pickle, which is a program**: opening it runs what its author put
there.

The weights are taken over into a network of our own (``network.py``), so the model file needs neither sevenn nor e3nn,
and on several MPI processes each atom is evaluated once. SevenNet's D3 dispersion is a separate calculator; in LAMMPS,
overlay ``pair_style dispersion/d3``.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mlip_engines.checkpoints import Exportable

if TYPE_CHECKING:
    from sevenn.checkpoint import SevenNetCheckpoint

_CITATION = "Park, Kim, Hwang, Han, J. Chem. Theory Comput. 20, 4857 (2024)"
_LICENCE = "of the model's authors; those that come with sevenn are under the MIT licence"


def open(file: str, species: list[str] | None, dtype: str) -> Exportable:
    """Open a model of SevenNet.

    Parameters
    ----------
    file : str
        A checkpoint or the name of a model, with ``#MODALITY`` if there are several.
    species : list of str, optional
        Chemical symbols to keep.
    dtype : {"float32", "float64"}

    Raises
    ------
    FileNotFoundError
        If there is neither such a file nor such a model.
    ImportError
        If sevenn is not installed.
    ValueError
        If it is no model of SevenNet, has a part that is not known here, lacks an element, or a modality is missing
        or unknown.
    """
    import torch
    from ase.data import chemical_symbols

    path, _, modality = file.partition("#")
    checkpoint, numbers, name = _checkpoint(path)
    model = checkpoint.build_model()
    known = [chemical_symbols[z] for z in numbers]
    missing = sorted(set(species or []) - set(known))
    if missing:
        raise ValueError(
            f"{file}: the model knows {', '.join(sorted(known))}, got {', '.join(missing)}; leave out what it does not "
            "know"
        )
    index = _modality(file, model.modal_map or {}, modality)
    kept = [k for k, symbol in enumerate(known) if species is None or symbol in species]
    from mlip_engines.adapters.sevennet.conversion import convert, free_atoms
    from mlip_engines.adapters.sevennet.reference import reference_calculator

    precision = getattr(torch, dtype)
    network = convert(model.to(precision), kept, index)
    energies = free_atoms(model, kept, index)
    symbols = [known[k] for k in kept]
    return Exportable(
        network,
        symbols,
        name=name + (f"-{modality}" if modality else ""),
        reference_energies=dict(zip(symbols, energies, strict=True)),
        licence=_LICENCE,
        citation=_CITATION,
        reference=reference_calculator(
            checkpoint.build_model().to(precision), modality or None, dtype
        ),
    )


def _checkpoint(path: str) -> tuple[SevenNetCheckpoint, list[int], str]:
    """Return a checkpoint, the atomic numbers of the model in the order of its types, and a name."""
    try:
        from sevenn.checkpoint import SevenNetCheckpoint
        from sevenn.util import pretrained_name_to_path
    except ImportError as e:
        raise ImportError(
            f"models of SevenNet are opened with its package ({e}); run: pip install 'mlip-engines[sevennet]'"
        ) from e
    given, name = Path(path), Path(path).stem
    if not given.is_file():
        try:
            given, name = Path(pretrained_name_to_path(path)), path.lower()
        except (ValueError, OSError) as e:
            raise FileNotFoundError(
                f"expected a checkpoint of SevenNet or the name of a model such as 7net-0, got {path!r}: {e}"
            ) from e
    try:
        checkpoint = SevenNetCheckpoint(given)
        checkpoint.model_state_dict  # noqa: B018  reads it
        types = checkpoint.config["_type_map"]
    except Exception as e:  # whatever a pickle of another package raises
        raise ValueError(
            f"{path}: expected a checkpoint of SevenNet (.pth), which this is not: {type(e).__name__}: {e}"
        ) from e
    return checkpoint, sorted(types, key=types.get), name


def _modality(file: str, known: dict[str, int], modality: str) -> int | None:
    """Return the index of a modality, None for a model that has none."""
    names = ", ".join(known)
    if known and not modality:
        raise ValueError(
            f"{file}: the model has several levels of theory, {names}; choose one: {file}#{next(iter(known))}"
        )
    if modality and modality not in known:
        raise ValueError(
            f"{file}: expected one of {names or 'no modality: the model has one'}, got {modality!r}"
        )
    return known[modality] if modality else None
