"""Models of mace-torch: ``mlip-export --from mace FILE.model -o model.pt``.

``FILE`` is what ``mace_run_train`` writes (``NAME.model``), or the name of a foundation model that mace-torch can
download: ``medium-mpa-0``, ``off-small`` and so on. A model of several heads gets one of them: ``FILE.model#HEAD``. **A
.model file is a pickle, which is a program**: opening it runs what its author put there.

The weights are taken over into a network of our own (``network.py``), so the model file needs neither mace-torch nor
e3nn, and on several MPI processes each atom is evaluated once.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from mlip_engines.adapters.mace.model_file import imported, open_model
from mlip_engines.checkpoints import Exportable

if TYPE_CHECKING:
    from ase.calculators.calculator import Calculator
    from torch import nn


def open(file: str, species: list[str] | None, dtype: str) -> Exportable:
    """Open a model of mace-torch.

    Parameters
    ----------
    file : str
        ``FILE.model`` or the name of a foundation model; with ``#HEAD`` if there are several heads.
    species : list of str, optional
        Chemical symbols to keep: tables of weights shrink with them.
    dtype : {"float32", "float64"}

    Raises
    ------
    FileNotFoundError, ImportError, ValueError
        As :func:`mlip_engines.adapters.mace.model_file.open_model`; and if the model lacks an element.
    """
    import torch
    from ase.data import chemical_symbols

    opened = open_model(file)
    model = opened.model.to(getattr(torch, dtype)).eval()
    known = [chemical_symbols[int(z)] for z in model.atomic_numbers]
    missing = sorted(set(species or []) - set(known))
    if missing:
        raise ValueError(
            f"{file}: the model knows {', '.join(known)}, got {', '.join(missing)}; leave out what it does not know"
        )
    kept = [k for k, symbol in enumerate(known) if species is None or symbol in species]
    with imported():
        from mlip_engines.adapters.mace.conversion import convert, free_atoms

        network = convert(model, kept, opened.head)
        energies = free_atoms(model, kept, opened.head)
        reference = _calculator(model, dtype, opened.head_name)
    symbols = [known[k] for k in kept]
    return Exportable(
        network,
        symbols,
        name=opened.name,
        reference_energies=dict(zip(symbols, energies, strict=True)),
        licence=opened.licence,
        citation=opened.citation,
        reference=reference,
    )


def _calculator(model: nn.Module, dtype: str, head: str) -> Calculator:
    """Return mace-torch's own ASE calculator."""
    from mace.calculators import MACECalculator

    return MACECalculator(
        models=[copy.deepcopy(model)], device="cpu", default_dtype=dtype, head=head
    )
