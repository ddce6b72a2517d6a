"""What the network of each MPI process sees, against ASE; and failures of one process, which end all."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.neighborlist import neighbor_list
from torch import Tensor, nn

from mlip_engines.lammps.plugin import lammps_command
from mlip_engines.model.contract import ModelMetadata
from mlip_engines.model.export import export_model
from mlip_engines.model.graph import Graph
from mlip_engines.operators import evaluated_atoms, exchange, reverse_features
from mlip_train.potentials.analytic import LennardJones
from structures import STRUCTURES
from tests.lammps_plugin.model_files import SPECIES, export_pair
from tests.lammps_plugin.runner import LammpsError, environment, run_script, write_data

CUTOFF = 2.4
LAYERS = 3
ELEMENTS = ["H", "He", "Li", "Be", "B", "C", "N", "O", "F", "Ne", "Na", "Mg"]
HANG = 240  # s; what is caught takes a few, on a machine that does nothing else


class Speaking(nn.Module):
    """Prints its graph: owned atoms and edges, by atomic number, and vectors in 1e-6 Å."""

    heads: list[str]

    def __init__(self):
        super().__init__()
        self.cutoff = CUTOFF
        self.message_passing_layers = LAYERS
        self.heads = ["energy", "non_conservative_forces"]
        self.register_buffer("zero", torch.zeros(1, dtype=torch.float64))

    def forward(self, graph: Graph, with_non_conservative: bool) -> dict[str, Tensor]:
        zero = 0.0 * graph.edge_vectors.sum()
        output = {"atomic_energies": zero.expand(graph.atomic_numbers.size(0))}
        if with_non_conservative:
            head = self.non_conservative(graph)
            output["non_conservative_forces"] = head["non_conservative_forces"]
        return output

    @torch.jit.export
    def non_conservative(self, graph: Graph) -> dict[str, Tensor]:
        text = "GRAPH owned"
        has_edges = torch.zeros_like(graph.owned).index_fill(0, graph.edge_index.flatten(), True)
        for k in range(graph.atomic_numbers.size(0)):
            if bool(graph.owned[k]) and bool(has_edges[k]):
                text += f" {int(graph.atomic_numbers[k])}"
        grid = torch.round(graph.edge_vectors * 1e6).to(torch.int64)
        for e in range(graph.edge_vectors.size(0)):
            i, j = int(graph.edge_index[0, e]), int(graph.edge_index[1, e])
            text += f" ; {int(graph.atomic_numbers[i])} {int(graph.atomic_numbers[j])}"
            text += f" {int(grid[e, 0])} {int(grid[e, 1])} {int(grid[e, 2])}"
            back = graph.reverse_edge[e]
            right = bool((grid[back] == -grid[e]).all())
            right = (
                right
                and int(graph.edge_index[0, back]) == j
                and int(graph.edge_index[1, back]) == i
            )
            text += " ok" if right else " wrong"
        print(text)
        return {
            "non_conservative_forces": torch.zeros(
                (graph.atomic_numbers.size(0), 3), dtype=graph.edge_vectors.dtype
            )
        }


class Answering(Speaking):
    """Prints whether what comes back for the reverse of an edge is that edge, the other way round."""

    feature_exchange = True
    edge_exchange = True

    @torch.jit.export
    def non_conservative(self, graph: Graph) -> dict[str, Tensor]:
        text = "GRAPH owned"
        has_edges = torch.zeros_like(graph.owned).index_fill(0, graph.edge_index[0], True)
        for k in range(evaluated_atoms(graph.atomic_numbers.size(0))):
            if bool(has_edges[k]):
                text += f" {int(graph.atomic_numbers[k])}"
        ends = graph.atomic_numbers[graph.edge_index].T.to(graph.edge_vectors.dtype)  # (E, 2)
        features = torch.cat((ends, graph.edge_vectors), dim=1)  # (E, 5)
        back = reverse_features(features, graph.reverse_edge)
        right = (back[:, :2] == ends.flip(1)).all(dim=1)
        right = torch.logical_and(
            right, (back[:, 2:] + graph.edge_vectors).abs().max(dim=1)[0] < 1e-9
        )
        grid = torch.round(graph.edge_vectors * 1e6).to(torch.int64)
        for e in range(graph.edge_vectors.size(0)):
            text += f" ; {int(ends[e, 0])} {int(ends[e, 1])}"
            text += f" {int(grid[e, 0])} {int(grid[e, 1])} {int(grid[e, 2])}"
            text += " ok" if bool(right[e]) else " wrong"
        print(text)
        zero = torch.zeros((graph.atomic_numbers.size(0), 3), dtype=graph.edge_vectors.dtype)
        return {"non_conservative_forces": zero}


class Failing(Speaking):
    """Fails, or gives what is no number, where one atom of oxygen is owned: on one process."""

    def __init__(self, how: str):
        super().__init__()
        self.how = how
        self.message_passing_layers = 1

    def forward(self, graph: Graph, with_non_conservative: bool) -> dict[str, Tensor]:
        is_here = int((graph.atomic_numbers[graph.owned] == 8).sum()) == 1
        energies = torch.zeros_like(graph.atomic_numbers, dtype=graph.edge_vectors.dtype)
        energies = energies.index_add(0, graph.edge_index[0], (graph.edge_vectors**2).sum(dim=1))
        if is_here and self.how == "exception":
            raise RuntimeError("oxygen is too much for this model")
        if is_here and self.how == "nan":
            energies = energies * torch.where(graph.atomic_numbers == 8, torch.nan, 1.0)
        output = {"atomic_energies": energies}
        if with_non_conservative:
            output["non_conservative_forces"] = torch.zeros(
                (graph.atomic_numbers.size(0), 3), dtype=graph.edge_vectors.dtype
            )
        return output

    @torch.jit.export
    def non_conservative(self, graph: Graph) -> dict[str, Tensor]:
        return {
            "non_conservative_forces": torch.zeros(
                (graph.atomic_numbers.size(0), 3), dtype=graph.edge_vectors.dtype
            )
        }


class FailingBetween(Failing):
    """Fails after a first exchange of features and before a second one, in which others wait."""

    feature_exchange = True

    def forward(self, graph: Graph, with_non_conservative: bool) -> dict[str, Tensor]:
        n_atoms = graph.atomic_numbers.size(0)
        n = evaluated_atoms(n_atoms)
        features = torch.zeros((n, 1), dtype=graph.edge_vectors.dtype)
        squares = (graph.edge_vectors**2).sum(dim=1, keepdim=True)
        features = exchange([features.index_add(0, graph.edge_index[0], squares)], n_atoms)[0]
        if int((graph.atomic_numbers[graph.owned] == 8).sum()) == 1:
            raise RuntimeError("oxygen is too much for this model")
        features = exchange([features[:n]], n_atoms)[0]
        output = {"atomic_energies": features.flatten()}
        if with_non_conservative:
            head = self.non_conservative(graph)
            output["non_conservative_forces"] = head["non_conservative_forces"]
        return output


class FailingBetweenEdges(FailingBetween):
    """The same between two exchanges of features of edges."""

    edge_exchange = True

    def forward(self, graph: Graph, with_non_conservative: bool) -> dict[str, Tensor]:
        back = reverse_features(graph.edge_vectors, graph.reverse_edge)
        if int((graph.atomic_numbers[graph.owned] == 8).sum()) == 1:
            raise RuntimeError("oxygen is too much for this model")
        back = reverse_features(back, graph.reverse_edge)
        zero = torch.zeros_like(graph.atomic_numbers, dtype=graph.edge_vectors.dtype)
        output = {"atomic_energies": zero.index_add(0, graph.edge_index[0], (back**2).sum(dim=1))}
        if with_non_conservative:
            head = self.non_conservative(graph)
            output["non_conservative_forces"] = head["non_conservative_forces"]
        return output


class Unannounced(FailingBetweenEdges):
    """Asks for features of reverse edges, and its file does not say so."""

    edge_exchange = False


def export(network: nn.Module, path: Path, species: list[str]) -> Path:
    metadata = ModelMetadata(
        name=type(network).__name__,
        species=species,
        cutoff=CUTOFF,
        message_passing_layers=network.message_passing_layers,
        heads=network.heads,
        dtype="float64",
        interaction_range=CUTOFF * network.message_passing_layers,
    )
    export_model(network, metadata, path)
    return path


def expected_edges(atoms: Atoms, owned: set[int]) -> list[tuple[int, ...]]:
    """Edges of the periodic graph with an end less than LAYERS edges away from the owned atoms."""
    i, j, vectors = neighbor_list("ijD", atoms, CUTOFF)
    numbers = atoms.numbers
    depth = {k: 0 for k in range(len(atoms)) if numbers[k] in owned}
    for step in range(1, LAYERS):
        reached = {b for a, b in zip(i, j, strict=True) if depth.get(a, LAYERS) == step - 1}
        depth.update({k: step for k in reached - depth.keys()})
    return sorted(
        (numbers[a], numbers[b], *np.rint(d * 1e6).astype(int))
        for a, b, d in zip(i, j, vectors, strict=True)
        if a in depth or b in depth
    )


def expected_edges_of(atoms: Atoms, owned: set[int]) -> list[tuple[int, ...]]:
    """Edges of the periodic graph whose centre is owned."""
    i, j, vectors = neighbor_list("ijD", atoms, CUTOFF)
    numbers = atoms.numbers
    return sorted(
        (numbers[a], numbers[b], *np.rint(d * 1e6).astype(int))
        for a, b, d in zip(i, j, vectors, strict=True)
        if numbers[a] in owned
    )


@pytest.mark.parametrize(
    ("name", "network", "expected"),
    [
        ("triclinic", Speaking(), expected_edges),
        ("slab", Speaking(), expected_edges),
        ("triclinic", Answering(), expected_edges_of),
        ("slab", Answering(), expected_edges_of),
        ("thin", Answering(), expected_edges_of),
    ],
    ids=["triclinic", "slab", "triclinic_exchange", "slab_exchange", "thin_exchange"],
)
def test_each_process_sees_the_edges_that_its_energies_depend_on(tmp_path, name, network, expected):
    """With an exchange those of its atoms, and what it gets for their reverses is what it should."""
    atoms = STRUCTURES["triclinic" if name == "thin" else name]()
    if name == "thin":  # pairs that several edges join, and atoms that are their own neighbours
        atoms.set_cell(atoms.cell.array * [[0.42], [1.0], [1.0]], scale_atoms=True)
    atoms.numbers = np.arange(1, 13)  # so that the network can tell them apart
    export(network, tmp_path / "speaking.pt", ELEMENTS)
    cell = write_data(tmp_path / "atoms.data", atoms, ELEMENTS)
    atoms.set_cell(cell.matrix)
    atoms.positions = cell.vectors_to_lammps(atoms.positions - cell.origin)
    boundary = " ".join("p" if periodic else "f" for periodic in atoms.pbc)
    output = run_script(
        f"""units metal
