"""Several MPI processes give what one gives: the same energies, forces, virials and trajectories."""

from collections import ChainMap

import ase.units
import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk

from mlip_engines.model.inner_force import WithInnerForce
from mlip_train.networks.painn import PaiNN
from mlip_train.networks.pet import PET
from structures import STRUCTURES
from tests.lammps_plugin.argon import argon
from tests.lammps_plugin.model_files import SPECIES, export_network
from tests.lammps_plugin.runner import (
    read_dump,
    read_thermo,
    run_script,
    run_structures,
    write_data,
)
from tolerances import TOLERANCE

# All is float64 and the printed digits are complete: what differs is the order of sums.
SAME = 1e-8  # eV, eV/Å, Å


@pytest.fixture(scope="session")
def networks(models, tmp_path_factory):
    """Random networks of several layers beside the exact models, by name."""
    folder = tmp_path_factory.mktemp("networks")
    torch.manual_seed(5)
    painn = PaiNN([1, 8], 3.5, n_features=8, n_basis=5, n_layers=3, non_conservative_stress=True)
    single = PaiNN([1, 8], 3.5, n_features=7, n_basis=5, n_layers=3)
    sizes = {"n_edge_features": 8, "n_heads": 2}
    pet = PET([1, 8], 2.6, **sizes, non_conservative_stress=True)
    single_pet = PET([1, 8], 3.5, **sizes)
    warm_pet = PET([18], 5.0, **sizes, n_layers=2, non_conservative_layer=1)
    within = WithInnerForce(PET([1, 8], 2.6, **sizes), PET([1, 8], 2.1, **sizes, n_layers=2), 0.7)
    warm = PaiNN(
        [18], 5.0, n_features=6, n_basis=5, n_layers=2, non_conservative_layer=1, n_force_layers=0
    )
    own = {
        "painn": export_network(painn, folder / "painn.pt"),
        "painn_float32": export_network(single, folder / "single.pt", dtype="float32", scale=5.0),
        "pet": export_network(pet, folder / "pet.pt"),
        "pet_float32": export_network(
            single_pet, folder / "single_pet.pt", dtype="float32", scale=5.0
        ),
        "pet_argon": export_network(warm_pet, folder / "pet_argon.pt", ["Ar"], scale=2.0),
        "pet_within": export_network(within, folder / "pet_within.pt"),
        "painn_argon": export_network(warm, folder / "painn_argon.pt", ["Ar"], scale=5.0),
    }
    return ChainMap(own, models)


def crystal_with_a_void():
    """Argon, triclinic, with more vacuum than atoms: some domains are empty, some ghosts far."""
    atoms = bulk("Ar", a=5.3).repeat((3, 3, 2))
    atoms.set_cell(atoms.cell.array * np.array([[1.0], [1.0], [2.2]]))
    atoms.rattle(0.2, seed=2)
    atoms.symbols[:] = "O"
    return atoms


def static_cases(networks):
    """Structures and options for all that is evaluated at fixed positions."""
    cases = []
    structures = {**STRUCTURES, "crystal_with_a_void": crystal_with_a_void}
    for k, (name, build) in enumerate(structures.items()):
        for m, model in enumerate(("painn", "pet", "pet_within", "curl")):
            if model == "curl" and k % 4:
                continue
            style = f"mlip parallel {PARALLEL[model][k % 3]}"
            style += " forces non_conservative" if (k + m) % 3 == 0 else ""
            settings = "newton off" if (k + m) % 2 else "newton on"
            # beside the grid that LAMMPS chooses, one with other faces
            settings += f"\nprocessors {GRIDS[(k + m // 2) % 4]}"
            cases.append((name, build(), networks[model], style, settings))
    return cases


# the model that one layer has exchanges nothing, and auto says so
PARALLEL = {
    "painn": ("auto", "exchange", "exchange"),
    "pet": ("exchange", "halo", "auto"),
    "pet_within": ("auto", "exchange", "exchange"),
    "curl": ("auto",) * 3,
}
GRIDS = ("* * *", "1 * *", "* 1 *", "* * 1")


@pytest.fixture(scope="module")
def one_process(networks, tmp_path_factory):
    """Every case with its result on one process."""
    cases = static_cases(networks)
    return list(zip(cases, run_cases(cases, tmp_path_factory.mktemp("one"), 1), strict=True))


