"""Fix nve/mlip/highpass: its noise, its matrix, what it samples in wells, and that ranks and restarts do not matter."""

import shutil
import subprocess

import ase.units
import numpy as np
import pytest
from ase import Atoms
from scipy.linalg import expm, solve_discrete_lyapunov

from tests.lammps_plugin.argon import argon
from tests.lammps_plugin.runner import LammpsError, read_dump, read_thermo, run_script, write_data
from tests.lammps_plugin.test_structure import PLUGIN
from tolerances import EXACT, TOLERANCE

COLD = 1e-30  # K
VELOCITY = 1000.0 * ase.units.fs  # Å/ps in ASE's units

PHILOX = """
#include "counter_noise.h"
#include <cstdio>
int main()
{
  for (uint32_t word : {0u, 0xffffffffu}) {
    for (uint32_t each : mlip::philox({word, word, word, word}, {word, word})) std::printf("%08x ", each);
  }
  for (uint32_t each : mlip::philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}))
    std::printf("%08x ", each);
}
"""
# kat_vectors of the authors' library Random123, for philox4x32-10
KNOWN_ANSWERS = """6627e8d5 e169c58d bc57ac4c 9b00dbd8
408f276d 41c83b0e a20bc7c6 6d5451fd d16cfe09 94fdcceb 5001e420 24126ea1"""

START = """
units {units}
atom_style atomic
atom_modify map yes
read_data atoms.data
{style}
timestep {timestep}
{commands}
"""
NO_FORCES = "pair_style zero 6.0 nocoeff\npair_coeff * *"
FINAL = """
dump d all custom 1 {name}.dump id xu yu zu vx vy vz
dump_modify d sort id format float %.17g
run 0
"""
EVERY_STEP = (
    "dump d all custom 1 all.dump id xu yu zu vx vy vz\ndump_modify d sort id format float %.17g\n"
)
RESPA = "run_style respa 2 4 inner 1 4.0 5.0 outer 2\n"
LIGHT = "fix move all nve/mlip/highpass 60 60 3 high_pass_friction 20 memory_rate 10 friction 5 types 1\n"


def test_philox_gives_the_published_words(tmp_path):
    compiler = shutil.which("c++") or shutil.which("g++")
    source, program = tmp_path / "noise.cpp", tmp_path / "noise"
    source.write_text(PHILOX)
    subprocess.run(
        [compiler, "-std=c++17", f"-I{PLUGIN}", str(source), "-o", str(program)], check=True
    )
    done = subprocess.run([str(program)], check=True, capture_output=True, text=True)
    assert done.stdout.split() == KNOWN_ANSWERS.split()


def run(
    folder,
    commands,
    atoms,
    *,
    species=("Ar",),
    style=NO_FORCES,
    timestep=0.012,
    units="metal",
    processes=1,
):
    write_data(folder / "atoms.data", atoms, list(species), units)
    script = START.format(units=units, style=style, timestep=timestep, commands=commands)
    return run_script(script, folder, processes=processes)


def far_apart(symbols: str = "Ar64") -> Atoms:
    """Atoms that do not see each other, with velocities of about 1 Å/ps."""
    grid = 20.0 * np.indices((4, 4, 4)).reshape(3, -1).T
    atoms = Atoms(symbols, grid + 10.0, cell=[80.0] * 3, pbc=True)
    atoms.set_velocities(np.random.default_rng(5).standard_normal((64, 3)) / VELOCITY)
    return atoms


def drift_matrix(g: float, a: float) -> np.ndarray:
    return np.array([[g, np.sqrt(g * a)], [np.sqrt(g * a), a]])


@pytest.mark.parametrize(
    ("style", "inner_steps"),
    [("", 1), ("run_style respa 2 3\n", 3), ("run_style respa 3 2 3\n", 6)],
    ids=["verlet", "respa", "three levels"],
)
@pytest.mark.parametrize("units", ["metal", "real"])
def test_free_motion_decays_as_the_matrix_exponential(tmp_path, style, inner_steps, units):
    """Without noise (v, s) follows exp(-A t), then the friction of all atoms; heavy ones feel this alone."""
    g, a, k, outer = 200.0, 100.0, 3.0, 0.012
    atoms = far_apart("H32Ar32")
    fix = (
        f"fix move all nve/mlip/highpass {COLD} {COLD} 1 friction {k}\n"  # g and a are the defaults
    )
    timestep = outer if units == "metal" else 1000.0 * outer
    commands = style + fix + "run 4\n" + FINAL.format(name="last")
    run(tmp_path, commands, atoms, species=("Ar", "H"), timestep=timestep, units=units)
    v = read_dump(tmp_path / "last.dump")[-1][:, 4:] * (1.0 if units == "metal" else 1000.0)
    h = outer / inner_steps
    one = expm(-drift_matrix(g, a) * h)
    one[0] *= np.exp(-k * h)
    left = np.linalg.matrix_power(one, 4 * inner_steps)[0, 0]
    start = atoms.get_velocities() * VELOCITY
    np.testing.assert_allclose(v[:32], left * start[:32], rtol=1e-9)
    np.testing.assert_allclose(v[32:], np.exp(-k * 4 * outer) * start[32:], rtol=1e-9)


