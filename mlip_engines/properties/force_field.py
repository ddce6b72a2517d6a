"""The forces of a model as a function of positions, and products with their Jacobian, in float64."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from mlip_engines.model.derivatives import (
    differentiable_gradient,
    remove_net_force,
    vector_jacobian,
)
from mlip_engines.model.evaluation import evaluate, network_of, non_conservative
from mlip_engines.model.exported import ExportedModel
from mlip_engines.model.graph import Graph
from mlip_engines.model.load import LoadedModel, load_model
from mlip_engines.model.neighbors import neighbor_graph

if TYPE_CHECKING:
    from ase import Atoms

# Four-point differences of float64 forces; the error is of fourth order in the step.
DIFFERENCE_STEP = 1e-4  # Å


class ForceField:
    """Conservative or non-conservative forces of a model on the atoms of a structure.

    The network is evaluated in float64 whatever its file says, so that derivatives are limited by
    the network and not by round-off: a property of the forces, not of the arithmetic.

    Parameters
    ----------
    model : LoadedModel
        Is not changed: the file is read again.
    atoms : ase.Atoms
        Elements, cell and periodicity; and in ``info`` the total charge and the spin multiplicity, where the model
        depends on them.
    conservative : bool

    Raises
    ------
    ValueError
        If non-conservative forces are asked of a model without this head.
    """

    def __init__(self, model: LoadedModel, atoms: Atoms, *, conservative: bool):
        if not conservative and not model.metadata.has_non_conservative_forces:
            raise ValueError(f"{model.path}: the model has no head for non-conservative forces")
        model.check_elements(set(atoms.get_chemical_symbols()))
        loaded = load_model(model.path)
        network = network_of(loaded.module).to(torch.float64)
        self.module = ExportedModel(network, {}, float(loaded.module.scale)).eval()
        self.conservative = conservative
        self.metadata = model.metadata
        self.atoms = atoms.copy()

    def graph(self, positions: NDArray[np.float64]) -> Graph:
        """Return the graph of the structure with other positions (N, 3), Å."""
        self.atoms.positions = positions
        return neighbor_graph(self.atoms, self.metadata.cutoff, self.metadata.structure_inputs)

    def forces(self, positions: NDArray[np.float64]) -> NDArray[np.float64]:
        """Forces (N, 3), eV/Å, at positions (N, 3), Å."""
        graph = self.graph(positions)
        if self.conservative:
            return evaluate(self.module, graph)["forces"].numpy()
        return non_conservative(self.module, graph)["non_conservative_forces"].numpy()

    def jacobian_vector(
        self, positions: NDArray[np.float64], vector: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """J v (N, 3), eV/Å^2, with J_ij = dF_i/dr_j, by four-point differences along v (N, 3)."""
        h = DIFFERENCE_STEP / max(1e-300, float(np.abs(vector).max()))
        near = self.forces(positions + h * vector) - self.forces(positions - h * vector)
        far = self.forces(positions + 2 * h * vector) - self.forces(positions - 2 * h * vector)
        return (8.0 * near - far) / (12.0 * h)

    def linearised(self, positions: NDArray[np.float64]) -> LinearisedForces:
        """Return what gives J^T v at these positions, by reverse differentiation."""
        return LinearisedForces(self, positions)


class LinearisedForces:
    """The graph of the forces at one place, kept for many products J^T v."""

    def __init__(self, field: ForceField, positions: NDArray[np.float64]):
        graph = field.graph(positions)
        self.positions = torch.tensor(positions, dtype=torch.float64, requires_grad=True)
        i, j = graph.edge_index
        with torch.no_grad():
            shifts = graph.edge_vectors - (self.positions[j] - self.positions[i])  # (E, 3)
        edges = self.positions[j] - self.positions[i] + shifts
        network, scale = field.module.network, field.module.scale
        graph = graph._replace(edge_vectors=edges)
        if field.conservative:
            energy = scale * network(graph, False)["atomic_energies"].sum()
            self.forces = -differentiable_gradient(energy, self.positions)
        else:
            predicted = network.non_conservative(graph)["non_conservative_forces"]
            self.forces = remove_net_force(scale * predicted, graph.owned)

    def vector_jacobian(self, vector: NDArray[np.float64]) -> NDArray[np.float64]:
        """J^T v (N, 3), eV/Å^2, for v (N, 3)."""
        vector = torch.as_tensor(vector, dtype=torch.float64)
        return vector_jacobian(self.forces, self.positions, vector).detach().numpy()
