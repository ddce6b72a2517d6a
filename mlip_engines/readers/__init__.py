"""Structures from files: one format a file, all with the same result."""

from mlip_engines.lazy import imported_on_use

_PUBLIC = {
    "check_units": "formats",
    "has_own_units": "formats",
    "iterate_structures": "formats",
    "read_structures": "formats",
}

__all__ = sorted(_PUBLIC)
__getattr__ = imported_on_use(__name__, _PUBLIC)
