"""Can a model be trusted? One question about its physics per file, and a report of all answers.

:func:`validate` asks them all, as the command ``mlip-validate`` does. A :class:`Case` is a model and a structure with
:func:`quick` or :func:`full` settings; each question is a subclass of one of the three kinds in
:mod:`mlip_engines.diagnostics.diagnostic`, listed in :mod:`mlip_engines.diagnostics.registry`. What they measure is in
:mod:`mlip_engines.properties` and :mod:`mlip_engines.simulations`, for use without a report.
"""

from mlip_engines.lazy import imported_on_use

_PUBLIC = {
    "Case": "case",
    "Settings": "case",
    "full": "case",
    "quick": "case",
    "validate": "validation",
}

__all__ = sorted(_PUBLIC)
__getattr__ = imported_on_use(__name__, _PUBLIC)
