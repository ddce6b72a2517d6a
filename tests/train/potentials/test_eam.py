"""The empirical potential: its equations written out, its wall, its way to a model file and into a hybrid."""

import json

import ase.io
import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator
from ase.data import covalent_radii

from mlip_engines import MlipCalculator, check_conformance
from mlip_engines.commands.export import main as export
from mlip_engines.model.derivatives import energy_gradient
from mlip_engines.model.neighbors import neighbor_graph
from mlip_train.command import main as train
from mlip_train.loop.checkpoint import open_checkpoint, read_checkpoint
from mlip_train.loop.constant import constant_errors, little_learned
from mlip_train.networks import build_network
from mlip_train.potentials.curves import draw_curves, pair_curves
from mlip_train.potentials.eam import REPULSIVE, EmbeddedAtom
from tests.labelled import argon_frames
from tests.tolerances import EXACT, TOLERANCE

PAINN = {
    "name": "painn",
    "cutoff": 5.0,
    "n_features": 8,
    "n_basis": 6,
    "n_layers": 1,
    "non_conservative_layer": 1,
}
RECIPE = """
name: {name}
network: {network}
n_validation: 2
n_test: 2
optimizer: adamw
stress_where_labelled: true
weight_decay: 0.0
average_decay: 0.9
stages:
  - name: fit
    epochs: {epochs}
    learning_rate: 0.1
    weights: {{energy: 1.0, conservative: 1.0, stress: 1.0, functions: {{energy: mae, conservative: mae, stress: mae}}}}
"""


def potential(seed=0, spread=0.5, species=(8, 14)):
    torch.manual_seed(seed)
    network = EmbeddedAtom(list(species)).double().eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += spread * torch.randn_like(parameter)
    return network


def truth():
    return potential(4, spread=0.3, species=(18,)).requires_grad_(False)


def label(atoms, network):
    """Give a structure the energy and the forces of a network, by the sum over edges in both directions."""
    graph = neighbor_graph(atoms, network.cutoff)
    vectors = graph.edge_vectors.requires_grad_()
    energy = network(graph._replace(edge_vectors=vectors), False)["atomic_energies"].sum()
    gradient = energy_gradient(energy, vectors, create_graph=False, retain_graph=False)
    forces = torch.zeros((len(atoms), 3), dtype=torch.float64)
    forces.index_add_(0, graph.edge_index[0], gradient)
    forces.index_add_(0, graph.edge_index[1], -gradient)
    atoms.calc = SinglePointCalculator(atoms, energy=float(energy.detach()), forces=forces.numpy())


def test_it_keeps_the_contract_and_turns_with_the_structure():
    check_conformance(potential(), species=["O", "Si"], rotation=True)


def test_a_hybrid_keeps_the_contract_with_both_heads():
    settings = {**PAINN, "non_conservative_stress": True, "empirical": {"cutoff": 4.5}}
    network = build_network({**settings, "species": [8, 14]}).double().eval()
    network.set_scale(0.7)
    check_conformance(network, species=["O", "Si"], rotation=True)


def test_it_equals_the_equations_of_the_paper():
    """Equations 1 to 3 by loops; all distances are below half the cutoff, where nothing fades."""
    network = potential(1).requires_grad_(False)
    values = {name: v.detach().numpy() for name, v in network.parameters_of_pairs().items()}
    atoms = Atoms("OSiOSi", [[0, 0, 0], [1.6, 0, 0], [0.2, 1.9, 0.1], [0.9, 1.0, 1.7]])
    kind = {(8, 8): 0, (8, 14): 1, (14, 8): 1, (14, 14): 2}
    expected = 0.0
    for i in range(4):
        z = atoms.numbers[i]
        expected += float(network.atom_energy[[8, 14].index(z)])
        for element in (8, 14):
            n, density = kind[z, element], 0.0
            for j in range(4):
                if j != i and atoms.numbers[j] == element:
                    r = atoms.get_distance(i, j)
                    density += np.sum(values["A"][n] * np.exp(-values["beta"][n] * r))
                    decay = np.exp(-values["a"][n] * (r - values["r_e"][n]))
                    expected += 0.5 * values["D_e"][n] * ((1 - decay) ** 2 - 1)
            expected += values["B"][n] * (
                (density - values["rho_0"][n]) ** 2 - values["rho_0"][n] ** 2
            )
    found = network(neighbor_graph(atoms, network.cutoff), False)["atomic_energies"].sum()
    assert float(found) == pytest.approx(expected, abs=EXACT)


