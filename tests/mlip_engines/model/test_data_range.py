"""Beyond the range of its training data the energy turns round, and non-conservative forces stay moderate."""

import ase.io
import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from ase.optimize import BFGS

from mlip_engines import MlipCalculator
from mlip_engines.checkpoints import Exportable, export_network
from mlip_engines.commands.export import main as export
from mlip_engines.model.contract import ModelContractError
from mlip_engines.model.data_range import (
    DataRange,
    above_floor,
    floor_tables,
    observed_range,
    shortening,
)
from mlip_engines.model.load import models_directory, read_metadata
from mlip_engines.model.neighbors import neighbor_graph
from mlip_engines.model.short_range import WithShortRange
from mlip_train.networks import build_network
from mlip_train.potentials.analytic import LennardJones
from tests.small_networks import CUTOFF, NETWORKS
from tests.tolerances import EXACT, FINITE_DIFFERENCE_FORCE, FINITE_DIFFERENCE_STEP, TOLERANCE

SHIPPED = sorted(models_directory().glob("*.pt"))
RANGE = {"H": [-0.4, 4.0]}  # eV


def floored(energies: torch.Tensor) -> torch.Tensor:
    lowest, width, hill = (t[1].expand_as(energies) for t in floor_tables(RANGE))
    return above_floor(energies, lowest, width, hill)


