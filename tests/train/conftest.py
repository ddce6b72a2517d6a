"""Training in tests leaves out the page about the run, unless a test is about it; one finished run for many tests."""

import shutil
from pathlib import Path

import pytest

from mlip_train.command import main as train
from tests.labelled import write_argon, write_recipe

REPORT = "mlip_train.loop.run.write_report"


def no_report(*arguments):
    """In place of the page, whose figures take longer than most runs here."""


@pytest.fixture
def with_report():
    """Asked for by tests that read ``report.html``."""


@pytest.fixture(autouse=True)
def _without_report(request, monkeypatch):
    if "with_report" not in request.fixturenames:
        monkeypatch.setattr(REPORT, no_report)


@pytest.fixture(scope="session")
def _argon_run(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("argon_run")
    data, recipe = write_argon(folder / "argon.xyz"), write_recipe(folder / "recipe.yaml")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(REPORT, no_report)
        assert train([str(recipe), "--data", str(data), "-o", str(folder / "run")]) == 0
    return folder


@pytest.fixture
def argon_run(_argon_run, tmp_path) -> Path:
    """Copy a finished run: ``recipe.yaml``, ``argon.xyz`` with 12 structures, and ``run/`` of both."""
    return shutil.copytree(_argon_run, tmp_path / "argon_run")
