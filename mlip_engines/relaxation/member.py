"""One structure of a batch: where its atoms are, and who was near whom when its neighbour list was made."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from ase import Atoms
from ase.constraints import FixAtoms
from numpy.typing import NDArray

from mlip_engines.model.graph import Graph
from mlip_engines.model.load import LoadedModel
from mlip_engines.model.neighbors import as_tensors, neighbor_graph_from_arrays
from mlip_engines.model.structure_inputs import structure_inputs_from_info

Array = NDArray[np.float64]


class NeighborList(NamedTuple):
    """Edges up to the cutoff and the skin, and the structure that they were found in."""

    graph: Graph
    translations: torch.Tensor  # (E, 3) Å, what an edge vector adds to x[j] - x[i]
    positions: Array  # (N, 3) Å
    cell: Array  # (3, 3) Å


class Member:
    """A structure that is being relaxed.

    Parameters
    ----------
    index : int
        Its place among the structures that were given.
    atoms : ase.Atoms
    model : LoadedModel
    reach : float, Å
        Of the neighbour list: cutoff and skin.
    with_cell : bool
        Whether the cell is to be relaxed, where it can be: if it is periodic in three directions.

    Raises
    ------
    ValueError
        If the model does not know an element or depends on a charge that is not given, there are no atoms, atoms are on
        top of each other, a coordinate is not finite, or there is a constraint other than ``FixAtoms``.
    """

    def __init__(
        self, index: int, atoms: Atoms, model: LoadedModel, reach: float, *, with_cell: bool
    ):
        if len(atoms) == 0:
            raise ValueError("expected at least one atom, got none")
        self.index, self.reach = index, reach
        self.atoms = atoms
        self.positions = atoms.get_positions()
        self.first_cell = atoms.cell.array.copy()
        self.deforms = bool(with_cell and atoms.pbc.all())
        asked = model.metadata.structure_inputs
        given = structure_inputs_from_info(asked, atoms.info)
        self.inputs = as_tensors(model.check_structure_inputs(**given))
        self.moves = np.ones((len(atoms), 1))
        for constraint in atoms.constraints:
            if not isinstance(constraint, FixAtoms):
                raise ValueError(
                    f"expected no constraint but FixAtoms, got {type(constraint).__name__}; relax this structure with "
                    "an optimiser of ASE and MlipCalculator"
                )
            self.moves[constraint.get_indices()] = 0.0
        self.energy_before, self.steps = float("nan"), 0
        self.path: list[Atoms] = []
        self.list = self.renew(self.positions, self.first_cell)

    @property
    def n_rows(self) -> int:
        """How many rows of coordinates an optimiser sees: atoms, and three for a cell."""
        return len(self.atoms) + 3 * self.deforms

    @property
    def n_edges(self) -> int:
        """Edges up to the cutoff and the skin."""
        return self.list.graph.n_edges

    def renew(self, positions: Array, cell: Array) -> NeighborList:
        """Find the edges anew.

        Raises
        ------
        ValueError
            As :func:`mlip_engines.model.neighbors.neighbor_graph_from_arrays`.
        """
        graph = neighbor_graph_from_arrays(
            positions, cell, self.atoms.pbc, self.atoms.numbers, self.reach
        )
        centre, neighbor = graph.edge_index
        points = torch.from_numpy(np.ascontiguousarray(positions))
        translations = graph.edge_vectors - (points[neighbor] - points[centre])  # (E, 3)
        graph = graph._replace(**self.inputs)
        self.list = NeighborList(graph, translations, positions.copy(), cell.copy())
        return self.list