def stationary(fast, slow, h, inner_steps, g, a, k) -> tuple[float, float]:
    """Return <x^2> and <v^2> over kT/m at the ends of outer steps, from the Lyapunov equation of the linear map.

    The squared frequencies of the springs of the inner and of the outer level are ``fast`` and ``slow``.
    """

    def kick(omega_sq, dt):
        return np.array([[1, 0, 0], [-0.5 * dt * omega_sq, 1, 0], [0, 0, 1.0]])

    drift = np.array([[1, 0.5 * h, 0], [0, 1, 0], [0, 0, 1.0]])
    bath = np.eye(3)
    bath[1:, 1:] = expm(-drift_matrix(g, a) * h)
    noise = np.zeros((3, 3))
    noise[1:, 1:] = np.eye(2) - bath[1:, 1:] @ bath[1:, 1:].T
    white = np.diag([1.0, np.exp(-k * h), 1.0])
    noise = white @ noise @ white.T + np.diag([0.0, 1.0 - np.exp(-2 * k * h), 0.0])
    after = kick(fast, h) @ drift
    inner, inner_noise = after @ white @ bath @ drift @ kick(fast, h), after @ noise @ after.T
    step, sum_of_noise = kick(slow, inner_steps * h), np.zeros((3, 3))
    for _ in range(inner_steps):
        step = inner @ step
        sum_of_noise = inner @ sum_of_noise @ inner.T + inner_noise
    outer = kick(slow, inner_steps * h)
    step, sum_of_noise = outer @ step, outer @ sum_of_noise @ outer.T
    assert np.abs(np.linalg.eigvals(step)).max() < 1.0
    covariance = solve_discrete_lyapunov(step, sum_of_noise)
    return covariance[0, 0], covariance[1, 1]


@pytest.mark.parametrize(
    ("omega_h", "inner_steps", "slow_part"),
    [(0.3, 1, 0.0), (1.2, 1, 0.0), (0.3, 4, 0.0), (0.8, 4, 0.05)],
)
def test_wells_are_sampled_as_the_linear_theory_says(tmp_path, omega_h, inner_steps, slow_part):
    """Verlet, and r-RESPA with a spring at each level, near the resonance too: positions and kinetic temperature."""
    h, temperature, g, a, k = 0.0005, 300.0, 500.0, 200.0, 2.0
    atoms = far_apart("H64")
    mass = atoms.get_masses()[0]
    fast = (omega_h / h) ** 2  # 1/ps^2
    slow = slow_part * fast
    unit = mass * ase.units._amu * 1e4 / ase.units._e  # of a spring constant, from 1/ps^2 to eV/Å^2
    commands = f"fix move all nve/mlip/highpass {temperature} {temperature} 4 "
    commands += f"high_pass_friction {g} memory_rate {a} friction {k}\n"
    commands += f"fix fast all spring/self {fast * unit:.17g}\n"
    if inner_steps > 1:
        commands += f"run_style respa 2 {inner_steps}\nfix_modify fast respa 1\n"
    if slow:
        commands += f"fix slow all spring/self {slow * unit:.17g}\nfix_modify slow respa 2\n"
    n = 3000
    commands += f"run 2000\nreset_timestep 0\n{EVERY_STEP.replace('all custom 1', 'all custom 10')}"
    log = run(
        tmp_path, commands + f"run {10 * n}\n", atoms, species=("H",), timestep=h * inner_steps
    )
    assert "WARNING" not in log
    frames = np.array(read_dump(tmp_path / "all.dump"))
    x2 = (frames[:, :, 1:4] - atoms.positions) ** 2
    v2 = frames[:, :, 4:] ** 2
    expected = np.array(stationary(fast, slow, h, inner_steps, g, a, k))
    expected *= ase.units.kB * temperature / mass * VELOCITY**2
    for values, wanted in zip((x2, v2), expected, strict=True):
        of_atoms = values.mean(axis=0).ravel()  # 192 independent averages
        error = of_atoms.std(ddof=1) / np.sqrt(len(of_atoms))
        assert error < 0.01 * wanted
        assert abs(of_atoms.mean() - wanted) < 4 * error


