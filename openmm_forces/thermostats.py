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
