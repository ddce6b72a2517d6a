"""What LAMMPS imports on every rank, what describes a file, and every --help must not import torch."""

import importlib.metadata
import subprocess
import sys

import pytest

COMMANDS = sorted(
    entry.module
    for entry in importlib.metadata.distribution("mlip-engines").entry_points
    if entry.group == "console_scripts"
)


@pytest.mark.parametrize(
    "module",
    [
        "mlip_engines",
        "mlip_engines.lammps.plugin",
        "mlip_engines.model.contract",
        "mlip_engines.model.load",
        *COMMANDS,
    ],
)
def test_import_does_not_import_torch(module):
    code = (
        f"import sys, {module}\n"
        "heavy = {'torch', 'ase', 'numpy', 'vesin_torch'} & set(sys.modules)\n"
        "sys.exit(f'imported {sorted(heavy)}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