def test_the_floor_is_twice_differentiable_and_nothing_within_the_range():
    above = torch.linspace(-0.4, 6.0, 50, dtype=torch.float64)
    assert (floored(above) == above).all()
    below = torch.tensor([-0.4 - 1e-5], dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(floored(below).sum(), below, create_graph=True)
    (curvature,) = torch.autograd.grad(slope.sum(), below)
    assert slope.item() == pytest.approx(1.0, abs=1e-4)
    assert curvature.item() == pytest.approx(0.0, abs=1e-2)  # 6 x h / w^3 dx: 3e-3 at this distance


def test_below_the_floor_the_energy_rises_without_end_and_gently():
    """From the lowest point on, however deep the hole; a factor of e in depth costs a quarter of the range."""
    depth = torch.logspace(-1, 20, 400, dtype=torch.float64)
    found = floored(-0.4 - depth)
    assert (found.diff() > 0.0).all()
    assert float(floored(-0.4 - torch.logspace(-4, 0, 400, dtype=torch.float64)).min()) > -0.5
    rise = floored(torch.tensor([-1e9 * np.e, -1e9], dtype=torch.float64))
    assert float(rise[0] - rise[1]) == pytest.approx(4.4 / 4, rel=1e-6)


def test_long_forces_keep_within_moderate_lengths():
    lengths = torch.tensor([0.0, 1.0, 24.0, 24.0 + 1e-4, 1e3, 1e28], dtype=torch.float64)
    short = lengths * shortening(lengths, torch.full_like(lengths, 24.0))
    assert (short[:3] == lengths[:3]).all()
    assert float(short[3]) == pytest.approx(24.0 + 1e-4, abs=1e-8)
    assert (short.diff() > 0.0).all() and float(short[-1]) < 24.0 * 70


def test_the_range_of_a_dimer_is_that_of_its_closed_form():
    """Half of the pair energy for each atom; the force is the slope."""
    distances = np.linspace(3.2, 5.0, 40)
    network = LennardJones(8.0, epsilon=0.01, sigma=3.0).double()
    dimers = [Atoms("Ar2", [[0, 0, 0], [r, 0, 0]]) for r in distances]
    found = observed_range(network, dimers, 2.0)
    energies, forces = [], []
    for atoms in dimers:
        r = torch.tensor([[atoms.get_distance(0, 1), 0.0, 0.0]], dtype=torch.float64)
        r.requires_grad_(True)
        pair = _pair_energy(network, r)
        energies.append(2.0 * float(pair.detach()) / 2)
        forces.append(2.0 * float(torch.autograd.grad(pair, r)[0].norm()))
    assert found.energies["Ar"] == pytest.approx([min(energies), max(energies)], abs=EXACT)
    assert found.forces["Ar"] == pytest.approx(max(forces), abs=EXACT)


def test_the_range_of_many_is_that_of_each_alone():
    """Structures are evaluated in groups: 40 molecules of six to nine atoms, more than one group has."""
    torch.manual_seed(3)
    settings = {"name": "painn", "species": [1, 8], "cutoff": CUTOFF, **NETWORKS["painn"]}
    network = build_network(settings).double()
    rng = np.random.default_rng(4)
    some = [
        Atoms(f"H{4 + k % 4}O2", rng.uniform(0.0, 3.0, (6 + k % 4, 3)), pbc=False)
        for k in range(40)
    ]
    together, alone = observed_range(network, iter(some), 2.0), DataRange()
    for atoms in some:
        alone = alone.including(observed_range(network, [atoms], 2.0))
    for symbol in "HO":
        scale = 1.0 + max(map(abs, alone.energies[symbol]))
        np.testing.assert_allclose(
            together.energies[symbol],
            alone.energies[symbol],
            atol=scale * TOLERANCE["float64"].equality,
        )
        relative = TOLERANCE["float64"].equality
        assert together.forces[symbol] == pytest.approx(alone.forces[symbol], rel=relative)


def test_what_is_not_finite_is_named_among_many():
    network = LennardJones(8.0, epsilon=0.01, sigma=3.0).double()
    fine = [Atoms("Ar2", [[0, 0, 0], [3.5, 0, 0]]) for _ in range(5)]
    wrong = Atoms("Ar3", [[0, 0, 0], [1e-40, 0, 0], [4.0, 0, 0]])
    with pytest.raises(ModelContractError, match="not finite for Ar3"):
        observed_range(network, [*fine, wrong, *fine], 1.0)


def _pair_energy(network, vector):
    """4 epsilon ((sigma/r)^12 - (sigma/r)^6) times the network's own fading, from a single edge of its graph."""
    from mlip_engines.model.graph import Graph

    graph = Graph(
        torch.tensor([18, 18]),
        torch.tensor([[0, 1], [1, 0]]),
        torch.cat([vector, -vector]),
        torch.tensor([1, 0]),
        torch.ones(2, dtype=torch.bool),
    )
    return network(graph, False)["atomic_energies"].sum()


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_forces_are_derivatives_of_the_energy_below_the_floor(name, tmp_path):
    """And the limit holds: both act on some atoms here, and not on others."""
    torch.manual_seed(5)
    settings = {"name": name, "species": [1, 8], "cutoff": CUTOFF, **NETWORKS[name]}
    network = build_network(settings).double()
    rng = np.random.default_rng(8)
    atoms = Atoms("H8O4", rng.uniform(0.0, 4.4, (12, 3)), cell=[4.4] * 3, pbc=True)
    distances = dict.fromkeys(("H-H", "H-O", "O-O"), 0.05)  # no pair is that close
    plain = Exportable(network, ["H", "O"], shortest_distances=distances, scale=3.0)
    export_network(plain, tmp_path / "plain.pt", "float64")
    atoms.calc = MlipCalculator(tmp_path / "plain.pt")
    energies = atoms.get_potential_energies()
    lengths = np.linalg.norm(atoms.calc.get_property("non_conservative_forces", atoms), axis=1)
    middle = {s: float(np.median(energies[np.array(list(atoms.symbols)) == s])) for s in "HO"}
    seen = DataRange({s: [m, m + 1e-3] for s, m in middle.items()}, {"H": 1.0, "O": 1.0})
    export_network(
        Exportable(network, ["H", "O"], shortest_distances=distances, scale=3.0, data_range=seen),
        tmp_path / "floored.pt",
        "float64",
    )
    atoms.calc = MlipCalculator(tmp_path / "floored.pt")
    changed = atoms.get_potential_energies() != energies
    lowest = np.array([middle[s] for s in atoms.symbols])
    np.testing.assert_array_equal(changed, energies < lowest)
    assert 0 < changed.sum() < 12
    forces, h = atoms.get_forces(), FINITE_DIFFERENCE_STEP
    for i, k in ((0, 0), (3, 1), (9, 2), (11, 0)):
        around = []
        for sign in (2, 1, -1, -2):
            moved = atoms.copy()
            moved.positions[i, k] += sign * h
            moved.calc = atoms.calc
            around.append(moved.get_potential_energy())
        slope = (-around[0] + 8 * around[1] - 8 * around[2] + around[3]) / (12 * h)
        assert abs(slope + forces[i, k]) < FINITE_DIFFERENCE_FORCE * max(1.0, np.abs(forces).max())
    if (lengths > 1.5).any():
        heads = atoms.calc.get_property("non_conservative_forces", atoms)
        assert np.linalg.norm(heads, axis=1).max() < lengths.max()


def test_the_range_comes_from_the_data_that_are_given(tmp_path, capsys):
    """``--shortest-from`` finds distances and range; a file written anew keeps both."""
    start = bulk("Cu", cubic=True, a=3.61)
    frames = []
    for seed in range(3):
        atoms = start.copy()
        atoms.rattle(0.1, seed=seed)
        frames.append(atoms)
    ase.io.write(tmp_path / "data.xyz", frames)
    first, again = tmp_path / "first.pt", tmp_path / "again.pt"
    copper = str(models_directory() / "copper.pt")
    assert export([copper, "--shortest-from", str(tmp_path / "data.xyz"), "-o", str(first)]) == 0
    assert export([str(first), "-o", str(again)]) == 0
    found = read_metadata(first)
    calculator, limit = MlipCalculator("copper"), TOLERANCE["float32"]
    reference = read_metadata(copper).reference_energies["Cu"]
    energies = np.concatenate([calculator.get_property("energies", a) for a in frames]) - reference
    lengths = [np.linalg.norm(calculator.get_property("forces", a), axis=1).max() for a in frames]
    bounds = [energies.min(), energies.max()]
    assert found.energy_range["Cu"] == pytest.approx(bounds, abs=4 * limit.energy_per_atom)
    assert found.largest_forces["Cu"] == pytest.approx(max(lengths), abs=limit.force)
    kept = read_metadata(again)
    assert (kept.energy_range, kept.largest_forces) == (found.energy_range, found.largest_forces)
    capsys.readouterr()


def test_without_atoms_there_are_no_forces():
    """As in a region of a workflow that happens to be empty."""
    settings = {"name": "painn", "cutoff": 3.0, "n_features": 8, "n_layers": 2, "species": [1]}
    network = WithShortRange(
        build_network(settings).double(), {"H-H": 0.5}, data_range=DataRange(forces={"H": 5.0})
    )
    nothing = neighbor_graph(Atoms(), network.cutoff)
    for output in (network(nothing, True), network.non_conservative(nothing)):
        assert output["non_conservative_forces"].shape == (0, 3)


@pytest.mark.parametrize(
    ("energies", "forces", "words"),
    [
        ({"Xx": [0.0, 1.0]}, {}, "chemical symbols, got 'Xx'"),
        ({"H": [1.0, 0.0]}, {}, "lowest and the highest atomic energy of H"),
        ({"H": [float("nan"), 0.0]}, {}, "lowest and the highest atomic energy of H"),
        ({}, {"H": -1.0}, "length of a force on H"),
    ],
)
def test_ranges_that_cannot_be_meant_are_named(energies, forces, words):
    with pytest.raises(ModelContractError, match=words):
        DataRange(energies, forces).check()


@pytest.mark.openmm  # the file of the starts imports it
@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_minimisers_find_no_deep_hole_in_shipped_models(path):
    """From displaced and from random places, no atom ends below the lowest of the data by more than the turn takes."""
    from benchmarks.collapse import liquid_or_crystal, starts

    metadata, calculator = read_metadata(path), MlipCalculator(path)
    assert metadata.energy_range and metadata.largest_forces
    box = liquid_or_crystal(metadata.species)
    references = np.array([metadata.reference_energies[symbol] for symbol in box.symbols])
    lowest = np.array([metadata.energy_range[symbol][0] for symbol in box.symbols])
    highest = np.array([metadata.energy_range[symbol][1] for symbol in box.symbols])
    allowed = lowest - 0.05 * 0.3 * np.maximum(highest - lowest, 0.4)
    for atoms in [*starts(box, "rattled", 2)[1:], *starts(box, "packed", 2)]:
        atoms.calc = calculator
        BFGS(atoms, logfile=None).run(fmax=0.1, steps=60)
        assert (atoms.get_potential_energies() - references > allowed).all()
        assert np.isfinite(atoms.get_forces()).all()
        assert np.isfinite(atoms.calc.get_property("non_conservative_forces", atoms)).all()
