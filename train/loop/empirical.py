"""A hybrid begins with a potential that was fitted before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from ase.data import chemical_symbols

from mlip_train.loop.checkpoint import read_checkpoint
from mlip_train.potentials.hybrid import WithEmpirical


def read_empirical(path: str | Path) -> dict[str, Any]:
    """Read the checkpoint of a run of the recipe ``eam``.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no checkpoint, or that of a network.
    """
    state = read_checkpoint(path)
    if state["network"]["name"] != "eam":
        raise ValueError(
            f"{path}: expected the checkpoint of an empirical potential (mlip-train eam), got that of "
            f"{state['network']['name']}"
        )
    return state


def settings_of(state: dict[str, Any]) -> dict[str, Any]:
    """Return what ``empirical`` stands for in the settings of a network that begins with this potential."""
    return {name: state["network"][name] for name in ("cutoff", "n_exponentials")}


def start_with(
    network: WithEmpirical, state: dict[str, Any], references: dict[str, float], where: str | Path
) -> None:
    """Give the potential in a hybrid the parameters of one that was fitted before.

    Parameters
    ----------
    network : WithEmpirical
    state : dict
        As of :func:`read_empirical`.
    references : dict of str to float, eV
        Reference energies of the new run; energies of elements are moved by the difference.
    where : str or Path
        The checkpoint, for messages.

    Raises
    ------
    ValueError
        If the two know different elements.
    """
    species = network.empirical.species
    if state["network"]["species"] != species:
        known, wanted = (
            [chemical_symbols[z] for z in each] for each in (state["network"]["species"], species)
        )
        raise ValueError(
            f"{where}: expected a potential of the elements {wanted}, got one of {known}; fit it to the same data"
        )
    network.empirical.load_state_dict(state["average"])
    before = state["reference_energies"]
    symbols = [chemical_symbols[z] for z in species]
    with torch.no_grad():
        network.empirical.atom_energy += torch.tensor(
            [before[s] - references[s] for s in symbols], dtype=network.empirical.atom_energy.dtype
        )
