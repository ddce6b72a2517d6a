"""Trajectories from many structures, judged one by one: verdicts of known motions, resuming, and LAMMPS itself."""

import json
import os

import ase.io
import numpy as np
import pytest
import torch
from ase.build import bulk

from mlip_engines.commands.validate import main
from mlip_engines.diagnostics.survival import Survey, is_orthogonal, judged, survey
from mlip_engines.diagnostics.survival_report import counts, write_survival
from mlip_engines.model.load import load_model
from mlip_engines.simulations.engine import make_engine
from mlip_engines.simulations.simulation import CONSERVATIVE, Simulation
from mlip_train.networks import build_network
from mlip_train.potentials.analytic import LennardJones
from tests.exact_models import write_model
from tests.mlip_engines.simulations.trajectories import trajectory

N_FRAMES = 40


def argon(n=3, scale=1.0):
    structures = []
    for k in range(n):
        atoms = bulk("Ar", "fcc", 5.4 * scale, cubic=True)
        atoms.rattle(0.05, seed=k)
        structures.append(atoms)
    return structures


def path_of(atoms, shift):
    """Return a trajectory in which atom 0 moves by ``shift`` (F, 3) and the others vibrate a little."""
    time = np.linspace(0.0, 1.0, N_FRAMES)
    positions = np.repeat(atoms.positions[None], N_FRAMES, axis=0)
    positions += 0.05 * np.random.default_rng(0).normal(size=positions.shape)
    positions[:, 0] += shift
    cells = np.repeat(atoms.cell.array[None], N_FRAMES, axis=0)
    return trajectory(
        time,
        np.ones(N_FRAMES),
        np.ones(N_FRAMES),
        cell=cells,
        frame_time_ps=time,
        positions=positions,
        velocities=np.zeros_like(positions),
        frame_cell=cells,
    )


class Pullers:
    """Pull atom 0 onto its neighbour in every structure with an odd seed; count the runs."""

    def __init__(self):
        self.runs = 0

    def run(self, simulation, atoms, folder, progress=lambda steps: None):
        self.runs += 1
        way = atoms.get_distance(0, 1, mic=True, vector=True)
        fraction = np.linspace(0.0, 0.9 * (simulation.seed % 2), N_FRAMES)
        return path_of(atoms, fraction[:, None] * way)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "argon.pt"
    return write_model(path, LennardJones(7.0, 0.0104, 3.4, curl=0.0), ["Ar"])


def test_counts_times_and_intervals_and_nothing_is_run_twice(model, tmp_path):
    engine, structures = Pullers(), argon(4)
    settings = Survey(n=4, steps=1000, seed=2)
    data = survey(load_model(model), engine, structures, settings, tmp_path, workers=2)
    overlaps = [run["overlap_ps"] for run in data["trajectories"]]
    assert [o is None for o in overlaps] == [True, False, True, False]
    assert 0.45 < overlaps[1] < 0.65  # half the way of 0.9 in 1 ps
    (row,) = [r for r in counts(data) if r["failure"] == "overlap"]
    assert (row["count"], row["of"]) == (2, 4)
    assert row["low"] == pytest.approx(0.150, abs=1e-3)
    assert engine.runs == 4
    (tmp_path / "nvt-2.json").unlink()
    again = survey(load_model(model), engine, structures, settings, tmp_path)
    assert engine.runs == 5 and again == data
    write_survival(tmp_path / "report.html", "argon", data)
    assert (tmp_path / "report.html").read_text().count("<img") == 2
    with pytest.raises(ValueError, match="of another model or with other settings"):
        survey(load_model(model), engine, structures, Survey(n=4, steps=10), tmp_path)


def test_positions_that_are_not_finite_are_a_failure_at_the_frame_before():
    atoms = argon(1)[0]
    run = path_of(atoms, np.zeros((N_FRAMES, 3)))
    run.positions[30:] = np.nan
    verdict = judged(atoms, run)
    assert verdict["stopped_ps"] == pytest.approx(29 / (N_FRAMES - 1))


@pytest.mark.lammps
def test_lammps_runs_both_ensembles_from_the_command(model, tmp_path, capsys):
    ase.io.write(tmp_path / "starts.xyz", argon(3))
    arguments = [str(model), "--structures", str(tmp_path / "starts.xyz"), "--n", "2"]
    arguments += ["--only", "physicality", "--ensemble", "nvt", "npt", "--temperature", "40"]
    arguments += ["--steps", "200", "--inner-step", "2", "--beside", str(model)]
    assert main([*arguments, "-o", str(tmp_path / "out")]) == 0
    report = json.loads((tmp_path / "out/report.json").read_text())
    assert len(report["trajectories"]) == 4
    assert [r["count"] for r in report["counts"]] == [0] * 8
    assert {run["length_ps"] for run in report["trajectories"]} == {0.4}
    assert max(report["angles_degrees"]) < 0.1  # the same model twice
    assert "nvt overlap" in capsys.readouterr().out


