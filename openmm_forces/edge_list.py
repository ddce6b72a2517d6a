"""Positions and box to edges, with a list that is rebuilt only when it has to be."""

import torch
from torch import Tensor
from vesin_torch import NeighborList

from mlip_engines.neighbors import LARGEST_OPEN_EXTENT, search_cutoff


class EdgeList(torch.nn.Module):
    """Edges shorter than a cutoff, from a list that reaches a skin further; scriptable.

    The list is rebuilt when an atom has moved more than half the skin since the last rebuild, or
    when the box or the number of atoms has changed. Reverse edges and the order are found at a
    rebuild. Edges are sorted by centre, neighbour and periodic image, so that the result does not
    depend on when the list was built.

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
        self.rebuilds = 0
        self.is_built = False
        self.is_periodic = False
        # Plain tensors, not buffers: where the module moves to, the next rebuild makes them anew.
        self.reference_positions = torch.zeros((0, 3), dtype=torch.float64)
        self.reference_cell = torch.zeros((3, 3), dtype=torch.float64)
        self.pairs = torch.zeros((2, 0), dtype=torch.int64)  # (2, L), the list with the skin
        self.shifts = torch.zeros((0, 3), dtype=torch.float64)  # (L, 3), Å
        self.reverse = torch.zeros(0, dtype=torch.int64)  # (L,)

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
        vectors = positions.index_select(0, self.pairs[1])
        vectors = vectors - positions.index_select(0, self.pairs[0]) + self.shifts  # (L, 3)
        x, y, z = vectors.unbind(1)
        distance_squared = x * x + y * y + z * z  # (L,), faster than a sum over rows
        near = distance_squared < self.cutoff * self.cutoff
        near = torch.logical_and(near, near.index_select(0, self.reverse))  # equal up to rounding
        kept = torch.nonzero(near).squeeze(1)  # (E,)
        renumbered = torch.cumsum(near, dim=0) - 1  # (L,)
        reverse_edge = renumbered.index_select(0, self.reverse.index_select(0, kept))
        return self.pairs.index_select(1, kept), vectors.index_select(0, kept), reverse_edge

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
            boxes = torch.floor(torch.matmul(positions, torch.linalg.inv(cell))).to(torch.int64)
            wrapped = positions - torch.matmul(boxes.to(cell.dtype), cell)
        else:
            lowest = torch.amin(positions, dim=0)
            extent = torch.amax(positions, dim=0) - lowest  # (3,)
            self._check_extent(extent)
            # A periodic box with gaps wider than the reach: one case instead of two.
            cell = torch.diag(extent + 1.01 * (self.cutoff + self.skin))
            wrapped = positions - lowest
        pairs, images = self._search(wrapped, cell)
        key, order = torch.sort(self._key(pairs[0], pairs[1], images, n_atoms))
        pairs = pairs.index_select(1, order).contiguous()
        images = images.index_select(0, order)
        self.reverse = torch.searchsorted(key, self._key(pairs[1], pairs[0], -images, n_atoms))
        images = images + boxes.index_select(0, pairs[0]) - boxes.index_select(0, pairs[1])
        self.shifts = self._lattice_vectors(images, cell)
        self.pairs = pairs
        self.reference_positions = positions.clone()
        self.reference_cell = cell.clone()
        self.is_periodic = periodic
        self.is_built = True
        self.rebuilds += 1

    def _search(self, wrapped: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
        """Return pairs (2, L) no further apart than cutoff and skin, and their images (L, 3)."""
        widths = 1.0 / torch.linalg.vector_norm(torch.linalg.inv(cell), dim=0)  # (3,)
        face_distances: list[float] = widths.tolist()
        reach = self.cutoff + self.skin
        search_reach = search_cutoff(face_distances, reach)
        found = NeighborList(search_reach, True).compute(wrapped, cell, True, "PS")
        pairs = found[0].to(torch.int64).t()  # (2, L)
        images = found[1].to(torch.int64)  # (L, 3), few when seen from inside the box
        if search_reach > reach:
            vectors = wrapped.index_select(0, pairs[1]) - wrapped.index_select(0, pairs[0])
            vectors = vectors + self._lattice_vectors(images, cell)
            x, y, z = vectors.unbind(1)
            kept = torch.nonzero(x * x + y * y + z * z < reach * reach).squeeze(1)
            pairs = pairs.index_select(1, kept)
            images = images.index_select(0, kept)
        return pairs, images

    def _lattice_vectors(self, images: Tensor, cell: Tensor) -> Tensor:
        """Return the shifts (L, 3) in Å of images; opposite images have opposite shifts."""
        steps = images.to(cell.dtype)
        # Written out: the rounding of a matrix product may depend on the place of a row in it.
        return steps[:, 0:1] * cell[0] + steps[:, 1:2] * cell[1] + steps[:, 2:3] * cell[2]

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
