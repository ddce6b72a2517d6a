"""What a stage asks of a network, and which parts of it the stage trains."""

from __future__ import annotations

from torch import nn

from mlip_train.loop.optimizer import Optimizers, build_optimizer
from mlip_train.recipe import Recipe, Stage


def check_stage(stage: Stage, network: nn.Module) -> None:
    """Refuse a stage that the network has not the parts for, before anything is trained.

    Raises
    ------
    ValueError
        If a part that is to be trained, or a head that the weights ask for, is missing.
    """
    parts = {_part(name) for name, _ in network.named_parameters()}
    unknown = sorted(set(stage.trained) - parts)
    if unknown:
        raise ValueError(
            f"stage {stage.name}: trained: expected parts of the network, {sorted(parts)}; got {unknown}"
        )
    heads = {
        "non_conservative_forces": stage.weights.uses_head or stage.weights.denoising > 0.0,
        "non_conservative_stress": stage.weights.non_conservative_stress > 0.0,
    }
    for head, is_needed in heads.items():
        if is_needed and head not in network.heads:
            raise ValueError(
                f"stage {stage.name}: expected a network with the head {head!r}, which the weights ask for; got "
                f"{network.heads}"
            )

    if stage.encode_forces and getattr(network, "of_forces", None) is None:
        raise ValueError(
            f"stage {stage.name}: encode_forces needs a network that takes forces: painn with force_encoding: true"
        )
    if stage.negative_steps > 0.0 and getattr(network, "structure_inputs", []):
        raise ValueError(
            f"stage {stage.name}: negative_steps makes structures whose {' and '.join(network.structure_inputs)} "
            "nobody knows; leave it out for a network that depends on these"
        )


def begin_stage(recipe: Recipe, stage: Stage, network: nn.Module) -> Optimizers:
    """Freeze what a stage does not train; return a fresh optimiser for the rest."""
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(not stage.trained or _part(name) in stage.trained)
    return build_optimizer(recipe, network)


def _part(name: str) -> str:
    """Return the part of a network that a parameter belongs to; beside an empirical potential one level deeper."""
    return name.removeprefix("network.").split(".")[0]
