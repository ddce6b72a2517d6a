"""r-RESPA with non-conservative forces inside and the conservative energy's trajectory outside."""

from __future__ import annotations

import openmm
from openmm import unit

from openmm_forces.evaluations import PARAMETER


class RespaIntegrator(openmm.CustomIntegrator):
    """Velocity Verlet for the non-conservative forces, corrected at the ends of each outer step.

    One outer step dt with M inner steps h = dt/M, conservative forces C and non-conservative NC::

        v += dt/2 (C - NC)/m
        M times:  v += h/2 NC/m;  x += h v;  v += h/2 NC/m
        v += dt/2 (C - NC)/m

    The kicks at either end act at the same positions and are done as dt/2 C + (h - dt)/2 NC. Other
    forces of the System are in both terms, and so are integrated with the inner step.

    In steady state an outer step costs M - 1 evaluations of the non-conservative head and one of
    everything: C is asked for first at a boundary, with NC in the same pass, and the force answers
    the rest, also at the start of the next step, from what it knows. Between steps ``mlip_forces``
    is 0: states, reporters and barostats see conservative energies and forces. ``getStepSize`` is
    the outer step. Constraints are kept, on the inner step.

    Parameters
    ----------
    outer_step : float (ps) or Quantity
    inner_steps : int
        M; with 1 the trajectory is that of velocity Verlet with conservative forces.

    Raises
    ------
    ValueError
        If the step is not positive or the number of inner steps is below 1.
    TypeError
        If the number of inner steps is no integer.

    Notes
    -----
    A model without a head for non-conservative forces is refused with an OpenMMException at the
    first step.

    References
    ----------
    Tuckerman, Berne and Martyna, J. Chem. Phys. 97, 1990 (1992).
    """

    def __init__(self, outer_step: float | unit.Quantity, inner_steps: int):
        if unit.is_quantity(outer_step):
            outer_step = outer_step.value_in_unit(unit.picosecond)
        if not 0.0 < outer_step < float("inf"):
            raise ValueError(f"expected a positive outer step, got {outer_step} ps")
        if isinstance(inner_steps, bool) or not hasattr(inner_steps, "__index__"):
            raise TypeError(f"expected an integer number of inner steps, got {inner_steps!r}")
        inner_steps = inner_steps.__index__()
        if inner_steps < 1:
            raise ValueError(f"expected at least 1 inner step, got {inner_steps}")
        super().__init__(outer_step)
        self.inner_steps = inner_steps
        self.addPerDofVariable("unconstrained", 0)
        self.addUpdateContextState()
        self._add_boundary_kick()
        for step in range(inner_steps):
            self._add_drift()
            if step < inner_steps - 1:
                # The end of one inner step and the start of the next.
                self.addComputePerDof("v", f"v + dt/{inner_steps}*f/m")
        self._add_boundary_kick()
        self.addConstrainVelocities()
        self.addComputeGlobal(PARAMETER, "0")

    def _add_boundary_kick(self) -> None:
        self.addComputeGlobal(PARAMETER, "3")
        self.addComputePerDof("v", "v + 0.5*dt*f/m")
        self.addComputeGlobal(PARAMETER, "1")
        self.addComputePerDof("v", f"v + 0.5*(dt/{self.inner_steps} - dt)*f/m")

    def _add_drift(self) -> None:
        self.addConstrainVelocities()
        self.addComputePerDof("x", f"x + dt/{self.inner_steps}*v")
        self.addComputePerDof("unconstrained", "x")
        self.addConstrainPositions()
        self.addComputePerDof("v", f"v + (x - unconstrained)/(dt/{self.inner_steps})")
