"""The conformance check passes exact models and catches each way to break the contract."""

import re

import pytest
import torch
from torch import Tensor

from mlip_engines.conformance import ConformanceWarning, check_conformance
from mlip_engines.model.contract import ModelContractError
from mlip_engines.model.export import export_model
from mlip_engines.model.exported import ExportedModel
from mlip_engines.model.graph import Graph
from mlip_engines.model.load import load_model
from mlip_train.potentials.analytic import HarmonicPair, LennardJones, PairNetwork, smooth_cutoff
from tests.mlip_engines.conftest import metadata_of

CUTOFF = 4.0


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize(
    "network",
    [
        LennardJones(CUTOFF, sigma=1.2),
        LennardJones(CUTOFF, sigma=1.2, with_non_conservative_head=False),
        HarmonicPair(CUTOFF),
    ],
    ids=["lennard_jones", "no_head", "harmonic"],
)
def test_exact_networks_pass(network, dtype):
    passed = check_conformance(network.to(dtype), ["H", "O"], rotation=True)
    assert "forces are the negative energy gradient" in passed
    assert "rotation turns the forces" in passed
    assert len(passed) == 21


@pytest.mark.parametrize("name", ["float64", "float32", "no_head"])
def test_model_files_pass(name, model_files):
    from_path = check_conformance(model_files[name])
    assert "virial is the negative strain derivative" in from_path
    assert check_conformance(load_model(model_files[name])) == from_path


class Springs(PairNetwork):
    """A network that obeys the contract and that the broken ones below change in one place."""

    def __init__(self, has_virials: bool = False):
        super().__init__(CUTOFF, 0.0, True)
        self.has_virials = has_virials
        self.heads = self.heads + ["non_conservative_stress"] * has_virials
        self.double()

    def per_edge(self, edge_index: Tensor, edge_vectors: Tensor, reverse_edge: Tensor) -> Tensor:
        distance = torch.linalg.vector_norm(edge_vectors, dim=1)
        return 0.5 * (distance - 2.0) ** 2 * smooth_cutoff(distance, self.cutoff)

    def per_atom(self, energies: Tensor, atomic_numbers: Tensor, edge_index: Tensor) -> Tensor:
        return energies

    def forward(self, graph: Graph, with_non_conservative: bool) -> dict[str, Tensor]:
        edge_energies = self.per_edge(graph.edge_index, graph.edge_vectors, graph.reverse_edge)
        energies = torch.zeros(
            graph.atomic_numbers.size(0),
            dtype=graph.edge_vectors.dtype,
            device=graph.edge_vectors.device,
        ).index_add(0, graph.edge_index[0], edge_energies)
        output = {
            "atomic_energies": self.per_atom(energies, graph.atomic_numbers, graph.edge_index)
        }
        if with_non_conservative:
            output["non_conservative_forces"] = self.head(
                graph.edge_index, graph.edge_vectors, energies
            )
            if self.has_virials:
                output["non_conservative_virials"] = self.virials(
                    graph.edge_index, graph.edge_vectors, energies
                )
        return output

    @torch.jit.export
    def non_conservative(self, graph: Graph) -> dict[str, Tensor]:
        zero = torch.zeros(
            graph.atomic_numbers.size(0),
            dtype=graph.edge_vectors.dtype,
            device=graph.edge_vectors.device,
        )
        output = {"non_conservative_forces": self.head(graph.edge_index, graph.edge_vectors, zero)}
        if self.has_virials:
            output["non_conservative_virials"] = self.virials(
                graph.edge_index, graph.edge_vectors, zero
            )
        return output

    def virials(self, edge_index: Tensor, edge_vectors: Tensor, like: Tensor) -> Tensor:
        factor = smooth_cutoff(torch.linalg.vector_norm(edge_vectors, dim=1), self.cutoff)
        edges = factor[:, None, None] * edge_vectors[:, :, None] * edge_vectors[:, None, :]
        zero = torch.zeros((like.size(0), 3, 3), dtype=edges.dtype, device=edges.device)
        return zero.index_add(0, edge_index[0], edges)

    def head(self, edge_index: Tensor, edge_vectors: Tensor, like: Tensor) -> Tensor:
        factor = smooth_cutoff(torch.linalg.vector_norm(edge_vectors, dim=1), self.cutoff)
        zero = torch.zeros((like.size(0), 3), dtype=edge_vectors.dtype, device=edge_vectors.device)
        return zero.index_add(0, edge_index[0], factor[:, None] * edge_vectors)


