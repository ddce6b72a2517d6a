"""Adapters by name: those of this package and those that others install."""

import sys
from importlib.metadata import EntryPoint
from types import ModuleType

import pytest

from mlip_engines import adapters
from mlip_engines.adapters import adapter_names, find_adapter


def test_an_adapter_is_imported_only_when_it_is_asked_for(monkeypatch):
    monkeypatch.delitem(sys.modules, "mlip_engines.adapters.python", raising=False)
    assert "python" in adapter_names()
    assert "mlip_engines.adapters.python" not in sys.modules
    assert find_adapter("python").__module__ == "mlip_engines.adapters.python"


def test_an_installed_package_may_bring_one(monkeypatch):
    theirs = ModuleType("their_adapter")
    theirs.open = lambda file, species, dtype: None
    monkeypatch.setitem(sys.modules, "their_adapter", theirs)
    entry = EntryPoint("theirs", "their_adapter", adapters.GROUP)
    monkeypatch.setattr(adapters, "entry_points", lambda group: [entry])
    assert "theirs" in adapter_names()
    assert find_adapter("theirs") is theirs.open


def test_an_unknown_adapter_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match="expected --from to be one of .*python.*, got 'nobody'"):
        find_adapter("nobody")
