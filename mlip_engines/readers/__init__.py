"""Structures from files: one format a file, all with the same result."""

from mlip_engines.readers.formats import has_own_units, iterate_structures, read_structures

__all__ = ["has_own_units", "iterate_structures", "read_structures"]
