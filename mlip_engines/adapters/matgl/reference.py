"""matgl's own ASE calculator, in float32 as it is or in float64, for structures that are not periodic as well."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator

import matgl
import numpy as np
import torch
from ase import Atoms
from matgl.ext.ase import PESCalculator
from torch import nn

from mlip_engines.conformance.cells import in_a_cell


class InACell(PESCalculator):
    """Evaluate as PESCalculator does, which takes a slab for a molecule and makes its graphs in float32.

    Parameters
    ----------
    potential : matgl.apps.pes.Potential
        In the precision to compute in.
    """

    def __init__(self, potential: nn.Module):
        super().__init__(potential, stress_unit="eV/A3", use_voigt=True)

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: list | None = None,
        system_changes: list | None = None,
    ) -> None:
        """Evaluate energy, forces and stress."""
        boxed = in_a_cell(atoms, self.cutoff)  # an image further away than the cutoff is none
        with computing_in(self.potential.data_mean.dtype), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            super().calculate(boxed, properties, system_changes)
        self.atoms = atoms.copy()


@contextlib.contextmanager
def computing_in(dtype: torch.dtype) -> Iterator[None]:
    """Let matgl make its graphs in a precision; set_default_dtype would leave torch changed."""
    before = matgl.float_th, matgl.float_np
    matgl.float_th, matgl.float_np = dtype, np.float64 if dtype == torch.float64 else np.float32
    try:
        yield
    finally:
        matgl.float_th, matgl.float_np = before