class PartOfTheGradient(Springs):
    def per_edge(self, edge_index: Tensor, edge_vectors: Tensor, reverse_edge: Tensor) -> Tensor:
        distance = torch.linalg.vector_norm(edge_vectors, dim=1)
        return 0.5 * (distance - 2.0) ** 2 * smooth_cutoff(distance.detach(), self.cutoff)


class HardCutoff(Springs):
    def per_edge(self, edge_index: Tensor, edge_vectors: Tensor, reverse_edge: Tensor) -> Tensor:
        return 1e-4 * (torch.linalg.vector_norm(edge_vectors, dim=1) - 2.0) ** 2


class HardForceCutoff(Springs):
    """The energy goes to zero at the cutoff, its slope does not."""

    def per_edge(self, edge_index: Tensor, edge_vectors: Tensor, reverse_edge: Tensor) -> Tensor:
        return 1e-4 * (torch.linalg.vector_norm(edge_vectors, dim=1) - self.cutoff)


class HardHeadCutoff(Springs):
    def head(self, edge_index: Tensor, edge_vectors: Tensor, like: Tensor) -> Tensor:
        zero = torch.zeros((like.size(0), 3), dtype=edge_vectors.dtype, device=edge_vectors.device)
        return zero.index_add(0, edge_index[0], 1e-4 * edge_vectors)


class OrderOfEdges(Springs):
    def per_edge(self, edge_index: Tensor, edge_vectors: Tensor, reverse_edge: Tensor) -> Tensor:
        place = torch.arange(edge_index.size(1), dtype=edge_vectors.dtype)
        return smooth_cutoff(
            torch.linalg.vector_norm(edge_vectors, dim=1), self.cutoff
        ) * torch.cos(place)


class WrongReverse(Springs):
    """Pairs each edge with the one before it, not with its opposite; right for a single pair."""

    def per_edge(self, edge_index: Tensor, edge_vectors: Tensor, reverse_edge: Tensor) -> Tensor:
        factor = smooth_cutoff(torch.linalg.vector_norm(edge_vectors, dim=1), self.cutoff)
        return factor * factor.roll(1)


class OrderOfAtoms(Springs):
    def per_atom(self, energies: Tensor, atomic_numbers: Tensor, edge_index: Tensor) -> Tensor:
        return energies * torch.arange(energies.size(0), dtype=energies.dtype)


class MeanOverAtoms(Springs):
    """A mean that runs over the whole input, as of a batch normalisation."""

    def per_atom(self, energies: Tensor, atomic_numbers: Tensor, edge_index: Tensor) -> Tensor:
        return energies - energies.mean()


class MeanOverEdges(Springs):
    """Not a number where there are no edges."""

    def per_atom(self, energies: Tensor, atomic_numbers: Tensor, edge_index: Tensor) -> Tensor:
        count = torch.bincount(edge_index[0], minlength=energies.size(0))
        return energies / count


class Squeezed(Springs):
    """A bare squeeze loses the axis of a single atom."""

    def per_atom(self, energies: Tensor, atomic_numbers: Tensor, edge_index: Tensor) -> Tensor:
        return energies[:, None].squeeze()


class NoSelfImages(Springs):
    def per_edge(self, edge_index: Tensor, edge_vectors: Tensor, reverse_edge: Tensor) -> Tensor:
        factor = smooth_cutoff(torch.linalg.vector_norm(edge_vectors, dim=1), self.cutoff)
        return torch.where(edge_index[0] == edge_index[1], torch.zeros_like(factor), factor)


class FartherThanItSays(Springs):
    """Passes a message, so that it reaches two edges far, and declares one."""

    def per_atom(self, energies: Tensor, atomic_numbers: Tensor, edge_index: Tensor) -> Tensor:
        gathered = torch.zeros_like(energies)
        return gathered.index_add(0, edge_index[0], energies[edge_index[1]] ** 2)


