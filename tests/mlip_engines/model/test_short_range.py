"""Below the shortest distances of its data a network loses sight, and nuclei repel each other."""

import numpy as np
import pytest
import torch
from ase import Atoms, units
from ase.build import bulk
from ase.data import atomic_numbers
from ase.optimize import FIRE

from mlip_engines import MlipCalculator, check_conformance
from mlip_engines.checkpoints import Exportable, export_network
from mlip_engines.model.contract import ModelContractError
from mlip_engines.model.load import models_directory, read_metadata
from mlip_engines.model.repulsion import BOUND, MIDDLE, ONSET, STIFFEST, repulsion
from mlip_engines.units import COULOMB_EV_ANGSTROM
from mlip_train.networks import build_network
from mlip_train.potentials.analytic import LennardJones
from tests.small_networks import CUTOFF, NETWORKS
from tests.tolerances import (
    FINITE_DIFFERENCE_FORCE,
    FINITE_DIFFERENCE_STEP,
    FINITE_DIFFERENCE_STRESS,
    TOLERANCE,
)

SHORTEST = {"H-H": 0.6, "H-O": 0.8, "O-O": 1.9}
SHIPPED = sorted(models_directory().glob("*.pt"))


def export(network, path, **options):
    network = network.double()
    export_network(
        Exportable(network, ["H", "O"], shortest_distances=SHORTEST), path, "float64", **options
    )
    return path


@pytest.fixture(scope="module", params=sorted(NETWORKS))
def model(request, tmp_path_factory):
    """A network of random weights, and what keeps atoms apart."""
    torch.manual_seed(3)
    network = build_network(
        {"name": request.param, "species": [1, 8], "cutoff": CUTOFF, **NETWORKS[request.param]}
    )
    return export(network, tmp_path_factory.mktemp("walled") / f"{request.param}.pt")


@pytest.fixture(scope="module")
def wall(tmp_path_factory):
    """The repulsion alone: the network in it says nothing."""
    network = LennardJones(CUTOFF, epsilon=0.0, sigma=1.0)
    return export(network, tmp_path_factory.mktemp("wall") / "wall.pt")


def crowd() -> Atoms:
    """A triclinic cell in which some pairs are below, some in and some above the range of the repulsion."""
    rng = np.random.default_rng(4)
    cell = [[4.6, 0.0, 0.0], [0.7, 4.3, 0.0], [-0.4, 0.5, 4.5]]
    atoms = Atoms("H8O4", rng.uniform(0.0, 4.3, (12, 3)), cell=cell, pbc=True)
    for i, j, distance in (
        (0, 1, 0.25),
        (2, 3, 0.55),
        (6, 7, 0.4),
        (4, 8, 0.6),
        (5, 9, 0.75),
        (10, 11, 1.7),
    ):
        direction = rng.normal(size=3)
        atoms.positions[j] = atoms.positions[i] + distance * direction / np.linalg.norm(direction)
    return atoms


def dimer(a: str, b: str, distance: float, calculator: MlipCalculator) -> Atoms:
    return Atoms([a, b], [[0.0, 0.0, 0.0], [distance, 0.0, 0.0]], calculator=calculator)


def test_networks_keep_the_contract(model):
    """Energies, forces, virials, heads, images, permutations: as without."""
    check_conformance(model)


def test_the_crowd_is_one():
    distances = crowd().get_all_distances(mic=True)[np.triu_indices(12, 1)]
    in_middle = MIDDLE * SHORTEST["H-H"]
    assert distances.min() < BOUND * SHORTEST["H-H"] < 0.4 < in_middle < 0.55 < SHORTEST["H-H"]


def test_forces_and_stress_are_derivatives_of_the_energy(model):
    atoms, h = crowd(), FINITE_DIFFERENCE_STEP
    atoms.calc = MlipCalculator(model)
    forces, stress, scale = atoms.get_forces(), atoms.get_stress(voigt=False), 1.0
    scale = max(1.0, np.abs(forces).max())
    for i, k in ((0, 0), (3, 1), (9, 2), (11, 0)):
        energies = []
        for sign in (2, 1, -1, -2):
            moved = atoms.copy()
            moved.positions[i, k] += sign * h
            moved.calc = atoms.calc
            energies.append(moved.get_potential_energy())
        slope = (-energies[0] + 8 * energies[1] - 8 * energies[2] + energies[3]) / (12 * h)
        assert abs(slope + forces[i, k]) < FINITE_DIFFERENCE_FORCE * scale
    energies = []
    for sign in (2, 1, -1, -2):
        strained = atoms.copy()
        strained.set_cell(atoms.cell.array @ (np.eye(3) + sign * h * np.eye(3)), scale_atoms=True)
        strained.calc = atoms.calc
        energies.append(strained.get_potential_energy())
    slope = (-energies[0] + 8 * energies[1] - 8 * energies[2] + energies[3]) / (12 * h)
    assert abs(slope / atoms.get_volume() - np.trace(stress)) < FINITE_DIFFERENCE_STRESS * scale


