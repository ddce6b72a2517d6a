"""Elastic constants of a crystal by finite strain with relaxed positions, moduli, and the equation of state."""

from mlip_engines.lazy import imported_on_use

_PUBLIC = {
    "ElasticTensor": "tensor",
    "Elasticity": "measurement",
    "EquationOfState": "equation_of_state",
    "elasticity": "measurement",
}

__all__ = sorted(_PUBLIC)
__getattr__ = imported_on_use(__name__, _PUBLIC)
