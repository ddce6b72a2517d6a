"""Fixes and computes of LAMMPS that do something else with this pair style, or under r-RESPA, than their names say."""

import re

import numpy as np
import pytest

from tests.lammps_plugin.argon import argon
from tests.lammps_plugin.closed_form import ClosedForm
from tests.lammps_plugin.model_files import BASELINE
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
SINGLE = "pair_style {hybrid}mlip\npair_coeff * * {mlip}{{model}} Ar\n"
INNER_OUTER = "run_style respa 2 4 inner 1 4.0 5.0 outer 2\n"
SUB_STYLES = (
    "pair_style {hybrid}mlip forces non_conservative {factor}mlip forces correction\n"
    "pair_coeff * * mlip 1 {{model}} Ar\npair_coeff * * mlip 2 {{model}} Ar\n"
)
HYBRID = "run_style respa 2 4 hybrid 1 2\n"


@pytest.fixture
def run(models, tmp_path):
    """Run argon with a pair style and commands; returns what LAMMPS prints."""
    write_data(tmp_path / "argon.data", argon(), ["Ar"])

    def run(commands, styles="pair_style mlip\npair_coeff * * {model} Ar\n"):
        start = "clear\nunits metal\natom_style atomic\natom_modify map yes\nread_data argon.data\n"
        start += styles.format(model=models["argon"]) + "timestep 0.008\n"
        return run_script("\n".join(start + each for each in commands), tmp_path)

    return run


def warnings(log):
    return re.findall(r"WARNING: (Fix .*) \(\S+:\d+\)", log)


# fixes that ask LAMMPS for their place in an r-RESPA step
SUPPORTED = {
    "nvt": "fix f all nvt temp 80 80 0.1",
    "npt": "fix f all npt temp 80 80 0.1 iso 0 0 1.0",
    "langevin": "fix n all nve\nfix f all langevin 80 80 0.1 4711",
    "rescaling": "fix n all nve\nfix f all temp/berendsen 80 80 0.1",
    "addforce": "fix n all nve\nfix f all addforce 0.01 0 0",
    "lineforce": "fix n all nve\ngroup g id 1\nfix f g lineforce 1 0 0",
    "setforce": "fix n all nve\ngroup g id 1\nfix f g setforce 0 0 0",
    "spring": "fix n all nve\nfix f all spring tether 1.0 0 0 0 0",
    "heat": "fix n all nve\nfix f all heat 1 0.1",
}
# fixes that LAMMPS would call at none of its levels, or at some only
LOST = {
    "accelerate/cos": "fix n all nve\nfix f all accelerate/cos 0.1",
    "external": "fix n all nve\nfix f all external pf/array 1",
    "propel/self": "fix n all nve\nfix f all propel/self velocity 0.1",
    "press/langevin": "fix n all nve\nfix f all press/langevin iso 1 1 1 temp 80 80 4711",
}
FROZEN = {
    "brownian": "fix f all brownian 80 4711 gamma_t 1.0",
    "msst": "fix f all msst x 10.0 q 200.0",
    "pimd/nvt": "fix f all pimd/nvt method nmpimd temp 80.0",
}


def test_fixes_that_r_respa_calls_run_without_a_warning(run):
    log = run([f"{INNER_OUTER}{fix}\nrun 1\n" for fix in SUPPORTED.values()])
    assert warnings(log) == []


def test_fixes_that_r_respa_leaves_out_are_named(run):
    log = run([f"{INNER_OUTER}{fix}\nrun 1\n" for fix in LOST.values()])
    assert [text.split()[1] for text in warnings(log)] == list(LOST)
    assert all("does not support run_style respa" in text for text in warnings(log))
    assert warnings(run([f"{fix}\nrun 1\n" for fix in LOST.values()])) == []  # Verlet


@pytest.mark.parametrize("name", FROZEN)
def test_a_fix_that_would_leave_all_atoms_where_they_are_is_refused(run, name):
    with pytest.raises(LammpsError, match=f"Fix {name} does not move atoms under run_style respa"):
        run([f"{INNER_OUTER}{FROZEN[name]}\nrun 1\n"])


