"""Errors on a set of structures, in the units that are reported: meV/atom and meV/Å."""

from __future__ import annotations

from torch import Tensor, nn

from mlip_engines.units import MEV_PER_EV
from train.batching import collate
from train.dataset import TrainingStructure
from train.losses import predict


def evaluate(
    network: nn.Module,
    structures: list[TrainingStructure],
    baseline: Tensor,
    scale: float,
    *,
    differentiate: bool,
    batch_size: int = 2,
) -> dict[str, float]:
    """Return MAE and RMSE of energy (meV/atom), C and NC forces and of C - NC (meV/Å per component)."""
    was_training = network.training
    network.eval()
    dtype = next(network.parameters()).dtype
    sums: dict[str, list[float]] = {}

    def add(name: str, difference: Tensor) -> None:
        entry = sums.setdefault(name, [0.0, 0.0, 0.0])
        entry[0] += float(difference.abs().sum())
        entry[1] += float((difference.double() ** 2).sum())
        entry[2] += difference.numel()

    with_head = "non_conservative_forces" in network.heads
    for start in range(0, len(structures), batch_size):
        batch = collate(structures[start : start + batch_size], baseline, network.cutoff, dtype)
        prediction = predict(
            network,
            batch,
            scale,
            differentiate=differentiate,
            with_non_conservative=with_head,
            create_graph=False,
        )
        add("energy", (prediction.energies.detach().double() - batch.energies) / batch.n_atoms)
        if prediction.conservative is not None:
            add("conservative", prediction.conservative - batch.forces)
        if prediction.non_conservative is not None:
            head = prediction.non_conservative.detach()
            add("non_conservative", head - batch.forces)
            if prediction.conservative is not None:
                add("c_minus_nc", prediction.conservative - head)
    network.train(was_training)
    result = {}
    for name, (absolute, square, count) in sums.items():
        result[f"{name}_mae"] = MEV_PER_EV * absolute / count
        result[f"{name}_rmse"] = MEV_PER_EV * (square / count) ** 0.5
    return result
