"""All questions about trajectories, from made-up ones whose answers are known; the engine only pretends to run."""

import numpy as np
import pytest
from ase import Atoms

from mlip_engines import load_model
from mlip_engines.diagnostics.case import Case, Settings
from mlip_engines.diagnostics.registry import DIAGNOSTICS
from mlip_engines.diagnostics.validation import validate
from mlip_engines.simulations.simulation import ENSEMBLES
from mlip_engines.units import BOLTZMANN_EV_PER_KELVIN
from tests.mlip_engines.simulations.trajectories import trajectory

KELVIN = 40.0
HOTTER = {"C": 0.0, "NC": 6.0, "M3": 1.0, "M8": 2.0}  # K above the bath
FREQUENCY = 5.0  # THz
EDGE = 10.6  # Å, of the box of argon
ENGINE_QUESTIONS = (
    "stride nve cost nvt configurational_temperature npt structure dynamics physicality".split()
)


class Oscillators:
    """A crystal whose atoms vibrate at one frequency; the energy drifts by 0.02 M^2 meV/atom/ps."""

    name = "toy"
    ensembles = ENSEMBLES

    def run(self, simulation, atoms, folder, progress=lambda steps: None):
        forces, rng = simulation.forces, np.random.default_rng(simulation.seed)
        time = np.linspace(0.0, simulation.duration_ps, 101)
        drift = 50.0 if forces.file_name == "NC" else 0.02 * forces.inner_steps**2
        bath = simulation.temperature_K + HOTTER.get(forces.file_name, 0.0)
        freedom = 3 * len(atoms) - 3 * (simulation.ensemble not in ("langevin", "gle"))
        kinetic = freedom * BOLTZMANN_EV_PER_KELVIN * bath / 2.0 * np.ones(len(time))
        frames = {}
        if simulation.frame_every_fs:
            phase = rng.uniform(0.0, 2 * np.pi, (1, len(atoms), 3))
            amplitude = 0.1 * rng.normal(size=(1, len(atoms), 3))
            angle = 2 * np.pi * FREQUENCY * time[:, None, None] + phase
            frames = {
                "frame_time_ps": time,
                "positions": atoms.positions + amplitude * np.sin(angle),
                "velocities": 2 * np.pi * FREQUENCY * amplitude * np.cos(angle),
                "frame_cell": np.repeat(atoms.cell.array[None], len(time), axis=0),
            }
        cells = np.repeat(atoms.cell.array[None], len(time), axis=0)
        energy = len(atoms) * drift * time / 1000.0
        return trajectory(time, kinetic, energy, cell=cells, **frames)

    def time_steps(self, choices, atoms, inner_step_fs, inner_steps, turns):
        """The head takes 10 ms, everything 30 ms."""
        price = {"C": 30.0, "NC": 10.0}
        return {
            f.file_name: [
                price.get(f.file_name, (30.0 + 10.0 * (f.inner_steps - 1)) / f.inner_steps)
            ]
            * turns
            for f in choices
        }


@pytest.fixture(scope="module")
def answered(argon_model, argon, tmp_path_factory):
    """The report, and the folder it is in."""
    folder = tmp_path_factory.mktemp("validation")
    settings = Settings(
        quick=False,
        temperature_K=KELVIN,
        inner_step_fs=1.0,
        nve_ps=4.0,
        nvt_ps=4.0,
        npt_ps=4.0,
        equilibrate_ps=0.0,
        strides=(2, 3, 4, 8),
    )
    patch = pytest.MonkeyPatch()
    patch.setattr(
        "mlip_engines.diagnostics.validation.make_engine", lambda name, model: Oscillators()
    )
    case = Case(load_model(argon_model), argon, settings)
    data = validate(case, ["toy"], folder, only=ENGINE_QUESTIONS, progress=False)
    patch.undo()
    return data, folder


def test_all_parts_are_shown(answered):
    data, folder = answered
    expected = [f"toy/{name}" for name in DIAGNOSTICS if name in ENGINE_QUESTIONS]
    assert list(data["parts"]) == expected
    assert not [w for w in data["warnings"] if "cannot be shown" in w["words"]]
    page = (folder / "report.html").read_text()
    for key in expected:
        assert f'<h2 id="{key}">{DIAGNOSTICS[key[4:]].title} in toy</h2>' in page
    drawn = {p.name for p in (folder / "figures").iterdir()}
    assert {f"toy-{n}-1.png" for n in ENGINE_QUESTIONS if n != "physicality"} <= drawn
    assert "toy-nve-2.png" in drawn  # the run whose energy is forced


def test_the_stride_is_the_largest_below_the_limit(answered):
    data, _ = answered
    assert data["parts"]["toy/stride"]["largest_inner_steps"] == 3  # 0.18 below, 0.32 above 0.3
    found = data["verdict"]["engines"]["toy"]
    assert found["drift_meV_per_atom_per_ps"] == pytest.approx(0.18)
    assert found["speed_up_over_C"] == pytest.approx(30.0 / (50.0 / 3.0))
    assert data["verdict"]["words"][0].startswith(
        "toy: use r-RESPA with M = 3 (inner step 1 fs, outer step 3 fs). The energy drifts by +0.180"
    )
    assert "1.80 times as fast as C at the inner step" in data["verdict"]["words"][0]


