"""Reporters: the numbers in their files against numpy and against what OpenMM says."""

import csv
import warnings
from dataclasses import replace

import ase.io
import ase.units
import numpy as np
import openmm
import pytest
from openmm import app, unit

from mlip_engines import MlipCalculator
from mlip_engines.model.archive import read_metadata, replace_metadata
from openmm_forces import (
    BussiIntegrator,
    CommitteeReporter,
    ConservedQuantityReporter,
    ExtendedXYZReporter,
    HeadDisagreementReporter,
    RespaBussiIntegrator,
    RespaIntegrator,
    conserved_energy,
    create_system,
    evaluation_counts,
    from_ase,
)
from pair_oracle import pair_sums
from tests.openmm_forces.argon import ARGON, argon, both_forces, velocities
from tests.openmm_forces.conftest import BASELINE
from tests.openmm_forces.runner import (
    EV,
    make_context,
    positions_of,
    total_energy_of,
    velocities_of,
)
from tolerances import TOLERANCE

LIMIT = TOLERANCE["float64"]


def simulate(model, integrator, host="auto", forces="conservative", extra_forces=()):
    structure = from_ase(argon())
    system = create_system(
        structure.topology, model, host=host, forces=forces, remove_cm_motion=False
    )
    for force in extra_forces:
        system.addForce(force)
    simulation = app.Simulation(structure.topology, system, integrator)
    simulation.context.setPositions(structure.positions)
    simulation.context.setVelocities(velocities(32) / 10.0)
    return simulation


def rows_of(path) -> list[dict[str, float]]:
    with path.open() as file:
        return [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]


def test_disagreement_is_that_of_the_present_positions(models, host, tmp_path):
    simulation = simulate(models["argon"], RespaIntegrator(0.008, 4), host)
    simulation.reporters.append(HeadDisagreementReporter(tmp_path / "heads.csv", 3))
    simulation.step(9)
    rows = rows_of(tmp_path / "heads.csv")
    assert [row["step"] for row in rows] == [3, 6, 9]
    assert [row["time_ps"] for row in rows] == pytest.approx([0.024, 0.048, 0.072])
    conservative, direct = both_forces(positions_of(simulation.context))
    norms = np.linalg.norm(conservative - direct, axis=1)
    assert rows[-1]["rms_eV_per_A"] == pytest.approx(np.sqrt((norms**2).mean()), abs=1e-7)
    assert rows[-1]["max_eV_per_A"] == pytest.approx(norms.max(), abs=1e-7)
    # Nothing more than r-RESPA itself, and the first step's one more.
    assert (rows[-1]["non_conservative_evaluations"], rows[-1]["full_evaluations"]) == (27, 10)


def test_a_disagreement_beyond_that_of_the_model_file_is_said_once(models, tmp_path):
    path = tmp_path / "told.pt"
    path.write_bytes(models["argon"].read_bytes())
    with pytest.raises(ValueError, match="does not say how far"):
        HeadDisagreementReporter(tmp_path / "heads.csv", 1, warn=path)
    conservative, direct = both_forces(
        positions_of(simulate(path, RespaIntegrator(0.008, 4)).context)
    )
    largest = float(np.linalg.norm(conservative - direct, axis=1).max())
    for told, warns in ((largest / 2.0, True), (100.0 * largest, False)):
        replace_metadata(path, replace(read_metadata(path), errors={"max_c_minus_nc": told}))
        simulation = simulate(path, RespaIntegrator(0.008, 4))
        reporter = HeadDisagreementReporter(tmp_path / "heads.csv", 1, warn=path)
        assert reporter.limit == pytest.approx(1.5 * told)
        simulation.reporters.append(reporter)
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            simulation.step(3)
        assert [f"more than {1.5 * told:.4g}" in str(w.message) for w in said] == [True] * warns
    with pytest.raises(ValueError, match="positive number"):
        HeadDisagreementReporter(tmp_path / "heads.csv", 1, warn=-1.0)


@pytest.mark.parametrize("forces, counts", [("conservative", (0, 6)), ("non_conservative", (5, 1))])
def test_disagreement_under_other_integrators_costs_the_missing_forces(
    models, tmp_path, forces, counts
):
    simulation = simulate(models["argon"], openmm.VerletIntegrator(0.002), forces=forces)
    simulation.reporters.append(HeadDisagreementReporter(tmp_path / "heads.csv", 5))
    simulation.step(5)
    (row,) = rows_of(tmp_path / "heads.csv")
    conservative, direct = both_forces(positions_of(simulation.context))
    norms = np.linalg.norm(conservative - direct, axis=1)
    assert row["max_eV_per_A"] == pytest.approx(norms.max(), abs=1e-7)
    simulation.step(1)
    assert evaluation_counts(simulation.context)[:2] == counts


