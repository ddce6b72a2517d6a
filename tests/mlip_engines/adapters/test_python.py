"""mlip-export --from python: a network that a file of the user builds."""

import textwrap

import numpy as np
import pytest
from ase import Atoms

from mlip_engines import MlipCalculator, read_metadata
from mlip_engines.commands.export import main

# E of a pair: 1/2 k (r - r0)^2 (1 - (r / c)^2)^2
NETWORK = """
    import torch
    from torch import Tensor, nn

    from mlip_engines.model.graph import Graph
    from constants import STIFFNESS


    class Springs(nn.Module):
        def __init__(self):
            super().__init__()
            self.cutoff = 4.0
            self.message_passing_layers = 1
            self.heads = ["energy"]
            self.stiffness = nn.Parameter(torch.tensor(STIFFNESS))

        def forward(self, graph: Graph, with_non_conservative: bool) -> dict[str, Tensor]:
            distance = torch.linalg.vector_norm(graph.edge_vectors, dim=1)
            fade = (1.0 - (distance / self.cutoff) ** 2) ** 2
            energy = 0.25 * self.stiffness * (distance - 1.5) ** 2 * fade
            zero = torch.zeros_like(graph.atomic_numbers, dtype=energy.dtype)
            return {"atomic_energies": zero.index_add(0, graph.edge_index[0], energy)}

        @torch.jit.export
        def non_conservative(self, graph: Graph) -> dict[str, Tensor]:
            return {"non_conservative_forces": torch.zeros_like(graph.edge_vectors)}


    def build():
        return Springs()
"""


@pytest.fixture
def written(tmp_path):
    """Write a file of the user, and another that it imports; return the path."""

    def write(more: str = ""):
        path = tmp_path / "my_network.py"
        path.write_text(textwrap.dedent(NETWORK) + textwrap.dedent(more))
        (tmp_path / "constants.py").write_text("STIFFNESS = 3.0\n")
        return path

    return write


def energy_of_pair(model, distance: float) -> float:
    atoms = Atoms("ArNe", [[0, 0, 0], [distance, 0, 0]])
    atoms.calc = MlipCalculator(model)
    return atoms.get_potential_energy()


def exact(distance: float) -> float:
    return 1.5 * (distance - 1.5) ** 2 * (1.0 - (distance / 4.0) ** 2) ** 2


def test_a_network_of_a_file_becomes_a_model(written, tmp_path):
    model = tmp_path / "model.pt"
    species = ["--species", "Ar", "Ne", "--dtype", "float64"]
    assert main(["--from", "python", f"{written()}:build", "-o", str(model), *species]) == 0
    metadata = read_metadata(model)
    assert (metadata.name, metadata.species) == ("my_network", ["Ar", "Ne"])
    assert energy_of_pair(model, 2.5) == pytest.approx(exact(2.5), abs=1e-12)


EXPORTABLE = """
    from ase.calculators.calculator import Calculator, all_changes
    from mlip_engines.checkpoints import Exportable


    class Reference(Calculator):
        implemented_properties = ["energy", "forces"]

        def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
            super().calculate(atoms, properties, system_changes)
            from mlip_engines.model.export import ExportedModel
            from mlip_engines.model.evaluation import evaluate
            from mlip_engines.model.neighbors import neighbor_graph

            module = ExportedModel(Springs().double(), {10: -2.0, 18: -5.0}, SCALE).eval()
            output = evaluate(module, neighbor_graph(atoms, 4.0))
            self.results = {"energy": float(output["energy"]), "forces": output["forces"].numpy()}


    SCALE = 2.0


    def right():
        energies = {"Ar": -5.0, "Ne": -2.0}
        return Exportable(
            Springs(), ["Ne", "Ar"], "springs", energies, 2.0, citation="Hooke 1678", reference=Reference()
        )


    def wrong():
        global SCALE
        SCALE = 2.1
        return right()
"""


def test_an_exportable_is_compared_with_its_reference(written, tmp_path, capsys):
    path, model = written(EXPORTABLE), tmp_path / "model.pt"
    assert main(["--from", "python", f"{path}:right", "-o", str(model), "--dtype", "float64"]) == 0
    metadata = read_metadata(model)
    assert (metadata.name, metadata.citation) == ("springs", "Hooke 1678")
    assert energy_of_pair(model, 2.0) == pytest.approx(2.0 * exact(2.0) - 7.0, abs=1e-12)
    before = model.read_bytes()
    capsys.readouterr()
    assert main(["--from", "python", f"{path}:wrong", "-o", str(model), "--dtype", "float64"]) == 1
    error = capsys.readouterr().err
    assert "energy of the model file differ by" in error
    assert "those of Reference" in error
    assert model.read_bytes() == before
    assert not list(tmp_path.glob("model.pt.*"))


def test_the_comparison_is_shown_and_kept(written, tmp_path, capsys):
    path, model = written(EXPORTABLE), tmp_path / "model.pt"
    Atoms("ArNe", [[0, 0, 0], [2.0, 0, 0]], cell=[9, 9, 9], pbc=True).write(tmp_path / "own.xyz")
    command = ["--from", "python", f"{path}:right", "-o", str(model), "--dtype", "float64"]
    assert main([*command, "--compare-on", str(tmp_path / "own.xyz")]) == 0
    assert "compared with Reference on 3 structures" in capsys.readouterr().out
    comparison = read_metadata(model).comparison
    assert comparison["structures"] == 3
    assert "stress" not in comparison  # it has none
    assert comparison["energy_per_atom"] < 1e-12
    assert comparison["forces"] < 1e-12


