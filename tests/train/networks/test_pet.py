"""PET against its equations, at the cutoff, with nothing around, in large numbers, and trained."""

import copy
import csv
import math

import pytest
import torch
from ase import Atoms

from mlip_engines import MlipCalculator, ModelMetadata, export_model
from mlip_engines.conformance import check_conformance
from mlip_engines.conformance.probes import reorder_edges
from mlip_engines.model.graph import Graph
from mlip_engines.model.neighbors import neighbor_graph
from mlip_train.command import main as train
from mlip_train.loop.checkpoint import open_checkpoint
from mlip_train.networks import build_network
from mlip_train.networks.pet import PET, Attention, Combination, SmoothCutoff
from mlip_train.recipe import read_recipe
from structures import STRUCTURES
from tests.labelled import write_argon, write_recipe
from tolerances import FINITE_DIFFERENCE_FORCE, FINITE_DIFFERENCE_STEP, TOLERANCE

CUTOFF = 4.0
EQUALITY = TOLERANCE["float64"].equality


def build(**arguments):
    torch.manual_seed(3)
    settings = {"n_edge_features": 8, "n_heads": 2, "n_layers": 2, "non_conservative_layer": 1}
    return PET([1, 8], CUTOFF, **{**settings, **arguments}).double().eval()


@pytest.fixture
def network():
    return build()


def energy_and_forces(network, atoms):
    """Energy, conservative and non-conservative forces, positions differentiated by autograd alone."""
    graph = neighbor_graph(atoms, CUTOFF)
    positions = torch.tensor(atoms.positions, requires_grad=True)
    i, j = graph.edge_index
    offsets = graph.edge_vectors - (positions[j] - positions[i]).detach()
    vectors = positions[j] - positions[i] + offsets
    output = network(graph._replace(edge_vectors=vectors), True)
    energy = output["atomic_energies"].sum()
    gradient = torch.autograd.grad(energy, positions, allow_unused=True)[0]
    forces = torch.zeros_like(positions) if gradient is None else -gradient
    return energy.detach(), forces, output["non_conservative_forces"].detach()


@pytest.mark.parametrize("differentiable", [True, False])
def test_attention_equals_the_equation_written_as_loops(differentiable):
    torch.manual_seed(0)
    layer = Attention(6, 2).double()
    # Three centres with 2, 0 and 1 edges, in rows of three columns.
    tokens, rows = torch.randn(6, 6).double(), [[0, 3, 4], [1], [2, 5]]
    f = {0: 1.0, 1: 1.0, 2: 1.0, 3: 0.7, 4: 0.05, 5: 0.3}
    slot, weight = torch.zeros(6, dtype=torch.int64), torch.zeros(3, 3).double()
    for i, row in enumerate(rows):
        for column, token in enumerate(row):
            slot[token], weight[i, column] = 3 * i + column, f[token]
    layer.requires_grad_(False)
    with torch.set_grad_enabled(differentiable):  # two ways to the same sum
        found = layer(tokens, slot, weight)

    q, k, v = (tokens @ layer.query_key_value.weight.T + layer.query_key_value.bias).split(6, 1)
    for row in rows:
        for a in row:
            y = torch.zeros(6).double()
            for head in (slice(0, 3), slice(3, 6)):
                e = {b: f[b] * math.exp(q[a, head] @ k[b, head] / math.sqrt(3)) for b in row}
                for b in row:
                    y[head] += e[b] / sum(e.values()) * v[b, head]
            expected = layer.out.weight @ y + layer.out.bias
            torch.testing.assert_close(found[a], expected, rtol=EQUALITY, atol=EQUALITY)


def test_large_logits_of_other_rows_leave_a_lonely_centre_its_own_value():
    torch.manual_seed(0)
    layer = Attention(4, 1)  # float32, where exp(-104) is zero
    with torch.no_grad():
        layer.query_key_value.weight.mul_(100.0)
    tokens = torch.randn(3, 4, requires_grad=True)
    y = layer(tokens, torch.tensor([0, 2, 3]), torch.tensor([[1.0, 0.0], [1.0, 1e-7]]))
    value = layer.query_key_value(tokens)[:1, 8:]
    torch.testing.assert_close(y[:1], layer.out(value))
    with torch.no_grad():
        again = layer(tokens, torch.tensor([0, 2, 3]), torch.tensor([[1.0, 0.0], [1.0, 1e-7]]))
    torch.testing.assert_close(again, y)
    (gradient,) = torch.autograd.grad(y.square().sum(), tokens, create_graph=True)
    (second,) = torch.autograd.grad(gradient.square().sum(), tokens)
    assert gradient.isfinite().all() and second.isfinite().all()


