"""Per-atom energy and virial, their sums, and the heat flux as the motion of the energy."""

import ase.units
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

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


def cluster() -> Atoms:
    """Argon in vacuum, warm: the energy moves with the atoms and between them."""
    atoms = bulk("Ar", a=5.3, cubic=True).repeat((2, 1, 1))
    atoms.pbc = False
    generator = np.random.default_rng(5)
    atoms.rattle(0.2, rng=generator)
    width = np.sqrt(ase.units.kB * 300.0 / atoms.get_masses())[:, None]
    atoms.set_velocities(width * generator.standard_normal((len(atoms), 3)))
    return atoms


def heat_flux(models, name, tmp_path):
    """The part of d/dt sum_i e_i r_i that is not carried by the atoms, three ways, eV Å/ps.

    From differences along a trajectory, from stress/atom, from centroid/stress/atom; and the sums
    of the two virials of the atoms at all steps.
    """
    step = 0.0002  # ps
    write_data(tmp_path / "argon.data", cluster(), ["Ar"])
    script = f"""
units metal
atom_style atomic
boundary f f f
read_data argon.data
pair_style mlip
pair_coeff * * {models[name]} Ar
timestep {step}
fix move all nve
compute ke all ke/atom
compute pe all pe/atom
compute s all stress/atom NULL virial
compute c all centroid/stress/atom NULL virial
compute js all heat/flux ke pe s
compute jc all heat/flux ke pe c
compute sums all reduce sum c_s[1] c_s[4] c_c[1] c_c[4] c_c[7]
thermo_style custom step c_js[*] c_jc[*] c_sums[*]
thermo_modify norm no format float %.17g
thermo 1
dump d all custom 1 e.dump id x y z c_ke c_pe
dump_modify d sort id format float %.17g
run 20
"""
    thermo = read_thermo(run_script(script, tmp_path))

    def columns(key, numbers):
        return np.stack([thermo[f"c_{key}[{k}]"] for k in numbers], axis=1)

    frames = read_dump(tmp_path / "e.dump")
    moment = np.array([((f[:, 4] + f[:, 5])[:, None] * f[:, 1:4]).sum(axis=0) for f in frames])
    carried = columns("jc", (4, 5, 6))
    moved = (moment[2:] - moment[:-2]) / (2 * step) - carried[1:-1]
    stress = (columns("js", (1, 2, 3)) - carried)[1:-1]
    centroid = (columns("jc", (1, 2, 3)) - carried)[1:-1]
    return moved, stress, centroid, columns("sums", range(1, 6))


def relative_error(flux, moved):
    return np.abs(flux - moved).max() / np.abs(moved).max()


# what central differences with 0.2 fs leave
DIFFERENCES = 1e-3


def test_heat_flux_is_the_motion_of_the_energy_for_pairs(models, tmp_path):
    """Either decomposition is right when the energy is a sum over pairs."""
    moved, stress, centroid, _ = heat_flux(models, "argon", tmp_path)
    assert relative_error(stress, moved) < DIFFERENCES
    assert relative_error(centroid, moved) < DIFFERENCES


def test_heat_flux_of_many_bodies_needs_the_centroid_virial(models, tmp_path):
    moved, stress, centroid, sums = heat_flux(models, "square_root", tmp_path)
    assert relative_error(centroid, moved) < DIFFERENCES
    assert relative_error(stress, moved) > 30 * DIFFERENCES
    # both sum to the same virial: xx, xy of one, xx, xy, yx of the other
    np.testing.assert_allclose(sums[:, 2], sums[:, 0], rtol=1e-10)
    np.testing.assert_allclose(sums[:, 3:5], sums[:, [1, 1]], rtol=1e-8, atol=1e-6)


def test_centroid_virial_of_a_message_passing_model_is_refused(tmp_path):
    write_data(tmp_path / "water.data", STRUCTURES["molecule"](), ["O", "H"])
    script = """
units metal
atom_style atomic
boundary f f f
read_data water.data
pair_style mlip
pair_coeff * * water O H
compute c all centroid/stress/atom NULL virial
compute m all reduce sum c_c[1]
thermo_style custom c_m
run 0
"""
    with pytest.raises(LammpsError, match="does not support compute centroid/stress/atom"):
        run_script(script, tmp_path)


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
