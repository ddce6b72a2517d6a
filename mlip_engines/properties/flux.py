"""The heat flux of a model: how energy travels through a structure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from mlip_engines.model.evaluation import centroid_virials
from mlip_engines.model.graph import graph_to_device
from mlip_engines.model.neighbors import neighbor_graph
from mlip_engines.model.unfolded import unfolded_graph

if TYPE_CHECKING:
    from ase import Atoms

    from mlip_engines.model.load import LoadedModel


@dataclass(frozen=True)
class HeatFlux:
    """Heat flux times volume, its two parts in eV Å/ps; divide by the volume for a flux."""

    convective: NDArray[np.float64]
    """(3,) what moving atoms carry: sum_i v_i (E_i + m_i v_i^2/2), with the energies of isolated atoms in E_i."""

    potential: NDArray[np.float64]
    """(3,) what goes from atom to atom: sum_j W_j v_j with the centroid virials W_j."""

    @property
    def total(self) -> NDArray[np.float64]:
        """(3,) eV Å/ps."""
        return self.convective + self.potential


def heat_flux(model: LoadedModel, atoms: Atoms) -> HeatFlux:
    """Heat flux of a structure with velocities, that of the energy; as of LAMMPS's ``compute heat/flux``.

    Parameters
    ----------
    model : LoadedModel
    atoms : ase.Atoms
        With velocities, and periodic or not.

    Raises
    ------
    ValueError
        If the model does not know an element.
    ModelContractError
        If the file is too old to give centroid virials.

    References
    ----------
    Langer, Knoop, Carbogno, Scheffler, Rupp, Phys. Rev. B 108, L100302 (2023).
    """
    from ase import units

    model.check_elements(set(atoms.get_chemical_symbols()))
    metadata = model.metadata
    velocities = atoms.get_velocities() * (1000.0 * units.fs)  # Å/ps
    device = next(model.module.buffers()).device
    folded = neighbor_graph(atoms, metadata.cutoff, metadata.structure_inputs)
    energies = model.evaluate(graph_to_device(folded, device))["atomic_energies"].cpu().numpy()
    kinetic = 0.5 * atoms.get_masses() * (atoms.get_velocities() ** 2).sum(axis=1)  # eV
    unfolded = unfolded_graph(
        atoms, metadata.cutoff, metadata.message_passing_layers, metadata.structure_inputs
    )
    virials = centroid_virials(
        model.module, graph_to_device(unfolded.graph, device), unfolded.positions.to(device)
    ).cpu()
    of_atoms = torch.zeros((len(atoms), 3, 3), dtype=torch.float64)
    of_atoms = of_atoms.index_add(0, unfolded.image_of, virials)  # (N, 3, 3)
    return HeatFlux(
        convective=(energies + kinetic) @ velocities,
        potential=np.einsum("jab,jb->a", of_atoms.numpy(), velocities),
    )
