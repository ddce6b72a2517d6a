"""Errors on a set of structures, in the units that are reported: meV/atom, meV/Å and meV/Å^3."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from mlip_engines.units import MEV_PER_EV
from mlip_train.data.batching import collate
from mlip_train.data.dataset import TrainingStructure
from mlip_train.loop.prediction import predict

# xx yy zz yz xz xy: each component of a symmetric tensor counts once.
VOIGT_ROWS, VOIGT_COLUMNS = [0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]


def compared(
    network: nn.Module,
    structures: Sequence[TrainingStructure],
    baseline: Tensor,
    scale: float,
    *,
    differentiate: bool,
    batch_size: int = 2,
) -> Iterator[dict[str, tuple[Tensor, Tensor]]]:
    """Yield reference and prediction, (n,) each on the CPU, by quantity, for batches of structures.

    Quantities are ``energy`` (eV per atom, above the baseline), ``conservative`` and ``non_conservative`` forces
    (eV/Å), ``stress`` and ``non_conservative_stress`` (eV/Å^3) of structures with this label, and ``c_minus_nc``, with
    the conservative forces as the reference of the head.
    """
    was_training = network.training
    network.eval()
    first = next(network.parameters())
    with_head = "non_conservative_forces" in network.heads
    try:
        for start in range(0, len(structures), batch_size):
            chosen = [structures[k] for k in range(start, min(start + batch_size, len(structures)))]
            batch = collate(chosen, baseline, network.cutoff, first.dtype, device=first.device)
            prediction = predict(
                network,
                batch,
                scale,
                differentiate=differentiate,
                with_non_conservative=with_head,
                create_graph=False,
                with_stress=bool(batch.has_stress.any()),
            )
            pairs = {
                "energy": (batch.energies / batch.n_atoms, prediction.energies / batch.n_atoms)
            }
            c, nc = prediction.conservative, prediction.non_conservative
            if c is not None:
                pairs["conservative"] = (batch.forces, c)
            if nc is not None:
                pairs["non_conservative"] = (batch.forces, nc)
            if c is not None and nc is not None:
                pairs["c_minus_nc"] = (c, nc)
            virials = {
                "stress": prediction.virials,
                "non_conservative_stress": prediction.non_conservative_virials,
            }
            for name, virial in virials.items():
                if virial is not None:
                    volumes = batch.volumes[batch.has_stress, None]  # (S, 1)
                    pairs[name] = tuple(
                        -w[batch.has_stress][:, VOIGT_ROWS, VOIGT_COLUMNS].double() / volumes
                        for w in (batch.virials, virial)
                    )
            yield {
                name: tuple(side.detach().double().flatten().cpu() for side in pair)
                for name, pair in pairs.items()
            }
    finally:
        network.train(was_training)


def evaluate(
    network: nn.Module,
    structures: Sequence[TrainingStructure],
    baseline: Tensor,
    scale: float,
    *,
    differentiate: bool,
    batch_size: int = 2,
) -> dict[str, float]:
    """Return MAE and RMSE of energy (meV/atom), C and NC forces and C - NC (meV/Å), and stress (meV/Å^3).

    Forces and stress are per component; stress is there if a structure has this label.
    """
    sums: dict[str, Tensor] = {}
    for pairs in compared(
        network, structures, baseline, scale, differentiate=differentiate, batch_size=batch_size
    ):
        for name, (reference, found) in pairs.items():
            error = found - reference
            entry = torch.stack(
                [error.abs().sum(), error.square().sum(), torch.tensor(float(error.numel()))]
            )
            sums[name] = sums.get(name, 0.0) + entry
    result = {}
    for name, (absolute, square, count) in sums.items():
        result[f"{name}_mae"] = MEV_PER_EV * float(absolute / count)
        result[f"{name}_rmse"] = MEV_PER_EV * float(square / count) ** 0.5
    return result
