"""Export writes a file only when the file computes what the network does."""

import dataclasses
import math
import zipfile
from pathlib import Path

import pytest
import torch
from ase.data import chemical_symbols
from torch import Tensor

import mlip_engines
from mlip_engines import MlipCalculator
from mlip_engines.model.contract import ModelContractError
from mlip_engines.model.export import _probe_graph, export_model
from mlip_engines.model.extensions import used_extensions
from mlip_engines.model.graph import Graph
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


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"scale": 0.0}, "scale must be finite and not 0, got 0.0"),
        ({"scale": math.nan}, "scale must be finite and not 0, got nan"),
        ({"reference_energies": {"H": math.inf}}, "energy of H must be finite, got inf"),
        ({"reference_energies": {"1": -13.6}}, "by chemical symbol, got 1"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(options, words, tmp_path):
    with pytest.raises(ModelContractError, match=words):
        export_model(
            network(), metadata_of(network(), "lj", "float64"), tmp_path / "lj.pt", **options
        )
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


@pytest.mark.parametrize("n_species", [26, 90])
def test_many_species_are_compared_on_distinct_atoms(n_species, tmp_path):
    """More than 25 atoms: torch.cdist would go through matrix products, and see some of them at themselves."""
    species = chemical_symbols[1 : n_species + 1]
    metadata = dataclasses.replace(metadata_of(network(), "lj", "float64"), species=species)
    written = export_model(network(), metadata, tmp_path / "lj.pt")
    graph = _probe_graph(written)
    assert graph.n_atoms == n_species
    assert float(graph.edge_vectors.norm(dim=1).min()) > 0.2 * PARAMETERS["cutoff"]
    assert torch.equal(graph.edge_vectors[graph.reverse_edge], -graph.edge_vectors)
    assert set(graph.atomic_numbers.tolist()) == set(range(1, n_species + 1))


class WithDipoles(LennardJones):
    """Has a head that no engine knows: the sum of the vectors to the neighbours."""

    def __init__(self):
        super().__init__(**PARAMETERS)
        self.heads = [*self.heads, "dipoles"]

    def forward(self, graph: Graph, with_non_conservative: bool) -> dict[str, Tensor]:
        distance = torch.linalg.vector_norm(graph.edge_vectors, dim=1)  # (E,)
        zero = torch.zeros(graph.owned.size(0), dtype=distance.dtype)
        output = {
            "atomic_energies": zero.index_add(
                0, graph.edge_index[0], 0.5 * self.cut_pair_energy(distance)
            ),
            "dipoles": torch.zeros((graph.owned.size(0), 3), dtype=distance.dtype).index_add(
                0, graph.edge_index[0], graph.edge_vectors
            ),
        }
        if with_non_conservative:
            output["non_conservative_forces"] = self.pair_head(graph)
        return output


def test_other_heads_are_passed_on_and_engines_use_those_they_know(tmp_path):
    network = WithDipoles().double()
    written = export_model(network, metadata_of(network, "lj", "float64"), tmp_path / "lj.pt")
    assert written.contract_version == 2
    atoms = STRUCTURES["molecule"]()
    graph = neighbor_graph(atoms, PARAMETERS["cutoff"])
    model = load_model(tmp_path / "lj.pt")
    expected = torch.zeros((len(atoms), 3), dtype=torch.float64)
    expected = expected.index_add(0, graph.edge_index[0], graph.edge_vectors)
    torch.testing.assert_close(model.evaluate(graph)["dipoles"], expected)
    plain = LennardJones(**PARAMETERS).double()
    export_model(plain, metadata_of(plain, "lj", "float64"), tmp_path / "plain.pt")
    atoms.calc = MlipCalculator(model)
    energy, forces = atoms.get_potential_energy(), atoms.get_forces()
    atoms.calc = MlipCalculator(tmp_path / "plain.pt")
    assert energy == pytest.approx(atoms.get_potential_energy(), abs=TOLERANCE["float64"].energy)
    assert abs(forces - atoms.get_forces()).max() < TOLERANCE["float64"].force


class CallsMissingOperators(LennardJones):
    def pair_energy(self, distance: Tensor) -> Tensor:
        return torch.ops.mlip_test.half(distance)


def test_operators_of_another_library_are_found_and_asked_for(tmp_path):
    library = torch.library.Library("mlip_test", "DEF")
    library.define("half(Tensor x) -> Tensor")
    library.impl("half", lambda x: 0.5 * x, "CompositeImplicitAutograd")
    path = tmp_path / "lj.pt"
    network = CallsMissingOperators(**PARAMETERS).double()
    written = export_model(network, metadata_of(network, "lj", "float64"), path)
    assert (written.extensions, written.contract_version) == (["mlip_test"], 2)
    load_model(path)
    library._destroy()
    with pytest.raises(ModelContractError, match=r"lj.pt: the model needs the operators mlip_test"):
        load_model(path)


def test_a_file_that_calls_no_operators_needs_none(tmp_path):
    written = export_model(network(), metadata_of(network(), "lj", "float64"), tmp_path / "lj.pt")
    assert (written.extensions, written.contract_version) == ([], 1)


def test_shipped_models_are_version_1_and_call_our_operators():
    for name in ("water", "water-fast", "copper"):
        model = load_model(name)
        assert model.metadata.contract_version == 1
        assert used_extensions(model.module) == ["mlip"]


def test_a_file_does_not_tell_where_it_was_written(model_files):
    """TorchScript keeps the paths of all sources for its messages; they are nobody's business."""
    with zipfile.ZipFile(model_files["float64"]) as archive:
        names = archive.namelist()
        contents = b"".join(archive.read(name) for name in names)
    assert not [name for name in names if name.endswith(".debug_pkl")]
    assert str(Path(mlip_engines.__file__).parent).encode() not in contents
    assert str(Path.home()).encode() not in contents
