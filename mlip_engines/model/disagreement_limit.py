"""How far apart the two kinds of forces may be before a simulation is where the model has learnt little."""

from __future__ import annotations

from mlip_engines.model.contract import ModelMetadata

LARGEST = "max_c_minus_nc"  # among the errors of the metadata: of an atom, on structures not trained on, eV/Å
RMS = "rms_c_minus_nc"  # likewise, root mean square of a component
# Times the largest that those structures show, and times the root mean square where the largest is unknown: the length
# of a vector with normal components exceeds five of their standard deviations once in 10^5 atoms; tails are heavier.
OVER_LARGEST, OVER_RMS = 1.5, 10.0


def disagreement_limit(metadata: ModelMetadata) -> float | None:
    """Return the limit of |C - NC| of an atom, eV/Å; None if the file does not say how far its forces differ.

    ``disagreement warn`` of the pair style takes the same limit (``lammps_plugin/model_archive.cpp``).

    >>> metadata = ModelMetadata("a", ["H"], 4.0, 1, ["energy"], "float32", 4.0)
    >>> disagreement_limit(metadata) is None
    True
    >>> metadata.errors["rms_c_minus_nc"] = 0.03
    >>> disagreement_limit(metadata)
    0.3
    >>> metadata.errors["max_c_minus_nc"] = 0.1
    >>> round(disagreement_limit(metadata), 6)
    0.15
    """
    if metadata.errors.get(LARGEST, 0.0) > 0.0:
        return OVER_LARGEST * metadata.errors[LARGEST]
    if metadata.errors.get(RMS, 0.0) > 0.0:
        return OVER_RMS * metadata.errors[RMS]
    return None
