"""The built site, and a browser that opens it."""

import fcntl
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.documents import ROOT

NEEDED = ("sphinx", "myst_parser", "furo", "sphinxarg")


@pytest.fixture(scope="session")
def site(tmp_path_factory) -> Path:
    """Build the site once, whatever process asks first; a warning is an error."""
    lacking = [package for package in NEEDED if importlib.util.find_spec(package) is None]
    if lacking:
        pytest.skip(f"{', '.join(lacking)} not installed: pip install 'mlip-engines[docs]'")
    own = tmp_path_factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own  # by processes of one run
    folder, done = shared / "site", shared / "site-is-built"
    with open(shared / "site.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            command = [
                sys.executable,
                "-m",
                "sphinx",
                "-b",
                "html",
                "-W",
                "--keep-going",
                "--quiet",
            ]
            command += ["-d", str(shared / "doctrees"), str(ROOT / "docs"), str(folder)]
            settings = {**os.environ, "OMP_NUM_THREADS": "1"}
            built = subprocess.run(command, env=settings, capture_output=True, text=True)
            assert built.returncode == 0, built.stdout + built.stderr
            done.touch()
    return folder


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """Chromium without a window, with a profile of its own and nothing that asks the network."""
    webdriver = pytest.importorskip(
        "selenium.webdriver", reason="selenium is not installed: pip install 'mlip-engines[docs]'"
    )
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("no browser; Debian: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    profile = tmp_path_factory.mktemp("profile")
    for switch in (
        "headless",
        "no-sandbox",
        "disable-gpu",
        "disable-quic",
        "disable-dev-shm-usage",
        "no-first-run",
        "disable-background-networking",
        "disable-component-update",
        "disable-sync",
        "window-size=1400,1000",
        f"user-data-dir={profile}",
    ):
        options.add_argument(f"--{switch}")
    opened = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    opened.set_page_load_timeout(60)
    yield opened
    opened.quit()
