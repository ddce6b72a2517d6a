"""What users do between and during runs: forces stay those of the present atoms and box, or LAMMPS stops with words.

The oracle is a dense sum over images at the positions and in the box that LAMMPS dumps with the forces.
"""

import ase.io
import numpy as np
import pytest

from tests.lammps_plugin.argon import argon
from tests.lammps_plugin.closed_form import ClosedForm
from tests.lammps_plugin.runner import LammpsError, run_script, write_data
from tolerances import FINITE_DIFFERENCE_FORCE, TOLERANCE

CLOSED_FORM = ClosedForm(6.0, epsilon=0.0104, sigma=3.4, curl=0.004)

START = """
clear
units metal
atom_style atomic
{settings}
read_data {data}
{box}
pair_style mlip {keywords}
pair_coeff * * {model} {elements}
timestep 0.004
thermo 1
thermo_style custom step pe etotal
fix move all nve
{dump}run 10
"""
DUMP = """dump last all custom 1 {name}.dump id type xu yu zu fx fy fz
dump_modify last sort id format float %.17g
"""
OUTER = "timestep 0.016\nrun_style respa 2 4 inner 1 2.0 3.0 outer 2\n"

# name: commands, other parts of the script. The last run ends before the box or the atoms change again.
COMMANDS = {
    "style_again": ("pair_style mlip\npair_coeff * * {model} Ar\nrun 5 pre no", {}),
    "other_style_and_back": (
        "pair_style zero 6\npair_coeff * *\nrun 5\npair_style mlip\npair_coeff * * {model} Ar\nrun 5",
        {},
    ),
    "delete_atoms": ("delete_atoms random count 10 yes all NULL 1234\nrun 10", {}),
    "delete_atoms_pre_no": ("delete_atoms random count 10 yes all NULL 1234\nrun 5 pre no", {}),
    "create_atoms_pre_no": ("create_atoms 1 single 2.65 2.65 13.3\nrun 5 pre no", {}),
    "displace_atoms": (
        "group g id 1:10\ndisplace_atoms g move 0.6 0.2 0.1\nrun 2 pre no",
        {},
    ),
    "change_box": ("change_box all x scale 1.02 y scale 0.99 remap\nrun 5", {}),
    "change_box_pre_no": ("change_box all x scale 1.02 y scale 0.99 remap\nrun 5 pre no", {}),
    # LAMMPS changes the box at the end of a step, after the forces: here not in the last one
    "fix_deform": ("fix d all deform 10 x erate 0.05 y erate -0.02\nrun 45", {}),
    "fix_deform_tilt": (
        "fix d all deform 10 xy erate 0.2 x erate 0.05\nrun 45",
        {"box": "change_box all triclinic"},
    ),
    "fix_deform_respa": (f"{OUTER}fix d all deform 10 x erate 0.05\nrun 45", {}),
    "reset_timestep": (f"undump last\nreset_timestep 0\n{DUMP}run 10", {}),
    "reset_timestep_respa": (f"{OUTER}run 5\nundump last\nreset_timestep 0\n{DUMP}run 10", {}),
    "run_0_twice": ("run 0\nrun 0\nrun 5\nrun 0", {}),
    "ids_again": (
        "delete_atoms random count 10 yes all NULL 1\nreset_atoms id sort yes\nrun 5",
        {},
    ),
    "atom_map": ("run 5", {"settings": "atom_modify map array"}),
    "sorted_atoms": ("run 20", {"settings": "atom_modify sort 2 3.0"}),
    "bins_off": ("neighbor 1.0 nsq\nrun 5", {}),
    "swapped_types": (
        "fix swap all atom/swap 1 20 29494 300 types 1 2\nrun 10",
        {"box": "set group all type/fraction 2 0.5 4711", "elements": "Ar Ar", "types": 2},
    ),
    "monte_carlo_insertion": (
        "fix mc all gcmc 2 5 5 1 29494 60 -0.1 0.1 full_energy\n"
        "compute_modify thermo_temp dynamic/dof yes\nrun 11",
        {"keywords": "max_force 1e30"},
    ),
    "evaporation": ("region r block 0 8 0 16 0 16\nfix e all evaporate 4 1 r 4938\nrun 19", {}),
    # the last ones: 'clear' does not end their settings
    "openmp": ("run 10", {"settings": "package omp 2\nsuffix omp"}),
    "openmp_respa": (f"{OUTER}run 5", {"settings": "package omp 2\nsuffix omp"}),
}
ON_TWO_PROCESSES = [
    "other_style_and_back",
    "delete_atoms_pre_no",
    "fix_deform_tilt",
    "swapped_types",
]


