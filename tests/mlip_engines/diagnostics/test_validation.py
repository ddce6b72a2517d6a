"""A new diagnostic of each kind, from a registry to the report, on an engine that only pretends to run."""

import json

import numpy as np
import pytest
from ase import Atoms

from mlip_engines import load_model
from mlip_engines.diagnostics.case import Case, quick
from mlip_engines.diagnostics.diagnostic import (
    EngineDiagnostic,
    ModelDiagnostic,
    TrajectoryDiagnostic,
)
from mlip_engines.diagnostics.registry import registered
from mlip_engines.diagnostics.result import Result, Section, Table
from mlip_engines.diagnostics.validation import validate
from mlip_engines.report.figures import panels
from mlip_engines.simulations.simulation import CONSERVATIVE
from mlip_train.potentials.charged import ChargedLennardJones
from tests.exact_models import write_model
from tests.mlip_engines.simulations.trajectories import trajectory


class ToyEngine:
    ensembles = ("nve",)

    def __init__(self, name):
        self.name, self.ran = name, []

    def run(self, simulation, atoms, folder, progress=lambda steps: None):
        self.ran.append(simulation.duration_ps)
        progress(simulation.n_steps)
        return trajectory([0.0, simulation.duration_ps], [1.0, 1.0], [0.0, 3.0])


class Gain(TrajectoryDiagnostic):
    name, title = "gain", "Gain of energy"

    def simulations(self, case, ensembles, earlier):
        assert ensembles == ("nve",)
        return {"run": case.simulation(CONSERVATIVE, 0.1)}

    def measure(self, case, trajectories):
        return Result({"gain_eV": np.ptp(trajectories["run"].conserved_eV)})

    def render(self, result):
        return Section([f"The energy grows by {result.values['gain_eV']} eV."])


class Twice(Gain):
    """Builds on the other, and shares its trajectory."""

    name, title, after = "twice", "Gain of energy, again", ("gain",)

    def simulations(self, case, ensembles, earlier):
        length = earlier["gain"].values["gain_eV"] / 10.0 if earlier else 1.0
        return {
            "run": case.simulation(CONSERVATIVE, 0.1),
            "more": case.simulation(CONSERVATIVE, length),
        }

    def measure(self, case, trajectories):
        return Result({"gain_eV": sum(np.ptp(t.conserved_eV) for t in trajectories.values())})

    def verdict(self, result, beside):
        return f"{result.values['gain_eV'] / beside['gain'].values['gain_eV']:g} times the gain."


class Name(EngineDiagnostic):
    name, title = "name", "What it is called"

    def evaluations(self, case):
        return 1.0

    def measure(self, case, engine):
        return Result({"called": engine.name})

    def render(self, result):
        return Section([result.values["called"]])


class Size(ModelDiagnostic):
    name, title = "size", "How many atoms"

    def evaluations(self, case):
        return 1.0

    def measure(self, case):
        return Result({"n": len(case.atoms)}, {"positions": case.atoms.positions})

    def render(self, result):
        figure, (axes,) = panels(1)
        axes.plot(result.arrays["positions"])
        table = Table(["atoms"], [[str(result.values["n"])]])
        return Section(tables=[table], figures=[("positions", figure)], warnings=["few atoms"])


# what builds on another may stand before it
NEW = registered([Twice(), Size(), Name(), Gain()])


@pytest.fixture
def engines(monkeypatch):
    made = {name: ToyEngine(name) for name in ("toy", "other")}
    monkeypatch.setattr(
        "mlip_engines.diagnostics.validation.make_engine", lambda name, model: made[name]
    )
    return made


def test_new_diagnostics_need_a_file_and_a_line(engines, argon_model, argon, tmp_path):
    case = Case(load_model(argon_model), argon, quick())

    def run(*names, **options):
        return validate(
            case, list(names), tmp_path / "out", progress=False, diagnostics=NEW, **options
        )

    data = run("toy")
    assert list(data["parts"]) == ["toy/twice", "size", "toy/name", "toy/gain"]
    assert data["parts"]["toy/gain"] == {"gain_eV": 3.0}
    assert data["parts"]["toy/twice"] == {"gain_eV": 6.0}
    assert data["parts"]["toy/name"] == {"called": "toy"}
    assert data["verdict"] == {"words": ["toy: 2 times the gain."], "engines": {}}
    assert {"part": "size", "words": "few atoms"} in data["warnings"]
    assert engines["toy"].ran == [0.1, 0.3]  # one trajectory for both
    assert data == json.loads((tmp_path / "out" / "report.json").read_text())
    page = (tmp_path / "out" / "report.html").read_text()
    titles = ["Gain of energy, again in toy", "How many atoms", "What it is called in toy"]
    places = [page.index(f">{title}</h2>") for title in [*titles, "Gain of energy in toy"]]
    assert places == sorted(places)
    assert [p.name for p in (tmp_path / "out" / "figures").iterdir()] == ["size-1.png"]

    # nothing is run again, and the answers of both engines are in the report
    data = run("other", only=["name"])
    assert [key for key in data["parts"] if "name" in key] == ["other/name", "toy/name"]
    assert "toy/gain" in data["parts"] and engines["other"].ran == []
    assert run("toy")["parts"] == data["parts"] and engines["toy"].ran == [0.1, 0.3]