def test_without_friction_it_is_fix_nve(models, tmp_path):
    style = f"pair_style mlip\npair_coeff * * {models['argon']} Ar"
    found = []
    for name, move in (("nve", "nve"), ("bath", "nve/mlip/highpass 60 60 1 friction 0")):
        commands = f"{RESPA}fix move all {move}\nrun 20\n{FINAL.format(name=name)}"
        run(tmp_path, commands, argon(size=2), style=style)
        found.append(read_dump(tmp_path / f"{name}.dump")[-1][:, 1:])
    assert np.abs(found[0][:, :3] - argon(size=2).positions).max() > 0.1
    np.testing.assert_allclose(found[1], found[0], rtol=0, atol=TOLERANCE["float64"].position)


def test_sub_styles_as_levels_give_the_same_trajectory(models, tmp_path):
    """After a minimisation, which the fix takes no part in."""
    one = f"pair_style mlip\npair_coeff * * {models['argon']} Ar"
    two = "pair_style hybrid/overlay mlip forces non_conservative mlip forces correction\n"
    two += "".join(f"pair_coeff * * mlip {k} {models['argon']} Ar\n" for k in (1, 2))
    start = f"{LIGHT}minimize 0 0 3 100\nreset_timestep 0\n"
    found = []
    for style, levels in ((one, RESPA), (two, "run_style respa 2 4 hybrid 1 2\n")):
        run(
            tmp_path,
            f"{start}{levels}run 20\n{FINAL.format(name='last')}",
            argon(size=2),
            style=style,
        )
        found.append(read_dump(tmp_path / "last.dump")[-1][:, 1:])
    np.testing.assert_allclose(found[1], found[0], rtol=0, atol=TOLERANCE["float64"].position)


def test_random_numbers_differ_between_all_inner_steps(tmp_path):
    """Strong friction: each innermost step draws velocities anew, and free atoms diffuse as these are independent."""
    outer = 0.012
    fix = "fix move all nve/mlip/highpass 300 300 3 friction 1e7 light_mass 0.1\n"
    commands = f"run_style respa 3 2 3\n{fix}{EVERY_STEP}run 300\n"
    atoms = far_apart()
    run(tmp_path, commands, atoms, timestep=outer)
    x = np.array(read_dump(tmp_path / "all.dump"))[:, :, 1:4]
    # half a drift with the velocity before each draw, half with the one after: h (v_0/2 + v_1 + ... + v_5 + v_6/2)
    h = outer / 6
    expected = 5.5 * h**2 * ase.units.kB * 300 / atoms.get_masses()[0] * VELOCITY**2
    steps = np.diff(x, axis=0)[1:]
    assert steps.var() == pytest.approx(expected, rel=6 * np.sqrt(2 / steps.size))


def test_atoms_outside_the_group_stay_where_they_are(tmp_path):
    atoms = far_apart()
    commands = "group part id 1:10\n" + LIGHT.replace("all", "part") + "run 5\n"
    run(tmp_path, commands + FINAL.format(name="last"), atoms)
    moved = np.abs(read_dump(tmp_path / "last.dump")[-1][:, 1:4] - atoms.positions).max(axis=1)
    assert (moved[:10] > 1e-4).all()
    assert moved[10:].max() < EXACT


@pytest.mark.slow
@pytest.mark.parametrize("style", ["", RESPA], ids=["verlet", "respa"])
def test_the_number_of_processes_does_not_matter(models, tmp_path, style):
    """Random numbers belong to atoms and steps; atoms change processes, and s goes with them."""
    model = f"pair_style mlip\npair_coeff * * {models['argon']} Ar\nneighbor 0.5 bin"
    commands = style + LIGHT + "run 20\n" + FINAL.format(name="last")
    timestep = 0.016 if style else 0.008
    found = []
    for processes in (1, 2, 4):
        run(tmp_path, commands, argon(300.0), style=model, timestep=timestep, processes=processes)
        found.append(read_dump(tmp_path / "last.dump")[-1][:, 1:])
    assert np.abs(found[0][:, :3] - argon(300.0).positions).max() > 0.5
    limit = 10 * TOLERANCE["float64"].position  # velocities, Å/ps, too
    np.testing.assert_allclose(found[1], found[0], rtol=0, atol=limit)
    np.testing.assert_allclose(found[2], found[0], rtol=0, atol=limit)


THERMO = "thermo_style custom step etotal econserve ecouple f_move\nthermo_modify norm no format float %.17g\n"


