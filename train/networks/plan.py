"""How the layers of a network are divided between its energy and its non-conservative heads."""

from typing import NamedTuple


class Plan(NamedTuple):
    """Layers and heads of a network that splits after some shared layers."""

    heads: list[str]
    n_shared: int  # layers that the energy and the heads share
    message_passing_layers: int  # how many edges away any output sees
    non_conservative_layers: int  # how many edges away the heads see; 0 without them


def plan_heads(
    n_layers: int, non_conservative_layer: int, *, stress: bool, further_layers: int
) -> Plan:
    """Divide layers between the energy and the heads.

    Parameters
    ----------
    n_layers : int
        Up to the energy.
    non_conservative_layer : int
        Layers up to the non-conservative heads; 0 for no such heads.
    stress : bool
        Whether there is a head for stress.
    further_layers : int
        How many edges further than these layers the heads look.

    Raises
    ------
    ValueError
        If the numbers of layers do not fit each other, or stress is asked for without a force head.
    """
    if n_layers < 1:
        raise ValueError(f"expected {n_layers=} >= 1")
    if not 0 <= non_conservative_layer <= n_layers:
        raise ValueError(f"expected 0 <= {non_conservative_layer=} <= {n_layers=}")
    if non_conservative_layer == 0:
        if stress:
            raise ValueError(
                f"non_conservative_stress=True needs a non-conservative head, got {non_conservative_layer=}"
            )
        return Plan(["energy"], n_layers, n_layers, 0)
    heads = ["energy", "non_conservative_forces"] + ["non_conservative_stress"] * stress
    reach = non_conservative_layer + further_layers
    return Plan(heads, non_conservative_layer, max(n_layers, reach), reach)
