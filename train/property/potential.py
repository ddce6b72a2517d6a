"""The potential that a run on properties began with: what its checkpoint keeps of it, for a model file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from mlip_engines.checkpoints import Exportable, open_checkpoint
from mlip_engines.model.data_range import DataRange
from mlip_train.loop.start import Start
from mlip_train.networks import build_network
from mlip_train.property.network import Build

_SAID = (
    "species",
    "name",
    "errors",
    "errors_by",
    "card",
    "licence",
    "citation",
    "shortest_distances",
)


def potential_record(path: str | Path, start: Start) -> dict[str, Any]:
    """Return plain values and tensors about the potential in a file, whose ``start`` has been read."""
    opened = open_checkpoint(path)
    ranges = opened.data_range or DataRange()
    # the inner force of another network goes with a file of its own
    training = {key: value for key, value in opened.training.items() if key != "inner"}
    return {
        **{name: getattr(opened, name) for name in _SAID},
        "training": training,
        "network": start.network,
        "weights": {name: value.clone() for name, value in start.weights.items()},
        "reference_energies": dict(start.reference_energies),
        "scale": start.scale,
        "energy_range": dict(ranges.energies),
        "largest_forces": dict(ranges.forces),
    }


def exportable_of(record: dict[str, Any], build: Build) -> Exportable:
    """Return what :func:`potential_record` has kept, as mlip-export takes it; ``build`` goes into the metadata."""
    network = build_network(record["network"])
    network.load_state_dict(record["weights"])
    dtype = next(v.dtype for v in record["weights"].values() if torch.is_floating_point(v))
    return Exportable(
        network.to(dtype),
        **{name: record[name] for name in _SAID},
        training={**record["training"], "property": build.as_dict()},
        reference_energies=record["reference_energies"],
        scale=record["scale"],
        data_range=DataRange(record["energy_range"], record["largest_forces"]),
    )
