"""A model file to an OpenMM Force."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import openmm
import torch
from ase.data import chemical_symbols
from openmm import unit

from mlip_engines.model.contract import ModelContractError
from mlip_engines.model.disagreement_limit import RMS
from mlip_engines.model.load import LoadedModel, load_model
from mlip_engines.model.neighbors import as_tensors
from mlip_engines.properties.errors import c_minus_nc_warning
from mlip_engines.units import NM_TO_ANGSTROM
from openmm_forces.evaluations import INNER_PARAMETER, OUTER_PARAMETER, PARAMETER
from openmm_forces.hosts import hosted_force
from openmm_forces.quantity import to_unit
from openmm_forces.scripted import scripted_for

FORCES = {"conservative": 0, "non_conservative": 1}
DEFAULT_SKIN_NM = 0.1


def create_force(
    model: str | Path | LoadedModel,
    atomic_numbers: Sequence[int],
    *,
    particles: Sequence[int] | None = None,
    host: str = "auto",
    forces: str = "conservative",
    periodic: bool = False,
    skin: float | unit.Quantity = DEFAULT_SKIN_NM,
    total_charge: float | None = None,
    spin_multiplicity: int | None = None,
) -> openmm.Force:
    """Return a force that evaluates a model. It works with every integrator, minimiser and barostat.

    The global parameter ``mlip_forces`` of the force says what a Context returns:

    =========  =====================================================================================
    value      forces
    =========  =====================================================================================
    0          conservative, C (the default)
    1          non-conservative, NC; the energy is NaN, because none is evaluated
    2          C - NC
    3          C; NC and C - NC at the same positions then cost nothing
    4          NC, with an energy of zero
    4 + M      NC + M (C - NC), the kick at both ends of an outer step of M inner steps
    =========  =====================================================================================

    Unless stated otherwise the energy is the conservative one; see also
    :func:`openmm_forces.conservative_energy`.

    Parameters
    ----------
    model : str, Path or LoadedModel
        A file, or a shipped model such as ``"water"``.
    atomic_numbers : sequence of int
        One per atom of the model.
    particles : sequence of int, optional
        The particles of the System that are these atoms, in the same order; by default all of them.
    host : {"auto", "torch", "python"}
        ``openmmtorch.TorchForce``, or ``openmm.PythonForce`` around the same module; ``"auto"``
        takes the first that works here.
    forces : {"conservative", "non_conservative"}
        The default of ``mlip_forces``. With non-conservative forces there is no energy, so barostats and minimisers
        do not work; a barostat is refused at its first trial.
    periodic : bool
        Use the periodic box, in all three directions. Default no, as for other OpenMM forces;
        ``setUsesPeriodicBoundaryConditions`` of the force changes it later.
    skin : float (nm) or Quantity
        How far the neighbour list reaches beyond the cutoff. It saves rebuilds and changes no result.
    total_charge : float, optional
        Charge of the atoms of the model together, in elementary charges, for models that depend on it.
    spin_multiplicity : int, optional
        2 S + 1 of these atoms, likewise.

    Returns
    -------
    TorchForce or PythonForce

    Raises
    ------
    FileNotFoundError
        If there is no such model.
    ModelContractError
        If the file is no model, or has no head for the forces asked for.
    ValueError
        If an argument is not allowed, the model does not know an element, or it depends on a charge or a spin that
        is not given, or the other way round.
    ImportError
        If ``host="torch"`` and openmmtorch does not work here.

    Notes
    -----
    Positions reach the model in double precision on the platforms Reference and CPU. Every Context
    has its own copy of a TorchForce's module; Contexts share that of a PythonForce. openmmtorch 1.5
    was compiled against an OpenMM whose serialisation has another layout than that of 8.6: reading a
    TorchForce back from XML, or putting one into a CustomCVForce, ends the process. Use
    ``host="python"`` there, or build the System again and load a state or a checkpoint into
    it. ``copy.copy`` and ``copy.deepcopy`` of a System work.
    """
    if forces not in FORCES:
        raise ValueError(f"expected forces to be one of {tuple(FORCES)}, got {forces!r}")
    loaded = model if isinstance(model, LoadedModel) else load_model(model)
    if forces == "non_conservative":
        _check_head(loaded)
    hosted = _hosted_model(
        loaded,
        atomic_numbers,
        particles,
        skin,
        fixed_box=forces == "non_conservative",
        structure={"total_charge": total_charge, "spin_multiplicity": spin_multiplicity},
    )
    if forces == "conservative":
        _warn_of_distant_forces(loaded)
    return hosted_force(hosted, host, PARAMETER, FORCES[forces], periodic)


def create_split_forces(
    model: str | Path | LoadedModel,
    atomic_numbers: Sequence[int],
    *,
    particles: Sequence[int] | None = None,
    host: str = "auto",
    periodic: bool = False,
    skin: float | unit.Quantity = DEFAULT_SKIN_NM,
    total_charge: float | None = None,
    spin_multiplicity: int | None = None,
    inner_group: int = 1,
    outer_group: int = 0,
) -> tuple[openmm.Force, openmm.Force]:
    """Return two forces for OpenMM's own ``MTSIntegrator`` and ``MTSLangevinIntegrator``.

    The inner force is the non-conservative one, the outer the conservative minus the
    non-conservative one with the conservative energy; their sum is conservative. With M inner steps::

        inner, outer = create_split_forces("water", atomic_numbers, periodic=True)
        system.addForce(inner)
        system.addForce(outer)
        integrator = MTSIntegrator(2 * femtoseconds, [(0, 1), (1, 4)])

    The two forces share nothing: an outer step costs M evaluations of the non-conservative head and one full
    evaluation, instead of M - 1 and one. Prefer :class:`openmm_forces.RespaIntegrator` wherever it fits.

    Parameters
    ----------
    model, atomic_numbers, particles, host, periodic, skin, total_charge, spin_multiplicity
        As for :func:`create_force`.
    inner_group, outer_group : int
        Force groups.

    Returns
    -------
    inner, outer : TorchForce or PythonForce

    Raises
    ------
    ValueError
        If the groups are the same; else as :func:`create_force`.
    FileNotFoundError, ModelContractError, ImportError
        As :func:`create_force`; the model needs the head.
    """
    if inner_group == outer_group:
        raise ValueError(f"expected two force groups, got {inner_group} twice")
    loaded = model if isinstance(model, LoadedModel) else load_model(model)
    _check_head(loaded)
    _warn_of_distant_forces(loaded)
    forces = []
    for group, parameter, request in (
        (inner_group, INNER_PARAMETER, 4),
        (outer_group, OUTER_PARAMETER, 2),
    ):
        structure = {"total_charge": total_charge, "spin_multiplicity": spin_multiplicity}
        hosted = _hosted_model(
            loaded, atomic_numbers, particles, skin, fixed_box=False, structure=structure
        )
        force = hosted_force(hosted, host, parameter, request, periodic)
        force.setForceGroup(group)
        forces.append(force)
    return forces[0], forces[1]


def _warn_of_distant_forces(loaded: LoadedModel) -> None:
    """Warn once of a model whose two kinds of forces are too far apart for an integrator of r-RESPA."""
    far_apart = c_minus_nc_warning(loaded.metadata.errors.get(RMS))
    if loaded.metadata.has_non_conservative_forces and far_apart is not None:
        warnings.warn(
            f"{loaded.metadata.name}: {far_apart}. Integrators that use conservative forces alone are not concerned",
            stacklevel=3,
        )


def _check_head(loaded: LoadedModel) -> None:
    if not loaded.metadata.has_non_conservative_forces:
        raise ModelContractError(
            f"{loaded.path}: expected a head for non-conservative forces, got heads "
            f"{loaded.metadata.heads}; use forces='conservative', or train a model with this head"
        )


def _hosted_model(
    loaded: LoadedModel,
    atomic_numbers: Sequence[int],
    particles: Sequence[int] | None,
    skin: float | unit.Quantity,
    *,
    fixed_box: bool,
    structure: dict[str, float | None],
) -> torch.jit.ScriptModule:
    skin_nm = to_unit(skin, unit.nanometer)
    if not 0.0 <= skin_nm < float("inf"):
        raise ValueError(f"expected a skin of at least 0 nm, got {skin_nm}")
    numbers = _checked_atomic_numbers(atomic_numbers, loaded)
    is_of_mlip_train = "network" in loaded.metadata.training  # known to be safe
    if not is_of_mlip_train:
        _evaluate_as_written()
    return scripted_for(
        loaded,
        numbers,
        None if particles is None else _checked_particles(particles, len(numbers)),
        skin_nm * NM_TO_ANGSTROM,
        fixed_box=fixed_box,
        structure=as_tensors(loaded.check_structure_inputs(**structure)),
    )


def _evaluate_as_written() -> None:
    """Keep TorchScript in this process from specialising programs for what their first evaluations saw.

    What it then assumes about derivatives can be wrong: forces of some networks of other packages were, after a first
    evaluation without edges. Networks of mlip-train keep their fused loops on GPUs.
    """
    torch._C._jit_set_profiling_mode(False)


def _checked_atomic_numbers(atomic_numbers: Sequence[int], loaded: LoadedModel) -> torch.Tensor:
    numbers = np.asarray(atomic_numbers)
    if numbers.ndim != 1 or numbers.size == 0 or not np.issubdtype(numbers.dtype, np.integer):
        raise ValueError(
            "expected atomic numbers as a sequence of at least one integer, got shape "
            f"{numbers.shape} of {numbers.dtype}"
        )
    outside = numbers[(numbers < 1) | (numbers >= len(chemical_symbols))]
    if outside.size:
        raise ValueError(
            f"expected atomic numbers from 1 to {len(chemical_symbols) - 1}, got {outside[0]}; "
            "virtual sites and other particles that are no atoms cannot be part of a model: "
            "name the atoms with particles=..."
        )
    loaded.check_elements({chemical_symbols[n] for n in numbers})
    return torch.from_numpy(numbers.astype(np.int64))


def _checked_particles(particles: Sequence[int], n_atoms: int) -> torch.Tensor:
    subset = np.asarray(particles)
    if subset.shape != (n_atoms,) or not np.issubdtype(subset.dtype, np.integer):
        raise ValueError(
            f"expected particles as {n_atoms} integers, one per atomic number, got shape "
            f"{subset.shape} of {subset.dtype}"
        )
    if subset.min() < 0 or len(np.unique(subset)) != n_atoms:
        raise ValueError(f"expected particles to be distinct and not negative, got {subset}")
    return torch.from_numpy(subset.astype(np.int64))
