"""Errors on a set of structures, in the units that are reported: meV/atom, meV/Å and meV/Å^3."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torch import Tensor, nn

from mlip_engines.model.groups import MOST_ATOMS, groups
from mlip_engines.properties.by_element import ElementSums
from mlip_engines.properties.by_structure import StructureErrors, errors_by_structure
from mlip_engines.properties.errors import Comparison, compare, mean_errors
from mlip_engines.units import MEV_PER_EV
from mlip_train.data.batching import collate
from mlip_train.data.structure import TrainingStructure
from mlip_train.loop.prediction import predict


def compared(
    network: nn.Module,
    structures: Sequence[TrainingStructure],
    baseline: Tensor,
    scale: float,
    *,
    differentiate: bool,
    most_atoms: int = MOST_ATOMS,
    each: list[StructureErrors] | None = None,
    elements: ElementSums | None = None,
) -> Iterator[Comparison]:
    """Yield what :func:`mlip_engines.properties.errors.compare` returns, for batches of structures.

    Energies are above the baseline. ``each`` receives the errors of each structure, ``elements`` those of
    forces by element.
    """
    was_training = network.training
    network.eval()
    first = next(network.parameters())
    with_head = "non_conservative_forces" in network.heads
    try:
        one_by_one = (structures[k] for k in range(len(structures)))
        for chosen in groups(one_by_one, most_atoms, lambda item: len(item.atomic_numbers)):
            batch = collate(chosen, baseline, network.cutoff, first.dtype, device=first.device)
            prediction = predict(
                network,
                batch,
                scale,
                differentiate=differentiate,
                with_non_conservative=with_head,
                create_graph=False,
                with_stress=bool(batch.labels.has_stress.any()),
            )
            comparison = compare(batch.labels, prediction)
            if each is not None:
                each.extend(errors_by_structure(batch.labels, comparison))
            if elements is not None:
                elements.add(batch.graph.atomic_numbers, batch.labels, comparison)
            yield comparison
    finally:
        network.train(was_training)


def evaluate(
    network: nn.Module,
    structures: Sequence[TrainingStructure],
    baseline: Tensor,
    scale: float,
    *,
    differentiate: bool,
    most_atoms: int = MOST_ATOMS,
    each: list[StructureErrors] | None = None,
    elements: ElementSums | None = None,
) -> dict[str, float]:
    """Return MAE and RMSE of energy (meV/atom), C and NC forces and C - NC (meV/Å), and stress (meV/Å^3).

    Forces and stress are per component; stress is there if a structure has this label.
    """
    comparisons = compared(
        network,
        structures,
        baseline,
        scale,
        differentiate=differentiate,
        most_atoms=most_atoms,
        each=each,
        elements=elements,
    )
    return {name: MEV_PER_EV * value for name, value in mean_errors(comparisons).items()}