def test_the_repulsion_is_the_same_in_both_kinds_of_forces(wall):
    """C - NC has none of it, so all of it is in the inner loop of r-RESPA."""
    atoms, limit = crowd(), TOLERANCE["float64"]
    atoms.calc = MlipCalculator(wall)
    conservative = atoms.get_forces()
    assert np.abs(conservative).max() > 1.0
    found = atoms.calc.get_property("non_conservative_forces", atoms)
    np.testing.assert_allclose(found, conservative, atol=limit.force, rtol=limit.equality)


@pytest.mark.parametrize("pair", SHORTEST)
def test_it_is_twice_differentiable(wall, pair):
    """Differences of the curvature across either end shrink with the step: a jump of it would not."""
    a, b = pair.split("-")
    calculator = MlipCalculator(wall)
    for edge in SHORTEST[pair] * np.array([1.0, ONSET, MIDDLE, BOUND]):
        jumps = []
        for h in (4e-3, 1e-3):
            at = edge + h * np.array([-1.5, -0.5, 0.5, 1.5])
            slopes = [-dimer(a, b, r, calculator).get_forces()[1, 0] for r in at]
            left, right = (slopes[1] - slopes[0]) / h, (slopes[3] - slopes[2]) / h
            jumps.append(abs(right - left))
        assert jumps[1] < 0.4 * jumps[0]


@pytest.mark.parametrize("pair", ["H-O", "O-Si", "Cu-Cu", "O-O"])
def test_a_hot_simulation_can_follow_it(pair):
    """Two atoms run into it with 2 eV (k_B T at 23,000 K) at a usual time step, and come away with as much.

    Velocity Verlet is written out here. A nuclear repulsion that is switched on within a tenth of s heats: H-O and O-Si
    come away with many times their energy.
    """
    shortest, mass, step = {  # Å, u, fs
        "H-O": (0.7, 0.948, 0.5),
        "O-Si": (1.4, 10.19, 1.0),
        "Cu-Cu": (1.83, 31.77, 2.0),
        "O-O": (2.16, 8.0, 1.0),
    }[pair]
    numbers = torch.tensor([[atomic_numbers[symbol]] for symbol in pair.split("-")])
    s = torch.tensor([shortest], dtype=torch.float64)

    def slope(at: float) -> float:
        if at >= shortest:
            return 0.0
        _, found = repulsion(numbers, s.new_tensor([at]), s, COULOMB_EV_ANGSTROM)
        return float(found)

    for offset in np.linspace(0.0, 1.0, 7):  # where between two steps the collision begins
        per_mass, h = 1.0 / mass, step * units.fs
        v = -np.sqrt(2.0 * 2.0 * per_mass)
        r = shortest - offset * v * h
        turned = r
        for _ in range(400):
            v -= 0.5 * h * slope(r) * per_mass
            r += h * v
            v -= 0.5 * h * slope(r) * per_mass
            turned = min(turned, r)
            if r > shortest:
                break
        assert r > shortest > turned
        assert 0.5 * mass * v * v == pytest.approx(2.0, rel=0.05)


@pytest.mark.parametrize(
    ("pair", "shortest"), [("Cu-Cu", 2.2), ("H-O", 0.8), ("O-O", 1.9), ("H-H", 0.85)]
)
def test_it_is_as_strong_as_nuclei_or_as_stiff_as_allowed(pair, shortest):
    """At the middle: the energy of the bare nuclei, or less where the wall is too stiff or too high at the bound."""
    first, second = (torch.tensor([[atomic_numbers[symbol]] * 60]) for symbol in pair.split("-"))
    numbers = torch.cat([first, second])
    s = torch.full((60,), shortest, dtype=torch.float64)
    r = torch.linspace(MIDDLE, 1.0, 60, dtype=torch.float64) * s
    energy, slope = repulsion(numbers, r, s, COULOMB_EV_ANGSTROM)
    curvature = torch.gradient(slope, spacing=(r,))[0]
    assert (energy[:-1] > 0.0).all() and (curvature > -1e-6).all()
    assert float(curvature.max()) < 1.01 * STIFFEST
    nuclear, _ = repulsion(numbers, r, torch.full_like(r, 50.0), COULOMB_EV_ANGSTROM)
    if pair == "Cu-Cu":
        assert float(energy[0]) == pytest.approx(float(nuclear[0]), rel=1e-9)
    else:
        assert float(energy[0]) < float(nuclear[0])


