"""The optimiser of a stage: Muon for the matrices of hidden layers with AdamW for the rest, or AdamW for all."""

from __future__ import annotations

from typing import Any

from torch import nn
from torch.optim import AdamW, Optimizer

from mlip_train.loop.batched_muon import BatchedMuon
from mlip_train.recipe import Recipe

# Below this a matrix reads out a few numbers, and making its update orthogonal would mean little.
SMALLEST_MATRIX = 8


class Optimizers:
    """Several optimisers, each with its own parameters, that step as one."""

    def __init__(self, *members: Optimizer):
        self.members = members

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """The groups of all."""
        return [group for member in self.members for group in member.param_groups]

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for member in self.members:
            member.zero_grad()

    def step(self) -> None:
        """Update the parameters."""
        for member in self.members:
            member.step()

    def state_dict(self) -> list[dict[str, Any]]:
        """Return the states in order."""
        return [member.state_dict() for member in self.members]

    def load_state_dict(self, states: list[dict[str, Any]]) -> None:
        """Take over what :meth:`state_dict` returned."""
        for member, state in zip(self.members, states, strict=True):
            member.load_state_dict(state)


def build_optimizer(recipe: Recipe, network: nn.Module) -> Optimizers:
    """Return a fresh optimiser of the parameters that require gradients; the schedule sets its learning rate.

    ``muon`` makes the momentum of each matrix orthogonal before it is applied (Jordan et al. 2024,
    https://kellerjordan.github.io/posts/muon), with the length of a step scaled so that one learning rate serves both
    kinds of parameters (Liu et al. 2025, arXiv:2502.16982). Embeddings, which are looked up and not multiplied,
    readouts and vectors go with AdamW.
    """
    trained = [(name, p) for name, p in network.named_parameters() if p.requires_grad]
    decay = recipe.weight_decay
    if recipe.optimizer == "adamw":
        # AMSGrad: gradients of forces are heavy-tailed, and a step after a quiet stretch would be too long.
        everything = [p for _, p in trained]
        return Optimizers(AdamW(everything, lr=0.0, weight_decay=decay, amsgrad=True))
    embeddings = {
        id(p)
        for module in network.modules()
        if isinstance(module, nn.Embedding)
        for p in module.parameters()
    }
    matrices, rest = [], []
    for _, parameter in trained:
        is_matrix = parameter.ndim == 2 and min(parameter.shape) >= SMALLEST_MATRIX
        (matrices if is_matrix and id(parameter) not in embeddings else rest).append(parameter)
    members: list[Optimizer] = []
    if matrices:
        members.append(BatchedMuon(matrices, lr=0.0, weight_decay=decay))
    if rest:
        members.append(AdamW(rest, lr=0.0, weight_decay=decay, betas=(0.9, 0.99)))
    return Optimizers(*members)
