"""Compute mlip/deviation: a committee in LAMMPS against numpy on forces of each model from ASE."""

import shutil

import numpy as np
import pytest
from ase import Atoms

from mlip_engines import MlipCalculator
from mlip_train.potentials.analytic import LennardJones
from structures import STRUCTURES
from tests.lammps_plugin.argon import argon
from tests.lammps_plugin.model_files import SPECIES, export_pair
from tests.lammps_plugin.runner import (
    LammpsError,
    read_dump,
    read_thermo,
    run_script,
    write_data,
)
from tolerances import TOLERANCE

WATERS = ("water", "water-large", "water-fast")  # networks of three layers
ALL = slice(None)
RESPA = "run_style respa 2 4 inner 1 4.0 5.0 outer 2"
SCRIPT = """
units metal
atom_style atomic
read_data atoms.data
{style}
neighbor 1.0 bin
timestep 0.001
compute dev {group} mlip/deviation {committee}
compute counts all pair mlip {number}
thermo_style custom step c_dev c_dev[*] c_counts[1] c_counts[2]
thermo_modify format float %.17g norm no
thermo {every}
dump final all custom {steps} final.dump id xu yu zu c_dev
dump_modify final sort id format float %.17g
fix move all nve
{commands}
run {steps}
"""


def spread(atoms: Atoms, names) -> tuple[np.ndarray, np.ndarray, float]:
    """The definition: of the force on each atom (N,), of the virial (3, 3) and of the energy, per atom."""
    found = []
    for name in names:
        atoms.calc = MlipCalculator(name)
        stress = -atoms.get_stress(voigt=False) * atoms.get_volume()
        found.append((atoms.get_forces(), stress, atoms.get_potential_energy()))
    forces, virials, energies = (np.array(each) for each in zip(*found, strict=True))
    away = ((forces - forces.mean(axis=0)) ** 2).sum(axis=2)  # (n_models, N)
    n = len(atoms)
    return np.sqrt(away.mean(axis=0)), virials.std(axis=0) / n, energies.std() / n


def run(folder, atoms, species=SPECIES, processes=1, **parts):
    """Run the script; thermo of all steps, and the last structure with the deviations of its atoms."""
    values = {"group": "all", "every": 1, "steps": 4, "commands": "", "number": ""}
    cell = write_data(folder / "atoms.data", atoms, species)
    log = run_script(SCRIPT.format(**(values | parts)), folder, processes=processes)
    table = read_dump(folder / "final.dump")[-1]
    last = atoms.copy()
    last.positions = cell.vectors_from_lammps(table[:, 1:4]) + cell.origin
    return read_thermo(log), last, table[:, 4]


def check(thermo, deviations, expected, limit, counted=ALL):
    """Seven numbers of the last step, and those of the atoms."""
    forces, virial, energy = expected
    np.testing.assert_allclose(deviations[counted], forces[counted], atol=limit.force)
    values = [thermo[f"c_dev[{k}]"][-1] for k in range(1, 8)]
    assert thermo["c_dev"][-1] == values[0] == deviations.max()
    of_forces = forces[counted].max(), forces[counted].min(), forces[counted].mean()
    np.testing.assert_allclose(values[:3], of_forces, atol=limit.force)
    of_virial = virial.max(), virial.min(), np.sqrt(np.mean(virial**2))
    np.testing.assert_allclose(values[3:6], of_virial, atol=limit.virial)
    assert values[6] == pytest.approx(energy, abs=limit.energy_per_atom)


@pytest.mark.parametrize(
    ("respa", "processes"), [(False, 1), (True, 1), (True, 2)], ids=["verlet", "respa", "2 ranks"]
)
def test_networks_of_water(tmp_path, respa, processes):
    """In both, the driving model is evaluated no more often than without the committee."""
    style = f"pair_style mlip\npair_coeff * * {WATERS[0]} H O\n{RESPA if respa else ''}"
    thermo, last, deviations = run(
        tmp_path,
        STRUCTURES["orthogonal"](),
        processes=processes,
        style=style,
        committee=" ".join(WATERS[1:]),
    )
    expected = spread(last, WATERS)
    assert expected[0].mean() > 10 * TOLERANCE["float32"].force  # something to compare
    check(thermo, deviations, expected, TOLERANCE["float32"])
    assert thermo["c_counts[2]"][-1] == 5  # the step of set-up and four more
    assert thermo["c_counts[1]"][-1] == (12 if respa else 0)


