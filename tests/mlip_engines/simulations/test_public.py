"""What a user of the package calls: the example of its page, engines by name, folders that go on."""

import doctest
import importlib.util
from dataclasses import replace
from importlib.metadata import EntryPoint

import ase.io
import numpy as np
import pytest

import mlip_engines.simulations
from mlip_engines import MlipCalculator
from mlip_engines.simulations import (
    CONSERVATIVE,
    EngineError,
    Forces,
    Simulation,
    engine,
    engine_names,
    make_engine,
    simulate,
)
from mlip_engines.simulations.run import RECORD
from tests.mlip_engines.simulations.test_engines import NAMES, engine_of

SHORT = Simulation(Forces("respa", 2), 0.064, temperature_K=40.0, inner_step_fs=4.0)


@pytest.mark.parametrize("name", NAMES)
def test_the_example_of_the_package_runs(name, argon_model, argon, tmp_path, monkeypatch):
    engine_of(name, argon_model)
    ase.io.write(tmp_path / "argon.extxyz", argon)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    page = mlip_engines.simulations.__doc__
    source = "".join(example.source for example in doctest.DocTestParser().get_examples(page))
    for shown, tried in (
        ('"examples/water_64.extxyz"', f'r"{tmp_path / "argon.extxyz"}"'),
        ('"water"', f'r"{argon_model}"'),
        ('engine="lammps"', f"engine={name!r}"),
        ("duration_ps=1.0", "duration_ps=0.064"),
    ):
        assert shown in source
        source = source.replace(shown, tried)
    names = {}
    exec(source, names)
    run = names["trajectory"]
    assert run.stopped == "" and run.time_ps[-1] == pytest.approx(0.064)
    assert len(run.conserved_eV) == len(run.time_ps) == 9
    drift = names["conservation"](argon, [run]).drift
    assert abs(drift.value) < 1.0 and np.isfinite(drift.error)
    assert not list(tmp_path.glob("mlip-simulation-*"))  # nothing is left behind


@pytest.mark.parametrize("name", NAMES)
def test_frames_are_structures_with_the_energy_of_their_row(name, argon_model, argon):
    engine_of(name, argon_model)
    simulation = replace(SHORT, frame_every_fs=8.0, row_every_fs=8.0)
    run = simulate(argon_model, argon, simulation, engine=name)
    frames = run.structures(argon)
    assert len(frames) == len(run.frame_time_ps) == 9
    last = frames[-1]
    last.calc = MlipCalculator(argon_model)
    assert last.get_potential_energy() == pytest.approx(run.potential_eV[-1], abs=1e-5)
    assert last.get_kinetic_energy() == pytest.approx(run.kinetic_eV[-1].sum(), rel=1e-5)


@pytest.mark.lammps
def test_a_folder_goes_on_with_its_own_simulation_only(argon_model, argon, tmp_path):
    engine_of("lammps", argon_model)
    first = simulate(argon_model, argon, SHORT, folder=tmp_path / "run")
    steps = []
    again = simulate(argon_model, argon, SHORT, folder=tmp_path / "run", progress=steps.append)
    assert steps == [SHORT.n_steps]  # nothing is run again
    np.testing.assert_array_equal(again.conserved_eV, first.conserved_eV)
    with pytest.raises(ValueError, match="another simulation"):
        other = Simulation(CONSERVATIVE, 0.064)
        simulate(argon_model, argon, other, folder=tmp_path / "run")
    with pytest.raises(ValueError, match="another structure"):
        simulate(argon_model, argon.repeat((2, 1, 1)), SHORT, folder=tmp_path / "run")
    (tmp_path / "run" / RECORD).unlink()
    with pytest.raises(ValueError, match="choose another folder"):
        simulate(argon_model, argon, SHORT, folder=tmp_path / "run")


def test_engines_are_those_of_installed_packages(argon_model, monkeypatch):
    assert {"lammps", "openmm"} <= set(engine_names())

    class Gromacs:
        def __init__(self, model):
            self.model = model

    added = EntryPoint("gromacs", "a_package.engine:Gromacs", engine.GROUP)
    monkeypatch.setattr(engine, "entry_points", lambda group: [added] * (group == engine.GROUP))
    with pytest.raises(EngineError, match="gromacs .*a_package"):  # not installed, in fact
        make_engine("gromacs", argon_model)
    monkeypatch.setattr(EntryPoint, "load", lambda point: Gromacs)
    assert make_engine("gromacs", argon_model).model == argon_model
    with pytest.raises(ValueError, match="one of gromacs, got 'lammps'"):
        make_engine("lammps", argon_model)
    with pytest.raises(FileNotFoundError, match="expected a model file"):
        make_engine("gromacs", "no such model")


@pytest.mark.parametrize("name", ["lammps", "openmm"])
def test_an_engine_that_is_not_installed_says_how_to_install_it(name, argon_model, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda p, *more: None if p == name else found(p, *more)
    )
    with pytest.raises(EngineError, match=rf"pip install 'mlip-engines\[{name}\]'"):
        make_engine(name, argon_model)
