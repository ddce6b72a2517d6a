"""Fix ave/mlip/inner: against the exact motion of an oscillator and of free atoms, and against velocity Verlet."""

import re

import numpy as np
import pytest

from tests.lammps_plugin.argon import argon
from tests.lammps_plugin.runner import LammpsError, read_dump, read_thermo
from tests.lammps_plugin.test_high_pass import VELOCITY, far_apart, run
from tolerances import EXACT, TOLERANCE

pytestmark = pytest.mark.lammps

FREQUENCY, CONSTANT = 40.0, 0.05  # 1/ps of the inner level; eV/Å of the outer one
INNER_STEPS = 24
UNIT = (
    1.0364269e-4  # of a spring constant, from g/mol/ps^2 to eV/Å^2: as LAMMPS has it in units metal
)
COLUMNS = "id xu yu zu f_inner[*]"
DUMP = f"dump d all custom {{every}} {{name}}.dump {COLUMNS}\ndump_modify d sort id format float %.17g\n"


def oscillators(folder, angle, start, fix, outer_steps, processes=1):
    """Run 64 atoms of argon that a spring of the inner level and a constant force of the outer one act on along x."""
    atoms = far_apart()
    atoms.set_velocities(np.zeros((64, 3)))
    mass = atoms.get_masses()[0]
    commands = f"""
compute from all displace/atom
fix move all nve
fix fast all spring/self {mass * FREQUENCY**2 * UNIT:.17g}
fix slow all addforce {CONSTANT} 0 0
displace_atoms all move {start:.17g} 0 0 units box
run_style respa 2 {INNER_STEPS}
fix_modify fast respa 1
fix_modify slow respa 2
compute center all com
compute shift all reduce ave c_from[1]
{fix}
thermo_style custom step c_center[1] f_inner[1] f_inner[2]
thermo_modify format float %.17g
run {outer_steps}
"""
    log = run(folder, commands, atoms, timestep=angle / FREQUENCY, processes=processes)
    assert "WARNING" not in log
    return log, atoms


def positions_within(angle, start, outer_steps, mass):
    """Return the displacement (outer steps, inner steps) from the map of velocity Verlet with kicks around it."""
    h = angle / FREQUENCY / INNER_STEPS
    kick = 0.5 * INNER_STEPS * h * CONSTANT / (mass * UNIT)
    x, v, found = start, 0.0, []
    for _ in range(outer_steps):
        v += kick
        for _ in range(INNER_STEPS):
            v -= 0.5 * h * FREQUENCY**2 * x
            x += h * v
            v -= 0.5 * h * FREQUENCY**2 * x
            found.append(x)
        v += kick
    return np.array(found).reshape(outer_steps, INNER_STEPS)


@pytest.mark.parametrize("angle", [1.0, 4.0])  # w T: a sixth and 0.64 of a period
def test_ends_show_a_displacement_wrongly_and_inner_steps_do_not(tmp_path, angle):
    """At the ends F/(m w^2) (w T/2) cot(w T/2), within the steps F/(m w^2) on average."""
    mass = far_apart().get_masses()[0]
    true = CONSTANT / (mass * FREQUENCY**2 * UNIT)
    seen = true * (angle / 2.0) / np.tan(angle / 2.0)  # the state that an outer step brings back
    fix = "fix inner all ave/mlip/inner 1 c_center[1] c_shift\n"
    _, atoms = oscillators(tmp_path, angle, seen, fix + DUMP.format(every=1, name="all"), 400)
    frames = np.array(read_dump(tmp_path / "all.dump"))[1:] - np.pad(
        atoms.positions, ((0, 0), (1, 6))
    )
    start = atoms.positions
    ends = frames[:, :, 1]
    means = frames[:, :, 4] - start[:, 0]
    drawn = frames[:, :, 7] - start[:, 0]
    # velocity Verlet of the inner steps is not exact: relative (w h)^2 / 24 of the frequency
    np.testing.assert_allclose(ends, seen, rtol=0, atol=0.02 * true)
    np.testing.assert_allclose(means, true, rtol=0, atol=0.01 * true)
    assert abs(seen - true) > 0.05 * true  # so the two are told apart
    exact = positions_within(angle, seen, 400, mass)
    np.testing.assert_allclose(means[:, 0], exact.mean(axis=1), rtol=0, atol=EXACT)
    distance = np.abs(exact - drawn[:, :1])  # to each of the inner steps
    assert distance.min(axis=1).max() < EXACT
    # each step is met, and the mean of the drawn ones is that of all within its error
    assert len(set(distance.argmin(axis=1))) > 0.9 * INNER_STEPS
    error = exact.std() / np.sqrt(400)
    assert abs(drawn[:, 0].mean() - exact.mean()) < 4 * error


