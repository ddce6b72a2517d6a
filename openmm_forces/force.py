"""A model file to an OpenMM Force."""

from __future__ import annotations

import functools
import io
import logging
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import openmm
import torch
from ase.data import chemical_symbols
from openmm import unit

from mlip_engines.contract import ModelContractError
from mlip_engines.load import LoadedModel, load_model
from mlip_engines.units import NM_TO_ANGSTROM
from openmm_forces.evaluations import PARAMETER
from openmm_forces.hosted import HostedModel

HOSTS = ("auto", "torch", "python")
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
) -> openmm.Force:
    """Make a force that evaluates a model; works with every integrator, minimiser and barostat.

    The force has a global parameter ``mlip_forces``: 0 conservative (the default), 1
    non-conservative, 2 conservative minus non-conservative, 3 as 0 with 1 and 2 to follow at the
    same positions. Energies are conservative, except at 1: NaN, because no energy is evaluated
    there; see :func:`openmm_forces.conservative_energy`.

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
        The default of ``mlip_forces``. Without an energy, barostats and minimisers do not work: a
        barostat is refused at its first trial.
    periodic : bool
        Use the periodic box, in all three directions. Default no, as for other OpenMM forces;
        ``setUsesPeriodicBoundaryConditions`` of the force changes it later.
    skin : float (nm) or Quantity
        How far the neighbour list reaches beyond the cutoff; it saves rebuilds and changes no
        result.

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
        If an argument is not allowed, or the model does not know an element.
    ImportError
        If ``host="torch"`` and openmmtorch does not work here.

    Notes
    -----
    Positions reach the model in double precision on the platforms Reference and CPU. Every Context
    has its own copy of a TorchForce's module; Contexts share that of a PythonForce. With openmmtorch
    1.5 and OpenMM 8.6, XmlSerializer ends the process when it reads a TorchForce back: use
    ``host="python"`` for Systems that are to be copied or written to XML.
    """
    if forces not in FORCES:
        raise ValueError(f"expected forces to be one of {tuple(FORCES)}, got {forces!r}")
    if host not in HOSTS:
        raise ValueError(f"expected host to be one of {HOSTS}, got {host!r}")
    if unit.is_quantity(skin):
        skin = skin.value_in_unit(unit.nanometer)
    if not (np.isfinite(skin) and skin >= 0.0):
        raise ValueError(f"expected a skin of at least 0 nm, got {skin}")
    loaded = model if isinstance(model, LoadedModel) else load_model(model)
    numbers = _checked_atomic_numbers(atomic_numbers, loaded)
    subset = None if particles is None else _checked_particles(particles, len(numbers))
    has_head = loaded.metadata.has_non_conservative_forces
    if forces == "non_conservative" and not has_head:
        raise ModelContractError(
            f"{loaded.path}: expected a head for non-conservative forces, got heads "
            f"{loaded.metadata.heads}; use forces='conservative', or train a model with this head"
        )
    hosted = HostedModel(
        loaded.module,
        numbers,
        subset,
        loaded.metadata.cutoff,
        skin * NM_TO_ANGSTROM,
        has_head,
        fixed_box=forces == "non_conservative",
    ).eval()
    with warnings.catch_warnings():
        # torch deprecates TorchScript from 2.10 on; TorchForce takes nothing else.
        warnings.filterwarnings("ignore", message=".*torch.jit.*", category=DeprecationWarning)
        scripted = torch.jit.script(hosted)
    if host == "torch" or (host == "auto" and _torch_host_failure() is None):
        force = _torch_force(scripted, FORCES[forces])
    else:
        force = openmm.PythonForce(PythonHost(scripted), {PARAMETER: float(FORCES[forces])})
    force.setUsesPeriodicBoundaryConditions(periodic)
    return force