def test_cutoff_function_equals_its_formula_and_is_flat_at_both_ends():
    cutoff = SmoothCutoff(4.0, 1.5)
    r = torch.linspace(2.55, 3.95, 15).double()
    expected = [
        (1 + math.tanh(1 / x + 1 / (x - 1))) / 2 for x in ((float(d) - 2.5) / 1.5 for d in r)
    ]
    expected = torch.tensor(expected, dtype=torch.float64)
    torch.testing.assert_close(cutoff(r), expected, rtol=0, atol=EQUALITY)
    ends = torch.tensor([1.0, 2.5, 2.501, 3.999, 4.0, 4.1]).double().requires_grad_(True)
    values = cutoff(ends)
    assert values.tolist() == [1.0, 1.0, 1.0, 0.0, 0.0, 0.0]
    (slope,) = torch.autograd.grad(values.sum(), ends, create_graph=True)
    (curvature,) = torch.autograd.grad(slope.sum(), ends)
    assert slope.abs().max() == 0.0 and curvature.abs().max() == 0.0


def test_messages_combine_an_edge_with_its_reverse(network):
    graph = neighbor_graph(STRUCTURES["cell_smaller_than_cutoff"](), CUTOFF)
    torch.manual_seed(0)
    m, x = torch.randn(2, graph.n_edges, 8).double()
    combination: Combination = network.energy_layers[0].combination
    found = combination(m, x, graph.reverse_edge)
    vectors, (i, j) = graph.edge_vectors, graph.edge_index
    for edge in range(0, graph.n_edges, 7):
        opposite = (vectors + vectors[edge]).norm(dim=1) < 1e-9
        (reverse,) = torch.nonzero(opposite & (i == j[edge]) & (j == i[edge])).flatten().tolist()
        both = [x[e] / (x[e].square().mean() + 1e-6).sqrt() for e in (edge, reverse)]
        expected = m[edge] + x[edge] + combination.mlp(torch.cat(both))
        torch.testing.assert_close(found[edge], expected, rtol=EQUALITY, atol=EQUALITY)


@pytest.mark.parametrize("name", ["molecules", "triclinic", "cell_smaller_than_cutoff"])
def test_order_of_atoms_and_edges_does_not_matter(network, name):
    atoms = STRUCTURES[name]()
    order = torch.randperm(len(atoms), generator=torch.Generator().manual_seed(1))
    energy, forces, head = energy_and_forces(network, atoms)
    assert forces.abs().max() > 1e-3 and head.abs().max() > 1e-3
    found = energy_and_forces(network, atoms[order.tolist()])
    for expected, value in zip((energy, forces[order], head[order]), found, strict=True):
        torch.testing.assert_close(value, expected, rtol=EQUALITY, atol=EQUALITY)
    graph = neighbor_graph(atoms, CUTOFF)
    expected, output = network(graph, True), network(reorder_edges(graph), True)
    for key, value in expected.items():
        torch.testing.assert_close(output[key], value, rtol=EQUALITY, atol=EQUALITY)


def test_an_atom_passes_through_the_cutoff_without_a_trace(network):
    def at(distance):
        """Three atoms, and a fourth that only the first can see near the cutoff."""
        return Atoms("OHHO", [[0, 0, 0], [0.9, 0.3, -0.5], [-0.4, 0.8, -0.7], [0, 0, distance]])

    def energy(distance):
        return float(energy_and_forces(network, at(distance))[0])

    h = FINITE_DIFFERENCE_STEP
    for distance in torch.linspace(CUTOFF - 1.2, CUTOFF + 0.1, 14).tolist():
        near, far = (energy(distance + s) - energy(distance - s) for s in (h, 2 * h))
        _, forces, _ = energy_and_forces(network, at(distance))
        assert abs((8 * near - far) / (12 * h) + float(forces[3, 2])) < FINITE_DIFFERENCE_FORCE

    # Energy, conservative and non-conservative forces of all atoms go to what they are without it.
    away = energy_and_forces(network, at(30.0))
    felt = []
    for gap in (0.4, 0.2, 0.1, 0.05, 0.02):
        assert neighbor_graph(at(CUTOFF - gap), CUTOFF).n_edges == 8
        near = energy_and_forces(network, at(CUTOFF - gap))
        felt.append([float((a - b).abs().max()) for a, b in zip(near, away, strict=True)])
    for column in zip(*felt, strict=True):
        assert column[0] > 1e-3 and column == tuple(sorted(column, reverse=True))
        assert column[-1] < EQUALITY


