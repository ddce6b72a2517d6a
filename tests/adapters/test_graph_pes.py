"""Models of graph-pes: their numbers are those of its own ASE calculator, in every engine."""

import numpy as np
import pytest
import torch

from mlip_engines import MlipCalculator, check_conformance, read_metadata
from mlip_engines.adapters import graph_pes as adapter
from mlip_engines.commands.export import main
from structures import STRUCTURES
from tests.adapters.parity import (
    NAMES,
    check_lammps,
    check_numbers,
    check_openmm,
    check_stands_alone,
)
from tests.openmm_forces.runner import forces_of, make_context

pytestmark = [
    pytest.mark.adapters,
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]
PERIODIC_AND_MOLECULES = ["triclinic", "cell_smaller_than_cutoff", "molecules"]


def build(kind):
    from graph_pes import models
    from graph_pes.utils.nn import PerElementParameter

    torch.manual_seed(0)
    equivariant = {"channels": [8, 4], "l_max": 1, "use_odd_parity": True}
    built = {
        "painn": lambda: models.PaiNN(cutoff=4.0, channels=16, layers=2),
        "schnet": lambda: models.SchNet(cutoff=4.0, channels=16, layers=3),
        "tensornet": lambda: models.TensorNet(cutoff=4.0, channels=8, layers=2),
        "three_bodies": lambda: models.StillingerWeber(),
        "sum": lambda: models.AdditionModel(
            offset=models.FixedOffset(H=-13.0, O=-400.0),
            pair=models.LennardJones(cutoff=3.0),
            many=models.PaiNN(cutoff=4.0, channels=8, layers=2),
        ),
        "nequip": lambda: models.NequIP(["H", "O"], cutoff=4.0, features=equivariant, layers=2),
        "mace": lambda: models.MACE(["H", "O"], cutoff=4.0, channels=8, layers=2),
        "offsets": lambda: models.FixedOffset(H=-13.0, O=-400.0),
    }[kind]()
    for parameter in built.parameters():
        if isinstance(parameter, PerElementParameter):
            parameter.register_elements([1, 8])
    return built


LAYERS = {"painn": 2, "schnet": 3, "tensornet": 3, "three_bodies": 1, "sum": 2}
LAYERS_FLOAT32 = {"nequip": 2, "mace": 2}  # e3nn in torch's default dtype


@pytest.fixture(scope="module")
def file_of(tmp_path_factory):
    folder, done = tmp_path_factory.mktemp("graph_pes"), {}

    def of(kind):
        if kind not in done:
            done[kind] = folder / f"{kind}.pt"
            with adapter._imported():
                torch.save(build(kind), done[kind])
        return str(done[kind])

    return of


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [
        *((kind, "float64") for kind in LAYERS),
        # not "three_bodies": silicon's forces between atoms as near as in water are 50 eV/Å
        *((kind, "float32") for kind in ("painn", "tensornet", "sum", *LAYERS_FLOAT32)),
    ],
)
def test_energies_forces_and_stress_are_those_of_graph_pes(kind, dtype, file_of):
    opened = adapter.open(file_of(kind), ["H", "O"], dtype)
    assert opened.network.message_passing_layers == {**LAYERS, **LAYERS_FLOAT32}[kind]
    for name in PERIODIC_AND_MOLECULES:
        check_numbers(opened, STRUCTURES[name](), dtype)


def test_the_contract_holds(file_of):
    """Not for all: PaiNN's energy is a cone at symmetric sites, SchNet jumps at the cutoff."""
    opened = adapter.open(file_of("tensornet"), ["H", "O"], "float64")
    check_conformance(opened.network, opened.species)


@pytest.fixture(scope="module")
def exported(file_of, tmp_path_factory):
    """A model file that the command has written, and the calculator that it is compared with."""
    path = tmp_path_factory.mktemp("exported") / "model.pt"
    source = file_of("tensornet")
    command = ["--from", "graph_pes", source, "-o", str(path), "--dtype", "float64"]
    assert main([*command, "--short-range", "none"]) == 0
    metadata = read_metadata(path)
    assert metadata.species == ["H", "O"]
    assert metadata.comparison["forces"] < 1e-6
    return path, adapter.open(source, None, "float64").reference


@pytest.mark.parametrize("processes", [1, 2, 4])
def test_lammps_gives_the_numbers_of_graph_pes(processes, exported, plugin, tmp_path):
    check_lammps(*exported, processes, tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_openmm_gives_the_numbers_of_graph_pes(name, exported):
    check_openmm(*exported, name)


def test_the_file_stands_alone(exported, tmp_path):
    check_stands_alone(*exported, ("graph_pes", "e3nn", "load_atoms"), tmp_path)


def test_forces_after_a_single_atom_are_right(exported):
    """TorchScript's optimizer takes an evaluation without edges for the only case."""
    model, calculator = exported
    found = MlipCalculator(model)
    for name in ("single_atom", "single_atom", "molecules"):
        atoms = STRUCTURES[name]()
        atoms.calc = found
        forces = atoms.get_forces()
    atoms.calc = calculator
    np.testing.assert_allclose(forces, atoms.get_forces(), atol=1e-6)


def test_openmm_forces_after_an_evaluation_without_edges_are_right(exported):
    model, calculator = exported
    atoms = STRUCTURES["molecules"]()
    apart = atoms.copy()
    apart.positions *= 40.0
    context = make_context(apart, model)
    for _ in range(3):
        context.getState(getForces=True)
    context.setPositions(0.1 * atoms.positions)  # nm
    forces = forces_of(context.getState(getForces=True))
    atoms.calc = calculator
    np.testing.assert_allclose(forces, atoms.get_forces(), atol=1e-6)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("offsets", "has offsets of the elements and nothing else"),
        ("mace", "computes in torch's default dtype, float32.*give --dtype float32"),
    ],
)
def test_what_cannot_be_taken_over_is_refused(kind, message, file_of):
    with pytest.raises(ValueError, match=message):
        adapter.open(file_of(kind), ["H", "O"], "float64")


def test_elements_that_the_model_was_not_trained_for_are_refused(file_of):
    with pytest.raises(ValueError, match="was trained for H, O, got Xe"):
        adapter.open(file_of("painn"), ["O", "Xe"], "float32")
