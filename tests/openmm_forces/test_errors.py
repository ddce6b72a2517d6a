"""Bad input: each error says what was expected, what came, and what to do."""

import dataclasses
import math
import shutil
import subprocess
import sys

import numpy as np
import openmm
import pytest
from openmm import app, unit
from scipy import constants

from mlip_engines import ModelContractError, read_metadata
from mlip_engines.model.archive import replace_metadata
from openmm_forces import (
    RespaIntegrator,
    conservative_energy,
    create_force,
    create_system,
    evaluation_counts,
    from_ase,
    hosts,
)
from structures import STRUCTURES
from tests.conftest import is_installed
from tests.openmm_forces.argon import argon, velocities
from tests.openmm_forces.runner import finite_strain_stress, make_context


def test_missing_file(any_host):
    with pytest.raises(FileNotFoundError, match=r"expected a model file .* got 'no_such_model'"):
        create_force("no_such_model", [18], host=any_host)


def test_file_that_is_no_model(tmp_path, any_host):
    path = tmp_path / "text.pt"
    path.write_text("not a model")
    with pytest.raises(ModelContractError, match="text.pt"):
        create_force(path, [18], host=any_host)


def test_wrong_contract_version(models, tmp_path, any_host):
    path = tmp_path / "later.pt"
    shutil.copy(models["argon"], path)
    replace_metadata(path, dataclasses.replace(read_metadata(path), contract_version=3))
    with pytest.raises(ModelContractError, match="expected contract version 1 or 2, got 3; export"):
        create_force(path, [18], host=any_host)


def test_element_that_the_model_does_not_know(models, any_host):
    topology = from_ase(STRUCTURES["molecule"]()).topology
    with pytest.raises(ValueError, match="the model knows Ar, got H, O; use a model trained"):
        create_system(topology, models["argon"], host=any_host)


def test_respa_with_a_model_without_the_head(models, host):
    context = make_context(argon(), models["no_head"], RespaIntegrator(0.008, 8), host=host)
    context.getState(getEnergy=True)  # conservative: fine
    message = "expected a model with a head for non-conservative forces .*, got one without; use"
    with pytest.raises(openmm.OpenMMException, match=message):
        context.getIntegrator().step(1)


def test_non_conservative_forces_of_a_model_without_the_head(models, any_host):
    message = r"expected a head for non-conservative forces, got heads \['energy'\]; use"
    with pytest.raises(ModelContractError, match=message):
        create_force(models["no_head"], [18], host=any_host, forces="non_conservative")


@pytest.mark.parametrize("platform", ["Reference", "CPU"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_coordinates_that_are_not_finite(models, host, platform, value):
    context = make_context(argon(), models["argon"], host=host, platform=platform)
    positions = argon().positions / 10.0
    positions[5, 1] = value
    context.setPositions(positions)
    # On the CPU platform OpenMM itself looks for NaN first.
    with pytest.raises(openmm.OpenMMException, match="expected finite coordinates|is NaN"):
        context.getState(getEnergy=True)


def test_a_run_goes_on_after_an_error(models, host):
    context = make_context(argon(), models["argon"], host=host, platform="Reference")
    energy = context.getState(getEnergy=True).getPotentialEnergy()
    positions = argon().positions / 10.0
    broken = positions.copy()
    broken[0, 0] = math.nan
    context.setPositions(broken)
    with pytest.raises(openmm.OpenMMException):
        context.getState(getEnergy=True)
    context.setPositions(positions)
    found = context.getState(getEnergy=True).getPotentialEnergy()
    assert found / unit.kilojoule_per_mole == pytest.approx(energy / unit.kilojoule_per_mole)


def test_atoms_that_left_for_infinity(models, host):
    dimer = STRUCTURES["dimer"]()
    dimer.positions[1] += 3e4
    context = make_context(dimer, models["water"], host=host)
    with pytest.raises(openmm.OpenMMException, match="expected atoms within 10000"):
        context.getState(getEnergy=True)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"host": "jax"}, r"host to be one of \('auto', 'torch', 'python'\), got 'jax'"),
        ({"forces": "direct"}, r"forces to be one of .*'non_conservative'\), got 'direct'"),
        ({"skin": -0.1}, "skin of at least 0 nm, got -0.1"),
        ({"particles": [0, 1]}, r"1 integers, one per atomic number, got shape \(2,\)"),
        ({"particles": [-1]}, "distinct and not negative"),
        ({"atomic_numbers": []}, "at least one integer"),
        ({"atomic_numbers": [18.0]}, "got shape .* of float64"),
        ({"atomic_numbers": [0]}, "from 1 to 118, got 0; virtual sites"),
    ],
)
def test_arguments_that_are_not_allowed(models, arguments, message):
    arguments = {"atomic_numbers": [18], **arguments}
    with pytest.raises(ValueError, match=message):
        create_force(models["argon"], arguments.pop("atomic_numbers"), **arguments)


