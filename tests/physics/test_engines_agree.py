"""One model file, three engines: the same energy, forces, stress and r-RESPA trajectory."""

import subprocess
import sys

import numpy as np
import openmm
import pytest
import torch
from ase.units import fs
from openmm import unit

from mlip_engines import MlipCalculator, ModelMetadata, export_model
from mlip_train.networks.painn import PaiNN
from openmm_forces import RespaIntegrator, from_ase
from structures import STRUCTURES
from tests.lammps_plugin.runner import run_structures
from tests.openmm_forces.runner import make_context, positions_of, single_point
from tolerances import TOLERANCE

pytestmark = [pytest.mark.lammps, pytest.mark.openmm]

# Vacuum, right angles, none, a box smaller than twice the cutoff, than the cutoff, atoms far outside.
NAMES = [
    "molecule",
    "molecules",
    "orthogonal",
    "triclinic",
    "cell_smaller_than_cutoff",
    "unwrapped",
]
CUTOFF = 3.5  # Å
DTYPES = ["float64", "float32"]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """PaiNN with random weights and a baseline as large as a real one, in both dtypes."""
    files = {}
    for dtype in DTYPES:
        torch.manual_seed(4)
        network = PaiNN([1, 8], CUTOFF, n_features=16, n_basis=6).to(getattr(torch, dtype))
        metadata = ModelMetadata(
            name="random",
            species=["H", "O"],
            cutoff=CUTOFF,
            message_passing_layers=network.message_passing_layers,
            heads=network.heads,
            dtype=dtype,
            interaction_range=CUTOFF * network.message_passing_layers,
            reference_energies={"H": -13.6, "O": -430.0},
        )
        files[dtype] = tmp_path_factory.mktemp("model") / f"{dtype}.pt"
        export_model(network, metadata, files[dtype], scale=0.5)
    return files


@pytest.fixture(scope="module")
def lammps_results(plugin, models, tmp_path_factory):
    """Every structure in both dtypes, and one through the head alone: one start of LAMMPS."""
    cases = [(name, dtype, "mlip") for name in NAMES for dtype in DTYPES]
    cases += [("triclinic", dtype, "mlip forces non_conservative") for dtype in DTYPES]
    results = run_structures(
        [STRUCTURES[name]() for name, _, _ in cases],
        [models[dtype] for _, dtype, _ in cases],
        tmp_path_factory.mktemp("lammps"),
        pair_style=[style for _, _, style in cases],
    )
    return dict(zip(cases, results, strict=True))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NAMES)
def test_energy_forces_and_stress_are_the_same_in_all_engines(models, lammps_results, name, dtype):
    atoms = STRUCTURES[name]()
    limit = TOLERANCE[dtype]
    atoms.calc = MlipCalculator(models[dtype])
    energy, forces = atoms.get_potential_energy(), atoms.get_forces()
    assert np.abs(forces).max() > 0.01

    lammps = lammps_results[name, dtype, "mlip"]
    assert lammps.energy == pytest.approx(energy, abs=limit.energy)
    np.testing.assert_allclose(lammps.forces, forces, rtol=0, atol=limit.force)
    if atoms.pbc.all():
        virial = -atoms.get_stress(voigt=False) * atoms.get_volume()
        assert np.abs(virial).min() > 1e-4 or name == "orthogonal"
        symmetric = 0.5 * (lammps.virial + lammps.virial.T)
        np.testing.assert_allclose(symmetric, virial, rtol=0, atol=limit.virial)
        per_atom = -atoms.get_stresses(voigt=False) * atoms.get_volume()
        np.testing.assert_allclose(lammps.atomic_virials, per_atom, rtol=0, atol=limit.virial)

    found, found_forces = single_point(atoms, models[dtype])
    assert found == pytest.approx(energy, abs=limit.energy)
    np.testing.assert_allclose(found_forces, forces, rtol=0, atol=limit.force)


