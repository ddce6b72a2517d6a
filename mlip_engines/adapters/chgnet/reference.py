"""CHGNet's own ASE calculator, in float32 as it is or in float64, for structures without a cell as well."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator
from typing import Any

import torch
from ase import Atoms
from ase.calculators.calculator import all_changes
from chgnet.graph import converter
from chgnet.model import CHGNet, CHGNetCalculator
from chgnet.model import model as model_module
from torch import Tensor, nn

from mlip_engines.conformance.cells import in_a_cell


class InACell(CHGNetCalculator):
    """Evaluate as CHGNetCalculator does, which needs a cell with three vectors and computes in float32.

    Parameters
    ----------
    model : CHGNet
        In the precision to compute in.
    """

    def __init__(self, model: CHGNet):
        composition = model.composition_model
        if composition is not None and composition.fc.weight.dtype == torch.float64:
            model.composition_model = DoubleComposition(composition)
        with contextlib.redirect_stdout(io.StringIO()):
            super().__init__(model, use_device="cpu", on_isolated_atoms="ignore")

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: list | None = None,
        system_changes: list | None = all_changes,
        **more: Any,
    ) -> None:
        """Evaluate energy, forces, stress and magnetic moments."""
        # an image further away than the cutoff is none
        boxed = in_a_cell(atoms, self.model.graph_converter.atom_graph_cutoff)
        dtype = next(self.model.parameters()).dtype
        with computing_in(dtype), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            super().calculate(boxed, properties, system_changes, **more)
        self.atoms = atoms.copy()


class DoubleComposition(nn.Module):
    """Energies by composition as AtomRef has them, which casts to float32."""

    def __init__(self, composition: nn.Module):
        super().__init__()
        self.energies, self.is_intensive = composition.fc.weight[0], composition.is_intensive

    def forward(self, graphs: list) -> Tensor:
        """Return an energy per structure: of an atom, if the model counts so."""
        sums = [self.energies[graph.atomic_number.long() - 1] for graph in graphs]
        return torch.stack([e.mean() if self.is_intensive else e.sum() for e in sums])


@contextlib.contextmanager
def computing_in(dtype: torch.dtype) -> Iterator[None]:
    """Let CHGNet make its graphs in a precision; it keeps one constant for that in two modules."""
    default, modules = torch.get_default_dtype(), (converter, model_module)
    before = [module.TORCH_DTYPE for module in modules]
    torch.set_default_dtype(dtype)
    for module in modules:
        module.TORCH_DTYPE = dtype
    try:
        yield
    finally:
        torch.set_default_dtype(default)
        for module, value in zip(modules, before, strict=True):
            module.TORCH_DTYPE = value