class PythonHost:
    """The computation of a PythonForce: the module of a TorchForce, called from Python."""

    def __init__(self, module: torch.jit.ScriptModule):
        self.module = module

    def __call__(self, state: openmm.State) -> tuple[float, np.ndarray]:
        """Return energy (kJ/mol) and forces (n_particles, 3) in kJ/mol/nm."""
        positions = torch.from_numpy(state.getPositions(asNumpy=True)._value)
        wanted = torch.tensor(state.getParameters()[PARAMETER], dtype=torch.float64)
        box = _box_vectors(state)
        energy, forces = (
            self.module(positions, wanted)
            if box is None
            else self.module(positions, torch.from_numpy(box), wanted)
        )
        return float(energy), forces.numpy()

    def __getstate__(self) -> bytes:
        """Serialise for XmlSerializer."""
        buffer = io.BytesIO()
        torch.jit.save(self.module, buffer)
        return buffer.getvalue()

    def __setstate__(self, archive: bytes) -> None:
        """Restore from XmlSerializer."""
        self.module = torch.jit.load(io.BytesIO(archive))


def _box_vectors(state: openmm.State) -> np.ndarray | None:
    """Return the box (3, 3) in nm, or None: OpenMM gives it to a force that uses it."""
    try:
        return state.getPeriodicBoxVectors(asNumpy=True)._value
    except openmm.OpenMMException as e:
        if "does not contain box vectors" not in str(e):
            raise
        return None


def _torch_force(module: torch.jit.ScriptModule, default: int) -> openmm.Force:
    failure = _torch_host_failure()
    if failure is not None:
        raise ImportError(
            f"expected openmmtorch to work with torch {torch.__version__}, got: {failure}; "
            "install openmmtorch 1.5 with torch 2.9, or use host='python'"
        )
    import openmmtorch

    # TorchForce freezes a module, which frees the functions that it inlines; an error in one of them
    # then ends the process (torch 2.9 looks for their names). Frozen here, saved and loaded by
    # TorchForce, the module is a single function.
    force = openmmtorch.TorchForce(torch.jit.freeze(module, optimize_numerics=False))
    force.setOutputsForces(True)
    force.addGlobalParameter(PARAMETER, float(default))
    return force


class _OneParticle(torch.nn.Module):
    """A force on one particle, E = x^2."""

    def forward(self, positions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return energy and forces."""
        positions = positions.detach()
        return (positions * positions).sum(), -2.0 * positions


@functools.cache
def _torch_host_failure() -> str | None:
    """Return why TorchForce does not work here, or None: it is imported and evaluated once."""
    root_logger = logging.getLogger()
    root_logger.addFilter(_is_not_about_simtk)
    try:
        import openmmtorch

        _load_torch_plugins()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*torch.jit.*", category=DeprecationWarning)
            force = openmmtorch.TorchForce(torch.jit.script(_OneParticle()))
        force.setOutputsForces(True)
        system = openmm.System()
        system.addParticle(1.0)
        system.addForce(force)
        platform = openmm.Platform.getPlatformByName("Reference")
        context = openmm.Context(system, openmm.VerletIntegrator(0.001), platform)
        context.setPositions([openmm.Vec3(1.0, 0.0, 0.0)])
        energy = context.getState(getEnergy=True).getPotentialEnergy()
        if energy.value_in_unit(unit.kilojoule_per_mole) != 1.0:
            return f"a wrong energy for a harmonic particle, {energy}"
    except Exception as e:  # whatever a mismatch of binaries raises
        return f"{type(e).__name__}: {e}"
    finally:
        root_logger.removeFilter(_is_not_about_simtk)
    return None


def _load_torch_plugins() -> None:
    """Load what OpenMM could not load because it was imported before torch."""
    failures = openmm.Platform.getPluginLoadFailures()
    for library in Path(openmm.version.openmm_library_path, "plugins").glob("*OpenMMTorch*"):
        if any(library.name in failure for failure in failures):
            try:
                openmm.Platform.loadPluginLibrary(str(library))
            except openmm.OpenMMException as e:  # of a device that is not there
                logging.getLogger(__name__).info("%s", e)


def _is_not_about_simtk(record: logging.LogRecord) -> bool:
    """Keep from the log that openmmtorch imports OpenMM by an old name."""
    return "simtk.openmm" not in record.getMessage()


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
