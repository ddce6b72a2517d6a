"""Structures from files: one format a file, all with the same result."""

from mlip_engines.readers.formats import (
    check_units,
    has_own_units,
    iterate_structures,
    read_structures,
)

__all__ = ["check_units", "has_own_units", "iterate_structures", "read_structures"]
