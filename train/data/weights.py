"""How much each structure counts in the loss: what its file says, times what the recipe says of its kind."""

from __future__ import annotations

from collections.abc import Mapping

from ase import Atoms

from mlip_engines.labels.isolated import config_type
from mlip_engines.labels.weights import config_weights


def weights_of(
    atoms: Atoms, of_types: Mapping[str, float] | None = None
) -> tuple[float, float, float]:
    """Return the weights of energy, forces and stress.

    Parameters
    ----------
    atoms : ase.Atoms
    of_types : mapping of str to float, optional
        Factor by ``config_type``; 1 for one that is not in it.
    """
    factor = (of_types or {}).get(config_type(atoms), 1.0)
    energy, forces, stress = config_weights(atoms)
    return factor * energy, factor * forces, factor * stress