class OtherHead(Springs):
    """The head depends on whether the energy is evaluated too."""

    def head(self, edge_index: Tensor, edge_vectors: Tensor, like: Tensor) -> Tensor:
        factor = smooth_cutoff(torch.linalg.vector_norm(edge_vectors, dim=1), self.cutoff)
        zero = torch.zeros((like.size(0), 3), dtype=edge_vectors.dtype, device=edge_vectors.device)
        summed = zero.index_add(0, edge_index[0], factor[:, None] * edge_vectors)
        return summed * (1.0 + like)[:, None]


class ChangesItsInput(Springs):
    def head(self, edge_index: Tensor, edge_vectors: Tensor, like: Tensor) -> Tensor:
        zero = torch.zeros((like.size(0), 3), dtype=edge_vectors.dtype, device=edge_vectors.device)
        scaled = edge_vectors.detach()
        scaled *= 0.5
        return zero.index_add(0, edge_index[0], scaled)


class NotScriptable(Springs):
    def per_atom(self, energies: Tensor, atomic_numbers: Tensor, edge_index: Tensor) -> Tensor:
        return energies * globals()["CUTOFF"]


class DropsOut(Springs):
    """Not the same twice."""

    def per_atom(self, energies: Tensor, atomic_numbers: Tensor, edge_index: Tensor) -> Tensor:
        return energies * torch.rand(1, dtype=energies.dtype)


class ConstantForce(Springs):
    """The same force on every atom, which is gone once the net force is removed."""

    def head(self, edge_index: Tensor, edge_vectors: Tensor, like: Tensor) -> Tensor:
        zero = torch.zeros((like.size(0), 3), dtype=edge_vectors.dtype, device=edge_vectors.device)
        return zero + 0.1


class SteepCutoff(Springs):
    """The energy of a pair goes to zero within the last 0.2 Å, with all derivatives, as in PET."""

    def switch(self, distance: Tensor) -> Tensor:
        x = ((distance - self.cutoff + 0.2) / 0.2).clamp(1e-6, 1.0 - 1e-6)
        return 0.5 * (1.0 + torch.tanh(1.0 / torch.tan(torch.pi * x)))

    def per_edge(self, edge_index: Tensor, edge_vectors: Tensor, reverse_edge: Tensor) -> Tensor:
        distance = torch.linalg.vector_norm(edge_vectors, dim=1)
        return 0.5 * (distance - 2.0) ** 2 * self.switch(distance)


class OnceDifferentiable(Springs):
    """A cutoff function as of XPLOR, whose second derivative jumps where it begins and where it ends."""

    def __init__(self, width: float):
        super().__init__()
        self.width = width

    def per_edge(self, edge_index: Tensor, edge_vectors: Tensor, reverse_edge: Tensor) -> Tensor:
        distance = torch.linalg.vector_norm(edge_vectors, dim=1)
        x = ((distance - self.cutoff + self.width) / self.width).clamp(0.0, 1.0)
        return 0.5 * (distance - 2.0) ** 2 * (1.0 - 3.0 * x**2 + 2.0 * x**3)


class PartOfTheSteepGradient(SteepCutoff):
    """A thousandth of the slope of the cutoff is missing."""

    def per_edge(self, edge_index: Tensor, edge_vectors: Tensor, reverse_edge: Tensor) -> Tensor:
        distance = torch.linalg.vector_norm(edge_vectors, dim=1)
        switch = self.switch(distance)
        return 0.5 * (distance - 2.0) ** 2 * (0.999 * switch + 0.001 * switch.detach())


class FixedAxis(Springs):
    def per_edge(self, edge_index: Tensor, edge_vectors: Tensor, reverse_edge: Tensor) -> Tensor:
        factor = smooth_cutoff(torch.linalg.vector_norm(edge_vectors, dim=1), self.cutoff)
        return factor * edge_vectors[:, 2] ** 2


def failures(model, **options) -> list[str]:
    with pytest.raises(ModelContractError, match="checks of the contract") as caught:
        check_conformance(model, ["H", "O"], **options)
    return re.findall(r"^  (\S[^:]*):", str(caught.value), re.MULTILINE)


def test_the_network_that_is_broken_below_passes():
    assert len(check_conformance(Springs(), ["H", "O"], rotation=True)) == 21


