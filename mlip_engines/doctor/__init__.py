"""What is installed, whether it fits together, and what to do about it: the findings of ``mlip-doctor``."""

from mlip_engines.doctor.compilation import check_build_tools, check_operators
from mlip_engines.doctor.finding import Finding
from mlip_engines.doctor.lammps import check_lammps
from mlip_engines.doctor.models import check_models
from mlip_engines.doctor.openmm import check_openmm
from mlip_engines.doctor.packages import (
    check_extras,
    check_python,
    check_required,
    check_torch,
)
from mlip_engines.doctor.threads import check_threads

__all__ = ["Finding", "examine"]


def examine() -> list[Finding]:
    """Look at everything and return the findings, in the order in which to read them.

    What everybody needs comes first, then one or more findings for each extra (``pip install 'mlip-engines[...]'``).
    An extra that is not installed is a note, never an error: nobody needs all of them.
    """
    findings = [check_python(), check_torch(), *check_required(), *check_models()]
    findings += [*check_build_tools(), check_operators(), *check_lammps(), *check_openmm()]
    return [*findings, *check_extras(), check_threads()]