def test_without_comparison_the_reference_is_not_asked(written, tmp_path, capsys):
    path, model = written(EXPORTABLE), tmp_path / "model.pt"
    command = ["--from", "python", f"{path}:wrong", "-o", str(model), "--dtype", "float64"]
    assert main([*command, "--no-compare"]) == 0
    assert "compared" not in capsys.readouterr().out
    assert read_metadata(model).comparison == {}


def test_a_wrong_stress_is_seen(written, tmp_path, capsys):
    """Right energies and forces, the stress in other units, as some packages give it."""
    source = (
        EXPORTABLE
        + """

    class Pascal(Reference):
        implemented_properties = ["energy", "forces", "stress"]

        def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
            super().calculate(atoms, properties, system_changes)
            self.results["stress"] = 160.0 * atoms.get_positions().ravel()[:6]


    def pascal():
        from dataclasses import replace
        return replace(right(), reference=Pascal())
    """
    )
    path, model = written(source), tmp_path / "model.pt"
    assert main(["--from", "python", f"{path}:pascal", "-o", str(model), "--dtype", "float64"]) == 1
    assert "stress of the model file differ by" in capsys.readouterr().err
    assert not model.exists()


INNER = """


    class Direct(Springs):
        def __init__(self):
            super().__init__()
            self.cutoff = 3.0
            self.heads = ["energy", "non_conservative_forces"]

        @torch.jit.export
        def non_conservative(self, graph: Graph) -> dict[str, Tensor]:
            distance = torch.linalg.vector_norm(graph.edge_vectors, dim=1, keepdim=True)
            pull = (1.0 - (distance / self.cutoff) ** 2) ** 2 * graph.edge_vectors
            zero = torch.zeros((graph.atomic_numbers.size(0), 3), dtype=pull.dtype)
            return {"non_conservative_forces": zero.index_add(0, graph.edge_index[0], pull)}


    def direct():
        return Direct()
"""


def test_direct_forces_come_from_a_second_package(written, tmp_path, capsys):
    path, model = written(INNER), tmp_path / "model.pt"
    command = ["--from", "python", f"{path}:build", "-o", str(model), "--dtype", "float64"]
    command += ["--species", "Ar", "Ne", "--short-range", "none"]
    assert main([*command, "--inner-from", "python", "--inner", f"{path}:direct"]) == 0
    assert read_metadata(model).heads == ["energy", "non_conservative_forces"]
    assert energy_of_pair(model, 2.5) == pytest.approx(exact(2.5), abs=1e-12)
    atoms = Atoms("ArNe", [[0, 0, 0], [2.0, 0, 0]])
    atoms.calc = MlipCalculator(model, forces="non_conservative")
    pull = 2.0 * (1.0 - (2.0 / 3.0) ** 2) ** 2
    np.testing.assert_allclose(atoms.get_forces()[:, 0], [pull, -pull], atol=1e-12)
    assert main([*command, "--inner-from", "python"]) == 1
    assert "expected --inner as well" in capsys.readouterr().err


def test_species_select_from_an_exportable(written, tmp_path, capsys):
    path, model = written(EXPORTABLE), tmp_path / "model.pt"
    command = ["--from", "python", f"{path}:right", "-o", str(model), "--species"]
    assert main([*command, "Ar"]) == 0
    assert read_metadata(model).species == ["Ar"]
    assert main([*command, "Xe"]) == 1
    assert "the network knows Ne, Ar, got Xe" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("function", "more", "message"),
    [
        ("", "", "expected FILE.py:FUNCTION"),
        (":other", "", "expected a function 'other', found Graph, Springs, Tensor, build"),
        (":build", "", "is not said; give --species"),
        (":f", "def f(): return 3", "expected the function to return a network"),
        (":f", "def f(): 1 / 0", "calling the function failed, ZeroDivisionError"),
        (":f", "def f(x): return x", "calling the function failed, TypeError"),
        (":build", "1 / 0", "running the file failed, ZeroDivisionError"),
        (
            ":f",
            "def f():\n    n = nn.Linear(1, 1)\n    n.species = ['Ar']\n    return n",
            "'cutoff'",
        ),
        (":f", "def f():\n    n = Springs()\n    n.species = ['Qq']\n    return n", "no chemical"),
    ],
)
def test_what_is_no_network_is_refused(function, more, message, written, tmp_path, capsys):
    path = written(more)
    assert main(["--from", "python", f"{path}{function}", "-o", str(tmp_path / "model.pt")]) == 1
    output = capsys.readouterr()
    assert message in output.err
    assert "Traceback" not in output.err
    assert not (tmp_path / "model.pt").exists()


def test_a_file_that_is_not_there(tmp_path, capsys):
    command = ["--from", "python", str(tmp_path / "no.py:build"), "-o", str(tmp_path / "m.pt")]
    assert main(command) == 1
    assert "found nothing at" in capsys.readouterr().err


def test_forces_of_the_exported_file_are_those_of_the_energy(written, tmp_path):
    model = tmp_path / "model.pt"
    species = ["--species", "Ar", "Ne", "--dtype", "float64"]
    assert main(["--from", "python", f"{written()}:build", "-o", str(model), *species]) == 0
    atoms = Atoms("ArNe", [[0, 0, 0], [2.5, 0, 0]])
    atoms.calc = MlipCalculator(model)
    step = 1e-5
    slope = (exact(2.5 + step) - exact(2.5 - step)) / (2 * step)
    np.testing.assert_allclose(atoms.get_forces(), [[slope, 0, 0], [-slope, 0, 0]], atol=1e-9)
