"""Settings of all tests: one thread, and an option under which a skipped test is a failure."""

import pytest
import torch

torch.set_num_threads(1)  # the systems are small, and tests run beside each other


def pytest_addoption(parser):
    parser.addoption(
        "--fail-on-skip",
        action="store_true",
        help="fail if a test is skipped: for the machine on which every engine is installed",
    )


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session):
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if not session.config.getoption("--fail-on-skip") or reporter is None:
        return
    if reporter.stats.get("skipped") and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
