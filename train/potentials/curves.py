"""The energy of two atoms against their distance, with the parts it is made of: figures 2 and 3 of Zheng and Fung."""

from __future__ import annotations

import torch
from ase.data import chemical_symbols
from matplotlib.figure import Figure
from torch import Tensor

from mlip_train.potentials.eam import EmbeddedAtom, plateau_cutoff

LOWEST, HIGHEST = -6.0, 12.0  # eV, what is shown at most


def pair_curves(
    potential: EmbeddedAtom, distances: Tensor
) -> dict[tuple[int, int], dict[str, Tensor]]:
    """Return the energy of a pair of atoms relative to the two far apart.

    Parameters
    ----------
    potential : EmbeddedAtom
    distances : (R,) tensor, Å

    Returns
    -------
    dict
        By two atomic numbers: ``embedding``, ``morse`` and ``total``, (R,) tensors, eV.
    """
    with torch.no_grad():
        values = potential.parameters_of_pairs()
        fade = plateau_cutoff(distances, potential.cutoff)
        curves = {}
        for n, pair in enumerate(potential.pairs):
            kind = torch.full((len(distances),), n)
            density = values["A"][n] * torch.exp(-values["beta"][n] * distances[:, None])
            density = density.sum(dim=1) * fade
            embedding = 2.0 * values["B"][n] * density * (density - 2.0 * values["rho_0"][n])
            morse = potential.morse(distances, kind, values) * fade
            curves[pair] = {"embedding": embedding, "morse": morse, "total": embedding + morse}
    return curves


def draw_curves(potential: EmbeddedAtom) -> Figure:
    """Draw the curves of every kind of pair, and the distance below which they are bound to be repulsive."""
    dtype = potential.radius_sums.dtype
    distances = torch.linspace(0.2, potential.cutoff, 400, dtype=dtype)
    curves = pair_curves(potential, distances)
    columns = min(3, len(curves))
    rows = -(-len(curves) // columns)
    figure = Figure(figsize=(3.6 * columns, 3.0 * rows))
    for n, (pair, parts) in enumerate(curves.items()):
        axes = figure.add_subplot(rows, columns, n + 1)
        for name, style in (("embedding", "C1-"), ("morse", "C0-"), ("total", "k--")):
            axes.plot(distances, parts[name], style, label=name)
        axes.axvspan(0.0, potential.repulsive * float(potential.radius_sums[n]), color="0.92")
        axes.axhline(0.0, color="0.7", linewidth=0.6)
        lowest = min(float(each.min()) for each in parts.values())
        axes.set(
            title="-".join(chemical_symbols[z] for z in pair),
            xlabel="distance, Å",
            ylabel="energy, eV",
            xlim=(0.0, potential.cutoff),
            ylim=(max(1.2 * lowest, LOWEST), min(max(-3.0 * lowest, 1.0), HIGHEST)),
        )
        if n == 0:
            axes.legend(frameon=False, fontsize="small")
    figure.tight_layout()
    return figure
