"""Steps of a CustomIntegrator that exchange heat with a bath, and the account of that heat.

``heat`` is what the bath has given to the particles so far: the potential and kinetic energy less the
heat is what an exact integrator would conserve.
"""

from __future__ import annotations

import openmm
from openmm import unit

from openmm_forces.quantity import positive, to_unit

_KELVIN = unit.MOLAR_GAS_CONSTANT_R.value_in_unit(unit.kilojoule_per_mole / unit.kelvin)


class Thermostat:
    """What the integrators with a bath have in common; ``heat`` is saved in states and checkpoints."""

    def _add_bath(self, temperature: float | unit.Quantity) -> None:
        self.addGlobalVariable("kT", 0.0)
        self.addGlobalVariable("heat", 0.0)
        self.addGlobalVariable("gained", 0.0)
        self.addPerDofVariable("before", 0.0)
        self.setTemperature(temperature)

    def getTemperature(self) -> unit.Quantity:
        """Return the temperature of the bath."""
        return self.getGlobalVariableByName("kT") / _KELVIN * unit.kelvin

    def setTemperature(self, temperature: float | unit.Quantity) -> None:
        """Set the temperature of the bath; a number is in kelvin."""
        kelvin = positive(to_unit(temperature, unit.kelvin), "a positive temperature", "K")
        self.setGlobalVariableByName("kT", _KELVIN * kelvin)

    def getHeat(self) -> unit.Quantity:
        """Return the energy that the bath has given to the particles so far."""
        return self.getGlobalVariableByName("heat") * unit.kilojoule_per_mole

    def _add_update_of_context_state(self) -> None:
        """Let barostats and the like act; what they do to velocities (CMMotionRemover) is heat."""
        self.addComputePerDof("before", "v")
        self.addUpdateContextState()
        self._add_heat_since_before()

    def _add_heat_since_before(self) -> None:
        self.addComputeSum("gained", "0.5*m*(v*v - before*before)")
        self.addComputeGlobal("heat", "heat + gained")


class LangevinThermostat(Thermostat):
    """The exact solution of dv = -friction v dt + sqrt(2 friction kT/m) dW over a time step."""

    def _add_langevin_bath(
        self, temperature: float | unit.Quantity, friction: float | unit.Quantity
    ) -> None:
        self._add_bath(temperature)
        self.addGlobalVariable("friction", 0.0)
        self.addGlobalVariable("decay", 0.0)
        self.setFriction(friction)

    def getFriction(self) -> unit.Quantity:
        """Return the friction."""
        return self.getGlobalVariableByName("friction") / unit.picosecond

    def setFriction(self, friction: float | unit.Quantity) -> None:
        """Set the friction; a number is in 1/ps."""
        rate = to_unit(friction, unit.picosecond**-1)
        if not 0.0 <= rate < float("inf"):
            raise ValueError(f"expected a friction of at least 0 / ps, got {rate} / ps")
        self.setGlobalVariableByName("friction", rate)

    def _add_friction_and_noise(self) -> None:
        """Add the step; ``decay`` is exp(-friction * time step)."""
        self.addComputePerDof("before", "v")
        self.addComputePerDof("v", "decay*v + sqrt((1 - decay*decay)*kT/m)*gaussian")
        self.addConstrainVelocities()
        self._add_heat_since_before()


class HighPassThermostat(LangevinThermostat):
    """A bath with memory that acts on fast motion only, then weak friction without memory on all particles.

    Each velocity v of a light particle has an auxiliary number s, in the same units. Between bath and velocity::

        d(v, s) = -A (v, s) dt + sqrt(2 A kT/m) dW,    A = [[g, sqrt(g a)], [sqrt(g a), a]]

    Without s this is a friction that depends on the frequency w of the motion, g w^2/(a^2 + w^2): none for slow
    motion, g for fast. The matrix has rank one, so a step has a closed form: along (sqrt(g), sqrt(a)) the pair
    relaxes at the rate g + a, across it nothing happens. Both are distributed as the Boltzmann distribution asks for
    whatever the step.

    References
    ----------
    Ceriotti, Bussi and Parrinello, J. Chem. Theory Comput. 6, 1170 (2010), eqs. (3) to (8); Morrone, Markland, Ceriotti
    and Berne, J. Chem. Phys. 134, 014103 (2011), against resonance.
    """

    def _add_high_pass_bath(
        self,
        temperature: float | unit.Quantity,
        friction: float | unit.Quantity,
        high_pass_friction: float | unit.Quantity,
        memory_rate: float | unit.Quantity,
        light_mass: float | unit.Quantity,
    ) -> None:
        self._add_langevin_bath(temperature, friction)
        per_ps = unit.picosecond**-1
        rates = {
            "high_pass_friction": positive(
                to_unit(high_pass_friction, per_ps), "a positive high-pass friction", "1/ps"
            ),
            "memory_rate": positive(to_unit(memory_rate, per_ps), "a positive memory rate", "1/ps"),
            "light_mass": positive(to_unit(light_mass, unit.dalton), "a positive mass", "g/mol"),
            "forgotten": 0.0,  # 1 - exp(-(g + a) h)
            "memory_is_drawn": 0.0,
        }
        for name, value in rates.items():
            self.addGlobalVariable(name, value)
        self.addPerDofVariable("memory", 0.0)  # s
        self.addPerDofVariable("change", 0.0)  # of (v, s) along (sqrt(g), sqrt(a)), normalised

    def _add_start_of_memory(self, inner_steps: int) -> None:
        """Draw s before the first step, from its own distribution, and find how much a step forgets."""
        self.addComputePerDof("memory", "select(memory_is_drawn, memory, sqrt(kT/m)*gaussian)")
        self.addComputeGlobal("memory_is_drawn", "1")
        self.addComputeGlobal(
            "forgotten", f"1 - exp(-(high_pass_friction + memory_rate)*dt/{inner_steps})"
        )

    def _add_friction_and_noise(self) -> None:
        """Add both baths; ``forgotten`` and ``decay`` are for the time step they act for."""
        part = "sqrt({}/(high_pass_friction + memory_rate))"
        of_v, of_s = part.format("high_pass_friction"), part.format("memory_rate")
        self.addComputePerDof("before", "v")
        self.addComputePerDof(
            "change",
            f"step(light_mass - m)*(sqrt(forgotten*(2 - forgotten)*kT/m)*gaussian"
            f" - forgotten*({of_v}*v + {of_s}*memory))",
        )
        self.addComputePerDof("v", f"v + {of_v}*change")
        self.addComputePerDof("memory", f"memory + {of_s}*change")
        self.addComputePerDof("v", "decay*v + sqrt((1 - decay*decay)*kT/m)*gaussian")
        self._add_heat_since_before()


