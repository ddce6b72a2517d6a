"""A file that averages over orientations: the mean over turned structures, and its derivatives."""

import warnings

import numpy as np
import pytest
import torch
from ase.build import bulk
from scipy.spatial.transform import Rotation

from mlip_engines import MlipCalculator, ModelContractError, check_conformance, read_metadata
from mlip_engines.checkpoints import Exportable, export_network, open_checkpoint
from mlip_engines.commands.export import main
from mlip_engines.model.evaluation import centroid_virials
from mlip_engines.model.neighbors import neighbor_graph
from mlip_engines.model.orientations import (
    Orientations,
    lebedev_orientations,
    point_group_orientations,
)
from mlip_engines.model.symmetrised import Symmetrised
from mlip_engines.model.unfolded import unfolded_graph
from mlip_engines.properties.symmetry import turned
from mlip_train.networks import build_network
from structures import STRUCTURES
from tests.small_networks import CUTOFF, NETWORKS
from tolerances import FINITE_DIFFERENCE_FORCE, FINITE_DIFFERENCE_STEP, TOLERANCE

LIMIT = TOLERANCE["float64"]


def network(name):
    torch.manual_seed(5)
    settings = {"name": name, "species": [1, 8], "cutoff": CUTOFF, **NETWORKS[name]}
    return build_network({**settings, "non_conservative_stress": True}).double().eval()


def export(name, path, orientations=None):
    exportable = Exportable(
        network(name),
        ["H", "O"],
        name=name,
        reference_energies={"O": -3.0},
        scale=2.0,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # shortest distances are guessed
        export_network(exportable, path, "float64", orientations=orientations)
    return MlipCalculator(path)


@pytest.fixture(scope="module")
def calculators(tmp_path_factory):
    folder = tmp_path_factory.mktemp("symmetrised")
    grids = {None: None, 3: lebedev_orientations(3), 7: lebedev_orientations(7, inversion=False)}
    return {
        (name, degree): export(name, folder / f"{name}{degree}.pt", grid)
        for name in ("pet", "painn")
        for degree, grid in grids.items()
    }


def results(calculator, atoms):
    """Energy, forces, non-conservative forces and the virials of the file, as they are."""
    graph = neighbor_graph(atoms, CUTOFF)
    output = calculator.model.evaluate(graph, with_non_conservative=True)
    return {key: value.numpy() for key, value in output.items()}


def turned_results(calculator, atoms, matrix):
    """The same of the turned structure, turned back."""
    found = results(calculator, turned(atoms, matrix))
    for key in ("forces", "non_conservative_forces"):
        found[key] = found[key] @ matrix
    for key in ("virial", "non_conservative_virial"):
        found[key] = matrix.T @ found[key] @ matrix
    return found


KEYS = {
    "energy": LIMIT.energy,
    "atomic_energies": LIMIT.energy,
    "forces": LIMIT.force,
    "virial": LIMIT.virial,
    "non_conservative_forces": LIMIT.force,
    "non_conservative_virial": LIMIT.virial,
}


@pytest.mark.parametrize("name", ["molecules", "triclinic"])
def test_the_file_gives_the_mean_over_turned_structures(calculators, name):
    atoms = STRUCTURES[name]()
    grid = lebedev_orientations(3)
    each = [turned_results(calculators["pet", None], atoms, m) for m in grid.matrices]
    found = results(calculators["pet", 3], atoms)
    for key, limit in KEYS.items():
        values = np.array([one[key] for one in each])
        expected = np.tensordot(grid.weights, values, axes=1)
        assert np.abs(found[key] - expected).max() < limit
        assert np.abs(values - values[0]).max() > 100 * limit  # or the mean would be no test


def test_forces_are_derivatives_of_the_averaged_energy(calculators):
    atoms = STRUCTURES["cell_smaller_than_cutoff"]()
    forces = results(calculators["pet", 3], atoms)["forces"]
    for atom, axis in ((0, 2), (1, 0), (2, 1)):
        energies = []
        for sign in (1.0, -1.0):
            moved = atoms.copy()
            moved.positions[atom, axis] += sign * FINITE_DIFFERENCE_STEP
            energies.append(results(calculators["pet", 3], moved)["energy"])
        slope = (energies[0] - energies[1]) / (2.0 * FINITE_DIFFERENCE_STEP)
        assert abs(slope + forces[atom, axis]) < FINITE_DIFFERENCE_FORCE


def test_it_keeps_the_contract():
    """Among others: forces and virials are finite differences, domains add up, batches are sums."""
    two = Orientations(Rotation.random(2, random_state=1).as_matrix(), np.array([0.3, 0.7]), {})
    check_conformance(Symmetrised(network("pet"), two), species=["H", "O"])


def test_an_equivariant_network_is_not_changed(calculators):
    atoms = STRUCTURES["triclinic"]()
    bare = results(calculators["painn", None], atoms)
    for degree in (3, 7):
        found = results(calculators["painn", degree], atoms)
        for key, limit in KEYS.items():
            assert np.abs(found[key] - bare[key]).max() < limit


def test_finer_grids_leave_less_dependence_on_the_orientation(calculators):
    atoms = STRUCTURES["molecules"]()
    turns = Rotation.random(4, random_state=2).as_matrix()
    spread = {}
    for degree in (None, 3, 7):
        found = [turned_results(calculators["pet", degree], atoms, m) for m in turns]
        spread[degree] = {key: np.std([f[key] for f in found], axis=0).max() for key in KEYS}
    for key in KEYS:
        assert spread[7][key] < 0.5 * spread[3][key] < 0.25 * spread[None][key]


def test_orientations_of_the_grid_itself_give_the_same_to_the_last_digits(calculators):
    """The grid of degree 3 is a group: turning the structure by one of it permutes the sum."""
    atoms = STRUCTURES["molecules"]()
    before = results(calculators["pet", 3], atoms)
    for matrix in lebedev_orientations(3).matrices[[1, 17, 40]]:
        after = turned_results(calculators["pet", 3], atoms, matrix)
        for key, limit in KEYS.items():
            assert np.abs(after[key] - before[key]).max() < limit


@pytest.mark.parametrize("edges_at_once", [1, 700])
def test_the_number_of_copies_at_once_changes_nothing(edges_at_once):
    grid = lebedev_orientations(3, inversion=False)
    together = Symmetrised(network("pet"), grid, 10**9)
    parts = Symmetrised(network("pet"), grid, edges_at_once)
    graph = neighbor_graph(STRUCTURES["molecules"](), CUTOFF)
    at_once = parts.copies_at_once(graph.n_atoms, graph.n_edges)
    assert at_once < 24 == together.copies_at_once(graph.n_atoms, graph.n_edges)
    with torch.no_grad():
        expected, found = together(graph, True), parts(graph, True)
        direct = parts.non_conservative(graph)
    for key, value in expected.items():
        assert float((value - found[key]).abs().max()) < LIMIT.force
        if key in direct:
            assert float((value - direct[key]).abs().max()) < LIMIT.force


def test_what_a_heat_flux_needs_is_averaged_too(calculators):
    """Centroid virials sum to the virial, and are the mean over turned structures."""
    atoms = STRUCTURES["molecules"]()
    grid = lebedev_orientations(3)

    def centroid(calculator, matrix):
        unfolded = unfolded_graph(turned(atoms, matrix), CUTOFF, 2)
        values = centroid_virials(calculator.model.module, unfolded.graph, unfolded.positions)
        return matrix.T @ values.numpy() @ matrix

    found = centroid(calculators["pet", 3], np.eye(3))
    np.testing.assert_allclose(
        found.sum(axis=0), results(calculators["pet", 3], atoms)["virial"], atol=LIMIT.virial
    )
    each = [centroid(calculators["pet", None], matrix) for matrix in grid.matrices]
    expected = np.tensordot(grid.weights, np.array(each), axes=1)
    assert np.abs(found - expected).max() < LIMIT.virial


def test_the_command_writes_it_and_says_what_it_costs(tmp_path, capsys, monkeypatch):
    source = tmp_path / "net.py"
    source.write_text(
        "from mlip_train.networks import build_network\n"
        "def build():\n    return build_network({'name': 'pet', 'species': [1, 8], 'cutoff': 3.0, "
        "'n_edge_features': 4, 'n_heads': 1, 'n_layers': 1, 'non_conservative_layer': 1})\n"
    )
    given = ["--from", "python", f"{source}:build", "--species", "H", "O", "--no-compare"]
    given += ["-o", str(tmp_path / "out.pt")]
    assert main([*given, "--symmetrise", "lebedev:4", "--no-inversion"]) == 0
    assert "averaged over 84 orientations" in capsys.readouterr().out
    expected = {"grid": "lebedev", "degree": 5, "inversion": False, "orientations": 84}
    assert read_metadata(tmp_path / "out.pt").symmetrisation == expected
    for wrong, message in {
        ("--no-inversion",): "goes with --symmetrise",
        ("--symmetrise", "cube"): "expected lebedev:DEGREE",
        ("--symmetrise", "lebedev:-3"): "expected lebedev:DEGREE",
        ("--symmetrise", "lebedev:200"): "between 1 and 131",
    }.items():
        assert main([*given, *wrong]) == 1
        assert message in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["lebedev", "group"])