@pytest.mark.parametrize(
    ("network", "failing"),
    [
        (
            PartOfTheGradient,
            "forces are the negative energy gradient, virial is the negative strain derivative",
        ),
        (HardCutoff, "smooth at the cutoff"),
        (HardForceCutoff, "smooth at the cutoff"),
        (HardHeadCutoff, "smooth at the cutoff"),
        (OrderOfEdges, "the order of edges does not matter"),
        (WrongReverse, "the order of edges does not matter"),
        (OrderOfAtoms, "permutation of atoms"),
        (MeanOverAtoms, "batch equals single, nothing is felt beyond the interaction range"),
        (MeanOverEdges, "isolated atoms feel nothing"),
        (ConstantForce, "isolated atoms feel nothing"),
        (
            PartOfTheSteepGradient,
            "forces are the negative energy gradient, virial is the negative strain derivative",
        ),
        (Squeezed, "the network returns per-atom values"),
        (NoSelfImages, "a doubled cell has twice the energy"),
        (FartherThanItSays, "nothing is felt beyond the interaction range"),
        (OtherHead, "the head alone gives the same forces"),
        (ChangesItsInput, "inputs are not changed"),
        (NotScriptable, "scripted equals eager"),
        (DropsOut, "batch equals single"),
    ],
)
def test_a_broken_network_is_caught(network, failing):
    assert set(failing.split(", ")) <= set(failures(network()))


@pytest.mark.parametrize("cutoff", [4.0, 8.0])
def test_a_steep_cutoff_is_no_reason_to_fail(cutoff):
    """What a strain does to the longest edge grows with the cutoff; the step has to fit."""
    network = SteepCutoff()
    network.cutoff = cutoff
    assert "virial is the negative strain derivative" in check_conformance(network, ["H", "O"])


@pytest.mark.parametrize("width", [0.5, 0.1])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_a_once_differentiable_cutoff_is_no_reason_to_fail(width, dtype):
    """The slope of the force at the cutoff is in the warning: 2 sides of E (6 / width^2), E = 1/2 (4 - 2)^2 = 2 eV."""
    model = ExportedModel(OnceDifferentiable(width).to(dtype), {}, 1.0)
    with pytest.warns(
        ConformanceWarning, match="smooth at the cutoff: forces .*continuous"
    ) as caught:
        passed = check_conformance(model, ["H"])
    assert "virial is the negative strain derivative" in passed
    assert "smooth at the cutoff" not in passed
    slope = float(re.search(r"slope of (\S+) per Å", str(caught[0].message)).group(1))
    assert slope == pytest.approx(2 * 2.0 * 6.0 / width**2, rel=0.1)


def test_differences_that_are_too_rough_to_tell_are_a_doubt():
    """In single precision no step resolves a cutoff function that falls within 0.02 Å."""
    model = ExportedModel(OnceDifferentiable(0.02).float(), {}, 1.0)
    with pytest.warns(ConformanceWarning) as caught:
        passed = check_conformance(model, ["H", "O"])
    name = "forces are the negative energy gradient"
    assert any(re.match(f"{name}: .* own error", str(warning.message)) for warning in caught)
    assert name not in passed


def test_a_force_on_isolated_atoms_is_caught_in_a_file(tmp_path):
    network = ConstantForce()
    export_model(network, metadata_of(network, "constant", "float64"), tmp_path / "constant.pt")
    assert failures(tmp_path / "constant.pt") == ["isolated atoms feel nothing"]


class ConstantVirials(Springs):
    def virials(self, edge_index: Tensor, edge_vectors: Tensor, like: Tensor) -> Tensor:
        return torch.eye(3, dtype=like.dtype).expand(like.size(0), 3, 3)


class HardVirialCutoff(Springs):
    def virials(self, edge_index: Tensor, edge_vectors: Tensor, like: Tensor) -> Tensor:
        edges = 1e-4 * edge_vectors[:, :, None] * edge_vectors[:, None, :]
        zero = torch.zeros((like.size(0), 3, 3), dtype=edges.dtype, device=edges.device)
        return zero.index_add(0, edge_index[0], edges)


class TotalVirial(Springs):
    """One matrix for all atoms, in the place of one an atom."""

    def virials(self, edge_index: Tensor, edge_vectors: Tensor, like: Tensor) -> Tensor:
        return edge_vectors.T @ edge_vectors


class OtherVirials(Springs):
    """Depend on whether the energy is evaluated too."""

    def virials(self, edge_index: Tensor, edge_vectors: Tensor, like: Tensor) -> Tensor:
        return like[:, None, None] * torch.eye(3, dtype=like.dtype)


