"""Training in tests leaves out the page about the run, unless a test is about it."""

import pytest


@pytest.fixture
def with_report():
    """Asked for by tests that read ``report.html``."""


@pytest.fixture(autouse=True)
def _without_report(request, monkeypatch):
    if "with_report" not in request.fixturenames:  # its figures take longer than most runs here
        monkeypatch.setattr("mlip_train.loop.run.write_report", lambda *arguments: None)
