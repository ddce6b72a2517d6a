"""Models that depend on the total charge and the spin of a structure: an exact one through contract, file and ASE."""

import numpy as np
import pytest
import torch
from ase import Atoms

from mlip_engines import MlipCalculator, check_conformance, load_model
from mlip_engines.labels.labelling import label, write_labelled
from mlip_engines.labels.reading import read_checked
from mlip_engines.model.graph import batch_graphs
from mlip_engines.model.neighbors import neighbor_graph
from mlip_engines.model.structure_inputs import checked_structure_inputs
from mlip_engines.properties.errors import evaluate_model
from mlip_train.potentials.charged import ChargedLennardJones
from pair_oracle import pair_sums
from structures import STRUCTURES
from tests.exact_models import write_model
from tests.mlip_engines.conftest import PARAMETERS, write_lennard_jones
from tolerances import TOLERANCE

CURL = 0.03
SLOPE, SPIN = 0.3, 0.01
LIMIT = TOLERANCE["float64"]
ASKED = ["total_charge", "spin_multiplicity"]


@pytest.fixture(scope="module")
def charged(tmp_path_factory):
    network = ChargedLennardJones(
        PARAMETERS["cutoff"], SLOPE, SPIN, PARAMETERS["epsilon"], PARAMETERS["sigma"], CURL
    )
    return write_model(tmp_path_factory.mktemp("charged") / "charged.pt", network, ["H", "O"])


def exact(atoms: Atoms, charge: float, multiplicity: int):
    """Energy, forces and head in closed form."""
    energy, forces, head = pair_sums(atoms, curl=CURL, **PARAMETERS)
    factor = 1.0 + SLOPE * charge
    energy = factor * energy + SPIN * (multiplicity - 1) * len(atoms)
    return energy, factor * forces, factor * head


def test_a_network_that_depends_on_charge_and_spin_keeps_the_contract():
    passed = check_conformance(ChargedLennardJones(4.0, curl=0.1), ["H", "O"])
    assert "batch equals single" in passed  # each structure of it with a charge of its own


def test_the_file_says_so_and_keeps_the_contract(charged):
    model = load_model(charged)
    assert model.metadata.structure_inputs == ASKED
    assert model.metadata.contract_version == 2
    check_conformance(model)


@pytest.mark.parametrize("name", ["molecule", "triclinic", "single_atom"])
@pytest.mark.parametrize(("charge", "multiplicity"), [(0, 1), (-1, 2), (2.5, 3)])
def test_the_calculator_gives_the_closed_form(name, charge, multiplicity, charged):
    atoms = STRUCTURES[name]()
    atoms.calc = MlipCalculator(charged, total_charge=charge, spin_multiplicity=multiplicity)
    energy, forces, head = exact(atoms, charge, multiplicity)
    assert atoms.get_potential_energy() == pytest.approx(energy, abs=LIMIT.energy)
    np.testing.assert_allclose(atoms.get_forces(), forces, atol=LIMIT.force)
    found = atoms.calc.get_property("non_conservative_forces", atoms)
    np.testing.assert_allclose(found, head - head.mean(axis=0), atol=LIMIT.force)


def test_charge_and_spin_of_the_structure_count_and_may_change(charged):
    atoms = STRUCTURES["molecule"]()
    atoms.calc = MlipCalculator(charged)
    for charge_key, spin_key, charge, multiplicity in (
        ("charge", "spin", 1, 2),
        ("charge", "spin", -1, 2),
        ("total_charge", "spin_multiplicity", 2, 1),  # these names come first
    ):
        atoms.info.update({charge_key: charge, spin_key: multiplicity})
        expected = exact(atoms, charge, multiplicity)[0]
        assert atoms.get_potential_energy() == pytest.approx(expected, abs=LIMIT.energy)
    atoms.calc = MlipCalculator(charged, total_charge=0)  # that of the calculator comes first
    expected = exact(atoms, 0, 1)[0]
    assert atoms.get_potential_energy() == pytest.approx(expected, abs=LIMIT.energy)


