"""Say once that the tests of this folder are left out, where OpenMM is missing."""

import pytest

from tests.openmm_forces.conftest import is_installed


def test_openmm_is_installed():
    if not is_installed("openmm"):
        pytest.skip("OpenMM is not installed: pip install 'mlip-engines[openmm]'")
    import openmm

    assert openmm.Platform.getNumPlatforms() > 0