class FixedVirialAxis(Springs):
    def virials(self, edge_index: Tensor, edge_vectors: Tensor, like: Tensor) -> Tensor:
        factor = smooth_cutoff(torch.linalg.vector_norm(edge_vectors, dim=1), self.cutoff)
        count = torch.zeros_like(like).index_add(0, edge_index[0], factor)
        axis = torch.tensor([1.0, 2.0, 3.0], dtype=like.dtype)
        return count[:, None, None] * torch.diag(axis)


def test_a_network_with_virials_passes():
    assert len(check_conformance(Springs(has_virials=True), ["H", "O"], rotation=True)) == 21


@pytest.mark.parametrize(
    ("network", "failing"),
    [
        (ConstantVirials, "isolated atoms feel nothing"),
        (HardVirialCutoff, "smooth at the cutoff"),
        (TotalVirial, "the network returns per-atom values"),
        (OtherVirials, "the head alone gives the same forces"),
        (FixedVirialAxis, "rotation turns the forces"),
    ],
)
def test_broken_virials_are_caught(network, failing):
    assert failing in failures(network(has_virials=True), rotation=True)


def test_virials_that_are_declared_and_not_returned_are_caught():
    network = Springs()
    network.heads = [*network.heads, "non_conservative_stress"]
    assert "the network returns per-atom values" in failures(network)


def test_a_network_with_a_fixed_axis_is_caught_when_rotation_is_demanded():
    assert "forces are the negative energy gradient" in check_conformance(FixedAxis(), ["H", "O"])
    assert failures(FixedAxis(), rotation=True) == ["rotation turns the forces"]


class WrongSign(ExportedModel):
    @torch.jit.export
    def evaluate(
        self,
        atomic_numbers: Tensor,
        edge_index: Tensor,
        edge_vectors: Tensor,
        reverse_edge: Tensor,
        owned: Tensor,
        with_non_conservative: bool,
        with_atomic_virials: bool,
        structure: dict[str, Tensor] | None = None,
    ) -> dict[str, Tensor]:
        output = ExportedModel.evaluate(
            self,
            atomic_numbers,
            edge_index,
            edge_vectors,
            reverse_edge,
            owned,
            with_non_conservative,
            with_atomic_virials,
        )
        output["forces"] = -output["forces"]
        output["virial"] = -output["virial"]
        return output


class NetForce(ExportedModel):
    def _collect_non_conservative(
        self, predicted: dict[str, Tensor], owned: Tensor, output: dict[str, Tensor]
    ) -> None:
        output["non_conservative_forces"] = predicted["non_conservative_forces"].detach() + 0.01


def test_forces_and_virial_of_the_wrong_sign_are_caught():
    found = failures(WrongSign(Springs(), {}, 1.0))
    assert "forces are the negative energy gradient" in found
    assert "virial is the negative strain derivative" in found
    assert "net forces are zero" not in found


def test_a_net_force_is_caught():
    assert "net forces are zero" in failures(NetForce(Springs(), {}, 1.0))


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("cutoff", None),
        ("cutoff", 4),
        ("cutoff", -4.0),
        ("message_passing_layers", 0),
        ("heads", ["non_conservative_forces"]),
        ("heads", ["energy", "virial"]),
        ("heads", "energy"),
        ("structure_inputs", ["electric_field"]),
        ("structure_inputs", "total_charge"),
    ],
)
def test_wrong_attributes_are_named(attribute, value):
    network = Springs()
    setattr(network, attribute, value)
    with pytest.raises(ModelContractError, match=f"'{attribute}'"):
        check_conformance(network, ["H"])


def test_every_failure_is_listed_with_numbers():
    with pytest.raises(ModelContractError, match=r"fails \d+ of \d+") as caught:
        check_conformance(PartOfTheGradient(), ["H"])
    lines = str(caught.value).splitlines()[1:]
    assert len(lines) >= 2
    assert any("differs by" in line and "allowed" in line for line in lines)


def test_the_checked_network_is_left_alone():
    network = LennardJones(CUTOFF).train()
    check_conformance(network, ["H"])
    assert network.training
    assert network.axis.dtype == torch.float32


def test_a_network_needs_species():
    with pytest.raises(ValueError, match="species"):
        check_conformance(Springs())