def run_cases(cases, folder, processes):
    _, structures, files, styles, settings = (list(column) for column in zip(*cases, strict=True))
    return run_structures(
        structures,
        files,
        folder,
        species=SPECIES,
        pair_style=styles,
        settings=settings,
        processes=processes,
    )


@pytest.mark.parametrize(("processes", "part"), [(2, (0, 2)), (4, (1, 2)), (8, (2, 4))])
def test_what_is_evaluated_does_not_depend_on_the_number_of_processes(
    one_process, tmp_path, processes, part
):
    """Thin boxes, images of oneself, empty processes, slabs and wires, newton on and off."""
    first, step = part
    chosen = one_process[first::step]
    found = run_cases([case for case, _ in chosen], tmp_path, processes)
    largest = dict.fromkeys(PARALLEL, 0.0)
    for (case, one), many in zip(chosen, found, strict=True):
        for what in ("energy", "atomic_energies", "forces", "virial", "atomic_virials", "counters"):
            error = np.abs(getattr(many, what) - getattr(one, what)).max()
            assert error < SAME, (case[0], case[2].name, case[3:], what, error)
        name = case[2].stem
        largest[name] = max(largest[name], np.abs(one.forces).max())
        kind = "halo" if name == "curl" or "halo" in case[3] else "exchange"
        assert f"Pair style mlip: parallel {kind}: " in many.log
    assert min(largest["painn"], largest["pet"], largest["pet_within"]) > 0.1


@pytest.mark.parametrize("network", ["painn_float32", "pet_float32"])
def test_single_precision_is_close_on_any_number_of_processes(networks, tmp_path, network):
    """Two float32 numbers travel in the place of a float64 one, and their gradients are added as such."""
    atoms = STRUCTURES["orthogonal"]()
    styles = ["mlip parallel exchange", "mlip parallel exchange forces non_conservative"]
    one, many = (
        run_structures(
            [atoms, atoms],
            networks[network],
            tmp_path,
            species=SPECIES,
            pair_style=styles,
            processes=processes,
        )
        for processes in (1, 4)
    )
    limit = TOLERANCE["float32"]
    for a, b in zip(one, many, strict=True):
        assert abs(b.energy - a.energy) < limit.energy
        assert np.abs(b.forces - a.forces).max() < limit.force
        assert np.abs(b.virial - a.virial).max() < limit.virial
        assert np.abs(a.forces).max() > 10.0 * limit.force


@pytest.mark.parametrize("network", ["painn", "pet"])
def test_predicted_stress_sees_its_whole_surroundings(networks, tmp_path, network):
    """The head for stress looks one edge farther than the energy, and has no per-atom form."""
    write_data(tmp_path / "water.data", STRUCTURES["orthogonal"](), SPECIES)
    script = f"""
units metal
atom_style atomic
read_data water.data
pair_style mlip parallel PARALLEL forces non_conservative stress non_conservative
pair_coeff * * {networks[network]} {" ".join(SPECIES)}
compute p all pressure NULL pair
thermo_style custom step pe c_p[*]
thermo_modify norm no format float %.17g
run 0
"""
    one = read_thermo(run_script(script.replace("PARALLEL", "auto"), tmp_path))
    for parallel in ("halo", "exchange"):
        many = read_thermo(run_script(script.replace("PARALLEL", parallel), tmp_path, processes=4))
        for k in range(1, 7):
            assert abs(one[f"c_p[{k}]"][0]) > 1.0  # bar
            assert many[f"c_p[{k}]"][0] == pytest.approx(one[f"c_p[{k}]"][0], rel=1e-10)


def tilted_argon():
    atoms = argon()
    cell = atoms.cell.array.copy()
    cell[1, 0], cell[2, 1] = 2.1, -1.3
    atoms.set_cell(cell, scale_atoms=True)
    return atoms


def drifting_argon():
    """Argon of which every atom crosses into another domain within a picosecond."""
    atoms = argon()
    drift = np.array([25.0, -18.0, 14.0]) / (1000.0 * ase.units.fs)  # Å/ps
    atoms.set_velocities(atoms.get_velocities() + drift)
    return atoms


