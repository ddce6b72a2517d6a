"""Networks by name; one paper per file."""

from typing import Any

from torch import nn

from mlip_train.networks.painn import PaiNN
from mlip_train.networks.pet import PET

NETWORKS = {"painn": PaiNN, "pet": PET}


def build_network(settings: dict[str, Any]) -> nn.Module:
    """Build a network from ``{"name": ..., **arguments}``.

    Raises
    ------
    ValueError
        If there is no network of this name, or it does not know an argument.
    """
    arguments = dict(settings)
    name = arguments.pop("name", None)
    if name not in NETWORKS:
        raise ValueError(f"network name must be one of {sorted(NETWORKS)}, got {name!r}")
    try:
        return NETWORKS[name](**arguments)
    except TypeError as e:
        raise ValueError(f"network {name}: {e}") from e
