"""The network of PET as metatrain has it, as the contract wants it.

Pozdnyakov and Ceriotti, NeurIPS 2023 (arXiv:2305.19302). The layers are those of metatrain, which torch scripts; what
is ours is the layout of the edges, which metatrain makes from positions and cells.
"""

import torch
from metatrain.pet.modules.adaptive_cutoff import (
    get_adaptive_cutoffs_grid,
    get_adaptive_cutoffs_solver,
)
from metatrain.pet.modules.utilities import cutoff_func_bump, cutoff_func_cosine
from torch import Tensor, nn
from torch.nn import functional

from mlip_engines.model.graph import Graph


class PetNetwork(nn.Module):
    """Energies, and non-conservative forces and stress where the model has them.

    Parameters
    ----------
    backend : PETBackend
        The layers of metatrain, with the heads that are used and no others.
    adaptive_width : float, Å
        Width of the smooth cutoff of the adaptive scheme.
    targets : list of str
        Names of the outputs for energy, forces and stress; empty for one that there is not.
    scales : (energy, forces, stress)
        What metatrain multiplies outputs with: a number in eV; (119,) by atomic number, eV/Å; a number in eV.
    """

    heads: list[str]
    is_adaptive: bool
    is_bump: bool
    uses_solver: bool
    n_adaptive: float

    def __init__(
        self,
        backend: nn.Module,
        adaptive_width: float,
        targets: tuple[str, str, str],
        scales: tuple[float, Tensor, float],
    ):
        super().__init__()
        self.backend = backend
        self.cutoff = float(backend.cutoff)
        self.width = float(backend.cutoff_width)
        self.adaptive_width = float(adaptive_width)
        self.is_bump = backend.cutoff_function.lower() == "bump"
        self.is_adaptive = backend.num_neighbors_adaptive is not None
        self.n_adaptive = float(backend.num_neighbors_adaptive or 0.0)
        self.uses_solver = backend.adaptive_cutoff_method.lower() == "solver"
        # Messages are combined with those of reverse edges after the last layer too; an adaptive cutoff depends on the
        # neighbours of both atoms.
        self.message_passing_layers = backend.num_gnn_layers + (2 if self.is_adaptive else 1)
        self.energy_name, self.forces_name, self.stress_name = targets
        self.heads = ["energy"]
        if self.forces_name:
            self.heads.append("non_conservative_forces")
            if self.stress_name:
                self.heads.append("non_conservative_stress")
        self.energy_scale, self.stress_scale = float(scales[0]), float(scales[2])
        self.register_buffer("force_scale", scales[1])  # (119,)

    def forward(self, graph: Graph, with_non_conservative: bool) -> dict[str, Tensor]:
        """Evaluate atomic energies (N,) and, if asked, the other heads."""
        names = [self.energy_name]
        if with_non_conservative:
            names.extend(self._direct())
        predicted, fade = self._predict(graph, names)
        energies = self.energy_scale * predicted[self.energy_name][0].flatten()
        output = {"atomic_energies": energies}
        if with_non_conservative:
            for name, value in self._named(predicted, fade, graph).items():
                output[name] = value
        return output

    @torch.jit.export
    def non_conservative(self, graph: Graph) -> dict[str, Tensor]:
        """Evaluate the non-conservative heads only."""
        predicted, fade = self._predict(graph, self._direct())
        return self._named(predicted, fade, graph)

    def _direct(self) -> list[str]:
        names: list[str] = []
        if self.forces_name != "":
            names.append(self.forces_name)
            if self.stress_name != "":
                names.append(self.stress_name)
        return names

    def _named(
        self, predicted: dict[str, list[Tensor]], fade: Tensor, graph: Graph
    ) -> dict[str, Tensor]:
        """Return the non-conservative heads, in eV/Å and eV."""
        output: dict[str, Tensor] = {}
        if self.forces_name != "":
            scale = self.force_scale[graph.atomic_numbers][:, None]
            forces = predicted[self.forces_name][0].view(-1, 3)
            output["non_conservative_forces"] = fade[:, None] * scale * forces
            if self.stress_name != "":
                stress = predicted[self.stress_name][0].reshape(-1, 3, 3)  # times the volume
                output["non_conservative_virials"] = (
                    -self.stress_scale * fade[:, None, None] * stress
                )
        return output

    def _predict(self, graph: Graph, names: list[str]) -> tuple[dict[str, list[Tensor]], Tensor]:
        """Return the outputs of metatrain's layers, and a factor (N,) that is zero for an atom without neighbours."""
        batch, fade = self._batch(graph)
        nodes, edges = self.backend.calculate_features(batch, False)
        no_cell = torch.eye(3, dtype=fade.dtype, device=fade.device)[None]  # a volume of 1
        one_system = torch.zeros_like(graph.atomic_numbers)
        predicted, _, _ = self.backend.predict(nodes, edges, batch, no_cell, one_system, names)
        return predicted, fade

    def _batch(self, graph: Graph) -> tuple[dict[str, Tensor], Tensor]:
        """Return what metatrain's layers take: edges in rows of equal length, one row per atom."""
        n = graph.atomic_numbers.size(0)
        vectors, reverse = graph.edge_vectors, graph.reverse_edge
        centres, neighbors = graph.edge_index[0], graph.edge_index[1]
        distances = torch.norm(vectors, dim=-1) + 1e-15
        if self.is_adaptive:
            find = (centres, distances, self.n_adaptive, n, self.cutoff)
            if self.uses_solver:
                cutoffs = get_adaptive_cutoffs_solver(
                    find[0], find[1], find[2], find[3], find[4], cutoff_width=self.adaptive_width
                )
            else:
                cutoffs = get_adaptive_cutoffs_grid(
                    find[0], find[1], find[2], find[3], find[4], cutoff_width=self.adaptive_width
                )
            of_pair = 0.5 * (cutoffs[centres] + cutoffs[neighbors])
            kept = torch.nonzero(distances <= of_pair).squeeze(-1)
            position = torch.full_like(reverse, -1)
            position[kept] = torch.arange(kept.size(0), device=kept.device)
            reverse = position[reverse[kept]]
            of_pair, vectors, distances = of_pair[kept], vectors[kept], distances[kept]
            centres, neighbors = centres[kept], neighbors[kept]
        else:
            of_pair = torch.full_like(distances, self.cutoff)
        if self.is_bump:
            factors = cutoff_func_bump(distances, of_pair, self.width)
        else:
            factors = cutoff_func_cosine(distances, of_pair, self.width)

        counts = torch.bincount(centres, minlength=n)  # (N,)
        longest = int(counts.max()) if n > 0 else 0
        first = functional.pad(torch.cumsum(counts, 0), [1, 0])[:-1]
        place = torch.arange(centres.size(0), device=centres.device) - first[centres]
        cell = centres * longest + place  # (E,) where each edge is in the rows
        edge_of = torch.zeros(n * longest, dtype=torch.int64, device=centres.device)
        edge_of[cell] = torch.arange(centres.size(0), device=centres.device)
        opposite = torch.arange(n * longest, device=centres.device)
        opposite[cell] = cell[reverse]
        columns = torch.arange(longest, device=centres.device)
        mask = columns[None] < counts[:, None]  # (N, M)

        species = self.backend.species_to_species_index[graph.atomic_numbers]
        none = torch.zeros((n, longest), dtype=factors.dtype, device=factors.device)
        if centres.size(0) > 0:
            rows = vectors[edge_of].view(n, longest, 3)
            others = species[neighbors][edge_of].view(n, longest)
            weights = torch.where(mask, factors[edge_of].view(n, longest), none)
        else:
            rows, weights = none[:, :, None].expand(n, longest, 3), none
            others = torch.zeros((n, longest), dtype=torch.int64, device=factors.device)
        batch = {
            "element_indices_nodes": species,
            "element_indices_neighbors": others,
            "edge_vectors": rows,
            "edge_distances": torch.sqrt(torch.sum(rows**2, dim=2) + 1e-15),
            "padding_mask": mask,
            "reverse_neighbor_index": opposite.view(n, longest),
            "cutoff_factors": weights,
        }
        # 1 as soon as one neighbour counts fully; metatrain's heads do not vanish without neighbours
        fade = 1.0 - torch.prod(1.0 - weights, dim=1)
        return batch, fade