def test_all_begins_at_one_except_for_distances():
    values = EmbeddedAtom([8, 14], n_exponentials=1).parameters_of_pairs()
    for name in ("A", "beta", "B", "D_e", "a"):
        torch.testing.assert_close(values[name].detach().flatten(), torch.ones(3))
    radii = covalent_radii[[8, 14]]
    expected = [2 * radii[0], radii.sum(), 2 * radii[1]]
    np.testing.assert_allclose(values["r_e"].detach(), expected, rtol=1e-6)


@pytest.mark.parametrize("seed", range(6))
def test_close_pairs_repel_each_other_in_any_environment_for_any_parameters(seed):
    """The energy falls with the length of each edge below 0.6 of the covalent radii, far from any fit."""
    network = potential(seed, spread=3.0)
    rng = np.random.default_rng(seed)
    atoms = Atoms(numbers=rng.choice([8, 14], 40), positions=rng.uniform(0, 5.0, (40, 3)))
    graph = neighbor_graph(atoms, network.cutoff)
    vectors = graph.edge_vectors.requires_grad_()
    energy = network(graph._replace(edge_vectors=vectors), False)["atomic_energies"].sum()
    gradient = energy_gradient(energy, vectors, create_graph=False, retain_graph=False)
    length = vectors.detach().norm(dim=1)
    slope = (gradient * vectors.detach()).sum(dim=1) / length
    radii = torch.tensor(covalent_radii[atoms.numbers])
    close = length < REPULSIVE * radii[graph.edge_index].sum(dim=0)
    assert close.sum() > 20
    assert bool((slope[close] < 0.0).all())


def test_the_pairs_of_the_heads_are_the_gradient_of_the_morse_energy():
    network = potential(2)
    with torch.no_grad():
        network.stiffness.fill_(-200.0)  # no embedding: pairs are all there is
    atoms = bulk("Si", "diamond", 5.4, cubic=True)
    atoms.numbers[::2] = 8
    atoms.rattle(0.2, seed=1)
    graph = neighbor_graph(atoms, network.cutoff)
    vectors = graph.edge_vectors.requires_grad_()
    energy = network(graph._replace(edge_vectors=vectors), False)["atomic_energies"].sum()
    gradient = energy_gradient(energy, vectors, create_graph=False, retain_graph=False)
    forces = torch.zeros((8, 3), dtype=torch.float64)
    forces.index_add_(0, graph.edge_index[0], gradient).index_add_(
        0, graph.edge_index[1], -gradient
    )
    pairs = network.non_conservative(graph)
    torch.testing.assert_close(pairs["non_conservative_forces"], forces, atol=EXACT, rtol=0.0)
    virial = -(gradient[:, :, None] * vectors[:, None, :]).sum(dim=0)
    found = pairs["non_conservative_virials"].sum(dim=0)
    torch.testing.assert_close(found, virial, atol=1e-9, rtol=0.0)


def test_curves_are_the_energy_of_two_atoms():
    network = potential(3).requires_grad_(False)
    r = torch.tensor([1.5, 4.3], dtype=torch.float64)
    curves = pair_curves(network, r)
    for k, distance in enumerate(r.tolist()):
        atoms = Atoms("OSi", [[0, 0, 0], [0, 0, distance]])
        energy = network(neighbor_graph(atoms, network.cutoff), False)["atomic_energies"].sum()
        parts = curves[8, 14]
        expected = float(energy - network.atom_energy.sum())
        assert float(parts["total"][k]) == pytest.approx(expected, abs=EXACT)
        assert float(parts["embedding"][k] + parts["morse"][k]) == pytest.approx(
            expected, abs=EXACT
        )
    assert len(draw_curves(network).axes) == 3


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"species": [8, 110]}, r"none is known of Ds \(110\)"),
        ({"species": [55], "cutoff": 5.0}, "cutoff of at least 5.86"),
        ({"species": [8], "n_exponentials": 0}, "n_exponentials must be positive, got 0"),
    ],
)
def test_what_has_no_wall_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        EmbeddedAtom(**settings)


def test_a_potential_beyond_the_sight_of_its_network_is_refused():
    with pytest.raises(ValueError, match="at most that of the network, 5.0 Å, got 6.0"):
        build_network({**PAINN, "species": [8], "empirical": {"cutoff": 6.0}})


def test_a_fit_that_is_no_better_than_a_constant_says_so():
    errors, constant = (
        {"energy_mae": 4.0, "conservative_mae": 95.0},
        {
            "energy_mae": 10.0,
            "conservative_mae": 100.0,
        },
    )
    (sentence,) = little_learned(errors, constant)
    assert "forces" in sentence and "95.0" in sentence and "100.0" in sentence