def test_the_fair_gain_is_over_c_at_its_own_best_step(answered):
    """C takes 30 ms whatever its step, so 3 fs is its best; r-RESPA's is M = 3 over 1.5 fs, in 50 ms."""
    data, folder = answered
    found = data["verdict"]["engines"]["toy"]["fair"]
    assert found["C"]["inner_step_fs"] == 3.0
    assert found["C"]["seconds_per_ps"] == pytest.approx(10.0)
    assert (found["respa"]["inner_steps"], found["respa"]["inner_step_fs"]) == (3, 1.5)
    assert found["respa"]["ns_per_day"] == pytest.approx(86.4 * 4.5 / 50.0)
    assert found["gain"] == pytest.approx(0.9)
    assert "0.90 times as fast" in data["verdict"]["words"][0]
    assert "C may hold at longer steps" in data["verdict"]["words"][0]
    assert "1.5 fs x 3" in (folder / "report.html").read_text()


def test_drifts_and_costs_are_those_that_were_put_in(answered):
    parts = answered[0]["parts"]
    modes = parts["toy/nve"]["modes"]
    for name, drift in {"C": 0.02, "NC": 50.0, "M4": 0.32, "M8": 1.28}.items():
        assert modes[name]["drift_meV_per_atom_per_ps"] == pytest.approx(drift)
    for mode in parts["toy/cost"]["modes"].values():
        assert mode["relative_to_NC"] == pytest.approx(mode["shared_theory"])


def test_temperatures_are_above_the_bath_as_they_should_be(answered):
    """Strides 3, which was found, and 8, which the literature has, under every thermostat."""
    runs = answered[0]["parts"]["toy/nvt"]["runs"]
    assert {r["forces"] for r in runs} == set(HOTTER) and len(runs) == 5 * 4
    for r in runs:
        assert r["excess_K"]["all"] == pytest.approx(HOTTER[r["forces"]], abs=1e-6)


def test_configurational_temperatures_are_those_of_the_positions(answered):
    """The same positions whatever the forces, with amplitudes that belong to a bath far warmer than this one."""
    runs = answered[0]["parts"]["toy/configurational_temperature"]["runs"]
    assert [r["forces"] for r in runs] == ["C", "NC", "M3", "M8"]
    for r in runs:
        assert r["excess_K"]["Ar"] == pytest.approx(runs[0]["excess_K"]["Ar"], abs=1e-9)
        assert r["excess_K"]["Ar"] == r["excess_K"]["all"]


def test_edge_and_density_are_those_of_the_box(answered):
    runs = answered[0]["parts"]["toy/npt"]["runs"]
    # argon has no head for stress, so NC has no barostat
    assert {(r["ensemble"], r["forces"]) for r in runs} == {
        (e, f) for e in ("nph", "npt") for f in ("C", "M3", "M8")
    }
    mass = Atoms("Ar32").get_masses().sum() * 1.66053907e-24  # g
    for r in runs:
        assert r["edge_angstrom"] == pytest.approx(EDGE)
        assert r["density_g_per_cm3"] == pytest.approx(mass / (EDGE * 1e-8) ** 3, rel=1e-6)
        drift = 0.02 * int(r["forces"].removeprefix("M") if r["forces"] != "C" else 1) ** 2
        assert r["conserved_drift_meV_per_atom_per_ps"] == pytest.approx(drift)
        assert r["enthalpy_drift_meV_per_atom_per_ps"] == pytest.approx(0.0, abs=1e-9)


def test_structure_and_dynamics_do_not_differ(answered):
    """The same vibrations whatever the forces: exactly no difference to C, a line in the spectrum, no diffusion."""
    data, folder = answered
    for by_forces in data["parts"]["toy/structure"]["largest_difference_to_C"].values():
        for found in by_forces.values():
            assert found["difference"] == pytest.approx(0.0, abs=1e-9)
    with np.load(folder / "parts/toy-dynamics.npz") as arrays:
        x, density = arrays["wavenumber_per_cm"], arrays["c_vv_C"]
    assert x[np.argmax(density)] == pytest.approx(FREQUENCY * 33.3564, abs=2 * x[1])
    for by_element in data["parts"]["toy/dynamics"]["diffusion"].values():
        assert abs(by_element["Ar"]["D_1e-5_cm2_per_s"]) < 0.05


def test_a_crystal_that_vibrates_is_physical(answered):
    part = answered[0]["parts"]["toy/physicality"]
    assert part["molecular"] is False
    assert {r["temperature_K"] for r in part["runs"]} == {40.0, 60.0, 80.0}
    assert not any(r["unphysical"] for r in part["runs"])