def test_sub_styles_warn_once(run):
    styles = SUB_STYLES.format(hybrid="hybrid/overlay ", factor="")
    log = run([f"{HYBRID}{LOST['external']}\nrun 1\n"], styles)
    assert len(warnings(log)) == 1


FLUX = "compute k all ke/atom\ncompute e all pe/atom\ncompute s all {stress} NULL virial\n"
FLUX += "compute j all heat/flux k e s\nthermo_style custom step c_j[1]\nrun 0\n"
WRONG_FLUX = "compute heat/flux with compute stress/atom is wrong"


def test_heat_flux_of_pair_stresses_is_warned_about(run):
    log = run([FLUX.format(stress="stress/atom")])
    assert WRONG_FLUX in log
    assert "Give it compute centroid/stress/atom" in log
    assert WRONG_FLUX not in run([FLUX.format(stress="centroid/stress/atom")])


OUTPUT = """fix n all nve
compute p all pressure NULL pair
thermo_style custom step pe c_p[1] c_p[2] c_p[3] vol
thermo_modify norm no format float %.17g
thermo 3
dump d all custom 3 last.dump id xu yu zu fx fy fz
dump_modify d sort id format float %.17g
run 3
"""


@pytest.mark.parametrize("factor", ["hybrid", "adapt"])
@pytest.mark.parametrize("levels", ["", INNER_OUTER, HYBRID], ids=["verlet", "respa", "hybrid"])
def test_a_quarter_of_the_model(run, tmp_path, factor, levels):
    """Hybrid/scaled and fix adapt: energy, forces and virial are a quarter of those of the closed form."""
    hybrid = "hybrid/scaled 0.25 " if factor == "hybrid" else "hybrid/overlay "
    between = "0.25 " if factor == "hybrid" else ""
    if levels == HYBRID:
        styles = SUB_STYLES.format(hybrid=hybrid, factor=between)
        pairs = ["mlip:1", "mlip:2"]
    else:
        styles = SINGLE.format(hybrid=hybrid, mlip="mlip ")
        pairs = ["mlip"]
    adapt = "".join(
        f"variable s equal 0.25\nfix a{k} all adapt 1 pair {pair} scale * * v_s\n"
        for k, pair in enumerate(pairs)
    )
    commands = [levels + (adapt if factor == "adapt" else "") + OUTPUT]
    if levels == INNER_OUTER and factor == "hybrid":
        # LAMMPS scales no inner level: the forces would be NC + 0.25 (C - NC)
        with pytest.raises(LammpsError, match="hybrid/scaled 0.5 mlip forces non_conservative"):
            run(commands, styles)
        return
    thermo = read_thermo(run(commands, styles))
    table = read_dump(tmp_path / "last.dump")[-1]
    atoms = argon()
    atoms.positions = table[:, 1:4]
    energy, forces, virial, _ = ARGON.evaluate(atoms)
    limit = TOLERANCE["float64"]
    assert np.abs(atoms.positions - argon().positions).max() > 0.01
    assert thermo["PotEng"][-1] == pytest.approx(
        0.25 * (energy + len(atoms) * BASELINE["Ar"]), abs=limit.energy
    )
    np.testing.assert_allclose(table[:, 4:7], 0.25 * forces, atol=limit.force)
    pressure = np.array([thermo[f"c_p[{k}]"][-1] for k in (1, 2, 3)])
    np.testing.assert_allclose(
        pressure * thermo["Volume"][-1] * PRESSURE_TO_VIRIAL["metal"],
        0.25 * np.diag(virial),
        atol=limit.virial,
    )


def test_a_scaled_model_conserves_its_energy_under_r_respa(run):
    """With the input that the error message gives."""
    styles = SUB_STYLES.format(hybrid="hybrid/scaled 0.5 ", factor="0.5 ")
    commands = f"{HYBRID}fix n all nve\nthermo 1\nthermo_style custom step pe etotal\n"
    commands += "thermo_modify norm no format float %.17g\nrun 40\n"
    thermo = read_thermo(run([commands], styles))
    assert np.ptp(thermo["TotEng"]) < 0.01 * np.ptp(thermo["PotEng"])
