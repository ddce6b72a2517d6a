"""Atoms that LAMMPS excludes: those excluded from everything are absent, others may be separate systems."""

import ase.units
import numpy as np
import pytest
import torch
from ase import Atoms
from scipy import constants

from mlip_engines import MlipCalculator
from mlip_train.networks.painn import PaiNN
from mlip_train.networks.pet import PET
from tests.lammps_plugin.argon import argon
from tests.lammps_plugin.closed_form import ClosedForm
from tests.lammps_plugin.model_files import BASELINE, export_network
from tests.lammps_plugin.runner import (
    PRESSURE_TO_VIRIAL,
    LammpsError,
    read_dump,
    read_thermo,
    run_script,
    write_data,
)
from tolerances import TOLERANCE

ARGON = ClosedForm(6.0, epsilon=0.0104, sigma=3.4, curl=0.004)
E0 = BASELINE["Ar"]  # eV
FIRST = 40  # atoms with the IDs 1 to FIRST are the group `first`

START = """
units metal
atom_style atomic
read_data argon.data
group first id <= {first}
group rest subtract all first
"""
MEASURE = """
pair_style mlip {keywords}
pair_coeff * * {model} Ar
compute p all pressure NULL pair
compute e all pe/atom
thermo_style custom step pe c_p[1] c_p[2] c_p[3] vol
thermo_modify norm no format float %.17g
dump d all custom 1 forces.dump id fx fy fz c_e
dump_modify d sort id format float %.17g
run 0
"""


def expected(*parts: Atoms, n_first: int = 0):
    """Energy, virial and forces of C and NC of parts that do not see each other; absent atoms come first."""
    energies, forces, virials, direct = zip(*(ARGON.evaluate(part) for part in parts), strict=True)
    zero = np.zeros((n_first, 3))
    n_atoms = sum(len(part) for part in parts)
    direct = np.concatenate(direct)
    return (
        sum(energies) + n_atoms * E0,
        sum(virials),
        np.concatenate([zero, *forces]),
        np.concatenate([zero, direct]),
    )


@pytest.fixture
def measure(models, tmp_path):
    """Energy, diagonal of the virial, forces and atomic energies of argon with an exclusion."""
    atoms = argon()
    write_data(tmp_path / "argon.data", atoms, ["Ar"])

    def run(exclusion, keywords="", processes=1, more=""):
        script = START.format(first=FIRST) + exclusion
        script += MEASURE.format(model=models["argon"], keywords=keywords) + more
        thermo = read_thermo(run_script(script, tmp_path, processes=processes))
        pressure = np.array([thermo[f"c_p[{k}]"][0] for k in (1, 2, 3)])  # bar
        table = read_dump(tmp_path / "forces.dump")[0]
        virial = pressure * thermo["Volume"][0] * PRESSURE_TO_VIRIAL["metal"]
        return thermo["PotEng"], virial, table[:, 1:4], table[:, 4]

    return run


@pytest.mark.parametrize("processes", [1, 2])
def test_atoms_excluded_from_everything_are_absent(measure, processes):
    energy, virial, forces, atomic = measure("neigh_modify exclude group first all", "", processes)
    rest = argon()[FIRST:]
    e, w, c, _ = expected(rest, n_first=FIRST)
    limit = TOLERANCE["float64"]
    assert energy[0] == pytest.approx(e, abs=limit.energy)
    np.testing.assert_allclose(forces, c, atol=limit.force)
    np.testing.assert_allclose(virial, np.diag(w), atol=TOLERANCE["float64"].virial)
    assert (atomic[:FIRST] == 0).all()
    assert atomic.sum() == pytest.approx(e, abs=limit.energy)


@pytest.mark.parametrize("processes", [1, 2])
def test_absent_atoms_take_no_part_of_the_net_force(measure, processes):
    _, _, forces, _ = measure(
        "neigh_modify exclude group all first", "forces non_conservative", processes
    )
    _, _, _, direct = expected(argon()[FIRST:], n_first=FIRST)
    np.testing.assert_allclose(forces, direct, atol=TOLERANCE["float64"].force)


@pytest.mark.parametrize("processes", [1, 2])
def test_groups_that_do_not_see_each_other_are_two_systems(measure, processes):
    energy, virial, forces, _ = measure(
        "neigh_modify exclude group first rest", processes=processes
    )
    atoms = argon()
    e, w, c, _ = expected(atoms[:FIRST], atoms[FIRST:])
    assert energy[0] == pytest.approx(e, abs=TOLERANCE["float64"].energy)
    np.testing.assert_allclose(forces, c, atol=TOLERANCE["float64"].force)
    np.testing.assert_allclose(virial, np.diag(w), atol=TOLERANCE["float64"].virial)
    whole = ARGON.evaluate(atoms)[0] + len(atoms) * E0
    assert abs(e - whole) > 0.1  # the exclusion matters


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("parallel", ["halo", "exchange"])
def test_absent_atoms_are_no_neighbors_of_ghosts(tmp_path, parallel, processes):
    """Networks of two layers, one by features of atoms and one by features of edges, beside ASE without these atoms."""
    torch.manual_seed(3)
    networks = [
        PaiNN([18], 5.0, n_features=6, n_basis=5, n_layers=2),
        PET([18], 5.0, n_edge_features=8, n_heads=2, n_layers=2),
    ]
    atoms = argon()
    write_data(tmp_path / "argon.data", atoms, ["Ar"])
    script, files = "", []
    for k, network in enumerate(networks):
        files.append(export_network(network, tmp_path / f"{k}.pt", ["Ar"], scale=5.0))
        script += "clear" + START.format(first=FIRST) + "neigh_modify exclude group first all"
        script += MEASURE.format(model=files[k], keywords=f"parallel {parallel}")
        script = script.replace("forces.dump", f"{k}.dump")
    run_script(script, tmp_path, processes=processes)
    for k, file in enumerate(files):
        table = read_dump(tmp_path / f"{k}.dump")[0]
        rest = atoms[FIRST:]
        rest.calc = MlipCalculator(file)
        limit = TOLERANCE["float64"]
        assert table[:, 4].sum() == pytest.approx(rest.get_potential_energy(), abs=limit.energy)
        np.testing.assert_allclose(table[FIRST:, 1:4], rest.get_forces(), atol=limit.force)
        assert (table[:FIRST, 1:] == 0).all()
        assert np.abs(rest.get_forces()).max() > 0.1