RESPA = "run_style respa 2 4 inner 1 4.0 5.0 outer 2\ntimestep 0.008\n"
NVE = "fix move all nve\nthermo 5\n"
STEPS = "thermo 5\ntimestep 0.002"
TRAJECTORIES = {
    # name: model, structure, commands before the box, commands, style
    "respa, balanced": (
        "argon",
        drifting_argon(),
        "newton off\nneighbor 0.7 bin",
        f"{RESPA}{NVE}fix level all balance 5 1.0 shift xyz 10 1.01\nrun 28",
        "mlip",
    ),
    "respa, two layers, tiled": (
        "painn_argon",
        drifting_argon(),
        "neighbor 1.2 bin\ncomm_style tiled",
        f"{RESPA}{NVE}fix level all balance 4 1.0 rcb\nrun 8",
        "mlip parallel {inner}",
    ),
    "respa, transformer": (
        "pet_argon",
        drifting_argon(),
        "newton off\nneighbor 0.7 bin",
        f"{RESPA}{NVE}fix level all balance 3 1.0 shift xyz 10 1.01\nrun 8",
        "mlip parallel exchange",
    ),
    "npt, triclinic, transformer": (
        "pet_argon",
        tilted_argon(),
        "neighbor 0.7 bin",
        f"fix move all npt temp 80 80 0.1 tri 1000 1000 5.0\n{STEPS}\nrun 2\ncomm_style tiled\nrun 3",
        "mlip parallel exchange",
    ),
    "npt, triclinic, rotated": (
        "painn_argon",
        tilted_argon(),
        "neighbor 0.7 bin",
        f"fix move all npt temp 80 80 0.1 tri 1000 1000 5.0\n{STEPS}\nrun 10",
        "mlip rotate yes parallel exchange",
    ),
    "minimised": (
        "painn_argon",
        argon(size=2),
        "newton off",
        "min_style cg\nthermo 1\nminimize 0 0 6 60",
        "mlip parallel halo",
    ),
}


def run_trajectories(networks, folder, processes):
    names, structures, settings, commands, _ = zip(*TRAJECTORIES.values(), strict=True)
    # both ways for r-RESPA, whose head here sees one edge of two
    inner = "halo" if processes == 2 else "exchange"
    styles = [style.format(inner=inner) for *_, style in TRAJECTORIES.values()]
    results = run_structures(
        list(structures),
        [networks[name] for name in names],
        folder,
        settings=list(settings),
        commands=list(commands),
        pair_style=styles,
        species=["Ar"],
        processes=processes,
    )
    return dict(zip(TRAJECTORIES, results, strict=True))


@pytest.fixture(scope="module")
def trajectories(networks, tmp_path_factory):
    return run_trajectories(networks, tmp_path_factory.mktemp("trajectories"), 1)


@pytest.mark.parametrize("processes", [2, 4])
def test_trajectories_do_not_depend_on_the_number_of_processes(
    networks, trajectories, tmp_path, processes
):
    """r-RESPA, NPT and minimisers, with atoms that migrate and domains that are balanced."""
    for name, many in run_trajectories(networks, tmp_path, processes).items():
        one = trajectories[name]
        assert np.abs(many.positions - one.positions).max() < SAME, name
        assert np.abs(many.velocities - one.velocities).max() < SAME, name
        # forces follow positions at the same distance times some ten eV/Å^2
        assert np.abs(many.forces - one.forces).max() < 10.0 * SAME, name
        assert np.abs(many.counters[:2] - one.counters[:2]).max() == 0.0, name
        assert np.allclose(many.counters[2:], one.counters[2:], rtol=0.0, atol=SAME), name
        for column in ("PotEng", "TotEng"):
            error = np.abs(many.thermo[column] - one.thermo[column]).max()
            assert error < 10.0 * SAME, (name, column, error)
    respa = trajectories["respa, balanced"]
    assert respa.counters[0] == 28 * 3
    start = drifting_argon()
    assert np.linalg.norm(respa.positions - start.positions, axis=1).min() > 5.0