@pytest.mark.parametrize("processes", [1, 2])
def test_computes_are_averaged_over_all_inner_steps_of_a_window(tmp_path, processes):
    """One of them through another, which would not be calculated twice in a step. A second run goes on."""
    angle, start, mass = 2.4, 0.05, far_apart().get_masses()[0]
    fix = "fix inner all ave/mlip/inner 5 c_center[1] c_shift\nthermo 5\n"
    log, atoms = oscillators(tmp_path, angle, start, fix, "7\nrun 13", processes)
    thermo = read_thermo(log)
    assert list(thermo["Step"]) == [0, 5, 7, 7, 10, 15, 20]  # 7 has what 5 had
    exact = positions_within(angle, start, 20, mass).reshape(4, -1).mean(axis=1)
    wanted = [start, *exact[[0, 0, 0, 1, 2, 3]]]
    np.testing.assert_allclose(thermo["f_inner[2]"], wanted, rtol=0, atol=EXACT)
    center = atoms.positions[:, 0].mean()
    np.testing.assert_allclose(thermo["f_inner[1]"], center + wanted, rtol=0, atol=EXACT)


@pytest.mark.parametrize(
    ("style", "levels", "inner_steps"),
    [("", 1, 1), ("run_style respa 3 2 3\n", 3, 6)],
    ids=["verlet", "three levels"],
)
def test_averages_go_with_atoms_to_other_processes_and_around_the_box(
    tmp_path, style, levels, inner_steps
):
    """Free atoms: the mean over a window is the place in the middle of it."""
    atoms = far_apart()
    atoms.set_velocities(
        atoms.get_velocities() * 60.0
    )  # 60 Å/ps: through the box of 80 Å within the run
    fix = "group some id 1:60\nfix inner some ave/mlip/inner 10\nfix move all nve\n"
    run_ = DUMP.format(every=10, name="all") + "neigh_modify every 1 delay 0\nrun 100\n"
    outer = 0.012
    run(tmp_path, style + fix + run_, atoms, timestep=outer, processes=2)
    frames = np.array(read_dump(tmp_path / "all.dump"))
    velocities = atoms.get_velocities() * VELOCITY
    assert (
        np.abs(velocities[:60]) * 100 * outer > 80.0
    ).sum() > 30  # components that went around the box
    h = outer / inner_steps
    for k, frame in enumerate(frames[1:]):
        mean_time = (10 * k) * outer + 0.5 * (10 * inner_steps + 1) * h
        wanted = (atoms.positions + mean_time * velocities)[:60]
        np.testing.assert_allclose(frame[:60, 4:7], wanted, rtol=0, atol=1e2 * EXACT)
        ago = (
            (frame[:60, 1:4] - frame[:60, 7:]) / velocities[:60] / h
        )  # innermost steps before the end
        assert np.abs(ago - ago.mean()).max() < 1e-6  # the same for all atoms, on both processes
        assert abs(ago.mean() - round(ago.mean())) < 1e-6 and -0.5 < ago.mean() < inner_steps - 0.5
        assert (frame[60:, 4:] == 0.0).all()


def columns(path):
    """Return the last block (rows, columns) that fix ave/time has written in mode vector."""
    lines = [line.split() for line in path.read_text().splitlines() if not line.startswith("#")]
    last = max(k for k, words in enumerate(lines) if len(words) == 2)
    return np.array(lines[last + 1 :], dtype=float)[:, 1:]


def test_a_distribution_is_that_of_verlet_where_both_forces_are_the_same(models, tmp_path):
    """The outer force is zero, so inner steps are steps of velocity Verlet, which LAMMPS averages over itself."""
    style = f"pair_style mlip\npair_coeff * * {models['exact_argon']} Ar"
    distribution = "compute g all rdf 20 cutoff 5.5\ncomm_modify cutoff 8.0\nfix move all nve\n"
    fine = "fix file all ave/time 1 20 20 c_g[*] mode vector file {}.txt format ' %.17g'\nrun 40\n"
    run(tmp_path, distribution + fine.format("verlet"), argon(size=2), style=style, timestep=0.004)
    respa = "run_style respa 2 4 inner 1 4.0 5.0 outer 2\n"
    respa += "fix inner all ave/mlip/inner 5 c_g[*] mode vector\n"
    file = "fix file all ave/time 5 1 5 f_inner[*] mode vector file respa.txt format ' %.17g'\nrun 10\n"
    log = run(
        tmp_path,
        distribution + respa + file,
        argon(size=2),
        style=style,
        timestep=0.016,
        processes=2,
    )
    assert "WARNING" not in log
    found, wanted = columns(tmp_path / "respa.txt"), columns(tmp_path / "verlet.txt")
    assert wanted.shape == (20, 3) and wanted[:, 1].max() > 1.5
    np.testing.assert_allclose(found, wanted, rtol=0, atol=TOLERANCE["float64"].energy)


