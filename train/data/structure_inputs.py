"""Charges and spin multiplicities of structures to train on."""

from __future__ import annotations

from collections.abc import Sequence

from ase import Atoms

from mlip_engines.model.structure_inputs import INFO_KEYS, structure_inputs_of


def check_structure_inputs(asked: Sequence[str], frames: Sequence[Atoms], where: object) -> None:
    """Refuse structures that do not say what the network depends on.

    Parameters
    ----------
    asked : sequence of str
        ``structure_inputs`` of the network.
    frames : sequence of ase.Atoms
    where : object
        The data, for messages.

    Raises
    ------
    ValueError
        If a structure lacks a value or it cannot be right; the message says which.
    """
    for k in range(len(frames)) if asked else []:
        try:
            structure_inputs_of(asked, frames[k].info)
        except ValueError as e:
            keys = " and ".join(" or ".join(f"{key}=" for key in INFO_KEYS[a]) for a in asked)
            raise ValueError(
                f"{where}: structure {k}: the network depends on {' and '.join(asked)}, so each structure of the data "
                f"needs {keys}; {e}"
            ) from e