@pytest.mark.parametrize("forces", ["conservative", "non_conservative"])
def test_conserved_quantity_is_potential_and_kinetic_less_heat(models, host, tmp_path, forces):
    integrator = (
        RespaBussiIntegrator(120, 0.05, 0.016, 4)
        if forces == "conservative"
        else BussiIntegrator(120, 0.05, 0.004)
    )
    integrator.setRandomNumberSeed(2)
    simulation = simulate(models["argon"], integrator, host, forces)
    simulation.reporters.append(ConservedQuantityReporter(tmp_path / "energy.csv", 5))
    simulation.step(20)
    row = rows_of(tmp_path / "energy.csv")[-1]
    atoms = argon()
    atoms.positions = positions_of(simulation.context)
    potential = pair_sums(atoms, **ARGON)[0] + 32 * BASELINE["Ar"]
    masses = [simulation.system.getParticleMass(k)._value for k in range(32)]
    v = velocities_of(simulation.context) / 10.0
    kinetic = 0.5 * float(masses @ (v**2).sum(axis=1)) / EV
    assert row["potential_eV"] == pytest.approx(potential, abs=LIMIT.energy)
    assert row["kinetic_eV"] == pytest.approx(kinetic, abs=1e-7)
    assert row["heat_eV"] == pytest.approx(integrator.getHeat()._value / EV, abs=1e-7)
    assert row["conserved_eV"] == pytest.approx(
        potential + kinetic - row["heat_eV"], abs=LIMIT.energy
    )


@pytest.mark.parametrize(
    "make",
    [
        lambda: openmm.NoseHooverIntegrator(120, 20 / unit.picosecond, 0.002),
        lambda: openmm.VerletIntegrator(0.002),
        lambda: RespaIntegrator(0.008, 4),
    ],
    ids=["nose_hoover", "verlet", "respa"],
)
def test_conserved_quantity_of_other_integrators(models, any_host, make):
    integrator = make()
    context = make_context(
        argon(), models["argon"], integrator, velocities=velocities(32), host=any_host
    )
    total, conserved = [], []
    for _ in range(10):
        integrator.step(5)
        total.append(total_energy_of(context))
        conserved.append(conserved_energy(context, integrator).conserved)
    assert np.ptp(conserved) < 2e-3
    if isinstance(integrator, openmm.NoseHooverIntegrator):
        assert np.ptp(total) > 20 * np.ptp(conserved)


@pytest.mark.parametrize(
    "make, forces, message",
    [
        (lambda: openmm.LangevinMiddleIntegrator(60, 1, 0.002), (), "got LangevinMiddleIntegrator"),
        (
            lambda: openmm.MTSLangevinIntegrator(
                60 * unit.kelvin, 1 / unit.picosecond, 2 * unit.femtosecond, [(0, 1)]
            ),
            (),
            "got MTSLangevinIntegrator",
        ),
        (
            lambda: RespaIntegrator(0.008, 4),
            (openmm.MonteCarloBarostat(1, 60),),
            "MonteCarloBarostat",
        ),
        (
            lambda: RespaIntegrator(0.008, 4),
            (openmm.AndersenThermostat(60, 1),),
            "AndersenThermostat",
        ),
    ],
)
def test_quantities_that_are_not_conserved_are_refused(models, tmp_path, make, forces, message):
    simulation = simulate(models["argon"], make(), extra_forces=forces)
    simulation.reporters.append(ConservedQuantityReporter(tmp_path / "energy.csv", 1))
    with pytest.raises(ValueError, match=message):
        simulation.step(1)


def test_frames_are_read_by_ase(models, host, tmp_path):
    """Positions, cell, momenta, energy and forces of the last frame."""
    simulation = simulate(models["argon"], RespaIntegrator(0.008, 4), host)
    path = tmp_path / "frames.extxyz"
    simulation.reporters.append(ExtendedXYZReporter(path, 2))
    simulation.step(4)
    frames = ase.io.read(path, ":")
    assert [frame.info["step"] for frame in frames] == [2, 4]
    last = frames[-1]
    energy, forces, _ = pair_sums(last, **ARGON)
    assert last.get_potential_energy() == pytest.approx(energy + 32 * BASELINE["Ar"], abs=1e-5)
    # Written with eight decimals.
    np.testing.assert_allclose(last.get_forces(), forces, rtol=0, atol=LIMIT.force)
    np.testing.assert_allclose(last.positions, positions_of(simulation.context), rtol=0, atol=1e-7)
    np.testing.assert_allclose(last.cell.array, argon().cell.array, rtol=1e-7)
    kinetic = simulation.context.getState(getEnergy=True).getKineticEnergy()._value / EV
    assert last.get_kinetic_energy() == pytest.approx(kinetic, rel=1e-5)