def test_it_repels_everywhere():
    """Light nuclei, whose Z grows less than a wall of constant curvature, are where it could attract."""
    elements = [1, 2, 3, 6, 8, 14, 29, 79]
    for s in np.arange(0.3, 3.6, 0.05):
        r = torch.linspace(0.02 * s, 0.9999 * s, 600, dtype=torch.float64)
        for first in elements:
            for second in elements:
                numbers = torch.tensor([[first] * 600, [second] * 600])
                energy, slope = repulsion(numbers, r, torch.full_like(r, s), COULOMB_EV_ANGSTROM)
                assert (slope < 0.0).all(), (first, second, s)
                assert (torch.diff(energy) < 0.0).all()  # and its slope is its derivative


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_pairs_of_shipped_models_cannot_collapse(path):
    """From the bound to 0.05 Å the energy of each pair rises; squeezed and shaken structures lie above the start."""
    calculator = MlipCalculator(path)
    shortest = read_metadata(path).short_range
    assert shortest
    for pair, distance in shortest.items():
        grid = np.geomspace(0.05, BOUND * distance, 60)
        energies = [dimer(*pair.split("-"), r, calculator).get_potential_energy() for r in grid]
        assert (np.diff(energies) < 0.0).all(), pair
    start = water() if "O" in read_metadata(path).species else copper()
    start.calc = calculator
    energy, rng = start.get_potential_energy(), np.random.default_rng(2)
    for changed in [squeezed(start, f) for f in (0.8, 0.7, 0.6, 0.5)] + [
        shaken(start, rng) for _ in range(3)
    ]:
        changed.calc = calculator
        assert changed.get_potential_energy() > energy + 0.1 * len(start)
        assert np.isfinite(changed.get_forces()).all()


def water() -> Atoms:
    """Eight molecules on a lattice of the density of the liquid."""
    molecule = Atoms("OHH", [[0.0, 0.0, 0.0], [0.76, 0.59, 0.0], [-0.76, 0.59, 0.0]])
    molecule.set_cell([3.1, 3.1, 3.1])
    molecule.pbc = True
    return molecule.repeat(2)


def copper() -> Atoms:
    return bulk("Cu", cubic=True, a=3.61).repeat(2)


def squeezed(atoms: Atoms, factor: float) -> Atoms:
    changed = atoms.copy()
    changed.set_cell(factor * atoms.cell.array, scale_atoms=True)
    return changed


def shaken(atoms: Atoms, rng: np.random.Generator) -> Atoms:
    """Each atom displaced by 1 Å in a random direction."""
    changed = atoms.copy()
    steps = rng.normal(size=(len(atoms), 3))
    changed.positions += steps / np.linalg.norm(steps, axis=1, keepdims=True)
    return changed


@pytest.mark.openmm  # the file of the starts imports it
def test_close_pairs_are_not_caught():
    """Displaced by 0.5 Å (RMS of each coordinate), copper comes back to its crystal, the lowest there is."""
    from benchmarks.collapse import liquid_or_crystal, starts

    crystal = liquid_or_crystal(["Cu"])
    atoms = starts(crystal, "rattled", 2)[1]
    closest = atoms.get_all_distances(mic=True)[np.triu_indices(len(atoms), 1)].min()
    assert closest < read_metadata(models_directory() / "copper.pt").short_range["Cu-Cu"]
    atoms.calc = crystal.calc = MlipCalculator("copper")
    FIRE(atoms, logfile=None).run(fmax=0.02, steps=500)
    above = (atoms.get_potential_energy() - crystal.get_potential_energy()) / len(atoms)
    assert abs(above) < 1e-3  # eV


def test_where_data_are_nothing_changes(tmp_path):
    """No pair is below its shortest distance: the same numbers, bit by bit."""
    torch.manual_seed(6)
    settings = {"name": "painn", "species": [1, 8], "cutoff": CUTOFF, **NETWORKS["painn"]}
    network = build_network(settings)
    walled = MlipCalculator(export(network, tmp_path / "walled.pt"))
    plain = MlipCalculator(export(network, tmp_path / "plain.pt", short_range="none"))
    atoms = water()
    assert (walled.get_forces(atoms) == plain.get_forces(atoms)).all()
    assert walled.get_potential_energy(atoms) == plain.get_potential_energy(atoms)
    assert read_metadata(tmp_path / "walled.pt").short_range == SHORTEST
    assert read_metadata(tmp_path / "plain.pt").short_range == {}


