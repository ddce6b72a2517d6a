"""Positions and box to edges, with a list that is rebuilt only when it has to be."""

import torch
from torch import Tensor
from vesin_torch import NeighborList

from mlip_engines.model.neighbors import LARGEST_OPEN_EXTENT, search_cutoff
from mlip_engines.operators import near_edges


class EdgeList(torch.nn.Module):
    """Edges shorter than a cutoff, from a list that reaches a skin further; scriptable.

    The list is rebuilt when an atom has moved more than half the skin since the last rebuild, or
    when the box or the number of atoms has changed. Edges are sorted by centre, neighbour and periodic
    image, so that the result does not depend on when the list was built; that order is found at a
    rebuild.

    Parameters
    ----------
    cutoff : float, Å
    skin : float, Å
        Zero rebuilds the list whenever an atom has moved.
    """

    def __init__(self, cutoff: float, skin: float):
        super().__init__()
        self.cutoff = float(cutoff)
        self.skin = float(skin)
        self.largest_open_extent = LARGEST_OPEN_EXTENT
        self.furthest_box = 1.0e8  # images are counted in 32 bits
        self.rebuilds = 0
        self.is_built = False
        self.is_periodic = False
        # Plain tensors, not buffers: where the module moves to, the next rebuild makes them anew.
        self.reference_positions = torch.zeros((0, 3), dtype=torch.float64)
        self.reference_cell = torch.zeros((3, 3), dtype=torch.float64)
        # The list with the skin, as near_edges takes it.
        self.pairs = torch.zeros((2, 0), dtype=torch.int32)
        self.images = torch.zeros((0, 3), dtype=torch.int32)
        self.order = torch.zeros(0, dtype=torch.int32)

    def forward(
        self, positions: Tensor, cell: Tensor, periodic: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Find the edges.

        Parameters
        ----------
        positions : (N, 3) float64 tensor, Å
            Inside or outside the box.
        cell : (3, 3) float64 tensor, Å
            Rows are lattice vectors; ignored without periodicity.
        periodic : bool
            In all three directions, or in none.

        Returns
        -------
        edge_index : (2, E) int64 tensor
        edge_vectors : (E, 3) float64 tensor, Å
        reverse_edge : (E,) int64 tensor
        """
        if self._is_stale(positions, cell, periodic):
            self._rebuild(positions, cell, periodic)
        return near_edges(
            positions, self.reference_cell, self.pairs, self.images, self.order, self.cutoff
        )

    def _is_stale(self, positions: Tensor, cell: Tensor, periodic: bool) -> bool:
        if not self.is_built or periodic != self.is_periodic:
            return True
        if self.reference_positions.device != positions.device:
            return True
        if self.reference_positions.size(0) != positions.size(0):
            return True
        if periodic and not torch.equal(self.reference_cell, cell):
            return True
        if positions.size(0) == 0:
            return False
        moved = positions - self.reference_positions
        furthest = torch.max((moved * moved).sum(dim=1))
        return float(furthest) > 0.25 * self.skin * self.skin

    def _rebuild(self, positions: Tensor, cell: Tensor, periodic: bool) -> None:
        n_atoms = positions.size(0)
        boxes = torch.zeros((n_atoms, 3), dtype=torch.int64, device=positions.device)
        if periodic:
            fractional = torch.matmul(positions, torch.linalg.inv(cell))  # (N, 3)
            self._check_boxes(fractional)
            boxes = torch.floor(fractional).to(torch.int64)
            wrapped = positions - torch.matmul(boxes.to(cell.dtype), cell)
        else:
            lowest = torch.amin(positions, dim=0)
            extent = torch.amax(positions, dim=0) - lowest  # (3,)
            self._check_extent(extent)
            # A periodic box with gaps wider than the reach: one case instead of two.
            cell = torch.diag(extent + 1.01 * (self.cutoff + self.skin))
            wrapped = positions - lowest
        pairs, images = self._search(wrapped, cell)
        both = torch.cat((pairs, pairs.flip(0)), dim=1)  # (2, 2 H), in both directions
        key = self._key(both[0], both[1], torch.cat((images, -images)), n_atoms)
        self.order = torch.argsort(key).to(torch.int32)
        images = images + boxes.index_select(0, pairs[0]) - boxes.index_select(0, pairs[1])
        self.pairs = pairs.to(torch.int32)
        self.images = images.to(torch.int32)
        self.reference_positions = positions.clone()
        self.reference_cell = cell.clone()
        self.is_periodic = periodic
        self.is_built = True
        self.rebuilds += 1

    def _search(self, wrapped: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
        """Return pairs (2, H), in one direction, within cutoff and skin, and their images (H, 3)."""
        widths = 1.0 / torch.linalg.vector_norm(torch.linalg.inv(cell), dim=0)  # (3,)
        face_distances: list[float] = widths.tolist()
        reach = self.cutoff + self.skin
        search_reach = search_cutoff(face_distances, reach)
        found = NeighborList(search_reach, False).compute(wrapped, cell, True, "PS")
        pairs = found[0].to(torch.int64).t().contiguous()  # (2, H)
        images = found[1].to(torch.int64)  # (H, 3), few when seen from inside the box
        if search_reach > reach:
            vectors = wrapped.index_select(0, pairs[1]) - wrapped.index_select(0, pairs[0])
            vectors = vectors + torch.matmul(images.to(cell.dtype), cell)
            x, y, z = vectors.unbind(1)
            kept = torch.nonzero(x * x + y * y + z * z < reach * reach).squeeze(1)
            pairs = pairs.index_select(1, kept)
            images = images.index_select(0, kept)
        return pairs, images

    def _check_boxes(self, fractional: Tensor) -> None:
        furthest = float(fractional.abs().max()) if fractional.numel() > 0 else 0.0
        if not furthest <= self.furthest_box:  # or not a number
            raise ValueError(
                f"expected atoms within {self.furthest_box} boxes of the origin, got one {furthest} "
                "boxes away; the run has become unstable, or the positions are in other units"
            )

    def _check_extent(self, extent: Tensor) -> None:
        widest = float(extent.max())
        if widest > self.largest_open_extent:
            raise ValueError(
                f"expected atoms within {self.largest_open_extent} Å of each other without a "
                f"periodic box, got {widest} Å; the run has become unstable, or atoms have "
                "evaporated"
            )

    def _key(self, centre: Tensor, neighbor: Tensor, images: Tensor, n_atoms: int) -> Tensor:
        """Return one integer per edge, ordered by centre, neighbour and image."""
        reach = 0
        if images.numel() > 0:
            reach = int(images.abs().max())
        base = 2 * reach + 1
        key = centre * n_atoms + neighbor
        for axis in range(3):
            key = key * base + images[:, axis] + reach
        return key