def script_of(name, commands, model, *, types=1, **parts):
    """Ten steps, then the commands."""
    values = {"settings": "", "box": "", "keywords": "", "elements": "Ar"} | parts
    values |= {"model": model, "data": f"{types}.data", "dump": DUMP}
    text = START.format(name=name, **values) + commands + "\n"
    return text.replace("{name}", name).replace("{model}", str(model))


def write_structures(folder):
    for types in (1, 2):
        write_data(folder / f"{types}.data", argon(), ["Ar", "Kr"][:types])
    path = folder / "2.data"
    path.write_text(path.read_text().replace("\n2 1\n", "\n2 39.948\n"))


def read_frames(folder, name):
    return ase.io.read(folder / f"{name}.dump", ":", format="lammps-dump-text")


def run_all(names, processes, model, folder):
    """Run all in one LAMMPS; returns the last frame of each dump, by name."""
    write_structures(folder)
    script = [script_of(n, COMMANDS[n][0], model, **COMMANDS[n][1]) for n in names]
    run_script("\n".join(script), folder, processes=processes)
    frames = {name: read_frames(folder, name) for name in names}
    assert all(len(each) > 10 for each in frames.values())
    return {name: each[-1] for name, each in frames.items()}


@pytest.fixture(scope="module")
def last_frames(models, tmp_path_factory):
    return run_all(list(COMMANDS), 1, models["argon"], tmp_path_factory.mktemp("commands"))


@pytest.fixture
def run(models, tmp_path):
    """Run commands after ten steps; returns all frames of the dump, and what LAMMPS printed."""

    def run(commands, *, processes=1, **parts):
        write_structures(tmp_path)
        script = script_of("last", commands, models["argon"], **parts)
        printed = run_script(script, tmp_path, processes=processes)
        return read_frames(tmp_path, "last"), printed

    return run


def assert_forces_are_exact(atoms):
    _, forces, _, _ = CLOSED_FORM.evaluate(atoms)
    assert np.abs(forces).max() > 0.01
    assert np.abs(atoms.get_forces() - forces).max() < TOLERANCE["float64"].force


@pytest.mark.parametrize("name", COMMANDS)
def test_forces_are_those_of_the_present_atoms_and_box(last_frames, name):
    assert_forces_are_exact(last_frames[name])


def test_two_processes_see_the_same_changes(models, tmp_path):
    for atoms in run_all(ON_TWO_PROCESSES, 2, models["argon"], tmp_path).values():
        assert_forces_are_exact(atoms)


@pytest.mark.parametrize(
    ("commands", "processes"),
    [
        ("unfix MLIP_0\nrun 10 pre no", 1),
        ("unfix MLIP_0\nrun 10 pre no", 2),
        ("run 10 every 5 'unfix MLIP_0'\nrun 1", 1),
        (f"{OUTER}run 5\nunfix MLIP_0\nrun 5", 1),
    ],
    ids=["pre_no", "two_processes", "between_parts", "respa"],
)
def test_guard_that_was_removed_is_added_again(run, commands, processes):
    """The trajectory is that of a run without the removal, and the skin is watched over as before."""
    removed, printed = run(f"{commands}\ninfo fixes", processes=processes)
    kept, _ = run(commands.replace("unfix MLIP_0", "print none"), processes=processes)
    assert np.abs(removed[-1].positions - kept[-1].positions).max() < TOLERANCE["float64"].position
    assert_forces_are_exact(removed[-1])
    assert "MLIP_0" in printed.split("Fix information:")[1]


