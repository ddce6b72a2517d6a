"""Networks by name; one paper per file.

``network: {name: NAME, ...}`` in a recipe is one of :data:`NETWORKS`, or an entry point of the group
``mlip_train.networks``, by which any installed package offers networks of its own.
"""

import inspect
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from torch import nn

from mlip_train.networks.cgcnn import CGCNN
from mlip_train.networks.m3gnet import M3GNet
from mlip_train.networks.painn import PaiNN
from mlip_train.networks.pet import PET
from mlip_train.networks.schnet import SchNet
from mlip_train.networks.tensornet import TensorNet
from mlip_train.networks.torchmdnet import TorchMDNet
from mlip_train.potentials.eam import EmbeddedAtom
from mlip_train.potentials.hybrid import WithEmpirical

NETWORKS = {
    "cgcnn": CGCNN,
    "eam": EmbeddedAtom,
    "m3gnet": M3GNet,
    "painn": PaiNN,
    "pet": PET,
    "schnet": SchNet,
    "tensornet": TensorNet,
    "torchmdnet": TorchMDNet,
}
GROUP = "mlip_train.networks"

# What files say nothing about that were written before a setting existed.
_BEFORE = {"painn": {"norm_width": 1e-4}}


def complete_settings(settings: dict[str, Any]) -> dict[str, Any]:
    """Return settings of a network with all defaults written out, so that a file keeps its meaning if one changes.

    Raises
    ------
    ValueError
        If there is no network of this name, or its package cannot be imported.
    """
    arguments = inspect.signature(_network_called(settings.get("name"))).parameters.values()
    defaults = {a.name: a.default for a in arguments if a.default is not a.empty}
    return {**defaults, **settings}


def stored_settings(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the complete settings of a network from those that a checkpoint or a model file holds."""
    return complete_settings({**_BEFORE.get(settings.get("name", ""), {}), **settings})


def build_network(settings: dict[str, Any]) -> nn.Module:
    """Build a network from ``{"name": ..., **arguments}``.

    With ``empirical`` (true, or settings of :class:`~mlip_train.potentials.eam.EmbeddedAtom`) an empirical potential is
    added to it, with the cutoff of the network unless there is another.

    Raises
    ------
    ValueError
        If there is no network of this name, or it does not know an argument.
    """
    network = _network_called(settings.get("name"))
    try:
        built = network(**{k: v for k, v in settings.items() if k not in ("name", "empirical")})
        empirical = settings.get("empirical", False)
        if not empirical:
            return built
        own = {"cutoff": built.cutoff, **(empirical if isinstance(empirical, dict) else {})}
        return WithEmpirical(built, EmbeddedAtom(settings["species"], **own))
    except TypeError as e:
        raise ValueError(f"network {settings['name']}: {e}") from e


def network_class(settings: dict[str, Any]) -> type[nn.Module]:
    """Return the class of the network that settings name.

    Raises
    ------
    ValueError
        As :func:`complete_settings`.
    """
    return _network_called(settings.get("name"))


def network_names() -> list[str]:
    """Return the names of all networks, sorted: those that come with this package and those of installed packages."""
    return sorted({*NETWORKS, *_offered()})


def _network_called(name: str | None) -> type[nn.Module]:
    if name in NETWORKS:  # no other package changes what a checkpoint of this one means
        return NETWORKS[name]
    offered = _offered()
    if name not in offered:
        raise ValueError(
            f"network name must be one of {network_names()}, got {name!r}; is the package installed that offers it?"
        )
    try:
        return offered[name].load()
    except (ImportError, AttributeError) as e:
        raise ValueError(
            f"network {name}: {offered[name].value} cannot be imported: {type(e).__name__}: {e}"
        ) from e


def _offered() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=GROUP)}
