"""Running cmake: what is said if a tool is missing or the compilation fails, and what is kept."""

import shutil
from pathlib import Path

import pytest

from mlip_engines.compiled import cmake
from mlip_engines.compiled.target import BuildError, Target

TARGET = Target("nothing", {"torch": "2.9.1"}, "", "", ("nothing.txt",))
INSTALLS = """
cmake_minimum_required(VERSION 3.18)
project(nothing NONE)
install(FILES nothing.txt DESTINATION .)
"""


@pytest.fixture
def source(tmp_path):
    """The sources of a library that needs no compiler."""
    folder = tmp_path / "sources"
    folder.mkdir()
    (folder / "CMakeLists.txt").write_text(INSTALLS)
    (folder / "nothing.txt").write_text("first")
    return folder


@pytest.mark.parametrize(
    ("missing", "package"), [("cmake", "cmake"), ("c++", r"g\+\+"), ("make", "make")]
)
def test_missing_build_tool_is_named(monkeypatch, missing, package):
    which = shutil.which
    hidden = {"cmake": {"cmake"}, "c++": {"c++", "g++", "clang++"}, "make": {"make", "ninja"}}
    monkeypatch.setattr(shutil, "which", lambda n: None if n in hidden[missing] else which(n))
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(BuildError, match=f"apt-get install {package}"):
        cmake.check_build_tools()


def test_failed_configuration_shows_the_error_and_keeps_the_log(no_plugin, source):
    (source / "CMakeLists.txt").write_text(INSTALLS + "message(FATAL_ERROR oh-no)\n")
    with pytest.raises(BuildError, match="oh-no") as caught:
        cmake.compile_libraries(source, TARGET)
    log = str(caught.value).split("log is ")[1].splitlines()[0]
    assert "oh-no" in Path(log).read_text()
    shutil.rmtree(Path(log).parent)
    assert not list(no_plugin.glob("*torch*")) and not list(no_plugin.glob("draft-*"))


def test_a_build_that_does_not_work_replaces_none_that_does(no_plugin, source):
    folder = cmake.compile_libraries(source, TARGET)
    assert folder == no_plugin / TARGET.folder_name
    (source / "nothing.txt").write_text("second")

    def refuse(draft):
        assert (draft / "nothing.txt").read_text() == "second"
        raise BuildError("does not work")

    with pytest.raises(BuildError, match="does not work"):
        cmake.compile_libraries(source, TARGET, complete=refuse)
    assert (folder / "nothing.txt").read_text() == "first"
    cmake.compile_libraries(source, TARGET)
    assert (folder / "nothing.txt").read_text() == "second"
    assert not list(no_plugin.glob("draft-*"))