def test_samples_of_inner_steps_can_be_run_again_as_a_trajectory(models, tmp_path):
    """`rerun` takes their columns for positions; the trajectory is the same without the fix."""
    style = f"pair_style mlip\npair_coeff * * {models['argon']} Ar"
    respa = "fix move all nve\nrun_style respa 2 4 inner 1 4.0 5.0 outer 2\n"
    end = "dump e all custom 10 {}.dump id xu yu zu\ndump_modify e sort id format float %.17g\nrun 20\n"
    run(tmp_path, respa + end.format("without"), argon(300.0, size=2), style=style)
    fix = "fix inner all ave/mlip/inner 1\ndump s all custom 1 samples.dump id type f_inner[*]\n"
    fix += "dump_modify s sort id format float %.17g\n"
    again = (
        "undump e\nundump s\nunfix inner\nunfix move\nrun_style verlet\n"
        "dump a all custom 1 again.dump id xu yu zu\ndump_modify a sort id format float %.17g\n"
        "rerun samples.dump dump x y z label x f_inner[4] label y f_inner[5] label z f_inner[6]\n"
    )
    run(tmp_path, respa + fix + end.format("with") + again, argon(300.0, size=2), style=style)
    assert (tmp_path / "with.dump").read_text() == (tmp_path / "without.dump").read_text()
    samples, frames = read_dump(tmp_path / "samples.dump"), read_dump(tmp_path / "again.dump")
    assert len(samples) == len(frames) == 21
    length = argon(size=2).cell.lengths()
    for sample, frame in zip(samples, frames, strict=True):
        apart = sample[:, 5:8] - frame[:, 1:4]
        np.testing.assert_allclose(apart, np.round(apart / length) * length, rtol=0, atol=1e-6)


REFUSED = [
    ("", "expects a number of steps"),
    ("0", "a number of steps above 0, got 0"),
    ("1 v_some", r"expects computes, c_ID or c_ID\[I\], got v_some"),
    ("1 c_none", "there is no compute none"),
    ("1 c_thermo_temp", "at the ends of outer steps.*thermo_temp"),
    ("1 c_thermo_pe", "at the ends of outer steps.*thermo_pe"),
    ("1 c_center", "gives no global scalar"),
    ("1 c_center[4]", r"has 3 values, got \[4\]"),
    ("1 c_center[0]", "number"),
    ("1 c_center[1] c_center[2", "got c_center.2"),
    ("1 c_center c_wide mode vector", "vectors of one length, got 3 of compute center and 6"),
    ("1 mode vector", "expected computes c_ID with mode vector"),
    ("1 c_center[1] mode matrix", "mode scalar or vector, got matrix"),
    ("1 c_center[1] seed 0", "a seed above 0, got 0"),
    ("1 c_center[1] every 2", "the keyword mode or seed, got every"),
    ("1 c_center[1] seed", "a value after seed, got none"),
]


@pytest.mark.parametrize(("words", "message"), REFUSED)
def test_impossible_words_are_refused(tmp_path, words, message):
    computes = "compute center all com\ncompute wide all gyration\n"
    with pytest.raises(LammpsError, match=message):
        run(tmp_path, f"{computes}fix inner all ave/mlip/inner {words}\n", far_apart())


def test_energies_are_refused_behind_another_compute(tmp_path):
    """Something else asks for them in every step, and LAMMPS does not notice that they are of the last one."""
    commands = (
        "compute e all pe/atom\ncompute sum all reduce sum c_e\nthermo_style custom step c_sum\n"
    )
    commands += "fix inner all ave/mlip/inner 1 c_sum\nrun 2\n"
    with pytest.raises(LammpsError, match=r"uses compute e \(style pe/atom\)"):
        run(tmp_path, commands, far_apart())


def test_a_compute_that_was_defined_again_with_another_length_is_named(tmp_path):
    commands = "compute g all rdf 200 cutoff 2.0\ncomm_modify cutoff 8.0\n"
    commands += "fix inner all ave/mlip/inner 1 c_g[*] mode vector\nrun 1\nuncompute g\n"
    with pytest.raises(LammpsError, match="compute g had 200 numbers.*10 now"):
        run(tmp_path, commands + "compute g all rdf 10 cutoff 2.0\nrun 1\n", far_apart())


def test_positions_that_were_moved_after_a_run_of_no_step_are_those_shown(tmp_path):
    commands = (
        "compute center all com\nfix inner all ave/mlip/inner 1 c_center[1]\nfix move all nve\n"
    )
    commands += (
        "thermo_style custom step f_inner[1] c_center[1]\nthermo_modify format float %.12g\nrun 0\n"
    )
    log = run(tmp_path, commands + "displace_atoms all move 0.3 0 0\nrun 0\n", far_apart())
    rows = [line.split() for line in log.splitlines() if re.fullmatch(r"\s+0(\s+\S+){2}\s*", line)]
    assert len(rows) == 2 and rows[0][1] != rows[1][1]
    for _, found, expected in rows:
        assert float(found) == pytest.approx(float(expected), abs=1e-9)


def test_a_compute_that_was_deleted_is_named(tmp_path):
    commands = "compute center all com\nfix inner all ave/mlip/inner 1 c_center[1]\nrun 1\n"
    with pytest.raises(LammpsError, match="there is no compute center"):
        run(tmp_path, commands + "uncompute center\nrun 1\n", far_apart())