@pytest.mark.parametrize("style", ["none", "zero 6\npair_coeff * *"])
@pytest.mark.parametrize("processes", [1, 2])
def test_pair_style_that_was_replaced_leaves_nothing(run, style, processes):
    frames, printed = run(
        f"pair_style {style}\ncomm_modify cutoff 6\nrun 5 pre no\ninfo fixes", processes=processes
    )
    assert np.abs(frames[-1].get_forces()).max() == 0.0
    assert "MLIP_0" not in printed.split("Fix information:")[1]


@pytest.mark.parametrize("outer", ["", OUTER], ids=["verlet", "respa"])
def test_forces_that_a_fix_sets_stay_set(run, outer):
    """Held atoms do not move; the others feel them as before."""
    frames, _ = run(
        f"{outer}group held id 1:10\nvelocity held set 0 0 0\nfix s held setforce 0 0 0\nrun 5"
    )
    held = frames[-1].arrays["id"] <= 10 if "id" in frames[-1].arrays else np.arange(108) < 10
    assert np.abs(frames[-1].positions[held] - frames[11].positions[held]).max() == 0.0
    _, forces, _, _ = CLOSED_FORM.evaluate(frames[-1])
    assert np.abs(frames[-1].get_forces()[held]).max() == 0.0
    difference = frames[-1].get_forces()[~held] - forces[~held]
    assert np.abs(difference).max() < TOLERANCE["float64"].force


def test_rerun_of_a_dump_gives_the_forces_that_were_dumped(run):
    frames, _ = run(
        "dump all all custom 2 rerun.dump id type x y z\n"
        "dump_modify all format float %.17g\nrun 10\nundump all\nrerun rerun.dump dump x y z"
    )
    assert len(frames) == 11 + 10 + 6
    for atoms in frames[-6:]:
        assert_forces_are_exact(atoms)


def test_numerical_derivatives_by_lammps(run):
    """fix numdiff moves one atom after the other within a step."""
    _, printed = run(
        "group few id 1:8\nfix n few numdiff 1 1e-4\nvariable d atom fx-f_n[1]\n"
        "compute d few reduce max v_d\nthermo_style custom step pe c_d\nrun 1",
        settings="atom_modify map array",
    )
    rows = [line.split() for line in printed.split("c_d")[-1].splitlines()]
    differences = [abs(float(row[2])) for row in rows if len(row) == 3 and row[0].isdigit()]
    assert len(differences) == 2
    assert max(differences) < FINITE_DIFFERENCE_FORCE


@pytest.mark.parametrize(
    ("commands", "words"),
    [
        ("group g id 1:9\nneigh_modify exclude group g g\nrun 5", "'neigh_modify exclude' hides"),
        ("compute c all group/group all\nrun 0", "does not support compute group/group"),
        ("compute c all pair/local eng\nrun 0", "does not support compute pair/local"),
        (
            "variable x equal 1\nfix a all adapt 1 pair mlip cutoff * * v_x\nrun 0",
            "pair style mlip param",
        ),
        ("pair_write 1 1 10 r 2.0 5.0 table.txt x", "does not support pair_write"),
        (f"{OUTER}run 5 pre no", "not compatible with r-RESPA"),
        (
            "fix mine all MLIP\nunfix MLIP_0\nfix MLIP_0 all nve\nrun 5",
            "the fix ID MLIP_0 for itself",
        ),
        ("velocity all create 1e6 1\nneigh_modify once yes\nrun 20", "larger skin"),
    ],
)
def test_what_cannot_be_is_refused_with_words(run, commands, words):
    with pytest.raises(LammpsError) as caught:
        run(commands)
    assert caught.value.returncode == 1
    assert "ERROR" in caught.value.output
    assert words in caught.value.output