def test_a_file_that_is_exported_again_keeps_its_average(kind, tmp_path):
    """Through float32, as most files are; another grid takes the place of the first."""
    crystal = bulk("HO", "rocksalt", a=3.0)
    crystal = turned(crystal, Rotation.random(rng=3).as_matrix())
    grid = lebedev_orientations(3) if kind == "lebedev" else point_group_orientations(crystal)
    settings = {"name": "pet", "species": [1, 8], "cutoff": CUTOFF, **NETWORKS["pet"]}
    settings["non_conservative_stress"] = True
    exportable = Exportable(network("pet"), ["H", "O"], "a", training={"network": settings})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        first = export_network(exportable, tmp_path / "a.pt", orientations=grid)
        again = export_network(open_checkpoint(tmp_path / "a.pt"), tmp_path / "b.pt")
        other = lebedev_orientations(5, inversion=False)
        third = export_network(
            open_checkpoint(tmp_path / "b.pt"), tmp_path / "c.pt", orientations=other
        )
    assert again.symmetrisation == first.symmetrisation == grid.origin
    assert third.symmetrisation == other.origin
    crystal.rattle(0.05, seed=1)
    one, two = (MlipCalculator(tmp_path / f"{name}.pt") for name in "ab")
    np.testing.assert_allclose(
        two.get_forces(crystal), one.get_forces(crystal), atol=TOLERANCE["float32"].force
    )


def test_heads_that_nobody_knows_how_to_turn_are_refused():
    pet = network("pet")
    pet.heads = [*pet.heads, "dipoles"]
    with pytest.raises(ModelContractError, match="dipoles over orientations"):
        Symmetrised(pet, lebedev_orientations(3))
