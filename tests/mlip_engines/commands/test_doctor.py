"""mlip-doctor: where everything fits, and where the plugin is missing."""

import pytest

from mlip_engines.commands import doctor

pytestmark = pytest.mark.lammps


@pytest.mark.slow
def test_doctor_finds_the_plugin(plugin, capsys):
    assert doctor.main([]) == 0
    printed = capsys.readouterr().out
    assert str(plugin) in printed
    assert "everything fits" in printed


@pytest.mark.slow
def test_doctor_says_what_to_do(no_plugin, capsys):
    assert doctor.main([]) == 1
    assert "run: mlip-lammps build" in capsys.readouterr().out