def test_structures_of_a_batch_have_charges_of_their_own(charged):
    names, charges, multiplicities = ["molecule", "triclinic", "single_atom"], [-1, 0, 2], [2, 1, 3]
    structures = [STRUCTURES[name]() for name in names]
    for atoms, charge, multiplicity in zip(structures, charges, multiplicities, strict=True):
        atoms.info.update(charge=charge, spin=multiplicity)
    graphs = [neighbor_graph(atoms, PARAMETERS["cutoff"], ASKED) for atoms in structures]
    batch, index = batch_graphs(graphs)
    energies = load_model(charged).evaluate(batch)["atomic_energies"]
    total = torch.zeros(3, dtype=torch.float64).index_add(0, index, energies)
    expected = [exact(*one)[0] for one in zip(structures, charges, multiplicities, strict=True)]
    np.testing.assert_allclose(total.numpy(), expected, atol=LIMIT.energy)


def test_graphs_with_and_without_a_charge_are_not_batched():
    atoms = STRUCTURES["molecule"]()
    without = neighbor_graph(atoms, 3.0)
    with_charge = without._replace(total_charge=torch.tensor(1.0))
    with pytest.raises(ValueError, match="expected total_charge of all 2 graphs or of none"):
        batch_graphs([without, with_charge])


def test_what_is_missing_is_named(charged):
    atoms = STRUCTURES["molecule"]()
    atoms.calc = MlipCalculator(charged, total_charge=1)
    with pytest.raises(ValueError, match="depends on spin_multiplicity .* give spin_multiplicity="):
        atoms.get_potential_energy()
    with pytest.raises(ValueError, match="atoms.info: .* total_charge and spin_multiplicity"):
        neighbor_graph(atoms, 3.0, ASKED)
    graph = neighbor_graph(atoms, PARAMETERS["cutoff"])
    with pytest.raises(Exception, match="expected total_charge, which this model depends on"):
        load_model(charged).evaluate(graph)


def test_what_a_model_does_not_depend_on_is_refused(tmp_path):
    path = write_lennard_jones(tmp_path / "plain.pt", "float64")
    with pytest.raises(ValueError, match="got total_charge, which this model does not depend on"):
        MlipCalculator(path, total_charge=1)
    graph = neighbor_graph(STRUCTURES["molecule"](), PARAMETERS["cutoff"])
    with pytest.raises(Exception, match="expected no total_charge, which this model"):
        load_model(path).evaluate(graph._replace(total_charge=torch.tensor(1.0)))
    atoms = STRUCTURES["molecule"]()
    atoms.info["charge"] = 1  # of use to others: no reason to refuse
    atoms.calc = MlipCalculator(path)
    atoms.get_potential_energy()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"total_charge": float("nan"), "spin_multiplicity": 1}, "total_charge must be finite"),
        ({"total_charge": 0, "spin_multiplicity": 0}, "a whole number of at least 1, got 0"),
        ({"total_charge": 0, "spin_multiplicity": 1.5}, "a whole number of at least 1, got 1.5"),
        ({"total_charge": None, "spin_multiplicity": 1}, "depends on total_charge of the struct"),
    ],
)
def test_values_that_cannot_be_right_are_refused(given, message):
    with pytest.raises(ValueError, match=message):
        checked_structure_inputs(ASKED, given, "model.pt")


def test_labels_and_errors_are_of_the_charge_of_each_structure(charged, tmp_path):
    model = load_model(charged)
    frames = [STRUCTURES[name]() for name in ("molecule", "triclinic")]
    for atoms, charge, multiplicity in zip(frames, (1.0, -2.0), (1, 3), strict=True):
        atoms.info = {"charge": charge, "spin": multiplicity, "other": "is left out"}
    labelled = list(label(model, frames))
    for atoms, charge, multiplicity in zip(labelled, (1.0, -2.0), (1, 3), strict=True):
        energy, forces, _ = exact(atoms, charge, multiplicity)
        assert atoms.get_potential_energy() == pytest.approx(energy, abs=LIMIT.energy)
        np.testing.assert_allclose(atoms.get_forces(), forces, atol=LIMIT.force)
    write_labelled(tmp_path / "labelled.extxyz", labelled, len(labelled))
    read_back, _ = read_checked(tmp_path / "labelled.extxyz")
    assert "other" not in read_back[0].info
    errors = evaluate_model(model, read_back)
    assert errors.energy_mae == pytest.approx(0.0, abs=1e-7)  # digits of the file: 1e-8
    assert errors.conservative_mae == pytest.approx(0.0, abs=1e-7)
    del labelled[1].info["total_charge"]
    with pytest.raises(ValueError, match="total_charge"):
        evaluate_model(model, labelled)
