"""Structures that are evaluated together, as one graph without edges between them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from mlip_engines.model.graph import Graph, batch_graphs, graph_to_device
from mlip_engines.model.load import LoadedModel
from mlip_engines.model.prediction import by_structure, symmetric, without_net_force
from mlip_engines.operators import keep_edges
from mlip_engines.relaxation.member import Member
from mlip_engines.relaxation.rows import Rows

Array = NDArray[np.float64]


class Evaluation(NamedTuple):
    """Energies in eV, forces in eV/Å, virials -dE/d(strain) in eV of S structures with N atoms together."""

    energies: Array  # (S,), NaN with non-conservative forces, which have none
    forces: Array  # (N, 3), as chosen
    virials: Array  # (S, 3, 3), symmetric; zeros if they were not asked for


class Batch:
    """Members, their joined neighbour lists, and the model.

    Joined arrays are made anew only when a member joins, leaves or needs another neighbour list.

    Parameters
    ----------
    model : LoadedModel
    forces : {"conservative", "non_conservative"}
    with_virials : bool
        Of the energy; zeros with non-conservative forces.
    """

    def __init__(self, model: LoadedModel, forces: str, *, with_virials: bool):
        self.model, self.kind, self.with_virials = model, forces, with_virials
        self.device = next(model.module.buffers()).device
        self.members: list[Member] = []
        self.atoms = Rows(np.zeros(0, dtype=np.int64))
        self._graph: Graph | None = None

    @property
    def n_edges(self) -> int:
        """Edges of all members, skins included."""
        return sum(member.n_edges for member in self.members)

    def change(self, members: list[Member]) -> None:
        """Go on with these members."""
        self.members = members
        self.atoms = Rows(np.array([len(member.atoms) for member in members], dtype=np.int64))
        self._graph = None

    def renew(self, positions: Array, cells: Array) -> dict[int, str]:
        """Make anew the neighbour lists that may have become too short.

        Parameters
        ----------
        positions : (N, 3) array, Å
        cells : (S, 3, 3) array, Å

        Returns
        -------
        dict of int to str
            The members, by place, of which there is no list any more, and why.
        """
        if self._graph is None:
            self._join()
        cutoff = self.model.metadata.cutoff
        maps = self._maps(cells)
        carried = np.einsum("ij,ijk->ik", self._list_positions, maps[self._structure])
        moved = np.sqrt(self.atoms.largest(((positions - carried) ** 2).sum(axis=1)))  # (S,)
        reach = np.array([member.reach for member in self.members])
        # A pair that is not in a list was farther apart than its reach; strain and moves bring it this near at most:
        nearest = np.linalg.svd(maps, compute_uv=False)[:, -1] * reach - 2.0 * moved
        refused = {}
        for k in np.flatnonzero(~(nearest >= cutoff)):
            start = self.atoms.starts[k]
            own = positions[start : start + self.atoms.counts[k]]
            try:
                self.members[k].renew(own, cells[k])
            except ValueError as e:
                refused[int(k)] = str(e)
            self._graph = None
        return refused

    def evaluate(self, positions: Array, cells: Array) -> Evaluation:
        """Evaluate all members with these positions (N, 3) and cells (S, 3, 3), in Å."""
        if self._graph is None:
            self._join()
        cutoff, joined = self.model.metadata.cutoff, self._graph
        points = torch.from_numpy(np.ascontiguousarray(positions))
        centre, neighbor = joined.edge_index
        translations = self._translations
        if self._deforms:
            by_edge = torch.from_numpy(self._maps(cells)).index_select(0, self._edge_structure)
            # Written out, so that opposite edges stay opposite bit by bit.
            translations = (
                translations[:, 0:1] * by_edge[:, 0]
                + translations[:, 1:2] * by_edge[:, 1]
                + translations[:, 2:3] * by_edge[:, 2]
            )
        vectors = points.index_select(0, neighbor) - points.index_select(0, centre) + translations
        kept, reverse = keep_edges(
            joined.reverse_edge, (vectors * vectors).sum(dim=1) < cutoff * cutoff
        )
        graph = joined._replace(
            edge_index=joined.edge_index.index_select(1, kept),
            edge_vectors=vectors.index_select(0, kept),
            reverse_edge=reverse,
        )
        return self._evaluated(graph_to_device(graph, self.device))

    def _evaluated(self, graph: Graph) -> Evaluation:
        n_structures, structure = len(self.members), self._index
        virials = np.zeros((n_structures, 3, 3))
        if self.kind == "non_conservative":  # the head alone, which is what makes it cheap
            forces = self.model.non_conservative(graph)["non_conservative_forces"].cpu()
            # The model removes the net force of all structures together: do it for each.
            forces = without_net_force(forces, structure, torch.from_numpy(self.atoms.counts))
            return Evaluation(np.full(n_structures, np.nan), forces.numpy(), virials)
        output = self.model.evaluate(graph, with_atomic_virials=self.with_virials)
        output = {name: value.cpu() for name, value in output.items()}
        if self.with_virials:
            virials = symmetric(by_structure(output["atomic_virials"], structure, n_structures))
            virials = virials.numpy()
        energies = by_structure(output["atomic_energies"], structure, n_structures)
        return Evaluation(energies.numpy(), output["forces"].numpy(), virials)

    def _join(self) -> None:
        lists = [member.list for member in self.members]
        self._graph, self._index = batch_graphs([each.graph for each in lists])
        self._structure = self._index.numpy()
        self._translations = torch.cat([each.translations for each in lists])
        self._list_positions = np.concatenate([each.positions for each in lists])
        self._deforms = any(member.deforms for member in self.members)
        self._edge_structure = self._index.index_select(0, self._graph.edge_index[0])
        # Cells without three vectors do not deform: their map is one.
        self._inverse_cells = np.stack(
            [
                np.linalg.inv(each.cell) if member.deforms else np.zeros((3, 3))
                for member, each in zip(self.members, lists, strict=True)
            ]
        )
        self._stiff = np.array([not member.deforms for member in self.members])

    def _maps(self, cells: Array) -> Array:
        """Return what (S, 3, 3) turns rows of the cells of the lists into rows of these cells."""
        maps = self._inverse_cells @ cells
        maps[self._stiff] = np.eye(3)
        return maps