def test_system_of_another_size(models, host):
    system = openmm.System()
    for _ in range(3):
        system.addParticle(39.9)
    system.addForce(create_force(models["argon"], [18, 18], host=host))
    context = openmm.Context(system, openmm.VerletIntegrator(0.001))
    context.setPositions([[0, 0, 0], [0.4, 0, 0], [0, 0.4, 0]])
    message = "expected a System of 2 particles, .* got 3; name the atoms .* particles="
    with pytest.raises(openmm.OpenMMException, match=message):
        context.getState(getEnergy=True)


def test_particles_beyond_the_system(models, host):
    system = openmm.System()
    system.addParticle(39.9)
    system.addForce(create_force(models["argon"], [18], particles=[4], host=host))
    context = openmm.Context(system, openmm.VerletIntegrator(0.001))
    context.setPositions([[0, 0, 0]])
    with pytest.raises(openmm.OpenMMException, match="expected particles below 1"):
        context.getState(getEnergy=True)


def test_virtual_sites_in_the_topology(models, any_host):
    topology = from_ase(argon()).topology
    residue = next(topology.residues())
    topology.addAtom("M", None, residue)
    message = r"expected an element for every atom, got none for atom 32 \(M of residue SYS\)"
    with pytest.raises(ValueError, match=message):
        create_system(topology, models["argon"], host=any_host)


def test_empty_topology(models, any_host):
    with pytest.raises(ValueError, match="at least one atom"):
        create_system(app.Topology(), models["argon"], host=any_host)


@pytest.mark.parametrize("name", ["slab", "wire"])
def test_periodicity_in_some_directions(name):
    with pytest.raises(ValueError, match="periodicity in all directions or in none"):
        from_ase(STRUCTURES[name]())


def test_cell_without_volume():
    atoms = argon()
    atoms.cell[2] = atoms.cell[0] + atoms.cell[1]
    with pytest.raises(ValueError, match="three independent lattice vectors"):
        from_ase(atoms)


@pytest.mark.parametrize("request_value", [1.5, 1e300, math.nan])
def test_unknown_request(models, host, request_value):
    context = make_context(argon(), models["argon"], host=host)
    context.setParameter("mlip_forces", request_value)
    with pytest.raises(openmm.OpenMMException, match="mlip_forces to be a whole number"):
        context.getState(getEnergy=True)


@pytest.mark.parametrize(
    "outer_step, inner_steps, error, message",
    [
        (0.0, 8, ValueError, "positive outer step, got 0.0 ps"),
        (-1.0 * unit.femtosecond, 8, ValueError, "positive outer step"),
        (math.nan, 8, ValueError, "positive outer step, got nan"),
        (0.004, 0, ValueError, "at least 1 inner step, got 0"),
        (0.004, 2.5, TypeError, "integer number of inner steps, got 2.5"),
        (0.004, True, TypeError, "integer number of inner steps, got True"),
    ],
)
def test_respa_steps_that_make_no_sense(outer_step, inner_steps, error, message):
    with pytest.raises(error, match=message):
        RespaIntegrator(outer_step, inner_steps)


def test_system_without_a_model():
    system = openmm.System()
    system.addParticle(1.0)
    with pytest.raises(openmm.OpenMMException, match="mlip_forces"):
        openmm.Context(system, RespaIntegrator(0.004, 8))
    context = openmm.Context(system, openmm.VerletIntegrator(0.001))
    for question in (evaluation_counts, conservative_energy):
        with pytest.raises(ValueError, match="'mlip_forces', got none; add a force"):
            question(context)


