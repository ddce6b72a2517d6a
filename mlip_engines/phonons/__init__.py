"""Phonons of a crystal by finite displacements, with phonopy: force constants, bands, free energy."""

from mlip_engines.lazy import imported_on_use

_PUBLIC = {
    "PhononSettings": "settings",
    "Phonons": "spectrum",
    "phonons": "spectrum",
    "smallest_supercell": "supercell",
}

__all__ = sorted(_PUBLIC)
__getattr__ = imported_on_use(__name__, _PUBLIC)