def test_errors_of_a_constant_are_those_of_zeros():
    from mlip_train.data.structure import prepare

    frames = argon_frames(3)
    baseline = torch.full((119,), -0.5, dtype=torch.float64)
    errors = constant_errors([prepare(a, 4.0) for a in frames], baseline)
    energies = [abs(a.get_potential_energy() / 8 + 0.5) for a in frames]
    assert errors["energy_mae"] == pytest.approx(1e3 * np.mean(energies))
    forces = np.mean([np.abs(a.get_forces()).mean() for a in frames])
    assert errors["conservative_mae"] == pytest.approx(1e3 * forces, rel=1e-6)
    stress = np.mean([np.abs(a.get_stress(voigt=False)).mean() for a in frames])
    assert errors["stress_mae"] == pytest.approx(1e3 * stress)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """Return a folder with a potential that was fitted to forces of one of the same form, without labels of stress."""
    folder = tmp_path_factory.mktemp("eam")
    frames = argon_frames(12)
    for atoms in frames:
        label(atoms, truth())
    ase.io.write(folder / "argon.xyz", frames, format="extxyz")
    (folder / "eam.yaml").write_text(
        RECIPE.format(name="eam", network="{name: eam, cutoff: 6.0}", epochs=25)
    )
    (folder / "hybrid.yaml").write_text(
        RECIPE.format(name="hybrid", network=json.dumps({**PAINN, "empirical": True}), epochs=1)
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mlip_train.loop.run.write_report", lambda *a: None)
        data = ["--data", str(folder / "argon.xyz")]
        assert train([str(folder / "eam.yaml"), *data, "-o", str(folder / "run")]) == 0
    return folder


@pytest.mark.training
def test_a_fit_finds_the_forces_of_a_potential_of_its_form_and_exports(fitted):
    errors = json.loads((fitted / "run/test.json").read_text())
    assert "stress_mae" not in errors
    frames = ase.io.read(fitted / "argon.xyz", ":")
    forces = 1e3 * np.mean([np.abs(a.get_forces()).mean() for a in frames])
    assert errors["conservative_mae"] < 0.1 * forces
    checkpoint, model = str(fitted / "run/checkpoint.pt"), str(fitted / "eam.pt")
    arguments = ["--short-range", "none", "--dtype", "float64"]
    assert export([checkpoint, "-o", model, *arguments]) == 0
    atoms = frames[0]
    opened = open_checkpoint(checkpoint)
    network = opened.network.double()
    atomic = network(neighbor_graph(atoms, network.cutoff), False)["atomic_energies"].detach()
    expected = float(atomic.sum()) + 8 * opened.reference_energies["Ar"]
    atoms.calc = MlipCalculator(model)
    tolerance = TOLERANCE["float64"].energy
    assert atoms.get_potential_energy() == pytest.approx(expected, abs=tolerance)


@pytest.mark.training
def test_a_hybrid_begins_with_the_fitted_potential_and_resumes(fitted, tmp_path, monkeypatch):
    monkeypatch.setattr("mlip_train.loop.trainer.Trainer.run", lambda self: self.save())
    checkpoint = fitted / "run/checkpoint.pt"
    # the potential sees 6.0 Å far, the network must not see less
    recipe = (fitted / "hybrid.yaml").read_text().replace('"cutoff": 5.0', '"cutoff": 6.0')
    (tmp_path / "hybrid.yaml").write_text(recipe)
    arguments = [str(tmp_path / "hybrid.yaml"), "--data", str(fitted / "argon.xyz")]
    arguments += ["-o", str(tmp_path / "run")]
    assert train([*arguments, "--empirical", str(checkpoint)]) == 0
    state, before = read_checkpoint(tmp_path / "run/checkpoint.pt"), read_checkpoint(checkpoint)
    assert state["network"]["empirical"] == {"cutoff": 6.0, "n_exponentials": 2}
    for name, value in before["average"].items():
        torch.testing.assert_close(state["average"][f"empirical.{name}"], value)
    assert float(state["average"]["per_scale"]) == pytest.approx(1.0 / state["scale"])
    assert train([*arguments, "--resume"]) == 0


@pytest.mark.training
@pytest.mark.parametrize(
    ("recipe", "message"),
    [("hybrid.yaml", "cutoff of at most that of the network"), ("eam.yaml", "is no hybrid")],
)
def test_a_potential_that_does_not_fit_is_refused(recipe, message, fitted, tmp_path, capsys):
    arguments = [
        str(fitted / recipe),
        "--data",
        str(fitted / "argon.xyz"),
        "-o",
        str(tmp_path / "r"),
    ]
    assert train([*arguments, "--empirical", str(fitted / "run/checkpoint.pt")]) == 1
    assert message in capsys.readouterr().err
