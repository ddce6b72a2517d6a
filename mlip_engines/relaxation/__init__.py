"""Relaxation of many structures together: atoms, and cells of crystals, one optimiser state per structure.

Examples
--------
>>> from ase.build import molecule
>>> from mlip_engines import load_model
>>> from mlip_engines.relaxation import relax
>>> (relaxed,) = relax(load_model("water"), [molecule("H2O")], fmax=0.01)
>>> relaxed.converged
True
"""

from mlip_engines.lazy import imported_on_use

_PUBLIC = {
    "Relaxed": "relaxed",
    "Settings": "settings",
    "relax": "run",
    "relax_each": "run",
}

__all__ = sorted(_PUBLIC)
__getattr__ = imported_on_use(__name__, _PUBLIC)