@pytest.mark.parametrize(
    "exclusion",
    [
        "neigh_modify exclude group first first",  # their energy, which others feel, would be wrong
        "group few id 1:5\nneigh_modify exclude group few first",
    ],
)
def test_atoms_with_some_of_their_neighbors_are_refused(measure, exclusion):
    with pytest.raises(LammpsError, match="'neigh_modify exclude' hides some of them"):
        measure(exclusion)


def test_exclusions_among_atoms_of_another_style_do_not_matter(models, tmp_path):
    """A frozen substrate of another pair style, with the exclusion that saves its time."""
    atoms = argon()
    atoms.symbols[:FIRST] = "Ne"
    write_data(tmp_path / "argon.data", atoms, ["Ar", "Ne"])
    script = START.format(first=FIRST) + (
        "neigh_modify exclude group first first\npair_style hybrid/overlay mlip lj/cut 5.0\n"
        f"pair_coeff * * mlip {models['argon']} Ar NULL\npair_coeff 1*2 2 lj/cut 0.0 3.0\n"
        "thermo_style custom step pe\nthermo_modify norm no format float %.17g\nrun 0\n"
    )
    energy = read_thermo(run_script(script, tmp_path))["PotEng"][-1]
    rest = atoms[FIRST:]
    assert energy == pytest.approx(
        ARGON.evaluate(rest)[0] + len(rest) * E0, abs=TOLERANCE["float64"].energy
    )


# an ideal gas, and how many atoms it has on average
TEMPERATURE, BOX, MEAN = 3000.0, 300.0, 5.0  # K, Angstrom
GAS = """
units metal
atom_style atomic
read_data argon.data
pair_style mlip max_force 1e30
pair_coeff * * {model} Ar
compute_modify thermo_temp dynamic/dof yes
thermo_style custom step atoms pe
thermo_modify norm no format float %.17g
thermo 1
{fix}
"""
SAVE = "run 2\nminimize 0 1e-8 5 10\nwrite_restart final.restart\nwrite_data final.data\nrun 0\n"


@pytest.fixture
def gas(models, tmp_path):
    generator = np.random.default_rng(5)
    atoms = Atoms("Ar5", positions=generator.uniform(0, BOX, (5, 3)), cell=[BOX] * 3, pbc=True)
    write_data(tmp_path / "argon.data", atoms, ["Ar"])

    def run(fix):
        return run_script(GAS.format(model=models["argon"], fix=fix), tmp_path)

    return run


def test_number_of_atoms_in_the_grand_canonical_ensemble(gas, tmp_path):
    """An ideal gas has a Poisson distribution, whatever the energy of an atom is."""
    kt = ase.units.kB * TEMPERATURE
    mass = 39.948 * constants.atomic_mass
    wave_length = constants.h / np.sqrt(2 * np.pi * mass * constants.k * TEMPERATURE)  # m, thermal
    mu = E0 + kt * np.log(MEAN * (wave_length * 1e10 / BOX) ** 3)
    steps = 400
    log = gas(
        f"fix mc all gcmc 1 10 0 1 29494 {TEMPERATURE} {mu:.10f} 0.1 full_energy\nrun {steps}\n"
        + SAVE
    )
    thermo = read_thermo(log)
    numbers = thermo["Atoms"][20 : steps + 1]
    # 10 attempts forget half of a deviation from the mean: every second step is a new sample
    error = np.sqrt(MEAN / (len(numbers) / 2))
    assert abs(numbers.mean() - MEAN) < 4 * error
    assert abs(numbers.var() - MEAN) < 0.4 * MEAN
    np.testing.assert_allclose(thermo["PotEng"][20 : steps + 1], E0 * numbers, atol=0.1)
    assert thermo["PotEng"][-1] == pytest.approx(E0 * thermo["Atoms"][-1], abs=0.1)
    assert (tmp_path / "final.restart").exists()
    assert f"{int(thermo['Atoms'][-1])} atoms" in (tmp_path / "final.data").read_text()


def test_widom_insertion_gives_the_energy_of_an_atom(gas):
    log = gas(
        f"fix w all widom 1 5 1 29494 {TEMPERATURE} full_energy\n"
        "thermo_style custom step atoms pe f_w[1]\nthermo_modify norm no format float %.17g\n"
        "run 2\n" + SAVE
    )
    assert read_thermo(log)["f_w[1]"][1] == pytest.approx(E0, abs=1e-6)
