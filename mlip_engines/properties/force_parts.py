"""The forces of a network and of the empirical potential that was trained with it, each by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from mlip_engines.model.derivatives import energy_gradient, forces_from_edges
from mlip_engines.model.evaluation import trained_network_of
from mlip_engines.model.graph import graph_to_device, with_edges
from mlip_engines.model.load import LoadedModel
from mlip_engines.model.neighbors import neighbor_graph

if TYPE_CHECKING:
    from ase import Atoms


def forces_of_parts(model: LoadedModel, atoms: Atoms) -> dict[str, NDArray[np.float64]] | None:
    """Return the conservative forces of the parts of a hybrid, whose energies are added.

    Parameters
    ----------
    model : LoadedModel
    atoms : ase.Atoms

    Returns
    -------
    dict of str to (N, 3) array, eV/Å, or None
        ``network`` and ``empirical``. Their sum is the force of the file if it was exported without the short-range
        repulsion, and wherever that does not act. None if the model is no hybrid.

    Raises
    ------
    ValueError
        If the model does not know an element.

    References
    ----------
    Zheng, Fung, Improving reliability of machine learned interatomic potentials with physics-informed pretraining,
    appendix B.
    """
    network = trained_network_of(model.module, model.metadata)
    if "inner" in model.metadata.training:
        network = network.outer
    if not (hasattr(network, "empirical") and hasattr(network, "per_scale")):
        return None
    model.check_elements(set(atoms.get_chemical_symbols()))
    metadata, scale = model.metadata, float(model.module.scale)
    device, dtype = next(model.module.buffers()).device, getattr(torch, metadata.dtype)
    graph = neighbor_graph(atoms, metadata.cutoff, metadata.structure_inputs)
    graph = graph_to_device(graph, device)
    found = {}
    for name, part, seen, unit in (
        ("network", network.network, graph, scale),
        ("empirical", network.empirical, network.within_sight(graph), scale * network.per_scale),
    ):
        vectors = seen.edge_vectors.detach().to(dtype).requires_grad_()
        local = with_edges(seen, seen.edge_index, vectors, seen.reverse_edge)
        with torch.jit.optimized_execution(False):
            energy = part(local, False)["atomic_energies"].sum()
        gradient = float(unit) * energy_gradient(energy, vectors).double()
        forces = forces_from_edges(seen.edge_index, gradient, len(atoms))
        found[name] = forces.cpu().numpy()
    return found
