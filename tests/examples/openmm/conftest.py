"""The model files of tests/openmm_forces."""

from tests.openmm_forces.conftest import models  # noqa: F401