def test_a_resumed_run_has_every_step_once(models, tmp_path):
    """Killed between a checkpoint and the next, in the middle of a line and of a frame."""
    table, frames = tmp_path / "heads.csv", tmp_path / "frames.extxyz"

    def add_reporters(simulation, append):
        simulation.reporters.append(HeadDisagreementReporter(table, 1, append=append))
        simulation.reporters.append(ExtendedXYZReporter(frames, 1, append=append))

    simulation = simulate(models["argon"], RespaIntegrator(0.008, 4))
    add_reporters(simulation, append=True)  # there is nothing to go on with: as if it were new
    simulation.step(2)
    simulation.saveCheckpoint(str(tmp_path / "run.chk"))
    simulation.step(2)
    uncut = rows_of(table)
    table.write_text(table.read_text()[:-9])
    frames.write_text(frames.read_text()[:-200])

    resumed = simulate(models["argon"], RespaIntegrator(0.008, 4))
    resumed.loadCheckpoint(str(tmp_path / "run.chk"))
    add_reporters(resumed, append=True)
    resumed.step(3)
    rows = rows_of(table)
    assert [row["step"] for row in rows] == [1, 2, 3, 4, 5]
    for row, before in zip(rows, uncut, strict=False):
        assert row["rms_eV_per_A"] == pytest.approx(before["rms_eV_per_A"], abs=1e-8)
    assert [frame.info["step"] for frame in ase.io.read(frames, ":")] == [1, 2, 3, 4, 5]


def test_another_table_is_not_continued(models, tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("a,b\n1,2\n")
    simulation = simulate(models["argon"], RespaIntegrator(0.008, 4))
    simulation.reporters.append(HeadDisagreementReporter(path, 1, append=True))
    with pytest.raises(
        ValueError, match="expected a file with the columns step, .* got a,b; write"
    ):
        simulation.step(1)
    assert path.read_text() == "a,b\n1,2\n"


def test_disagreement_of_a_model_without_the_head(models, tmp_path):
    simulation = simulate(models["no_head"], openmm.VerletIntegrator(0.002))
    simulation.reporters.append(HeadDisagreementReporter(tmp_path / "heads.csv", 1))
    with pytest.raises(openmm.OpenMMException, match="expected a model with a head"):
        simulation.step(1)


@pytest.mark.parametrize("interval", [0, -1, 1.5, True])
@pytest.mark.parametrize("reporter", [HeadDisagreementReporter, ExtendedXYZReporter])
def test_intervals_that_make_no_sense(tmp_path, reporter, interval):
    with pytest.raises(ValueError, match="an interval of at least 1 step, got"):
        reporter(tmp_path / "file", interval)


def test_committee_reporter_writes_the_deviation_of_its_models(models, any_host, tmp_path):
    """Also under r-RESPA; numbers from forces of each model in ASE."""
    names = [models["argon"], models["harmonic"]]
    simulation = simulate(names[0], RespaIntegrator(0.008, 4), any_host)
    simulation.reporters.append(CommitteeReporter(tmp_path / "committee.csv", 2, names))
    simulation.step(4)
    rows = rows_of(tmp_path / "committee.csv")
    assert [row["step"] for row in rows] == [2, 4]

    atoms = argon()
    state = simulation.context.getState(positions=True)
    atoms.positions = state.getPositions(asNumpy=True).value_in_unit(unit.angstrom)
    found = []
    for name in names:
        atoms.calc = MlipCalculator(name)
        found.append((atoms.get_forces(), atoms.get_potential_energy(), atoms.get_stress(False)))
    half = [0.5 * (one - other) for one, other in zip(*found, strict=True)]
    deviations = np.linalg.norm(half[0], axis=1)  # of two models: half their difference
    expected = [deviations.max(), deviations.min(), deviations.mean()]
    last = list(rows[-1].values())[2:]
    np.testing.assert_allclose(last[:3], expected, atol=LIMIT.force)
    virial = np.abs(half[2]) * atoms.get_volume() / len(atoms)
    expected = [virial.max(), virial.min(), np.sqrt(np.mean(virial**2))]
    np.testing.assert_allclose(last[3:6], expected, atol=LIMIT.virial)
    assert last[6] == pytest.approx(abs(half[1]) / len(atoms), abs=LIMIT.energy_per_atom)


def test_committee_reporter_refuses_atoms_that_are_not_there(models, any_host, tmp_path):
    names = [models["argon"], models["harmonic"]]
    simulation = simulate(names[0], RespaIntegrator(0.008, 4), any_host)
    reporter = CommitteeReporter(tmp_path / "committee.csv", 1, names, atoms=[0, 32])
    simulation.reporters.append(reporter)
    with pytest.raises(ValueError, match="0 to 31, got 32"):
        simulation.step(1)