def test_isolated_atoms_and_no_edges_give_the_energies_of_atoms_and_no_force(network):
    single, head = {}, "non_conservative_forces"
    for symbol in "OH":
        output = network(neighbor_graph(Atoms(symbol, [[0, 0, 0]]), CUTOFF), True)
        single[symbol] = output["atomic_energies"]
        assert output[head].tolist() == [[0.0, 0.0, 0.0]]
    energy, forces, non_conservative = energy_and_forces(network, STRUCTURES["no_neighbours"]())
    torch.testing.assert_close(energy, (single["O"] + 2 * single["H"])[0], rtol=EQUALITY, atol=0)
    assert forces.abs().max() == 0.0 and non_conservative.abs().max() == 0.0
    # Beside a molecule the row of a lonely atom is all padding but its centre.
    mixed = STRUCTURES["molecule"]() + Atoms("H", [[30.0, 0.0, 0.0]])
    _, forces, non_conservative = energy_and_forces(network, mixed)
    assert forces[3].abs().max() == 0.0 and non_conservative[3].abs().max() == 0.0
    assert non_conservative[:3].abs().min() > 0.0
    nothing = Graph(
        torch.zeros(0, dtype=torch.int64),
        torch.zeros((2, 0), dtype=torch.int64),
        torch.zeros((0, 3)).double(),
        torch.zeros(0, dtype=torch.int64),
        torch.zeros(0, dtype=torch.bool),
    )
    assert network(nothing, True)[head].shape == (0, 3)


@pytest.mark.parametrize("name", ["cell_smaller_than_cutoff", "self_images"])
def test_a_cell_smaller_than_the_cutoff_is_its_own_supercell(network, name):
    atoms = STRUCTURES[name]()
    single = energy_and_forces(network, atoms)
    repeated = energy_and_forces(network, atoms.repeat((2, 1, 2)))
    torch.testing.assert_close(repeated[0], 4 * single[0], rtol=EQUALITY, atol=EQUALITY)
    for value, expected in zip(repeated[1:], single[1:], strict=True):
        torch.testing.assert_close(value, expected.repeat(4, 1), rtol=EQUALITY, atol=EQUALITY)


