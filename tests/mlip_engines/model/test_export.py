"""Export writes a file only when the file computes what the network does."""

import dataclasses

import pytest
import torch
from torch import Tensor

from mlip_engines.model.contract import ModelContractError
from mlip_engines.model.export import export_model
from mlip_engines.model.load import load_model
from mlip_engines.model.neighbors import neighbor_graph
from mlip_train.potentials.analytic import LennardJones
from structures import STRUCTURES
from tests.mlip_engines.conftest import CURL, PARAMETERS, REFERENCE_ENERGIES, metadata_of
from tolerances import TOLERANCE


def network() -> LennardJones:
    return LennardJones(**PARAMETERS, curl=CURL).double()


def test_scale_and_baseline_enter_every_output_as_they_should(tmp_path):
    plain, scaled = tmp_path / "plain.pt", tmp_path / "scaled.pt"
    metadata = metadata_of(network(), "lj", "float64")
    export_model(network(), metadata, plain)
    export_model(network(), metadata, scaled, reference_energies=REFERENCE_ENERGIES, scale=2.5)
    atoms = STRUCTURES["triclinic"]()
    graph = neighbor_graph(atoms, PARAMETERS["cutoff"])
    one = load_model(plain).evaluate(graph, with_non_conservative=True, with_atomic_virials=True)
    other = load_model(scaled).evaluate(graph, with_non_conservative=True, with_atomic_virials=True)
    baseline = torch.tensor([REFERENCE_ENERGIES[s] for s in atoms.symbols], dtype=torch.float64)
    limit = TOLERANCE["float64"].equality
    for name, value in one.items():
        expected = 2.5 * value
        if name == "energy":
            expected = expected + baseline.sum()
        if name == "atomic_energies":
            expected = expected + baseline
        torch.testing.assert_close(other[name], expected, rtol=limit, atol=limit)


def test_outputs_are_float64_and_detached_under_no_grad(model_files):
    model = load_model(model_files["float32"])
    graph = neighbor_graph(STRUCTURES["molecule"](), PARAMETERS["cutoff"])
    expected = model.evaluate(graph, with_non_conservative=True, with_atomic_virials=True)
    with torch.no_grad():
        found = model.evaluate(graph, with_non_conservative=True, with_atomic_virials=True)
    for name, value in found.items():
        assert value.dtype == torch.float64
        assert not value.requires_grad
        # TorchScript fuses operations after its first calls, which rounds differently.
        limit = TOLERANCE["float32"].equality
        torch.testing.assert_close(value, expected[name], rtol=limit, atol=limit)


def test_a_model_without_the_head_says_so(model_files):
    model = load_model(model_files["no_head"])
    graph = neighbor_graph(STRUCTURES["molecule"](), PARAMETERS["cutoff"])
    assert "non_conservative_forces" not in model.evaluate(graph)
    for call in (
        lambda: model.evaluate(graph, with_non_conservative=True),
        lambda: model.non_conservative(graph),
    ):
        with pytest.raises(Exception, match="expected a model with a head"):
            call()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("cutoff", 3.0),
        ("message_passing_layers", 2),
        ("heads", ["energy"]),
        ("dtype", "float32"),
        ("species", ["H", "Xx"]),
    ],
)
def test_metadata_that_contradict_the_network_are_refused(field, value, tmp_path):
    metadata = dataclasses.replace(metadata_of(network(), "lj", "float64"), **{field: value})
    with pytest.raises(ModelContractError):
        export_model(network(), metadata, tmp_path / "lj.pt")
    assert list(tmp_path.iterdir()) == []


class DiffersWhenScripted(LennardJones):
    def pair_energy(self, distance: Tensor) -> Tensor:
        energy = 0.1 * distance
        if torch.jit.is_scripting():
            energy = 0.2 * distance
        return energy


def test_a_file_that_computes_something_else_is_not_written(tmp_path):
    broken = DiffersWhenScripted(**PARAMETERS).double()
    path = tmp_path / "lj.pt"
    path.write_bytes(b"the previous model")
    with pytest.raises(ModelContractError, match="differs by .* the file was not written"):
        export_model(broken, metadata_of(broken, "lj", "float64"), path)
    assert path.read_bytes() == b"the previous model"
    assert list(tmp_path.iterdir()) == [path]
