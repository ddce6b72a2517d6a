"""Models of PET that metatrain has trained: ``mlip-export --from pet FILE.ckpt -o model.pt``.

``FILE.ckpt`` is a checkpoint of metatrain (``model.ckpt``), such as those of PET-MAD. Its energy becomes the energy of
the file; if it has outputs ``non_conservative_forces`` and ``non_conservative_stress`` they become the heads of the
same names, so that r-RESPA works at once. Of a model with several variants of the energy one is chosen:
``FILE.ckpt#VARIANT`` takes ``energy/VARIANT``. A model that metatrain has exported (``.pt``) cannot be read; the
checkpoint that it was made from can. **A checkpoint is a pickle, which is a program**: opening it runs what its author
put there.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from mlip_engines.checkpoints import Exportable

if TYPE_CHECKING:
    from torch import nn

_LICENCE = "of the model's authors: a checkpoint of metatrain does not say"
_CITATION = "Pozdnyakov, Ceriotti, NeurIPS 2023 (arXiv:2305.19302)"


def open(file: str, species: list[str] | None, dtype: str) -> Exportable:
    """Open a PET model of metatrain.

    Parameters
    ----------
    file : str
        A checkpoint, with ``#VARIANT`` for another energy than that which is called ``energy``.
    species : list of str, optional
        Chemical symbols to keep.
    dtype : {"float32", "float64"}

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ImportError
        If metatrain is not installed.
    ValueError
        If it is no checkpoint of PET, has a part that a local model cannot have, lacks an element, or the variant is
        missing or unknown.
    """
    import torch
    from ase.data import chemical_symbols

    path, _, variant = file.partition("#")
    model = _model(path)
    targets = _targets(file, list(model.target_names), variant)
    _refuse(file, model)
    known = [chemical_symbols[int(z)] for z in sorted(model.atomic_types)]
    missing = sorted(set(species or []) - set(known))
    if missing:
        raise ValueError(
            f"{file}: the model knows {', '.join(known)}, got {', '.join(missing)}; leave out what it does not know"
        )
    from mlip_engines.adapters.pet.network import PetNetwork
    from mlip_engines.adapters.pet.scaling import scaling

    precision = getattr(torch, dtype)
    found = scaling(model.to(torch.float64), targets)
    model = model.to(precision).eval()
    backend = model.backend
    for name in list(model.target_names):
        if name not in targets:
            backend.remove_output(name)
    network = PetNetwork(
        backend,
        model.cutoff_width_adaptive,
        targets,
        (found.energy, found.forces.to(precision), found.stress),
    )
    symbols = [symbol for symbol in known if species is None or symbol in species]
    return Exportable(
        network.requires_grad_(False),
        symbols,
        name=Path(path).stem,
        reference_energies={symbol: found.free_atoms[symbol] for symbol in symbols},
        licence=_LICENCE,
        citation="; ".join([_CITATION, *model.metadata.references.get("model", [])]),
        reference=_calculator(path, precision, variant),
    )


def _model(path: str) -> nn.Module:
    """Return a model from its checkpoint."""
    try:
        import torch
        from metatrain.utils.io import model_from_checkpoint
    except ImportError as e:
        raise ImportError(
            f"models of PET are opened with metatrain ({e}); run: pip install 'mlip-engines[pet]'"
        ) from e
    if not Path(path).is_file():
        raise FileNotFoundError(f"expected a checkpoint of metatrain, found nothing at {path}")
    warnings.warn(
        f"{path} is a pickle, and a pickle is a program: open only checkpoints you trust",
        stacklevel=3,
    )
    try:
        checkpoint = torch.load(path, weights_only=False, map_location="cpu")
        architecture = checkpoint["architecture_name"]
    except Exception as e:  # whatever a pickle of another package raises
        raise ValueError(
            f"{path}: expected a checkpoint of metatrain (model.ckpt), which this is not, or not one that this version "
            f"opens: {type(e).__name__}: {e}"
        ) from e
    if architecture != "pet":
        raise ValueError(f"{path}: expected a model of the architecture pet, got {architecture}")
    return model_from_checkpoint(checkpoint, context="export")


def _targets(file: str, names: list[str], variant: str) -> tuple[str, str, str]:
    """Return the names of the outputs for energy, forces and stress; empty for one that there is not."""
    suffix = f"/{variant}" if variant else ""
    energies = [name for name in names if name.partition("/")[0] == "energy"]
    if f"energy{suffix}" not in names:
        found = ", ".join(energies) or f"none among {', '.join(names)}"
        raise ValueError(
            f"{file}: expected an output 'energy{suffix}', found {found}; choose a variant with FILE.ckpt#VARIANT"
        )
    direct = [f"non_conservative_{kind}{suffix}" for kind in ("forces", "stress")]
    forces, stress = (name if name in names else "" for name in direct)
    others = [name for name in names if name.partition("/")[0] == "non_conservative_forces"]
    if not forces and others:
        warnings.warn(
            f"{file}: the model file has no direct forces: expected {direct[0]} beside energy{suffix}, found "
            f"{', '.join(others)}, which belong to another energy; for r-RESPA choose a variant that has them with "
            "FILE.ckpt#VARIANT, or give the file an inner force (--inner)",
            stacklevel=3,
        )
    return f"energy{suffix}", forces, stress if forces else ""


def _refuse(file: str, model: nn.Module) -> None:
    """Raise ValueError for what a sum of atomic energies with a finite reach cannot be."""
    hypers = model.hypers
    for is_there, what in (
        (
            hypers["long_range"]["enable"],
            "a long-range part: its energy is no function of neighbours",
        ),
        (hypers["zbl"], "metatrain's ZBL repulsion; export has one of its own (--short-range)"),
        (hypers.get("system_conditioning", False), "charge and spin as inputs"),
    ):
        if is_there:
            raise ValueError(
                f"{file}: the model has {what}; this adapter does not take such models"
            )


def _calculator(path: str, precision: object, variant: str) -> object:
    """Return metatomic's own ASE calculator."""
    from metatomic_ase import MetatomicCalculator

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = _model(path).to(precision).eval().export()
        variants = {"energy": variant} if variant else None
        return MetatomicCalculator(model, device="cpu", variants=variants)
