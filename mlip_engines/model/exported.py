"""The module inside a model file: a network plus baseline, derivatives and float64 accumulation."""

import torch
from torch import Tensor, nn

from mlip_engines.model.contract import ENGINE_HEADS
from mlip_engines.model.derivatives import (
    atomic_virials_from_edges,
    centroid_virials_from_edges,
    energy_gradient,
    energy_moments,
    forces_from_edges,
    remove_net_force,
    virial_from_edges,
)
from mlip_engines.model.graph import Graph, with_edges


def dtype_of(network: nn.Module) -> torch.dtype:
    """Return the dtype that a network computes in: of its first parameter, or of its first buffer of real numbers."""
    tensors = [*network.parameters(), *network.buffers()]
    return next((t.dtype for t in tensors if t.is_floating_point()), torch.float64)


class ExportedModel(nn.Module):
    """Evaluate a network for an engine.

    The methods take a graph as separate tensors, edges in float64, because that is what C++ passes:
    :func:`mlip_engines.model.evaluation.evaluate` calls them with a :class:`~mlip_engines.model.graph.Graph`.
    ``structure`` is a dictionary of what the network declares in ``structure_inputs``, such as ``total_charge``;
    files whose network declares nothing are called without.

    Parameters
    ----------
    network : AtomicNetwork
    reference_energies : dict of int to float, eV
        Composition baseline by atomic number, added in float64.
    scale : float
        Energies and forces of the network are multiplied by it.
    """

    structure_inputs: list[str]
    other_heads: list[str]

    def __init__(self, network: nn.Module, reference_energies: dict[int, float], scale: float):
        super().__init__()
        self.network = network
        self.scale = float(scale)
        self.has_non_conservative = "non_conservative_forces" in network.heads
        self.has_centroid_virials = network.message_passing_layers == 1
        self.structure_inputs = list(getattr(network, "structure_inputs", []))
        self.other_heads = [head for head in network.heads if head not in ENGINE_HEADS]
        self.dtype = dtype_of(network)
        baseline = torch.zeros(119, dtype=torch.float64)
        for number, energy in reference_energies.items():
            baseline[number] = energy
        self.register_buffer("baseline", baseline)

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
        """Evaluate everything that is conservative and, if asked, the heads that are not.

        Returns
        -------
        dict
            ``energy`` () eV, ``atomic_energies`` (N,) eV, ``forces`` (N, 3) eV/Å, ``virial`` (3, 3) eV;
            on request ``non_conservative_forces`` (N, 3) eV/Å with no net force, ``non_conservative_virial``
            (3, 3) eV where the head for stress exists, and ``atomic_virials`` (N, 3, 3) eV, with
            ``centroid_virials`` (N, 3, 3) eV for networks of one layer. All float64. What heads of other names give
            is there as the network returned it, neither scaled nor in float64.
        """
        if with_non_conservative and not self.has_non_conservative:
            raise RuntimeError(
                "expected a model with a head for non-conservative forces, got one without; "
                "use conservative forces, or train and export a model with this head"
            )
        n_atoms = atomic_numbers.size(0)
        output: dict[str, Tensor] = {}
        grad_was_enabled = torch.is_grad_enabled()  # TorchScript has no torch.enable_grad()
        torch.set_grad_enabled(True)
        edges = edge_vectors.detach().requires_grad_(True)  # (E, 3)
        graph = self._with_structure(
            Graph(atomic_numbers, edge_index, edges, reverse_edge, owned), structure
        )
        predicted, gradients = self._differentiate(graph, edges, with_non_conservative)
        torch.set_grad_enabled(grad_was_enabled)
        scaled = self.scale * predicted["atomic_energies"].detach().to(torch.float64)  # (N,)
        atomic_energies = scaled + self.baseline[atomic_numbers]  # (N,)
        zero = torch.zeros_like(atomic_energies)
        output["atomic_energies"] = atomic_energies
        output["energy"] = torch.where(owned, atomic_energies, zero).sum()
        output["forces"] = forces_from_edges(edge_index, gradients, n_atoms)
        output["virial"] = virial_from_edges(edge_vectors, gradients)
        if with_atomic_virials:
            output["atomic_virials"] = atomic_virials_from_edges(
                edge_index, edge_vectors, gradients, n_atoms
            )
            if self.has_centroid_virials:
                output["centroid_virials"] = centroid_virials_from_edges(
                    edge_index, edge_vectors, gradients, n_atoms
                )
        if with_non_conservative:
            self._collect_non_conservative(predicted, owned, output)
        for name in self.other_heads:
            if name in predicted:
                output[name] = predicted[name].detach()
        return output

    @torch.jit.export
    def non_conservative(
        self,
        atomic_numbers: Tensor,
        edge_index: Tensor,
        edge_vectors: Tensor,
        reverse_edge: Tensor,
        owned: Tensor,
        structure: dict[str, Tensor] | None = None,
    ) -> dict[str, Tensor]:
        """Evaluate the non-conservative heads only; keys and units as in :meth:`evaluate`."""
        output: dict[str, Tensor] = {}
        if not self.has_non_conservative:
            raise RuntimeError(
                "expected a model with a head for non-conservative forces, got one without; "
                "use conservative forces, or train and export a model with this head"
            )
        with torch.no_grad():
            edges = edge_vectors.to(self.dtype)
            graph = Graph(atomic_numbers, edge_index, edges, reverse_edge, owned)
            predicted = self.network.non_conservative(self._with_structure(graph, structure))
            self._collect_non_conservative(predicted, owned, output)
        return output

    @torch.jit.export
    def centroid_virials(
        self,
        atomic_numbers: Tensor,
        edge_index: Tensor,
        edge_vectors: Tensor,
        reverse_edge: Tensor,
        owned: Tensor,
        positions: Tensor,
        structure: dict[str, Tensor] | None = None,
    ) -> dict[str, Tensor]:
        """Evaluate per-atom virials for the heat flux of a network of any number of layers; four gradients.

        Parameters
        ----------
        positions : (N, 3) tensor, Å
            The graph is unfolded: an atom and its periodic images are different atoms of it, each at its own place,
            and positions of neighbours differ by their edge vectors. Only energies of owned atoms count.

        Returns
        -------
        dict
            ``centroid_virials`` (N, 3, 3) eV, float64. An atom's is the sum over its images.
        """
        grad_was_enabled = torch.is_grad_enabled()  # TorchScript has no torch.enable_grad()
        torch.set_grad_enabled(True)
        edges = edge_vectors.detach().requires_grad_(True)  # (E, 3)
        graph = self._with_structure(
            Graph(atomic_numbers, edge_index, edges, reverse_edge, owned), structure
        )
        gradients, moments = self._moments(graph, edges, positions)
        torch.set_grad_enabled(grad_was_enabled)
        n_atoms = atomic_numbers.size(0)
        virials = centroid_virials_from_edges(edge_index, edge_vectors, gradients, n_atoms, moments)
        return {"centroid_virials": virials}

    def _differentiate(
        self, graph: Graph, edges: Tensor, with_non_conservative: bool
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Return what the network gives, and the gradient (E, 3) of the counted energy by ``edges``, eV/Å."""
        predicted = self.network(self._in_own_dtype(graph, edges), with_non_conservative)
        counted = self._counted(predicted, graph.owned).sum()
        return predicted, energy_gradient(counted, edges)

    def _moments(self, graph: Graph, edges: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Return that gradient, and the moments (E, 3, 3) of the energies, eV."""
        predicted = self.network(self._in_own_dtype(graph, edges), False)
        counted = self._counted(predicted, graph.owned)
        gradients = energy_gradient(counted.sum(), edges, retain_graph=True)  # (E, 3)
        moments = energy_moments(counted, positions, graph.edge_index, edges, gradients)
        return gradients, moments.detach()

    def _counted(self, predicted: dict[str, Tensor], owned: Tensor) -> Tensor:
        """Return the atomic energies (N,) in eV, zero where they do not count."""
        scaled = self.scale * predicted["atomic_energies"].to(torch.float64)  # (N,)
        return torch.where(owned, scaled, torch.zeros_like(scaled))

    def _in_own_dtype(self, graph: Graph, edges: Tensor) -> Graph:
        """Return the graph as the network takes it."""
        return with_edges(graph, graph.edge_index, edges.to(self.dtype), graph.reverse_edge)

    def _with_structure(self, graph: Graph, structure: dict[str, Tensor] | None) -> Graph:
        """Return the graph with what the network declares of the structure as a whole, in its dtype."""
        if structure is None and len(self.structure_inputs) == 0:
            return graph
        given: dict[str, Tensor] = {}
        if structure is not None:
            for name, value in structure.items():
                if name not in self.structure_inputs and name != "structure_index":
                    raise RuntimeError(
                        f"expected no {name}, which this model does not depend on; leave it out"
                    )
                if name != "structure_index":
                    value = value.to(graph.edge_vectors.device, self.dtype)
                given[name] = value
        for name in self.structure_inputs:
            if name not in given:
                raise RuntimeError(
                    f"expected {name}, which this model depends on, got none; give it to the engine"
                )
        return Graph(
            graph.atomic_numbers,
            graph.edge_index,
            graph.edge_vectors,
            graph.reverse_edge,
            graph.owned,
            given.get("total_charge"),
            given.get("spin_multiplicity"),
            given.get("structure_index"),
        )

    def _collect_non_conservative(
        self, predicted: dict[str, Tensor], owned: Tensor, output: dict[str, Tensor]
    ) -> None:
        forces = self.scale * predicted["non_conservative_forces"].detach().to(torch.float64)
        output["non_conservative_forces"] = remove_net_force(forces, owned)
        if "non_conservative_virials" in predicted:
            virials = predicted["non_conservative_virials"].detach().to(torch.float64)  # (N, 3, 3)
            # The scale is that of the energies: a virial is an energy, whatever the volume.
            virial = self.scale * (virials * owned.to(torch.float64)[:, None, None]).sum(dim=0)
            output["non_conservative_virial"] = 0.5 * (virial + virial.transpose(0, 1))