@pytest.mark.parametrize("parallel", ["halo", "exchange"])
def test_respa_with_a_transformer_whose_head_leaves_early(tmp_path, parallel):
    """The inner evaluations have a halo of one edge and exchange nothing, the outer ones see three."""
    torch.manual_seed(5)
    network = PET([1, 8], 2.0, n_edge_features=8, n_heads=2, n_layers=3, non_conservative_layer=1)
    model = export_network(network, tmp_path / "early.pt", scale=2.0)
    commands = f"{RESPA}timestep 0.002\n{NVE}run 3\n"
    atoms = STRUCTURES["orthogonal"]().repeat((3, 1, 1))
    one, two = (
        run_structures(
            [atoms],
            model,
            tmp_path,
            species=SPECIES,
            commands=commands,
            pair_style=f"mlip parallel {parallel}",
            processes=processes,
        )[0]
        for processes in (1, 2)
    )
    assert one.counters[0] == two.counters[0] == 9
    assert np.abs(two.positions - one.positions).max() < SAME
    assert np.abs(two.forces - one.forces).max() < SAME
    assert np.abs(one.positions - atoms.positions).max() > 0.1


@pytest.mark.parametrize("network", ["painn_argon", "pet_argon"])
def test_restart_on_another_number_of_processes_continues_the_trajectory(
    networks, tmp_path, network
):
    """In the middle of r-RESPA, with exchange: the file holds no process's share of anything."""
    write_data(tmp_path / "argon.data", argon(), ["Ar"])
    style = f"pair_style mlip parallel exchange\npair_coeff * * {networks[network]} Ar\n"
    begin = f"units metal\natom_style atomic\nread_data argon.data\n{style}"
    end = "dump d all custom 1 {}.dump id xu yu zu vx vy vz\n"
    end += "dump_modify d sort id format float %.17g\nrun 0\n"
    whole = f"{begin}{RESPA}{NVE}restart 10 middle.*\nrun 14\n{end.format('whole')}"
    run_script(whole, tmp_path, processes=2)
    states = [read_dump(tmp_path / "whole.dump")[-1][:, 1:]]
    for processes in (1, 4):
        rest = f"read_restart middle.10\n{RESPA}{NVE}run 4\n{end.format(processes)}"
        run_script(rest, tmp_path, processes=processes)
        states.append(read_dump(tmp_path / f"{processes}.dump")[-1][:, 1:])
    assert np.abs(states[0][:, :3] - argon().positions).max() > 0.1
    for state in states[1:]:
        assert np.abs(state - states[0]).max() < TOLERANCE["float64"].position


def differently_rounded(length, distance, is_near):
    """Positions along a period of two atoms `distance` apart across the boundary, within rounding.

    A process adds the period to the position of the other one's atom, or subtracts it: only one of the two processes
    finds that the atoms are near.
    """
    random = np.random.default_rng(0)
    for x in random.uniform(0.1, 1.4, 10000):
        y = x + length - distance
        y = np.nextafter(y, random.choice([0.0, y, length]))
        squares = [((y - length) - x) ** 2, ((x + length) - y) ** 2]
        if is_near(squares[0], distance**2) != is_near(squares[1], distance**2):
            return x, y
    raise AssertionError("no such pair found")


def rounded_at(distance, is_near):
    """Six atoms, two of them at this distance for one of two processes along x."""
    length = 11.3
    x, y = differently_rounded(length, distance, is_near)
    positions = [[x, 2.0, 2.0], [y, 2.0, 2.0], [x + 0.3, 2.9, 2.0]]
    positions += [[y - 0.2, 2.8, 2.3], [0.2, 1.2, 2.2], [length - 0.3, 1.4, 2.1]]
    return Atoms("OOHHHH", positions, cell=[length, 6.1, 6.3], pbc=True)


def test_an_edge_that_rounding_shows_to_one_process_only_is_none(networks, tmp_path):
    """At the cutoff of 2.6 Å and at the end of the skin: no message is missing, no row takes the place of another."""
    cases = {(2.6, 0.9): np.less, (3.5, 0.9): np.less_equal, (2.6, 0.0): np.less_equal}
    one, two = (
        run_structures(
            [rounded_at(distance, is_near) for (distance, _), is_near in cases.items()],
            networks["pet"],
            tmp_path,
            species=SPECIES,
            settings=[f"processors {processes} 1 1\nneighbor {skin} bin" for _, skin in cases],
            pair_style="mlip parallel exchange",
            processes=processes,
        )
        for processes in (1, 2)
    )
    for case, a, b in zip(cases, one, two, strict=True):
        assert abs(b.energy - a.energy) < SAME, case
        assert np.abs(b.forces - a.forces).max() < SAME, case
        assert np.abs(a.forces).max() > 0.1
