"""The model files of tests/lammps_plugin."""

from tests.lammps_plugin.conftest import models  # noqa: F401
