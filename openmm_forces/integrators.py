"""r-RESPA integrators: non-conservative forces in the inner steps, corrected to the conservative trajectory."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import openmm
from openmm import unit

from openmm_forces.evaluations import PARAMETER
from openmm_forces.quantity import positive, to_unit
from openmm_forces.thermostats import (
    HighPassThermostat,
    LangevinThermostat,
    RescalingThermostat,
)

_SAMPLED, _INNER_POSITIONS = "sampled_inner_step", "inner_positions"


class RespaIntegrator(openmm.CustomIntegrator):
    """r-RESPA: velocity Verlet with non-conservative forces, corrected at both ends of each outer step.

    With conservative forces C and non-conservative forces NC, one outer step dt of M inner steps h = dt/M is::

        v += dt/2 (C - NC)/m
        M times:  v += h/2 NC/m;  x += h v;  v += h/2 NC/m
        v += dt/2 (C - NC)/m

    The correction and the half kick next to it act at the same positions, so they are applied as one kick,
    h/2 (NC + M (C - NC)). Other forces of the System do not know about M and are integrated with the inner step.

    An outer step costs M - 1 evaluations of the non-conservative head and one full evaluation, which the force
    remembers for the start of the next step. Between steps ``mlip_forces`` is 0, so states, reporters and
    barostats see conservative energies and forces. ``getStepSize`` returns the outer step. Constraints hold in
    every inner step.

    Parameters
    ----------
    outer_step : float (ps) or Quantity
    inner_steps : int
        M, the stride. With 1 the trajectory is that of velocity Verlet with conservative forces.
    samples_inner_steps : bool
        Keep the positions of one inner step of each outer step, drawn at random, for :meth:`inner_positions`.

    Raises
    ------
    ValueError
        If the step is not positive or the number of inner steps is below 1.
    TypeError
        If the number of inner steps is not an integer.

    Notes
    -----
    A model without a head for non-conservative forces is refused with an OpenMMException at the
    first step. An integrator that is read from XML is a ``CustomIntegrator`` with the same steps.

    References
    ----------
    Tuckerman, Berne and Martyna, J. Chem. Phys. 97, 1990 (1992).
    """

    def __init__(
        self,
        outer_step: float | unit.Quantity,
        inner_steps: int,
        *,
        samples_inner_steps: bool = False,
    ):
        outer_step = to_unit(outer_step, unit.picosecond)
        super().__init__(positive(outer_step, "a positive outer step", "ps"))
        self.inner_steps = _checked_inner_steps(inner_steps)
        self.samples_inner_steps = samples_inner_steps
        self._context: weakref.ref[openmm.Context] | None = None
        self.addPerDofVariable("unconstrained", 0)
        if samples_inner_steps:
            self.addPerDofVariable(_INNER_POSITIONS, 0)
            self.addGlobalVariable(_SAMPLED, 0)
        self._add_update_of_context_state()
        if samples_inner_steps:
            # not in turn, or reports at an interval could always meet the same inner step
            self.addComputeGlobal(_SAMPLED, f"1 + floor({self.inner_steps}*uniform)")
        self._add_boundary_kick()
        self._ask_for(1)
        for step in range(self.inner_steps):
            self._add_move()
            if samples_inner_steps:
                self.addComputePerDof(
                    _INNER_POSITIONS, f"select({_SAMPLED} - {step + 1}, {_INNER_POSITIONS}, x)"
                )
            if step < self.inner_steps - 1:
                # The end of one inner step and the start of the next.
                self.addComputePerDof("v", f"v + dt/{self.inner_steps}*f/m")
        self._add_boundary_kick()
        self.addConstrainVelocities()
        self._add_end_of_step()
        if samples_inner_steps:
            # On a GPU x is wrapped into the box, differently from step to step; a difference within a step is not.
            self.addComputePerDof(_INNER_POSITIONS, f"{_INNER_POSITIONS} - x")
        self._ask_for(0)

    def step(self, steps: int) -> None:
        """Advance by outer steps. If one fails, what is asked next is conservative all the same."""
        try:
            super().step(steps)
        except BaseException:
            self._ask_for_conservative_forces()
            raise

    def inner_positions(self) -> unit.Quantity:
        """Return the positions of an inner step of the last outer step, each inner step with the same probability.

        Positions at the ends of outer steps are right at the kicks of C - NC: a mode of angular frequency w that a
        constant part of C - NC displaces is seen there with (w dt/2) cot(w dt/2) of its true displacement. Averages of
        anything over positions within the steps are free of that.

        Returns
        -------
        Quantity of (N, 3) array, nm
            Not wrapped into the box. Ask before positions are set or the box changes.

        Raises
        ------
        RuntimeError
            If the integrator was made without ``samples_inner_steps``, or has made no step yet.
        """
        if not self.samples_inner_steps:
            raise RuntimeError(
                f"expected an integrator that samples inner steps; make it with "
                f"{type(self).__name__}(..., samples_inner_steps=True)"
            )
        if self.getGlobalVariableByName(_SAMPLED) < 1:
            raise RuntimeError("expected at least one outer step before its inner steps, got none")
        context = self._context() if self._context is not None else None
        if context is None:  # looking for it takes a while
            (context,) = _contexts_of(self)
            self._context = weakref.ref(context)
        end = context.getState(positions=True).getPositions(asNumpy=True)
        from_end = self.getPerDofVariableByName(_INNER_POSITIONS)
        return end + np.array([tuple(p) for p in from_end], dtype=float) * unit.nanometer

    def _ask_for_conservative_forces(self) -> None:
        """Set the parameter back where a step has ended before it did so."""
        for context in _contexts_of(self):
            if PARAMETER in dict(context.getParameters()):
                context.setParameter(PARAMETER, 0)

    def _ask_for(self, quantity: int) -> None:
        """Set what the forces are from here on."""
        self.addComputeGlobal(PARAMETER, f"{quantity}")

    def _add_update_of_context_state(self) -> None:
        self.addUpdateContextState()

    def _add_boundary_kick(self) -> None:
        self._ask_for(4 + self.inner_steps)
        self.addComputePerDof("v", f"v + 0.5*dt/{self.inner_steps}*f/m")

    def _add_move(self) -> None:
        """Move the particles over an inner step, between two kicks."""
        self.addConstrainVelocities()
        _add_drift(self, f"dt/{self.inner_steps}")

    def _add_end_of_step(self) -> None:
        """Do what comes after the last kick."""


class RespaLangevinIntegrator(LangevinThermostat, RespaIntegrator):
    """r-RESPA as in :class:`RespaIntegrator` with Langevin dynamics (BAOAB) in the inner loop.

    One outer step dt with M inner steps h = dt/M::

        v += dt/2 (C - NC)/m
        M times:
            v += h/2 NC/m;  x += h/2 v
            v  = exp(-friction h) v + sqrt((1 - exp(-2 friction h)) kT/m) R
            x += h/2 v;  v += h/2 NC/m
        v += dt/2 (C - NC)/m

    R are Gaussian random numbers. An outer step costs the same evaluations as in :class:`RespaIntegrator`.
    Constraints hold after each of these lines.

    Parameters
    ----------
    temperature : float (K) or Quantity
    friction : float (1/ps) or Quantity
        Solved exactly for any value; 0 gives the trajectory of :class:`RespaIntegrator`.
    outer_step : float (ps) or Quantity
    inner_steps : int
        M.
    samples_inner_steps : bool
        As in :class:`RespaIntegrator`.

    Raises
    ------
    ValueError
        If temperature or step are not positive, the friction is negative, or the number of inner
        steps is below 1.
    TypeError
        If the number of inner steps is not an integer.

    References
    ----------
    Leimkuhler and Matthews, J. Chem. Phys. 138, 174102 (2013), for BAOAB; Leimkuhler and Matthews,
    Proc. R. Soc. A 472, 20160138 (2016), with constraints; Tuckerman, Berne and Martyna, J. Chem.
    Phys. 97, 1990 (1992), for r-RESPA.
    """

    def __init__(
        self,
        temperature: float | unit.Quantity,
        friction: float | unit.Quantity,
        outer_step: float | unit.Quantity,
        inner_steps: int,
        *,
        samples_inner_steps: bool = False,
    ):
        super().__init__(outer_step, inner_steps, samples_inner_steps=samples_inner_steps)
        self._add_langevin_bath(temperature, friction)

    def _add_update_of_context_state(self) -> None:
        super()._add_update_of_context_state()
        self.addComputeGlobal("decay", f"exp(-friction*dt/{self.inner_steps})")

    def _add_move(self) -> None:
        self.addConstrainVelocities()
        _add_drift(self, f"0.5*dt/{self.inner_steps}")
        self.addConstrainVelocities()
        self._add_friction_and_noise()
        _add_drift(self, f"0.5*dt/{self.inner_steps}")


class RespaHighPassLangevinIntegrator(HighPassThermostat, RespaIntegrator):
    """r-RESPA beyond the resonance, for averages over structures: a thermostat that acts on fast motion only.

    A correction every few femtoseconds resonates with the vibrations of hydrogen and heats them. This thermostat takes
    that heat out where it enters, in fast motion of light particles, and leaves slow motion, such as diffusion,
    nearly alone. Outer steps up to 16 fs were measured (docs/measurements/long_steps.md). Vibrations are damped, so it
    gives no spectra.

    One outer step dt with M inner steps h = dt/M::

        v += dt/2 (C - NC)/m
        M times:
            v += h/2 NC/m;  x += h/2 v
            bath with memory on light particles, then friction without memory on all
            x += h/2 v;  v += h/2 NC/m
        v += dt/2 (C - NC)/m

    The bath with memory has the friction g w^2/(a^2 + w^2) for motion of the angular frequency w, see
    :class:`~openmm_forces.thermostats.HighPassThermostat`. An outer step costs the same evaluations as in
    :class:`RespaIntegrator`.

    Parameters
    ----------
    temperature : float (K) or Quantity
    outer_step : float (ps) or Quantity
    inner_steps : int
        M.
    high_pass_friction : float (1/ps) or Quantity
        g, the friction of fast motion. The default is for hydrogens of 3 to 4 g/mol and an inner step of 1 fs; for
        hydrogens of natural mass and 0.5 fs take 500.
    memory_rate : float (1/ps) or Quantity
        a, the angular frequency below which friction vanishes; with the hydrogens of nature take 200.
    friction : float (1/ps) or Quantity
        Of all particles, without memory.
    light_mass : float (g/mol) or Quantity
        The bath with memory acts on particles up to this mass: by default on hydrogens, the heavy ones too.
    samples_inner_steps : bool
        As in :class:`RespaIntegrator`.

    Raises
    ------
    ValueError
        If temperature, step, high-pass friction, memory rate or mass are not positive, the friction is negative, or the
        number of inner steps is below 1; at the first step, if the System has constraints.
    TypeError
        If the number of inner steps is not an integer.

    References
    ----------
    Ceriotti, Bussi and Parrinello, J. Chem. Theory Comput. 6, 1170 (2010); Morrone, Markland, Ceriotti and Berne, J.
    Chem. Phys. 134, 014103 (2011).
    """

    def __init__(
        self,
        temperature: float | unit.Quantity,
        outer_step: float | unit.Quantity,
        inner_steps: int,
        high_pass_friction: float | unit.Quantity = 200.0,
        memory_rate: float | unit.Quantity = 100.0,
        friction: float | unit.Quantity = 2.0,
        light_mass: float | unit.Quantity = 4.5,
        *,
        samples_inner_steps: bool = False,
    ):
        super().__init__(outer_step, inner_steps, samples_inner_steps=samples_inner_steps)
        self._constraints_are_checked = False
        self._add_high_pass_bath(temperature, friction, high_pass_friction, memory_rate, light_mass)

    def step(self, steps: int) -> None:
        """Advance by outer steps.

        Raises
        ------
        ValueError
            If the System has constraints: the auxiliary numbers would not keep to them.
        """
        if not self._constraints_are_checked:
            for context in _contexts_of(self):
                if context.getSystem().getNumConstraints():
                    raise ValueError(
                        f"{type(self).__name__} expects a System without constraints, got one with "
                        f"{context.getSystem().getNumConstraints()}; make it without them, or take "
                        "RespaLangevinIntegrator"
                    )
            self._constraints_are_checked = True
        super().step(steps)

    def _add_update_of_context_state(self) -> None:
        super()._add_update_of_context_state()
        self.addComputeGlobal("decay", f"exp(-friction*dt/{self.inner_steps})")
        self._add_start_of_memory(self.inner_steps)

    def _add_move(self) -> None:
        _add_drift(self, f"0.5*dt/{self.inner_steps}")
        self._add_friction_and_noise()
        _add_drift(self, f"0.5*dt/{self.inner_steps}")


class RespaBussiIntegrator(RescalingThermostat, RespaIntegrator):
    """r-RESPA as in :class:`RespaIntegrator`, then one stochastic velocity rescaling per outer step.

    The thermostat is that of :class:`BussiIntegrator`. An outer step costs the same evaluations as in
    :class:`RespaIntegrator`.

    Parameters
    ----------
    temperature : float (K) or Quantity
    time_constant : float (ps) or Quantity
        The time in which the kinetic energy forgets its value.
    outer_step : float (ps) or Quantity
    inner_steps : int
        M.
    samples_inner_steps : bool
        As in :class:`RespaIntegrator`.

    Raises
    ------
    ValueError
        If temperature, time constant or step are not positive, or the number of inner steps is
        below 1.
    TypeError
        If the number of inner steps is not an integer.

    References
    ----------
    Bussi, Donadio and Parrinello, J. Chem. Phys. 126, 014101 (2007); Tuckerman, Berne and Martyna,
    J. Chem. Phys. 97, 1990 (1992).
    """

    def __init__(
        self,
        temperature: float | unit.Quantity,
        time_constant: float | unit.Quantity,
        outer_step: float | unit.Quantity,
        inner_steps: int,
        *,
        samples_inner_steps: bool = False,
    ):
        super().__init__(outer_step, inner_steps, samples_inner_steps=samples_inner_steps)
        self._add_rescaling_bath(temperature, time_constant)

    def _add_end_of_step(self) -> None:
        self._add_rescaling()


class BussiIntegrator(RescalingThermostat, openmm.CustomIntegrator):
    """Velocity Verlet, then stochastic velocity rescaling; for any System.

    In each step all velocities are multiplied by one random factor, so that the kinetic energy has its
    canonical distribution while diffusion is hardly disturbed. The motion of the centre of mass is left alone.
    Particles at rest stay at rest, so set velocities first.

    Parameters
    ----------
    temperature : float (K) or Quantity
    time_constant : float (ps) or Quantity
        The time in which the kinetic energy forgets its value.
    step_size : float (ps) or Quantity

    Raises
    ------
    ValueError
        If one of them is not positive.

    References
    ----------
    Bussi, Donadio and Parrinello, J. Chem. Phys. 126, 014101 (2007).
    """

    def __init__(
        self,
        temperature: float | unit.Quantity,
        time_constant: float | unit.Quantity,
        step_size: float | unit.Quantity,
    ):
        step_size = to_unit(step_size, unit.picosecond)
        super().__init__(positive(step_size, "a positive step", "ps"))
        self._add_rescaling_bath(temperature, time_constant)
        self.addPerDofVariable("unconstrained", 0)
        self._add_update_of_context_state()
        self.addComputePerDof("v", "v + 0.5*dt*f/m")
        self.addConstrainVelocities()
        _add_drift(self, "dt")
        self.addComputePerDof("v", "v + 0.5*dt*f/m")
        self.addConstrainVelocities()
        self._add_rescaling()


def _add_drift(integrator: openmm.CustomIntegrator, time: str) -> None:
    """Move along the velocities and, where there are constraints, put both right again."""
    integrator.addComputePerDof("x", f"x + {time}*v")
    integrator.addComputePerDof("unconstrained", "x")
    integrator.addConstrainPositions()
    integrator.addComputePerDof("v", f"v + (x - unconstrained)/({time})")


def _contexts_of(integrator: openmm.Integrator) -> list[openmm.Context]:
    """Return the Context of an integrator, which OpenMM itself does not tell: a Context knows its integrator only."""
    return [
        thing
        for thing in gc.get_objects()
        if issubclass(type(thing), openmm.Context)
        and getattr(thing, "_integrator", None) is integrator
    ]


def _checked_inner_steps(inner_steps: int) -> int:
    if isinstance(inner_steps, bool) or not hasattr(inner_steps, "__index__"):
        raise TypeError(f"expected an integer number of inner steps, got {inner_steps!r}")
    inner_steps = inner_steps.__index__()
    if inner_steps < 1:
        raise ValueError(f"expected at least 1 inner step, got {inner_steps}")
    return inner_steps