atom_style atomic
boundary {boundary}
read_data atoms.data
pair_style mlip check_masses no forces non_conservative
pair_coeff * * speaking.pt {" ".join(ELEMENTS)}
thermo_style custom step
run 0
""",
        tmp_path,
        processes=4,
    )
    lines = [line for line in output.splitlines() if line.startswith("GRAPH")]
    assert len(lines) >= 4  # one of each process for each evaluation
    seen, n_edges = set(), set()
    for line in lines:
        head, *edges = line.split(" ; ")
        owned = {int(word) for word in head.split()[2:]}
        words = [edge.split() for edge in edges]
        assert {word[5] for word in words} <= {"ok"}  # the reverse edge
        assert sorted(tuple(int(w) for w in word[:5]) for word in words) == expected(atoms, owned)
        seen |= owned
        n_edges.add(len(edges))
    assert seen == set(range(1, 13))
    assert len(n_edges) > 1


PAIR = """units metal
atom_style atomic
processors 2 1 1
region box block 0 24 0 6 0 6
create_box 2 box
create_atoms 1 single 2 3 3
create_atoms 1 single 4 3 3
create_atoms 2 single 20 3 3
create_atoms 1 single 22 3 3
mass 1 1.008
mass 2 15.999
pair_style mlip {style}
pair_coeff * * {model} H O
fix move all nve
{commands}
print "not reached"
"""


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (Failing("exception"), "oxygen is too much for this model"),
        (FailingBetween("exception"), "oxygen is too much for this model"),
        (FailingBetweenEdges("exception"), "oxygen is too much for this model"),
        (Failing("nan"), "atom 3 (type 2) in step 0: the energy is not a number"),
    ],
    ids=["exception", "exception_between_exchanges", "exception_between_edges", "nan"],
)
@pytest.mark.parametrize(
    "commands", ["run 0", "run_style respa 2 4 inner 1 2.0 3.0 outer 2\nrun 1"]
)
def test_failure_of_one_process_ends_all_with_its_message(tmp_path, network, message, commands):
    model = export(network, tmp_path / "failing.pt", SPECIES)
    style = "parallel exchange" if isinstance(network, FailingBetween) else ""
    script = PAIR.format(model=model, commands=commands, style=style)
    with pytest.raises(LammpsError) as caught:
        run_script(script, tmp_path, processes=2, timeout=HANG)
    assert caught.value.output.count(message) == 1, caught.value.output
    assert "not reached" not in caught.value.output


def two_processes(folder: Path, *settings: dict[str, str]) -> subprocess.CompletedProcess:
    """Run in.lammps on two processes with other environments."""
    command = [str(Path(sys.executable).parent / "mpiexec")]
    for k, variables in enumerate(settings):
        command += [":"] if k else []
        command += ["-n", "1"]
        for name, value in variables.items():
            command += ["-env", name, value]
        command += [*lammps_command(), "-in", "in.lammps", "-log", "none"]
    return subprocess.run(
        command, cwd=folder, env=environment(), capture_output=True, text=True, timeout=HANG
    )


def test_file_that_only_one_process_has_or_another_one(tmp_path):
    """Machines of a cluster with folders of their own: missing on one, older on another."""
    for folder, curl in (("first", 0.01), ("second", 0.02), ("empty", None)):
        (tmp_path / folder).mkdir()
        if curl is not None:
            export_with_curl(curl, tmp_path / folder / "mine.pt")
    (tmp_path / "in.lammps").write_text(PAIR.format(model="mine", commands="run 0", style=""))
    paths = [{"LAMMPS_POTENTIALS": str(tmp_path / name)} for name in ("first", "empty", "second")]
    missing = two_processes(tmp_path, paths[0], paths[1])
    assert missing.returncode != 0
    assert missing.stdout.count("cannot find the model file 'mine'") == 1
    assert "MPI process 1 on" in missing.stdout
    other = two_processes(tmp_path, paths[0], paths[2])
    assert other.returncode != 0
    assert other.stdout.count("expected the same model on all processes") == 1


def export_with_curl(curl: float, path: Path) -> Path:
    return export_pair(LennardJones(CUTOFF, curl=curl).to(torch.float64), path)


def test_exchange_with_a_network_that_has_none_is_refused(tmp_path):
    model = export_with_curl(0.01, tmp_path / "mine.pt")
    script = PAIR.format(model=model, commands="run 0", style="parallel exchange")
    with pytest.raises(LammpsError) as caught:
        run_script(script, tmp_path, processes=2, timeout=HANG)
    assert "Use parallel halo, or export it again" in caught.value.output


def test_exchange_of_edges_that_the_file_does_not_announce_is_refused(tmp_path):
    model = export(Unannounced("never"), tmp_path / "mine.pt", SPECIES)
    script = PAIR.format(model=model, commands="run 0", style="parallel exchange")
    with pytest.raises(LammpsError) as caught:
        run_script(script, tmp_path, processes=2, timeout=HANG)
    assert caught.value.output.count("Set edge_exchange = True in the network") == 1
