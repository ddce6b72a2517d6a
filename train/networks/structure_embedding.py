"""Features of atoms from what is known of their structure as a whole: its total charge, its spin multiplicity."""

import torch
from torch import Tensor, nn


class StructureEmbedding(nn.Module):
    """Features that every atom of a structure gets from one number of the structure.

    f(x - x_0) - f(0), with f of two layers; x_0 is the number of a neutral singlet, which adds nothing.

    The features depend on the number itself, not on its share of an atom, so that adding a solvent changes nothing far
    from it. TensorNet for charged molecules does likewise (Simeon, Mirarchi, Pelaez, Galvelis, De Fabritiis,
    arXiv:2403.15073).
    """

    def __init__(self, n_features: int, neutral: float):
        super().__init__()
        self.neutral = neutral
        self.layers = nn.Sequential(
            nn.Linear(1, n_features), nn.SiLU(), nn.Linear(n_features, n_features)
        )

    def forward(self, value: Tensor, structure_index: Tensor | None, n: int) -> Tensor:
        """Return features (n, F), or (1, F) for all atoms alike, from values () or (B,) of the structures."""
        weight = self.layers[0].weight
        x = value.to(weight.dtype).reshape(-1, 1) - self.neutral  # (B, 1)
        features = self.layers(x) - self.layers(torch.zeros_like(x[:1]))  # (B, F)
        if structure_index is None or features.size(0) == 1:
            return features
        return features.index_select(0, structure_index[:n])
