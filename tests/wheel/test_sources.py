"""The source archive has what git tracks, and pip makes of it the wheel that the tree gives."""

import subprocess
import sys
import tarfile
import zipfile

import pytest

from tests.wheel.conftest import ROOT


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    if not (ROOT / ".git").exists():
        pytest.skip("expected a git checkout, which knows the files of the tree")
    folder = tmp_path_factory.mktemp("sdist")
    command = [sys.executable, str(ROOT / ".ci" / "sdist.py"), "--output", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (made,) = folder.glob("*.tar.gz")
    return made


def test_sources_have_every_tracked_file(archive):
    with tarfile.open(archive) as tar:
        names = {name.partition("/")[2] for name in tar.getnames()}
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    expected = {name for name in listed.stdout.splitlines() if (ROOT / name).is_file()}
    assert expected - names == set()


def test_a_wheel_of_the_sources_is_that_of_the_tree(archive, pure_wheel, tmp_path):
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index"]
    command += ["--no-build-isolation", "--wheel-dir", str(tmp_path), str(archive)]
    subprocess.run([*command, "--disable-pip-version-check"], check=True)
    (made,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(made) as ours, zipfile.ZipFile(pure_wheel) as of_tree:
        assert made.name == pure_wheel.name
        assert set(ours.namelist()) == set(of_tree.namelist())