def test_an_unknown_name_is_refused_before_anything_is_run(engines, argon_model, argon, tmp_path):
    case = Case(load_model(argon_model), argon, quick())
    with pytest.raises(ValueError, match="expected names of twice, size, name, gain, got 'nve'"):
        validate(case, ["toy"], tmp_path / "out", only=["nve"], diagnostics=NEW)
    assert engines["toy"].ran == [] and not (tmp_path / "out").exists()


def test_a_charge_that_the_model_depends_on_belongs_to_what_is_validated(tmp_path):
    network = ChargedLennardJones(4.0, curl=0.02, epsilon=0.02, sigma=1.1)
    model = load_model(write_model(tmp_path / "charged.pt", network, ["Ar"]))
    atoms = Atoms("Ar3", [[0, 0, 0], [1.3, 0.1, 0], [0.2, 1.4, 0.3]])
    options = {"only": ["jacobian_asymmetry", "symmetry", "closed_loop"], "progress": False}
    with pytest.raises(ValueError, match="depends on total_charge and spin_multiplicity"):
        validate(Case(model, atoms, quick()), [], tmp_path / "out", **options)
    atoms.info.update(total_charge=1, spin_multiplicity=2)
    data = validate(Case(model, atoms, quick()), [], tmp_path / "out", **options)
    assert data["structure"]["total_charge"] == 1.0
    assert data["parts"]["closed_loop"]["work_C_rms_meV"] < 1e-6
    assert data["parts"]["symmetry"]["energy_spread_meV_per_atom"] < 1e-9
    atoms.info.update(total_charge=0)
    with pytest.raises(ValueError, match="holds a validation with other structure"):
        validate(Case(model, atoms, quick()), [], tmp_path / "out", **options)


class Melting(ToyEngine):
    """Moves every atom by 0.1 Å, and the box by 1 %."""

    ensembles = ("langevin",)
    stopped = ""

    def run(self, simulation, atoms, folder, progress=lambda steps: None):
        assert simulation.ensemble == "langevin" and simulation.forces == CONSERVATIVE
        assert atoms.get_masses()[0] == 50.0
        cells = np.repeat(1.01 * atoms.cell.array[None], 2, axis=0)
        frames = {"frame_time_ps": np.arange(2.0), "frame_cell": cells}
        positions = np.stack([atoms.positions, atoms.positions + 0.1])
        frames |= {"positions": positions, "velocities": 0.0 * positions}
        return trajectory([0.0, 1.0], [1.0, 1.0], [0.0, 0.0], stopped=self.stopped, **frames)


@pytest.fixture
def warm_case(argon_model, argon):
    atoms = argon.copy()
    atoms.set_masses(50.0 * np.ones(len(atoms)))
    return Case(load_model(argon_model), atoms, quick(equilibrate_ps=1.0))


def test_questions_look_at_the_structure_after_equilibration(warm_case, monkeypatch, tmp_path):
    monkeypatch.setattr(
        "mlip_engines.diagnostics.validation.make_engine", lambda name, model: Melting(name)
    )
    given = warm_case.atoms.copy()
    validate(warm_case, ["toy"], tmp_path, only=["size"], progress=False, diagnostics=NEW)
    with np.load(tmp_path / "parts" / "size.npz") as arrays:
        np.testing.assert_allclose(arrays["positions"], given.positions + 0.1, atol=1e-7)
    np.testing.assert_allclose(warm_case.atoms.cell, 1.01 * given.cell, atol=1e-7)
    assert warm_case.atoms.get_masses()[0] == 50.0


def test_an_equilibration_that_stops_is_an_error(warm_case, monkeypatch, tmp_path):
    engine = Melting("toy")
    engine.stopped = "lost atoms"
    monkeypatch.setattr(
        "mlip_engines.diagnostics.validation.make_engine", lambda name, model: engine
    )
    with pytest.raises(ValueError, match="stopped: lost atoms; give a structure that this model"):
        validate(warm_case, ["toy"], tmp_path, only=["size"], progress=False, diagnostics=NEW)
    assert not (tmp_path / "start.extxyz").exists()
