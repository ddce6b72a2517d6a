"""TorchMD-Net's own model as an ASE calculator, with neighbours from ASE.

TorchMD-Net has no calculator for ASE, and finds neighbours with a compiled extension that loads beside one version of
torch only, in boxes of more than two cutoffs. Everything after the neighbours is its own code here: its
``TorchMD_Net``, called as a whole, with all priors, scales, sums and its derivative.

Only to be imported where TorchMD-Net is installed.
"""

import warnings
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.neighborlist import neighbor_list
from torch import Tensor, nn
from torchmdnet.models.model import TorchMD_Net
from torchmdnet.models.utils import OptimizedDistance


class TorchmdNetCalculator(Calculator):
    """Energy, forces and stress of a model of TorchMD-Net.

    A cell is repeated until it is wider than two cutoffs, so that no atom is a neighbour of an image of itself.

    Parameters
    ----------
    model : nn.Module
        A ``TorchMD_Net`` with derivatives; its searches for neighbours are replaced.
    cutoff : float, Å
        The longest of them.
    factor : float
        From the model's unit of energy to eV.
    free_atoms : dict of int to float
        Energies to add by atomic number, in the unit of the model: those that it does not add itself.
    charged : bool
        Whether to pass on the ``total_charge`` that stands in ``atoms.info``.
    """

    implemented_properties = ["energy", "free_energy", "forces", "stress"]

    def __init__(
        self,
        model: nn.Module,
        cutoff: float,
        factor: float,
        free_atoms: dict[int, float],
        *,
        charged: bool,
    ):
        super().__init__()
        self.free_atoms = free_atoms
        self.model, self.cutoff, self.factor, self.charged = model.eval(), cutoff, factor, charged
        self.charge: float | None = None  # of the last evaluation
        self.searches = []
        for parent in list(model.modules()):
            if isinstance(getattr(parent, "distance", None), OptimizedDistance):
                parent.distance = _Search(parent.distance)
                self.searches.append(parent.distance)

    def check_state(self, atoms: Atoms, tol: float = 1e-15) -> list[str]:
        """Return what has changed, the charge included, of which ASE does not know."""
        changes = super().check_state(atoms, tol)
        changed = self.charged and atoms.info["total_charge"] != self.charge
        return [*changes, "charge"] if changed else changes

    def calculate(
        self, atoms: Atoms | None = None, properties: Any = None, system_changes: Any = all_changes
    ) -> None:
        """Evaluate the model."""
        super().calculate(atoms, properties, system_changes)
        widths = atoms.cell.reciprocal().lengths()  # of which 1 / width
        copies = [
            int(np.ceil(2.05 * self.cutoff * width)) if periodic else 1
            for width, periodic in zip(widths, atoms.pbc, strict=True)
        ]
        large = atoms.repeat(copies)
        number = int(np.prod(copies))
        dtype = next(self.model.parameters()).dtype
        # TorchMD-Net differentiates by positions: three more rows are the strain, so it gives the virial, too
        positions = torch.zeros((len(large) + 3, 3), dtype=dtype)
        positions[:-3] = torch.from_numpy(large.positions)
        for search in self.searches:
            search.find(large)
        charge = None
        if self.charged:
            self.charge = atoms.info["total_charge"]
            charge = torch.tensor([self.charge])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns of isolated atoms
            energy, slopes = self.model(torch.tensor(large.numbers), positions, q=charge)
        free = sum(self.free_atoms.get(int(z), 0.0) for z in atoms.numbers)
        value = self.factor * (float(energy.detach()) / number + free)
        slopes = self.factor * slopes.detach().numpy().astype(float)  # minus the derivatives
        self.results = {"energy": value, "free_energy": value, "forces": slopes[: len(atoms)]}
        if atoms.pbc.all():
            stress = -slopes[-3:] / large.get_volume()
            stress = 0.5 * (stress + stress.T)
            self.results["stress"] = stress[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]


class _Search(nn.Module):
    """TorchMD-Net's search for neighbours, done by ASE beforehand."""

    def __init__(self, theirs: OptimizedDistance):
        super().__init__()
        self.cutoff, self.loop, self.return_vecs = (
            float(theirs.cutoff_upper),
            theirs.loop,
            theirs.return_vecs,
        )
        self.found: tuple[Tensor, Tensor] | None = None

    def find(self, atoms: Atoms) -> None:
        """Find the neighbours of a structure: indices (2, E) and what periodicity adds to their vectors (E, 3)."""
        first, second, shifts = neighbor_list("ijS", atoms, self.cutoff)
        edges = torch.stack((torch.from_numpy(first), torch.from_numpy(second)))
        self.found = edges, torch.from_numpy(shifts @ atoms.cell.array)

    def forward(self, pos: Tensor, batch: Tensor | None = None, box: Tensor | None = None):
        """Return indices, lengths and, if asked, vectors of what was found."""
        edges, moved = self.found
        atoms, strain = pos[:-3], pos[-3:]
        vectors = atoms[edges[0]] - atoms[edges[1]] - moved.to(pos.dtype)  # from row 1 to row 0
        vectors = vectors + vectors @ strain
        lengths = torch.linalg.vector_norm(vectors, dim=1)
        if self.loop:
            each = torch.arange(atoms.size(0))
            edges = torch.cat((edges, torch.stack((each, each))), dim=1)
            lengths = torch.cat((lengths, lengths.new_zeros(atoms.size(0))))
            vectors = torch.cat((vectors, vectors.new_zeros(atoms.size(0), 3)))
        return edges, lengths, vectors if self.return_vecs else None


# A model file says whose numbers it was compared with.
TorchmdNetCalculator.__module__, TorchmdNetCalculator.__name__ = (
    TorchMD_Net.__module__,
    TorchMD_Net.__name__,
)
