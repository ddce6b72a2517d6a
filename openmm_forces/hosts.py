"""The two ways in which OpenMM runs a scripted module: TorchForce and PythonForce."""

from __future__ import annotations

import functools
import logging
import threading
import warnings
from pathlib import Path

import numpy as np
import openmm
import torch
from openmm import unit

from openmm_forces.refusals import refuse_what_cannot_work
from openmm_forces.scripted import archive_of, load_archive, program_fingerprint, scripted_again
from openmm_forces.system_copy import let_systems_be_copied

HOSTS = ("auto", "torch", "python")


def hosted_force(
    module: torch.jit.ScriptModule, host: str, parameter: str, default: int, periodic: bool
) -> openmm.Force:
    """Return a Force that runs a scripted :class:`openmm_forces.hosted.HostedModel`.

    Parameters
    ----------
    module : ScriptModule
    host : {"auto", "torch", "python"}
        ``"auto"`` takes TorchForce where it works.
    parameter : str
        Name of the global parameter that says what is wanted.
    default : int
        Its default.
    periodic : bool

    Raises
    ------
    ValueError
        If the host is none of these.
    ImportError
        If ``host="torch"`` and openmmtorch does not work here.
    """
    if host not in HOSTS:
        raise ValueError(f"expected host to be one of {HOSTS}, got {host!r}")
    refuse_what_cannot_work()
    if host == "torch" or (host == "auto" and torch_host_failure() is None):
        force = _torch_force(module, parameter, default)
    else:
        force = openmm.PythonForce(PythonHost(module, parameter), {parameter: float(default)})
    force.setUsesPeriodicBoundaryConditions(periodic)
    return force


class PythonHost:
    """The computation of a PythonForce: the module of a TorchForce, called from Python.

    All Contexts of a System share it. The module keeps its last evaluation, so one thread at a time calls it.
    """

    def __init__(self, module: torch.jit.ScriptModule, parameter: str):
        self.module = module
        self.parameter = parameter
        self._lock = threading.Lock()

    def __call__(self, state: openmm.State) -> tuple[float, np.ndarray]:
        """Return energy (kJ/mol) and forces (n_particles, 3) in kJ/mol/nm."""
        positions = torch.from_numpy(state.getPositions(asNumpy=True)._value)
        wanted = torch.tensor(state.getParameters()[self.parameter], dtype=torch.float64)
        box = _box_vectors(state)
        with self._lock:
            energy, forces = (
                self.module(positions, wanted)
                if box is None
                else self.module(positions, torch.from_numpy(box), wanted)
            )
        return float(energy), forces.numpy()

    def __getstate__(self) -> tuple[bytes, str, str]:
        """Serialise for XmlSerializer."""
        with self._lock:
            return archive_of(self.module), self.parameter, program_fingerprint()

    def __setstate__(self, state: tuple[bytes, str] | tuple[bytes, str, str]) -> None:
        """Restore from XmlSerializer. The archive is a program: read only XML that you trust.

        What another version of this package wrote gets the program of this one, so that it answers the requests of
        today's integrators.
        """
        archive, self.parameter = state[:2]
        is_ours = len(state) > 2 and state[2] == program_fingerprint()
        self.module = load_archive(archive) if is_ours else scripted_again(archive)
        self._lock = threading.Lock()


def _box_vectors(state: openmm.State) -> np.ndarray | None:
    """Return the box (3, 3) in nm, or None: OpenMM gives it to a force that uses it."""
    try:
        return state.getPeriodicBoxVectors(asNumpy=True)._value
    except openmm.OpenMMException as e:
        if "does not contain box vectors" not in str(e):
            raise
        return None


def _torch_force(module: torch.jit.ScriptModule, parameter: str, default: int) -> openmm.Force:
    failure = torch_host_failure()
    if failure is not None:
        raise ImportError(
            f"expected openmmtorch to work with torch {torch.__version__}, got: {failure}; "
            "install openmmtorch 1.5 with torch 2.9, or use host='python'"
        )
    import openmmtorch

    let_systems_be_copied()
    # TorchForce freezes a module, which frees the functions that it inlines; an error in one of them
    # then ends the process (torch 2.9 looks for their names). Frozen here, saved and loaded by
    # TorchForce, the module is a single function.
    force = openmmtorch.TorchForce(torch.jit.freeze(module, optimize_numerics=False))
    force.setOutputsForces(True)
    force.addGlobalParameter(parameter, float(default))
    return force


class _OneParticle(torch.nn.Module):
    """A force on one particle, E = x^2."""

    def forward(self, positions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return energy and forces."""
        positions = positions.detach()
        return (positions * positions).sum(), -2.0 * positions


@functools.cache
def torch_host_failure() -> str | None:
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
