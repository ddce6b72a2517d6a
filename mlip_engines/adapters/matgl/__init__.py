"""Models of matgl: ``mlip-export --from matgl FOLDER -o model.pt``.

``FOLDER`` is what ``potential.save`` has written (``model.json``, ``model.pt``, ``state.pt``), or a name such as
``TensorNet-PES-MatPES-PBE-2025.2``, which matgl downloads. The potential has to be one of TensorNet or M3GNet;
matgl's CHGNet, SO3Net and QET are refused.

The weights are taken over into a network of our own (``tensornet.py``, ``m3gnet.py``), so the model file does not need
matgl, and on several MPI processes each atom is evaluated once. Its energies of elements become reference energies.
"""

from __future__ import annotations

import copy
import warnings
from pathlib import Path
from typing import Any

from mlip_engines.checkpoints import Exportable

_PACKAGE = "Ko et al., npj Comput. Mater. 11, 253 (2025)"
_CITATIONS = {
    "TensorNet": f"Simeon, De Fabritiis, NeurIPS 2023 (arXiv:2306.06482); {_PACKAGE}",
    "M3GNet": f"Chen, Ong, Nature Comput. Sci. 2, 718 (2022); {_PACKAGE}",
}


def open(file: str, species: list[str] | None, dtype: str) -> Exportable:
    """Open a potential of matgl.

    Parameters
    ----------
    file : str
        A folder, or a name that matgl knows.
    species : list of str, optional
        Chemical symbols to keep.
    dtype : {"float32", "float64"}

    Raises
    ------
    FileNotFoundError
        If there is no such folder, and no such name that can be downloaded.
    ImportError
        If matgl is not installed.
    ValueError
        If it is no potential of TensorNet or M3GNet, has a part that is not known here, or lacks an element.
    """
    import torch
    from ase.data import atomic_numbers

    potential = _potential(file)
    _refuse(file, potential)
    model = potential.model
    known = list(model.element_types)
    missing = sorted(set(species or []) - set(known))
    if missing:
        raise ValueError(
            f"{file}: the model knows {', '.join(known)}, got {', '.join(missing)}; leave out what it does not know"
        )
    kept = [k for k, symbol in enumerate(known) if species is None or symbol in species]
    symbols = [known[k] for k in kept]
    if type(model).__name__ == "M3GNet":
        from mlip_engines.adapters.matgl.m3gnet_conversion import convert
    else:
        from mlip_engines.adapters.matgl.conversion import convert
    from mlip_engines.adapters.matgl.reference import InACell

    potential = potential.to(getattr(torch, dtype)).eval()
    try:
        network = convert(model, kept, [atomic_numbers[symbol] for symbol in symbols])
    except ValueError as e:
        raise ValueError(f"{file}: {e}") from e
    energies = dict.fromkeys(symbols, 0.0)
    if potential.element_refs is not None:
        of_type = potential.element_refs.property_offset.double().tolist()
        energies = {known[k]: of_type[k] for k in kept}
    return Exportable(
        network,
        symbols,
        name=Path(file).name,
        scale=float(potential.data_std),
        reference_energies=energies,
        licence="of the model's authors",
        citation=_CITATIONS[type(model).__name__],
        reference=InACell(copy.deepcopy(potential)),
    )


def _potential(file: str) -> Any:
    """Return the ``Potential`` of a folder or a name."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import matgl
    except ImportError as e:
        raise ImportError(
            f"models of matgl are opened with its package ({e}); run: pip install 'mlip-engines[matgl]'"
        ) from e
    if Path(file).exists() and not (Path(file) / "model.json").is_file():
        raise ValueError(
            f"{file}: expected a folder that matgl has saved a potential in, with model.json, model.pt and state.pt"
        )
    try:
        return matgl.load_model(file)
    except Exception as e:  # whatever matgl, its hub or a file of another version raises
        cause = e.__cause__ or e
        if Path(file).exists():
            raise ValueError(
                f"{file}: expected a potential that matgl can load, it cannot: {type(cause).__name__}: {cause}"
            ) from e
        raise FileNotFoundError(
            f"expected a folder that matgl has saved a potential in, or the name of a model that it can download, got "
            f"{file!r}: {type(cause).__name__}: {cause}"
        ) from e


def _refuse(file: str, potential: Any) -> None:
    """Raise ValueError for what a sum of atomic energies cannot be."""
    kind = type(getattr(potential, "model", potential)).__name__
    if not hasattr(potential, "element_refs") or kind not in _CITATIONS:
        raise ValueError(
            f"{file}: expected a Potential of matgl with TensorNet or M3GNet, got {type(potential).__name__} of "
            f"{kind}; for CHGNet, export a model of the package chgnet"
        )
    refs = potential.element_refs
    for is_there, what in (
        (
            bool((potential.data_mean != 0.0).any()),
            "a constant per structure (data_mean), which is no sum over atoms",
        ),
        (potential.data_std.numel() != 1, "several targets"),
        (refs is not None and refs.property_offset.ndim != 1, "energies of elements by state"),
        (
            potential.calc_repuls,
            "matgl's ZBL repulsion (calc_repuls), which is not known here; export has one of its own (--short-range)",
        ),
    ):
        if is_there:
            raise ValueError(
                f"{file}: the potential has {what}; this adapter does not take such potentials"
            )