@pytest.mark.parametrize("dtype", DTYPES)
def test_non_conservative_forces_are_the_same_in_all_engines(models, lammps_results, dtype):
    atoms = STRUCTURES["triclinic"]()
    limit = TOLERANCE[dtype].force
    atoms.calc = MlipCalculator(models[dtype], forces="non_conservative")
    forces = atoms.get_forces()
    atoms.calc = None
    lammps = lammps_results["triclinic", dtype, "mlip forces non_conservative"]
    np.testing.assert_allclose(lammps.forces, forces, rtol=0, atol=limit)
    _, openmm_forces = single_point(atoms, models[dtype], forces="non_conservative")
    np.testing.assert_allclose(openmm_forces, forces, rtol=0, atol=limit)


INNER_STEPS = [1, 8]


def outer_step(inner_steps: int) -> float:
    return 0.5e-3 * inner_steps  # ps


@pytest.fixture(scope="module")
def moving_water():
    atoms = STRUCTURES["orthogonal"]()
    elements = {e: openmm.app.Element.getBySymbol(e).mass for e in "HO"}
    masses = [elements[s].value_in_unit(unit.dalton) for s in atoms.symbols]
    atoms.set_masses(masses)  # those of OpenMM, in both
    rng = np.random.default_rng(2)
    velocities = rng.normal(scale=0.003, size=(len(atoms), 3)) / fs / 1.0
    atoms.set_velocities(velocities - velocities.mean(axis=0))
    return atoms


@pytest.fixture(scope="module")
def lammps_trajectories(plugin, models, moving_water, tmp_path_factory):
    commands = [
        f"fix move all nve\ntimestep {outer_step(m)}\nrun_style respa 2 {m} "
        "inner 1 2.0 3.0 outer 2\nthermo 1\nrun 20\n"
        for m in INNER_STEPS
    ]
    results = run_structures(
        [moving_water] * len(INNER_STEPS),
        models["float64"],
        tmp_path_factory.mktemp("respa"),
        commands=commands,
    )
    return dict(zip(INNER_STEPS, results, strict=True))


@pytest.mark.parametrize("inner_steps", INNER_STEPS)
def test_respa_trajectories_agree_for_twenty_outer_steps(
    models, moving_water, lammps_trajectories, inner_steps
):
    lammps = lammps_trajectories[inner_steps]
    integrator = RespaIntegrator(outer_step(inner_steps) * unit.picosecond, inner_steps)
    context = make_context(
        moving_water,
        models["float64"],
        integrator,
        velocities=moving_water.get_velocities() * 1000.0 * fs,  # Å/ps
        platform="Reference",
    )
    integrator.step(20)
    positions = positions_of(context) @ from_ase(moving_water).rotation
    moved = np.abs(positions - moving_water.positions).max()
    assert moved > 0.02
    # LAMMPS's metal units round mass times velocity squared to 8 digits: relative to the way moved.
    np.testing.assert_allclose(lammps.positions, positions, rtol=0, atol=1e-6 * moved)


BOTH_ENGINES = """
import sys
import ase
from lammps import lammps
from mpi4py import MPI
from openmm_forces import create_system, from_ase

lmp = lammps(cmdargs=["-screen", "none", "-log", "none"])
for line in (
    "units metal",
    "atom_modify map yes",
    "region box block 0 9 0 9 0 9",
    "create_box 2 box",
    "create_atoms 1 single 1 1 1",
    "create_atoms 2 single 2 1 1",
    "mass 1 15.999",
    "mass 2 1.008",
    "pair_style mlip device cpu",
    f"pair_coeff * * {sys.argv[1]} O H",
    "run 0",
):
    lmp.command(line)
atoms = ase.Atoms("OH", [[1, 1, 1], [2, 1, 1]], cell=[9, 9, 9], pbc=True)
create_system(from_ase(atoms).topology, sys.argv[1], host="torch")
print("both")
"""


def test_openmm_can_load_a_model_after_lammps_has_evaluated_one(models):
    command = [sys.executable, "-c", BOTH_ENGINES, str(models["float64"])]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout.strip().endswith("both"), done.stdout + done.stderr
