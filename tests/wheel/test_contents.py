"""What pip installs is what is in the tree."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
INSTALLED_AS = {  # folders of the tree
    "mlip_engines": "mlip_engines",
    "openmm_forces": "openmm_forces",
    "train": "mlip_train",
    "lammps_plugin": "mlip_engines/lammps/pair_style",
}


def tracked() -> set[str]:
    """Files that belong to the tree, by the names under which they are to be installed."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *INSTALLED_AS],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if listed.returncode != 0:
        pytest.skip("expected a git checkout, to tell sources from other files")
    paths = [Path(line) for line in listed.stdout.splitlines() if (ROOT / line).exists()]
    return {str(Path(INSTALLED_AS[p.parts[0]], *p.parts[1:])) for p in paths}


@pytest.mark.skipif(sys.version_info < (3, 11), reason="tomllib is in Python 3.11 and newer")
def test_every_folder_with_python_is_a_package_that_is_installed():
    import tomllib

    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    folders = {str(Path(name).parent) for name in tracked() if name.endswith(".py")}
    expected = {folder.replace("/", ".") for folder in folders} | {"mlip_engines.lammps.pair_style"}
    assert set(setuptools["packages"]) == expected


def test_wheel_has_all_files_of_the_tree_and_no_others(pure_wheel):
    with zipfile.ZipFile(pure_wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert names == tracked()
    assert pure_wheel.name.endswith("-py3-none-any.whl")


@pytest.mark.lammps
def test_wheel_of_a_platform_adds_the_compiled_libraries(carrying_wheel, pure_wheel):
    with zipfile.ZipFile(carrying_wheel) as carrying, zipfile.ZipFile(pure_wheel) as pure:
        added = set(carrying.namelist()) - set(pure.namelist())
        assert carrying.testzip() is None
    libraries = {"mlipplugin.so", "libmlip_torch.so", "libmlip_operators.so", "carried.json"}
    assert added == {f"mlip_engines/carried/{name}" for name in libraries}
    assert "-any." not in carrying_wheel.name


@pytest.mark.lammps
def test_cmake_alone_finds_everything_in_an_installed_package(pure_wheel, tmp_path):
    """As for a module of a cluster: plugin and operators in one build, from sources that pip has installed."""
    with zipfile.ZipFile(pure_wheel) as archive:
        archive.extractall(tmp_path)
    source, build = tmp_path / "mlip_engines/lammps/pair_style", tmp_path / "build"
    configure = ["cmake", "-S", str(source), "-B", str(build)]
    done = subprocess.run(
        [*configure, f"-DPython_EXECUTABLE={sys.executable}"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    command = ["cmake", "--build", str(build), "--target", "help"]
    targets = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for target in ("mlip_plugin", "mlip_torch", "mlip_operators"):
        assert target in targets
