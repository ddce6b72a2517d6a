"""What a command says when it fails stands on a line of its own, below its bars and not on one of them."""

import re

import ase.io
import pytest

from mlip_engines.commands import eval as eval_command
from mlip_engines.commands import label as label_command
from mlip_train import command as train_command
from tests.dataset_files import random_structures, write_extxyz

RECIPE = """
name: never_trained
network: {name: painn, cutoff: 3.0, n_features: 8, n_layers: 1}
n_validation: 1
n_test: 1
stages: [{name: only, epochs: 1, learning_rate: 0.001, weights: {energy: 1.0}}]
"""


def write_without_labels(path):
    """Write a file whose third structure has no labels: found while the file is read."""
    structures = random_structures()
    structures[2].calc = None
    ase.io.write(path, structures, format="extxyz")
    return path


def write_unreadable(path):
    """Write a file whose second structure has a letter for a coordinate."""
    structures = random_structures()
    ase.io.write(path, structures[:1], format="extxyz")
    with path.open("a") as file:
        file.write('1\nProperties=species:S:1:pos:R:3 pbc="F F F"\nH 0.0 x 0.0\n')
    return path


def write_unknown(path):
    """Write structures of an element that the model does not have, as the last one."""
    structures = random_structures()
    structures[-1].numbers[:] = 54
    return write_extxyz(path, structures)


@pytest.fixture
def calls(model_files, tmp_path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE)
    train = [str(recipe), "-o", str(tmp_path / "run"), "--data"]
    return {
        "mlip-eval": (eval_command.main, [str(model_files["float64"])]),
        "mlip-label": (
            label_command.main,
            [str(model_files["float64"]), "-o", str(tmp_path / "out.xyz")],
        ),
        "mlip-train": (train_command.main, train),
        "mlip-train --lazy": (train_command.main, ["--lazy", *train]),
    }


@pytest.mark.parametrize(
    ("write", "programs"),
    [
        (write_without_labels, ["mlip-eval", "mlip-train", "mlip-train --lazy"]),
        (write_unreadable, ["mlip-eval", "mlip-label", "mlip-train", "mlip-train --lazy"]),
        (write_unknown, ["mlip-eval", "mlip-label"]),
    ],
)
def test_an_error_stands_below_the_bar(write, programs, calls, tmp_path, capfd):
    path = write(tmp_path / "frames.xyz")
    for program in programs:
        main, arguments = calls[program]
        assert main([*arguments, str(path)]) == 1
        error = capfd.readouterr().err
        assert "structure" in error  # a bar was there
        last = re.split(r"[\r\n]", error.rstrip())[-1]
        assert last.startswith(f"{program.split()[0]}: "), error
        assert error.count(last) == 1