class RescalingThermostat(Thermostat):
    """Stochastic velocity rescaling: all velocities relative to the centre of mass times one factor.

    The kinetic energy K of Nf degrees of freedom becomes, with c = exp(-dt/tau), a Gaussian R1 and a
    chi-square number S of Nf - 1 degrees of freedom::

        alpha^2 K = c K + (1 - c) (R1^2 + S) kT/2 + 2 R1 sqrt(c (1 - c) K kT/2)

    which is (A7) of the paper, and the kinetic energy of the velocities w = sqrt(c) v +
    sqrt((1 - c) kT/m) R, one Gaussian R for each: R1 is the part of R along v, S the square of the
    rest. Drawn in this way Nf need not be known: constraints and the centre of mass are taken out
    of w as they are out of v. The sign of alpha is that of R1 + sqrt(c/(1 - c) 2 K/kT), (A8), the part
    of w along v.

    The centre of mass is left alone, with or without a CMMotionRemover: its motion is no part of K.

    References
    ----------
    Bussi, Donadio and Parrinello, J. Chem. Phys. 126, 014101 (2007), eqs. (A7) and (A8).
    """

    def _add_rescaling_bath(
        self, temperature: float | unit.Quantity, time_constant: float | unit.Quantity
    ) -> None:
        self._add_bath(temperature)
        self.addGlobalVariable("tau", 0.0)
        for name in ("c", "alpha", "mass", "kinetic", "drawn", "along"):
            self.addGlobalVariable(name, 0.0)
        for axis in "xyz":
            self.addGlobalVariable(f"momentum_{axis}", 0.0)
            self.addGlobalVariable(f"drawn_momentum_{axis}", 0.0)
        self.addPerDofVariable("relative", 0.0)
        self.setTimeConstant(time_constant)

    def getTimeConstant(self) -> unit.Quantity:
        """Return the time in which the kinetic energy forgets its value."""
        return self.getGlobalVariableByName("tau") * unit.picosecond

    def setTimeConstant(self, time_constant: float | unit.Quantity) -> None:
        """Set the time constant; a number is in ps."""
        tau = positive(to_unit(time_constant, unit.picosecond), "a positive time constant", "ps")
        self.setGlobalVariableByName("tau", tau)

    def _add_rescaling(self) -> None:
        """Add the step, over the step size of the integrator."""
        centre = "vector(momentum_x, momentum_y, momentum_z)/mass"
        self.addComputeGlobal("c", "exp(-dt/tau)")
        self._add_momentum("momentum")
        self.addComputeSum("mass", "m/3")  # a sum is over the three components
        self.addComputePerDof("relative", f"v - {centre}")
        self.addComputeSum("kinetic", "0.5*m*relative*relative")
        self.addComputePerDof("v", "sqrt(c)*relative + sqrt((1 - c)*kT/m)*gaussian")
        self.addConstrainVelocities()
        self._add_momentum("drawn_momentum")
        self.addComputeSum("drawn", "0.5*m*v*v")
        of_centre = " + ".join(f"drawn_momentum_{axis}^2" for axis in "xyz")
        self.addComputeGlobal("drawn", f"drawn - 0.5*({of_centre})/mass")
        self.addComputeSum("along", "m*v*relative")
        # Particles at rest have no direction to be scaled along: they stay at rest.
        self.addComputeGlobal(
            "alpha",
            "select(kinetic, (2*step(along) - 1)*sqrt(max(0, drawn)/max(kinetic, 1e-300)), 1)",
        )
        self.addComputePerDof("v", f"alpha*relative + {centre}")
        self.addComputeGlobal("heat", "heat + (alpha*alpha - 1)*kinetic")

    def _add_momentum(self, name: str) -> None:
        for axis in "xyz":
            part = ", ".join(f"_{axis}(v)" if a == axis else "0" for a in "xyz")
            self.addComputeSum(f"{name}_{axis}", f"m*vector({part})")


def counts_heat(integrator: openmm.CustomIntegrator) -> bool:
    """Whether it is one of these; also when it was read back from XML."""
    return "heat" in _global_variables(integrator)


def has_bath(integrator: openmm.CustomIntegrator) -> bool:
    """Whether it has a temperature, by the name that OpenMM's own integrators give it too."""
    return "kT" in _global_variables(integrator)


def _global_variables(integrator: openmm.CustomIntegrator) -> set[str]:
    return {
        integrator.getGlobalVariableName(index)
        for index in range(integrator.getNumGlobalVariables())
    }