def test_a_cell_that_is_not_orthogonal_has_other_baths_in_npt():
    settings = Survey(ensembles=("nvt", "npt"))
    primitive = bulk("Ar", "fcc", 5.4)
    assert is_orthogonal(argon(1)[0]) and not is_orthogonal(primitive)
    names = {
        (ensemble, flag): settings.simulation(ensemble, 0, orthogonal=flag).ensemble
        for ensemble in ("nvt", "npt")
        for flag in (True, False)
    }
    assert names["npt", True] == "berendsen" and names["npt", False] == "npt"
    assert names["nvt", True] == names["nvt", False] == "langevin"


@pytest.mark.lammps
def test_npt_of_a_triclinic_cell_runs_and_the_page_says_how(model, tmp_path):
    atoms = bulk("Ar", "fcc", 5.4).repeat(3)
    settings = Survey(ensembles=("npt",), n=1, steps=20, step_fs=2.0, temperature_K=30.0)
    loaded = load_model(model)
    data = survey(loaded, make_engine("lammps", model), [atoms], settings, tmp_path / "judged")
    (run,) = data["trajectories"]
    assert run["baths"] == "npt" and run["stopped_ps"] is None
    write_survival(tmp_path / "report.html", "argon", data)
    assert (
        "1 NPT trajectories have cells that are not orthogonal"
        in (tmp_path / "report.html").read_text()
    )


def test_the_page_of_a_hybrid_has_the_angles_between_its_parts(tmp_path):
    torch.manual_seed(0)
    settings = {"name": "painn", "species": [18], "cutoff": 5.0, "n_features": 8, "n_layers": 1}
    network = build_network({**settings, "non_conservative_layer": 1, "empirical": True}).double()
    path = write_model(tmp_path / "hybrid.pt", network, ["Ar"])
    structures = argon(2)
    data = survey(
        load_model(path), Pullers(), structures, Survey(n=2, steps=1000), tmp_path / "judged"
    )
    angles = np.array(data["angles_of_parts_degrees"])
    assert len(angles) == 8 and (angles > 0).all() and (angles < 180).all()
    write_survival(tmp_path / "report.html", "argon", data)
    assert "empirical potential in the model" in (tmp_path / "report.html").read_text()


@pytest.mark.lammps
def test_berendsen_brings_temperature_and_pressure_to_their_targets(model, tmp_path):
    """From a crystal that is 3 % too long, at first under tension."""
    atoms = bulk("Ar", "fcc", 5.26 * 1.03, cubic=True).repeat(2)
    simulation = Simulation(
        CONSERVATIVE,
        8.0,
        ensemble="berendsen",
        inner_step_fs=4.0,
        temperature_K=20.0,
        pressure_time_constant_fs=50.0,  # argon is 25 times softer than what the fix takes
        chunks=1,
        row_every_fs=40.0,
    )
    run = make_engine("lammps", model).run(simulation, atoms, tmp_path / "run")
    late = len(run.time_ps) // 2
    assert run.pressure_bar[0] < -500.0
    assert abs(run.pressure_bar[late:].mean()) < 60.0
    assert run.cell[-1, 0, 0] < 0.995 * run.cell[0, 0, 0]  # it has shrunk for that


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--structures", "x.xyz"], "--structures goes with --only physicality"),
        (["--structure", "x.xyz", "--n", "5"], "--n goes with --structures"),
    ],
)
def test_options_that_do_not_go_together_are_refused(arguments, message, capsys, tmp_path):
    assert main(["water", *arguments, "-o", str(tmp_path)]) == 1
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ensembles": ("nve",)}, "expected ensembles among"),
        ({"n": 0}, "n must be positive, got 0"),
        ({"temperature_K": float("nan")}, "temperature_K must be positive"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        Survey(**change)


def test_structures_that_cannot_be_simulated_are_named(model, tmp_path):
    for atoms, message in (
        (bulk("Cu", cubic=True), "structure 1: the model knows"),
        (argon(1)[0][:1], "structure 1: expected at least two atoms, got 1"),
    ):
        with pytest.raises(ValueError, match=message):
            survey(load_model(model), Pullers(), [*argon(1), atoms], Survey(n=2), tmp_path)
    assert not os.listdir(tmp_path)
