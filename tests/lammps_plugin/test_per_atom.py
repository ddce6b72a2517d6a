"""Per-atom energy and virial, and their sums."""

import numpy as np
import pytest

from structures import STRUCTURES
from tests.lammps_plugin.argon import argon
from tests.lammps_plugin.closed_form import ClosedForm
from tests.lammps_plugin.model_files import BASELINE, CUTOFF, SPECIES
from tests.lammps_plugin.runner import (
    ENERGY_UNIT,
    PRESSURE_TO_VIRIAL,
    LammpsError,
    read_dump,
    read_thermo,
    run_script,
    run_structure,
    write_data,
)
from tolerances import TOLERANCE

CURL = ClosedForm(CUTOFF, epsilon=0.02, sigma=1.1, curl=0.01)
RESPA = "run_style respa 2 4 inner 1 2.0 3.0 outer 2"


@pytest.mark.parametrize("style", ["", RESPA], ids=["verlet", "respa"])
@pytest.mark.parametrize("units", ["metal", "real"])
def test_centroid_virials_sum_to_the_virial(models, tmp_path, style, units):
    atoms = STRUCTURES["triclinic"]()
    cell = write_data(tmp_path / "water.data", atoms, SPECIES, units)
    script = f"""
units {units}
atom_style atomic
read_data water.data
pair_style mlip
pair_coeff * * {models["curl"]} H O
{style}
compute c all centroid/stress/atom NULL pair
compute s all stress/atom NULL pair
dump d all custom 1 c.dump id c_c[*] c_s[*]
dump_modify d sort id format float %.17g
run 0
"""
    run_script(script, tmp_path)
    table = read_dump(tmp_path / "c.dump")[0][:, 1:]
    to_virial = -PRESSURE_TO_VIRIAL[units] * ENERGY_UNIT[units]  # stress/atom: minus the virial
    sums = to_virial * table.sum(axis=0)
    virial = cell.rotation @ CURL.evaluate(atoms)[2] @ cell.rotation.T
    order = [(0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2), (1, 0), (2, 0), (2, 1)]
    expected = np.array([virial[a, b] for a, b in order])
    limit = TOLERANCE["float64"].virial
    assert np.abs(sums[:9] - expected).max() < limit
    assert np.abs(sums[9:] - expected[:6]).max() < limit


@pytest.mark.parametrize("style", ["", RESPA], ids=["verlet", "respa"])
def test_pressure_is_the_sum_of_stress_per_atom_along_a_run(models, tmp_path, style):
    """With the kinetic part: what compute stress/atom says of the atoms is what a barostat sees."""
    commands = f"""
timestep 0.004
{style}
fix move all nve
compute whole all stress/atom NULL
compute xx all reduce sum c_whole[1]
compute xy all reduce sum c_whole[4]
compute e all reduce sum c_atomic
variable xx equal -c_xx/vol
variable xy equal -c_xy/vol
thermo_style custom step time temp pe ke etotal press vol c_virial[*] c_mlip[*] pxx pxy v_xx v_xy c_e
thermo_modify norm no format float %.17g
thermo 5
run 20
"""
    thermo = run_structure(argon(), models["argon"], tmp_path, commands=commands).thermo
    rows = slice(0, 5)
    np.testing.assert_allclose(thermo["v_xx"][rows], thermo["Pxx"][rows], rtol=1e-8)
    np.testing.assert_allclose(thermo["v_xy"][rows], thermo["Pxy"][rows], rtol=1e-8)
    np.testing.assert_allclose(thermo["c_e"][rows], thermo["PotEng"][rows], rtol=1e-10)


VIRIAL_SCALE = 0.02  # eV/Å^2, of the model `stress`


def expected_head_virial(atoms):
    vectors, _ = CURL._vectors(atoms)
    factor = (1.0 - (np.linalg.norm(vectors, axis=1) / CUTOFF) ** 2) ** 3
    return VIRIAL_SCALE * (factor[:, None] * vectors).T @ vectors


@pytest.mark.parametrize("units", ["metal", "real"])
def test_non_conservative_stress_is_the_pressure(models, tmp_path, units):
    atoms = STRUCTURES["triclinic"]()
    style = "mlip forces non_conservative stress non_conservative"
    options = {"species": SPECIES, "units": units}
    # stress/atom, which the other tests dump, has no form for it
    cell = write_data(tmp_path / "water.data", atoms, SPECIES, units)
    script = f"""
units {units}
atom_style atomic
read_data water.data
pair_style {style}
pair_coeff * * {models["stress"]} H O
compute virial all pressure NULL pair
compute mlip all pair mlip
thermo_style custom step c_mlip[1] c_mlip[2] c_virial[*]
thermo_modify norm no format float %.17g
run 0
thermo_style custom step pe c_virial[*] c_mlip[2]
thermo_modify norm no format float %.17g
run 0
"""
    log = run_script(script, tmp_path)
    assert (
        log.count("WARNING: Pair style mlip stress non_conservative: the stress is no derivative")
        == 1
    )
    tables = log.split("Loop time")
    first, second = read_thermo(tables[0]), read_thermo(tables[1])
    virial = cell.rotation @ expected_head_virial(atoms) @ cell.rotation.T
    order = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))
    expected = np.array([virial[a, b] for a, b in order]) / atoms.get_volume()
    conversion = PRESSURE_TO_VIRIAL[units] * ENERGY_UNIT[units]  # pressure -> eV/Å^3
    for thermo in (first, second):
        pressure = np.array([thermo[f"c_virial[{k}]"][0] for k in range(1, 7)]) * conversion
        assert np.abs(expected).min() > 1e-6
        assert np.abs(pressure - expected).max() < TOLERANCE["float64"].stress
    # the energy is asked for at setup by LAMMPS itself; the pressure costs nothing more
    energy = CURL.evaluate(atoms)[0] + sum(BASELINE[s] for s in atoms.symbols)
    assert abs(second["PotEng"][0] * ENERGY_UNIT[units] - energy) < TOLERANCE["float64"].energy
    with pytest.raises(LammpsError, match="stress non_conservative has no per-atom form"):
        run_structure(atoms, models["stress"], tmp_path, pair_style=style, **options)
    with pytest.raises(LammpsError, match="needs a model with a head for the stress"):
        run_structure(atoms, models["curl"], tmp_path, pair_style=style, **options)


def test_non_conservative_stress_costs_no_full_evaluation(models, tmp_path):
    atoms = STRUCTURES["orthogonal"]()
    write_data(tmp_path / "water.data", atoms, SPECIES)
    counts = {}
    for stress in ("conservative", "non_conservative"):
        script = f"""
units metal
atom_style atomic
read_data water.data
pair_style mlip forces non_conservative stress {stress}
pair_coeff * * {models["stress"]} H O
compute mlip all pair mlip
thermo_style custom step c_mlip[1] c_mlip[2]
thermo 100
timestep 0.00001
fix move all nph iso 0 0 1.0 ptemp 300
run 10
"""
        thermo = read_thermo(run_script(script, tmp_path))
        counts[stress] = (thermo["c_mlip[1]"][-1], thermo["c_mlip[2]"][-1])
    assert counts["non_conservative"][0] > counts["conservative"][0]
    assert counts["non_conservative"][1] <= counts["conservative"][1] - 8
