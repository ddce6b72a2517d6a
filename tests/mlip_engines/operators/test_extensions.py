"""Operators of other packages, as a model file names them."""

import importlib.metadata
from importlib.metadata import EntryPoint, EntryPoints

import pytest

from mlip_engines.operators.extensions import (
    GROUP,
    ExtensionError,
    installed_extensions,
    load_extensions,
)

LOADED = []


def load_fine():
    LOADED.append("fine")


def load_broken():
    raise OSError("no such library")


@pytest.fixture
def _registered(monkeypatch):
    entries = EntryPoints(
        EntryPoint(name, f"{__name__}:load_{name}", GROUP) for name in ("fine", "broken")
    )
    monkeypatch.setattr(
        importlib.metadata,
        "entry_points",
        lambda group, **which: entries.select(group=group, **which),
    )
    monkeypatch.setattr(EntryPoint, "load", lambda self: globals()[self.value.split(":")[1]])
    LOADED.clear()


@pytest.mark.usefixtures("_registered")
def test_each_library_that_a_file_names_is_loaded():
    assert installed_extensions() == ["broken", "fine", "mlip"]
    load_extensions(["mlip", "fine"])
    assert LOADED == ["fine"]


@pytest.mark.usefixtures("_registered")
def test_a_library_that_is_missing_or_broken_is_named():
    with pytest.raises(
        ExtensionError, match="'other', which are not installed.*broken, fine, mlip"
    ):
        load_extensions(["other"])
    with pytest.raises(ExtensionError, match="'broken' of .*cannot be loaded: no such library"):
        load_extensions(["broken"])


def test_the_operators_of_this_package_are_always_there():
    assert "mlip" in installed_extensions()
    load_extensions(["mlip"])