def test_minimising_with_non_conservative_forces(models, host):
    options = {"host": host, "platform": "Reference", "forces": "non_conservative"}
    context = make_context(argon(), models["argon"], **options)
    message = r"got non-conservative ones, which have no energy to minimise; call context.setParam"
    with pytest.raises(ValueError, match=message):
        openmm.LocalEnergyMinimizer.minimize(context, 0.01, 5)
    context.setParameter("mlip_forces", 0)  # as the message says
    openmm.LocalEnergyMinimizer.minimize(context, 0.01, 5)


class _Count(openmm.MinimizationReporter):
    calls = 0

    def report(self, iteration, x, grad, args):
        self.calls += 1
        return False


def test_what_openmm_calls_with_the_interpreter_locked_works_with_the_python_host(models):
    context = make_context(argon(), models["argon"], host="python")
    reporter = _Count()
    openmm.LocalEnergyMinimizer.minimize(context, 1.0, 5, reporter)
    assert reporter.calls > 0
    barostat = openmm.MonteCarloBarostat(1.0, 60.0, 0)
    context = make_context(argon(), models["argon"], host="python", extra_forces=(barostat,))
    pressure = barostat.computeCurrentPressure(context).value_in_unit(unit.bar)
    stress = finite_strain_stress(argon(), models["argon"], host="python")
    bar = 1e-5 * constants.e * 1e30  # of eV/Å^3
    assert pressure == pytest.approx(
        -np.trace(stress) / 3 * bar, rel=1e-3
    )  # OpenMM differentiates too


@pytest.mark.skipif(not is_installed("openmmtorch"), reason="openmmtorch is not installed")
def test_what_openmm_calls_with_the_interpreter_locked_names_the_other_host(models):
    """In a TorchForce torch refuses to differentiate there."""
    message = "OpenMM does in {}, got a TorchForce, .* make the System with host='python'"
    context = make_context(argon(), models["argon"], host="torch", platform="Reference")
    with pytest.raises(openmm.OpenMMException, match=message.format("minimize")):
        openmm.LocalEnergyMinimizer.minimize(context, 0.01, 5, _Count())
    barostat = openmm.MonteCarloBarostat(1.0, 60.0, 0)
    options = {"host": "torch", "platform": "Reference", "extra_forces": (barostat,)}
    context = make_context(argon(), models["argon"], **options)
    with pytest.raises(openmm.OpenMMException, match=message.format("computeCurrentPressure")):
        barostat.computeCurrentPressure(context)


def test_auto_takes_python_where_torch_force_does_not_work(models, monkeypatch):
    monkeypatch.setattr(hosts, "torch_host_failure", lambda: "OSError: undefined symbol")
    assert isinstance(create_force(models["argon"], [18]), openmm.PythonForce)
    message = "expected openmmtorch to work with torch .*, got: OSError: undefined symbol; install"
    with pytest.raises(ImportError, match=message):
        create_force(models["argon"], [18], host="torch")


def test_torch_host_works_where_openmm_was_imported_before_torch(models, host):
    """OpenMM loads its plugins when it is imported, and TorchForce's needs libraries of torch."""
    script = (
        "import openmm; from openmm_forces import create_force;"
        f"print(type(create_force({str(models['argon'])!r}, [18], host={host!r})).__name__)"
    )
    command = [sys.executable, "-W", "error", "-c", script]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert finished.stdout.split() == [{"torch": "TorchForce", "python": "PythonForce"}[host]]
    assert finished.stderr == ""


def test_unphysical_start_is_no_crash(models, host):
    """Two atoms at one place: the energy is not finite, and OpenMM says so or returns it."""
    atoms = argon()
    atoms.positions[1] = atoms.positions[0]
    integrator = RespaIntegrator(0.008, 2)
    context = make_context(
        atoms, models["argon"], integrator, velocities=velocities(len(atoms)), host=host
    )
    assert context.getIntegrator() is not None
    with pytest.raises(openmm.OpenMMException, match="finite coordinates|NaN"):
        integrator.step(2)


def test_forces_too_far_apart_for_respa_are_said(models, tmp_path):
    metadata = read_metadata(models["argon"])
    path = tmp_path / "far.pt"
    shutil.copy(models["argon"], path)
    metadata.errors["rms_c_minus_nc"] = 0.2
    replace_metadata(path, metadata)
    with pytest.warns(UserWarning, match="C - NC is 200 meV/Å"):
        create_force(path, [18, 18], host="python")
    metadata.errors["rms_c_minus_nc"] = 0.05
    replace_metadata(path, metadata)
    create_force(path, [18, 18], host="python")  # a warning would be an error
