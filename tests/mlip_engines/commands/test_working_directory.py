"""Files of the user in the working directory disturb no command, whatever they are called."""

import importlib.metadata
import importlib.util
import subprocess
import sys

import pytest

from tests.imports import ADAPTED, modules, modules_of_adapted_packages

CODE = """
import importlib.metadata, sys
assert sys.path[0] == ""  # the working directory comes first
entries = {e.name: e for e in importlib.metadata.entry_points(group="console_scripts")}
for command in COMMANDS:
    sys.argv = command
    try:
        status = entries[command[0]].load()()
    except SystemExit as e:
        status = e.code
    assert not status, (command, status)
for module in MODULES:
    importlib.import_module(module)
"""
COMMANDS = [["mlip-export", "--info", "water"], ["mlip-eval", "--help"], ["mlip-train", "--help"]]
COMMANDS += [["mlip-validate", "--help"], ["mlip-label", "--help"], ["mlip-lammps", "--help"]]


def names_of_a_user() -> set[str]:
    """Return every word of a module's name here that is not the name of an installed package."""
    words = {word for name in modules() for word in name.split(".")} | {"train", "models", "tests"}
    words -= sys.stdlib_module_names | ADAPTED
    installed = importlib.metadata.packages_distributions()
    return {word for word in words if word not in installed and not word.startswith("_")}


@pytest.mark.slow
def test_files_of_the_user_disturb_nothing(tmp_path):
    names = names_of_a_user()
    assert {"train", "models", "data", "model", "networks", "units"} <= names
    for name in names:
        (tmp_path / f"{name}.py").write_text(f"raise SystemExit('{name}.py of the user was run')\n")
    ours = modules().keys() - modules_of_adapted_packages()
    core = [name for name in ours if name.split(".")[0] in {"mlip_engines", "mlip_train"}]
    code = CODE.replace("COMMANDS", repr(COMMANDS)).replace("MODULES", repr(core))
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
