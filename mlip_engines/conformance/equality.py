"""Comparing two results of a model."""

from __future__ import annotations

from torch import Tensor

from mlip_engines.model.contract import ModelContractError


def require_equal(name: str, expected: Tensor, found: Tensor, limit: float) -> None:
    """Raise unless two tensors agree to ``limit``, relative to the largest element or 1."""
    if expected.shape != found.shape:
        raise ModelContractError(
            f"expected {name} of shape {tuple(expected.shape)}, got {tuple(found.shape)}"
        )
    if expected.numel() == 0:
        return
    difference = float((expected - found).abs().max())
    allowed = allowed_difference(expected, limit)
    if not difference <= allowed:  # NaN fails
        raise ModelContractError(f"{name} differs by {difference:.3g}, allowed {allowed:.3g}")


def allowed_difference(expected: Tensor, limit: float) -> float:
    """Return ``limit`` relative to the largest element or 1."""
    return limit * max(1.0, float(expected.abs().max()))


def require_same_output(
    expected: dict[str, Tensor], found: dict[str, Tensor], limit: float
) -> None:
    """Raise unless two outputs have the same keys and agree to ``limit``."""
    if set(expected) != set(found):
        raise ModelContractError(f"expected the keys {sorted(expected)}, got {sorted(found)}")
    for name, value in expected.items():
        require_equal(name, value, found[name], limit)