def test_energy_less_heat_is_conserved(models, tmp_path):
    style = f"pair_style mlip\npair_coeff * * {models['argon']} Ar"
    commands = f"{RESPA}{LIGHT}{THERMO}thermo 5\nrun 200\n"
    thermo = read_thermo(run(tmp_path, commands, argon(20.0), style=style, processes=2))
    heat = -thermo["f_move"]
    np.testing.assert_allclose(thermo["Ecouple"], -heat, rtol=0, atol=EXACT)
    np.testing.assert_allclose(
        thermo["Econserve"], thermo["TotEng"] - heat, rtol=0, atol=TOLERANCE["float64"].energy
    )
    assert np.ptp(heat) > 0.1  # the bath did something
    assert np.ptp(thermo["Econserve"]) < 0.02 * np.ptp(heat)


def test_a_restart_continues_trajectory_and_heat_on_another_number_of_processes(models, tmp_path):
    style = f"pair_style mlip\npair_coeff * * {models['argon']} Ar\n"
    model = f"{RESPA}{LIGHT}{THERMO}"
    whole = f"{model}restart 10 middle.*\nrun 25\n{FINAL.format(name='whole')}"
    wanted = read_thermo(run(tmp_path, whole, argon(), style=style, timestep=0.016))
    rest = f"read_restart middle.10\ntimestep 0.016\n{model}run 15\n{FINAL.format(name='rest')}"
    log = run_script(rest, tmp_path, processes=2)
    assert "Resetting peratom fix info from restart file" in log
    difference = read_dump(tmp_path / "rest.dump")[-1] - read_dump(tmp_path / "whole.dump")[-1]
    assert np.abs(difference[:, 1:]).max() < 10 * TOLERANCE["float64"].position
    limit = TOLERANCE["float64"].energy
    assert read_thermo(log)["f_move"][-1] == pytest.approx(wanted["f_move"][-1], abs=limit)


def test_a_fix_that_is_defined_again_and_new_atoms_start_anew(tmp_path):
    commands = f"{LIGHT}{THERMO}run 5\nunfix move\n{LIGHT}{THERMO}run 5\n"
    commands += "create_atoms 1 single 5 5 5\nrun 5\n" + FINAL.format(name="last")
    atoms = far_apart()
    thermo = read_thermo(run(tmp_path, commands, atoms))
    assert list(thermo["f_move"] == 0.0)[:4] == [True, False, True, False]
    last = read_dump(tmp_path / "last.dump")[-1]
    assert len(last) == len(atoms) + 1
    assert np.isfinite(last).all()
    assert np.abs(last[-1, 1:4] - 5.0).max() > 1e-5  # the new one is moved too


def test_the_temperature_can_be_a_ramp(tmp_path):
    """Strong friction without memory: velocities are drawn anew in every step."""
    atoms = far_apart()
    fix = "fix move all nve/mlip/highpass 100 500 3 friction 1e5\n"
    run(tmp_path, f"{fix}{EVERY_STEP}run 1000\n", atoms)
    v2 = (np.array(read_dump(tmp_path / "all.dump"))[1:, :, 4:] / VELOCITY) ** 2
    found = atoms.get_masses()[0] * v2.mean(axis=(1, 2)) / ase.units.kB
    done = np.arange(1, 1001) / 1000
    ratio = found / (100 + 400 * done)
    for half in (ratio[:500], ratio[500:]):
        assert half.mean() == pytest.approx(1.0, abs=5 * np.sqrt(2 / (500 * 192)))


REFUSED = [
    ("300", "expects two temperatures and a seed"),
    ("300 0 1", "temperatures above 0 K, got 300 and 0"),
    ("300 300 0", "a seed above 0, got 0"),
    ("300 300 1 high_pass_friction 0", "a high_pass_friction of more than 0 1/ps, got 0"),
    ("300 300 1 memory_rate -1", "a memory_rate of more than 0 1/ps, got -1"),
    ("300 300 1 friction -1", "a friction of at least 0 1/ps, got -1"),
    ("300 300 1 light_mass", "a value after light_mass, got none"),
    ("300 300 1 light_mass 2 types 1", "both say which atoms are light"),
    ("300 300 1 g 5", "expected the keyword high_pass_friction.*got g"),
]


@pytest.mark.parametrize(("words", "message"), REFUSED)
def test_impossible_words_are_refused(tmp_path, words, message):
    with pytest.raises(LammpsError, match=message):
        run(tmp_path, f"fix move all nve/mlip/highpass {words}\n", far_apart())


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ("fix other all press/berendsen iso 1 1 1", "a box of constant size and shape"),
        ("fix other all rigid/nve single", "does not keep to constraints"),
    ],
)
def test_barostats_and_constraints_are_refused(tmp_path, other, message):
    with pytest.raises(LammpsError, match=message):
        run(tmp_path, f"{LIGHT}{other}\nrun 1\n", far_apart(), processes=2)