@pytest.mark.parametrize("differentiable", [True, False])
def test_more_atoms_than_a_grid_of_blocks_has_rows(differentiable):
    graph = neighbor_graph(STRUCTURES["molecules"](), CUTOFF)
    n, n_edges, copies = graph.n_atoms, graph.n_edges, 3
    lonely = 65_536
    # The same molecules before, among and after more lonely atoms than one call takes.
    starts = [0, lonely // 2 + n, lonely + 2 * n]
    edge_starts = [n_edges * k for k in range(copies)]
    numbers = torch.full((lonely + copies * n,), 8)
    for start in starts:
        numbers[start : start + n] = graph.atomic_numbers
    many = Graph(
        numbers,
        torch.cat([graph.edge_index + start for start in starts], dim=1),
        graph.edge_vectors.repeat(copies, 1),
        torch.cat([graph.reverse_edge + start for start in edge_starts]),
        torch.ones(len(numbers), dtype=torch.bool),
    )
    small = build(n_edge_features=4, n_heads=1, n_layers=1)  # for the memory of the test
    expected = small(graph, True)
    oxygen = small(neighbor_graph(STRUCTURES["single_atom"](), CUTOFF), False)["atomic_energies"]
    with torch.set_grad_enabled(differentiable):
        found = {key: value.detach() for key, value in small(many, True).items()}
    isolated = torch.ones(len(numbers), dtype=torch.bool)
    for start in starts:
        isolated[start : start + n] = False
        for key, value in expected.items():
            torch.testing.assert_close(
                found[key][start : start + n], value, rtol=EQUALITY, atol=EQUALITY
            )
    energies = found["atomic_energies"][isolated]
    torch.testing.assert_close(energies, oxygen.expand(lonely), rtol=EQUALITY, atol=EQUALITY)
    assert found["non_conservative_forces"][isolated].abs().max() == 0.0


def test_a_chunk_of_attention_ends_anywhere(network):
    graph = neighbor_graph(STRUCTURES["orthogonal"](), CUTOFF)
    expected = network(graph, True)
    chunked = copy.deepcopy(network)
    for module in chunked.modules():
        if isinstance(module, Attention):
            module.n_rows = 5
    for key, value in chunked(graph, True).items():
        torch.testing.assert_close(value, expected[key], rtol=EQUALITY, atol=EQUALITY)


@pytest.mark.parametrize("non_conservative_layer", [0, 1, 3])
def test_pet_passes_the_conformance_check(non_conservative_layer):
    network = build(n_layers=3, non_conservative_layer=non_conservative_layer)
    check_conformance(network, species=["H", "O"])


def test_pet_with_a_last_combination_passes_the_conformance_check():
    check_conformance(
        build(n_layers=1, non_conservative_layer=1, combine_last=True), species=["H", "O"]
    )


def test_a_last_combination_sees_one_edge_farther_and_no_more():
    """In a chain, energy and head of an atom depend on as many edges as the network says."""
    chain = Atoms("O7", positions=[[2.5 * k, 0.3 * (k % 2), 0.0] for k in range(7)])
    for combine, reach in ((False, 1), (True, 2)):
        pet = build(n_layers=1, non_conservative_layer=1, combine_last=combine)
        assert pet.message_passing_layers == pet.non_conservative_layers == reach
        graph = neighbor_graph(chain, CUTOFF)

        def answers(vectors, pet=pet, graph=graph):
            output = pet(graph._replace(edge_vectors=vectors), True)
            force = pet.non_conservative(graph._replace(edge_vectors=vectors))
            return output["atomic_energies"][0], force["non_conservative_forces"][0]

        for jacobian in torch.autograd.functional.jacobian(answers, graph.edge_vectors):
            felt = jacobian.reshape(-1, graph.n_edges, 3).abs().amax(dim=(0, 2)) > 0.0
            assert int(graph.edge_index[1, felt].max()) == reach


@pytest.mark.parametrize(
    ("recipe", "millions"), [("molecules_pet_small", 14), ("molecules_pet_large", 190)]
)
def test_networks_of_the_paper_have_its_number_of_parameters(recipe, millions):
    """Table 3 of arXiv:2601.16195, SPICE-S and SPICE-L, ten elements."""
    elements = [1, 6, 7, 8, 9, 15, 16, 17, 35, 53]
    with torch.device("meta"):
        network = build_network({**read_recipe(recipe).network, "species": elements})
    n_parameters = sum(parameter.numel() for parameter in network.parameters())
    assert abs(n_parameters - millions * 1e6) < 0.01 * millions * 1e6


def test_a_network_without_a_last_combination_has_the_weights_it_always_had():
    """Checkpoints from before the option load."""
    names = {name.split(".")[0] for name in build().state_dict()}
    expected = {"species_index", "e_c", "e_n", "shared", "energy_layers", "energy_head"}
    assert names == expected | {"force_head"}


def test_the_head_alone_does_not_run_the_layers_of_the_energy(network):
    graph = neighbor_graph(STRUCTURES["triclinic"](), CUTOFF)
    expected = network(graph, True)["non_conservative_forces"]
    broken = copy.deepcopy(network)
    with torch.no_grad():
        for parameter in [*broken.energy_layers.parameters(), *broken.energy_head.parameters()]:
            parameter.fill_(float("nan"))
    found = broken.non_conservative(graph)["non_conservative_forces"]
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


def test_the_gradient_of_a_force_loss_equals_its_finite_difference(network):
    """Training differentiates forces by parameters: twice through attention, padding and cutoff."""
    atoms = STRUCTURES["molecules"]() + Atoms("H", [[30.0, 0.0, 0.0]])
    graph = neighbor_graph(atoms, CUTOFF)

    def force_loss():
        vectors = graph.edge_vectors.clone().requires_grad_(True)
        energy = network(graph._replace(edge_vectors=vectors), False)["atomic_energies"].sum()
        return torch.autograd.grad(energy, vectors, create_graph=True)[0].square().sum()

    weight = network.shared[0].attention_layers[0].attention.query_key_value.weight
    (gradient,) = torch.autograd.grad(force_loss(), weight)
    torch.manual_seed(1)
    direction, h = torch.randn_like(weight), FINITE_DIFFERENCE_STEP
    losses = []
    for step in (-h, 2 * h):
        weight.data += step * direction
        losses.append(float(force_loss().detach()))
    slope, expected = (losses[1] - losses[0]) / (2 * h), float((gradient * direction).sum())
    assert expected != 0.0
    # Relative, and looser than for a force: a third derivative of the energy, squared forces of several eV/Å.
    assert slope == pytest.approx(expected, rel=10 * FINITE_DIFFERENCE_FORCE)


def test_the_exported_model_gives_what_the_network_gives(network, tmp_path):
    metadata = ModelMetadata(
        name="pet",
        species=["H", "O"],
        cutoff=network.cutoff,
        message_passing_layers=network.message_passing_layers,
        interaction_range=network.cutoff * network.message_passing_layers,
        heads=network.heads,
        dtype="float64",
    )
    export_model(copy.deepcopy(network), metadata, tmp_path / "pet.pt", scale=1.5)
    atoms = STRUCTURES["triclinic"]()
    energy, forces, head = energy_and_forces(network, atoms)
    limits = TOLERANCE["float64"]
    atoms.calc = MlipCalculator(tmp_path / "pet.pt")
    assert atoms.get_potential_energy() == pytest.approx(1.5 * float(energy), abs=limits.energy)
    assert atoms.get_forces() == pytest.approx(1.5 * forces.numpy(), abs=limits.force)
    atoms.calc = MlipCalculator(tmp_path / "pet.pt", forces="non_conservative")
    head = 1.5 * (head - head.mean(dim=0))  # the file removes the net force
    assert atoms.get_forces() == pytest.approx(head.numpy(), abs=limits.force)


RECIPE = """
name: argon
network: {name: pet, cutoff: 5.0, n_edge_features: 16, n_heads: 2, n_layers: 2, non_conservative_layer: 1}
n_validation: 1
n_test: 1
weight_decay: 0.0
validate_every: 1000   # at the end of a stage
stages:
  - name: untrained
    epochs: 1
    learning_rate: 1.0e-9
    weights: {energy: 1.0, conservative: 1.0, non_conservative: 1.0}
  - name: trained
    epochs: 150
    learning_rate: 0.003
    weights: {energy: 1.0, conservative: 1.0, non_conservative: 1.0}
"""


@pytest.mark.training
def test_training_learns_one_structure_by_heart(tmp_path):
    data = write_argon(tmp_path / "argon.xyz", 3)
    recipe = write_recipe(tmp_path / "recipe.yaml", RECIPE)
    run = tmp_path / "run"
    assert train([str(recipe), "--data", str(data), "-o", str(run)]) == 0
    before, after = csv.DictReader((run / "metrics.csv").read_text().splitlines())
    assert float(after["loss"]) < 0.1 * float(before["loss"])
    network = open_checkpoint(run / "checkpoint.pt").network
    assert isinstance(network, PET)


def test_the_recipe_builds_a_network_and_turns_what_it_learns_from():
    recipe = read_recipe("water_pet")
    network = build_network({**recipe.network, "species": [1, 8]})
    assert isinstance(network, PET) and recipe.augment
    parts = {name.split(".")[0] for name, _ in network.named_parameters()}
    assert all(set(stage.trained) <= parts for stage in recipe.stages)


def test_arguments_that_cannot_be_right_are_refused():
    for wrong in (
        {"n_heads": 3},
        {"n_layers": 0},
        {"non_conservative_layer": 4},
        {"cutoff_width": 0.0},
        {"combine_last": True},  # the heads read after different layers
    ):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            build_network({"name": "pet", "species": [1], "n_edge_features": 8, **wrong})