@pytest.mark.lammps
def test_the_repulsion_is_that_of_lammps(tmp_path, plugin):
    """``pair_style zbl`` is the same physics written by others; below its inner cutoff its force is not switched."""
    from tests.lammps_plugin.runner import run_script

    distances = np.array([0.1, 0.3, 0.6, 1.0])
    script = f"""
units metal
atom_modify map array
region box block -9 9 -9 9 -9 9
create_box 2 box
mass * 1.0
pair_style zbl 2.0 3.0
pair_coeff 1 1 1 1
pair_coeff 2 2 8 8
pair_coeff 1 2 1 8
create_atoms 1 single 0 0 0
create_atoms 2 single 1 0 0
run 0 post no
variable f equal fx[2]
label start
variable r index {" ".join(map(str, distances))}
set atom 2 x $r
run 0 post no
print "slope $(-v_f:%20.14g)"
next r
jump SELF start
"""
    log = run_script(script, tmp_path)
    expected = [float(line.split()[1]) for line in log.splitlines() if line.startswith("slope ")]
    numbers = torch.tensor([[1] * 4, [8] * 4])
    r = torch.tensor(distances)
    # far below the bound, so that nothing is switched here either
    _, slope = repulsion(numbers, r, torch.full_like(r, 50.0), COULOMB_EV_ANGSTROM)
    # LAMMPS has e^2 to seven digits
    np.testing.assert_allclose(slope, expected, rtol=1e-6)


@pytest.mark.lammps
@pytest.mark.parametrize("parallel", ["halo", "exchange"])
def test_it_is_the_same_on_two_processes(model, tmp_path, plugin, parallel):
    """What an atom sees depends on its own edges, so the usual halo is wide enough."""
    from tests.lammps_plugin.runner import run_structure

    atoms = crowd().repeat((3, 2, 2))
    atoms.calc = MlipCalculator(model)
    found = run_structure(
        atoms, model, tmp_path, processes=2, pair_style=f"mlip parallel {parallel}"
    )
    limit, scale = TOLERANCE["float64"], np.abs(atoms.get_forces()).max()
    assert abs(found.energy - atoms.get_potential_energy()) < limit.energy * scale
    np.testing.assert_allclose(found.forces, atoms.get_forces(), atol=limit.force * scale)


def test_two_atoms_shot_at_each_other_come_apart(wall):
    """A head-on collision of 100 eV turns round, and the energy is what it was."""
    from ase import units
    from ase.md.verlet import VelocityVerlet

    atoms = Atoms("O2", [[0.0, 0.0, 0.0], [2.2, 0.0, 0.0]], calculator=MlipCalculator(wall))
    speed = np.sqrt(100.0 / atoms.get_masses()[0])  # 50 eV each
    atoms.set_velocities([[speed, 0.0, 0.0], [-speed, 0.0, 0.0]])
    energy, closest = atoms.get_total_energy(), 9.0
    dynamics = VelocityVerlet(atoms, 0.04 * units.fs)
    for _ in range(40):
        dynamics.run(6)
        closest = min(closest, atoms.get_distance(0, 1))
    assert 0.05 < closest < 1.0
    assert atoms.get_distance(0, 1) > 2.2
    assert abs(atoms.get_total_energy() - energy) < 0.05  # of 100 eV, with this time step


def test_shortest_distances_that_are_unknown_are_guessed_with_a_warning(tmp_path):
    network = LennardJones(CUTOFF, epsilon=0.01, sigma=1.0).double()
    exportable = Exportable(network, ["H", "O"], shortest_distances={"H-H": 0.6})
    with pytest.warns(UserWarning, match="distances of H-O, O-O in the training data are unknown"):
        metadata = export_network(exportable, tmp_path / "m.pt", "float64")
    # 0.7 times the sums of Cordero's radii, 0.31 and 0.66 Å
    expected = {"H-H": 0.6, "H-O": 0.7 * 0.97, "O-O": 0.7 * 1.32}
    assert metadata.short_range == pytest.approx(expected)


@pytest.mark.parametrize(
    ("shortest", "words"),
    [
        ({"H-O": 5.0}, "between 0 and the cutoff"),
        ({"H": 0.5}, "expected a pair of elements such as 'H-O', got 'H'"),
        ({"H-C": 0.5}, "expected shortest distances between H, O, got C-H"),
    ],
)
def test_distances_that_cannot_be_meant_are_named(tmp_path, shortest, words):
    network = LennardJones(CUTOFF, epsilon=0.01, sigma=1.0)
    with pytest.raises((ValueError, ModelContractError), match=words):
        export(network, tmp_path / "m.pt", shortest=shortest)
    assert not list(tmp_path.iterdir())