@pytest.mark.parametrize("processes", [1, 2, 4])
def test_members_with_a_longer_cutoff_see_as_far_as_they_need(models, tmp_path, processes):
    """The driving one has 4.5 Å and lists its elements in another order, the others have 6; the group is a part."""
    short = tmp_path / "short.pt"
    export_pair(LennardJones(4.5, epsilon=0.012).double(), short, ["Ne", "Ar"])
    names = [short, models["exact_argon"], models["tilted"]]
    thermo, last, deviations = run(
        tmp_path,
        argon(),
        ["Ar"],
        processes,
        style=f"pair_style mlip\npair_coeff * * {names[0]} Ar\ngroup part id 1:40",
        committee=" ".join(map(str, names[1:])),
        group="part",
        steps=10,
    )
    check(thermo, deviations, spread(last, names), TOLERANCE["float64"], slice(0, 40))
    assert (deviations[40:] == 0.0).all()


def test_types_without_an_element_and_sub_styles_have_no_part(models, tmp_path):
    """Of two models in one hybrid style, `substyle` names the one that drives; the neon atoms are others'."""
    atoms = argon(size=2)
    atoms.symbols[::4] = "Ne"
    style = f"""pair_style hybrid/overlay mlip mlip lj/cut 5.0
pair_coeff * * mlip 1 {models["neon"]} NULL Ne
pair_coeff * * mlip 2 {models["exact_argon"]} Ar NULL
pair_coeff 1 2 lj/cut 0.01 3.0"""
    thermo, last, deviations = run(
        tmp_path,
        atoms,
        ["Ar", "Ne"],
        2,
        style=style,
        committee=f"{models['tilted']} substyle 2",
        number=2,
    )
    is_argon = last.symbols == "Ar"
    names = [models["exact_argon"], models["tilted"]]
    expected = np.zeros(len(last))
    expected[is_argon], virial, energy = spread(last[is_argon], names)
    check(thermo, deviations, (expected, virial, energy), TOLERANCE["float64"], is_argon)
    assert (deviations[~is_argon] == 0.0).all()


def test_fix_halt_stops_a_run_that_becomes_uncertain(models, tmp_path):
    """The threshold lies between the deviations of the first and the last step of a whole run."""
    names = [models["square_root"], models["exact_argon"]]
    options = {
        "style": f"pair_style mlip\npair_coeff * * {names[0]} Ar",
        "committee": str(names[1]),
        "steps": 40,
    }
    whole, _, _ = run(tmp_path, argon(size=2), ["Ar"], **options)
    values = whole["c_dev"]
    limit = 0.5 * (values[0] + values.max())
    first = int(np.argmax(values > limit))
    assert 0 < first < 40
    halt = f"variable dev equal c_dev\nfix stop all halt 1 v_dev > {limit:.17g} error continue"
    thermo, _, _ = run(tmp_path, argon(size=2), ["Ar"], commands=halt, **options)
    assert thermo["Step"][-1] == first
    assert thermo["c_dev"][-1] > limit


@pytest.mark.parametrize(
    ("committee", "expected"),
    [
        ("", "expects the files of one or more further models"),
        ("nowhere.pt", "cannot find the model file 'nowhere.pt'"),
        ("neon.pt", "given the element 'Ar', the model"),
        ("argon.pt substyle 0", "expected a substyle of 1, 2, ..., got 0"),
        ("argon.pt substyle 2", "found none with the number 2"),
    ],
)
def test_errors_name_what_is_wrong(models, tmp_path, committee, expected):
    for name in ("argon", "neon"):
        shutil.copy(models[name], tmp_path / f"{name}.pt")
    with pytest.raises(LammpsError) as caught:
        run(
            tmp_path,
            argon(size=1),
            ["Ar"],
            2,
            style="pair_style mlip\npair_coeff * * argon.pt Ar",
            committee=committee,
        )
    assert expected in caught.value.output
