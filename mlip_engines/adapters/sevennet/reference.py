"""SevenNet's own ASE calculator, in float32 as it is or in float64."""

from __future__ import annotations

import numpy as np
import sevenn._keys as key
import torch
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from sevenn.atom_graph_data import AtomGraphData
from sevenn.calculator import SevenNetCalculator
from sevenn.train.dataload import unlabeled_atoms_to_graph
from torch import nn


def reference_calculator(model: nn.Module, modality: str | None, dtype: str) -> Calculator:
    """Return the calculator of a model, which becomes its own."""
    kind = SevenNetCalculator if dtype == "float32" else DoubleCalculator
    return kind(model, file_type="model_instance", device="cpu", modal=modality)


class DoubleCalculator(SevenNetCalculator):
    """SevenNetCalculator with everything in float64; its own calculates in float32."""

    def __init__(self, model: nn.Module, **arguments):
        super().__init__(model, **arguments)
        for name, part in list(self.model.named_children()):
            if type(part).__name__ == "OnehotEmbedding":
                self.model.replace_module(name, _DoubleOnehot(part))

    def calculate(self, atoms: Atoms | None = None, properties=None, system_changes=all_changes):
        """Evaluate as the parent does, from positions that are not rounded."""
        Calculator.calculate(self, atoms, properties, system_changes)
        arrays = unlabeled_atoms_to_graph(atoms, self.cutoff, with_shift=False)
        data = AtomGraphData.from_numpy_dict(dict(arrays))
        for name, value in arrays.items():
            if isinstance(value, np.ndarray) and value.dtype.kind == "f":
                data[name] = torch.from_numpy(value.astype(np.float64))
        if self.modal:
            data[key.DATA_MODALITY] = self.modal
        self.results = self.output_to_results(self.model(data))


class _DoubleOnehot(nn.Module):
    """An OnehotEmbedding, which casts to float32, whose results are cast to float64."""

    def __init__(self, part: nn.Module):
        super().__init__()
        self.part = part

    def forward(self, data: dict) -> dict:
        data = self.part(data)
        for name in (self.part.key_output, self.part.key_additional_output):
            if name is not None:
                data[name] = data[name].double()
        return data
