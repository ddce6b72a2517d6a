"""Properties of the structure in OpenMM against the trained network itself."""

import openmm
import pytest
from openmm import app, unit

from mlip_engines import load_model
from mlip_train.property.prediction import predict_properties
from openmm_forces import PropertyReporter, create_system, from_ase, structure_properties
from structures import triclinic
from tests.property_models import write_property_model
from tolerances import TOLERANCE


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return write_property_model(tmp_path_factory.mktemp("model"), "painn", "attention")


def rows_of(path):
    header, *lines = path.read_text().splitlines()
    return [
        dict(zip(header.split(","), map(float, line.split(",")), strict=True)) for line in lines
    ]


def test_a_simulation_tells_properties_of_its_positions(trained, tmp_path):
    path, network = trained
    atoms = triclinic()
    structure = from_ase(atoms)
    system = create_system(structure.topology, path)
    simulation = app.Simulation(structure.topology, system, openmm.VerletIntegrator(0.0002))
    simulation.context.setPositions(structure.positions)
    model = load_model(path)
    before = structure_properties(simulation.context, structure.topology, model)
    expected = predict_properties(network, [atoms], [1, 8])[0][0].tolist()
    assert before == pytest.approx(
        dict(zip(["gap", "polarizability"], expected, strict=True)), abs=TOLERANCE["float64"].energy
    )

    simulation.reporters.append(PropertyReporter(tmp_path / "gap.csv", 2, model))
    simulation.step(4)
    rows = rows_of(tmp_path / "gap.csv")
    assert [row["step"] for row in rows] == [2, 4]
    state = simulation.context.getState(positions=True)
    atoms.positions = state.getPositions(asNumpy=True).value_in_unit(unit.angstrom)
    atoms.cell = state.getPeriodicBoxVectors(asNumpy=True).value_in_unit(unit.angstrom)
    expected = predict_properties(network, [atoms], [1, 8])[0][0].tolist()
    limit = TOLERANCE["float64"].energy
    assert [rows[-1]["gap"], rows[-1]["polarizability"]] == pytest.approx(expected, abs=limit)
    assert abs(rows[-1]["gap"] - before["gap"]) > limit  # the atoms have moved


def test_a_model_without_properties_is_refused(tmp_path):
    with pytest.raises(ValueError, match="one with an energy alone"):
        PropertyReporter(tmp_path / "gap.csv", 2, "water")
    assert not (tmp_path / "gap.csv").exists()
