"""The command mlip-export."""

import json
import subprocess
import sys

import pytest
import torch

from mlip_engines import MlipCalculator, checkpoints, read_metadata
from mlip_engines.checkpoints import Exportable
from mlip_engines.commands.export import main
from mlip_train.potentials.analytic import LennardJones
from structures import STRUCTURES
from tests.mlip_engines.conftest import PARAMETERS, REFERENCE_ENERGIES
from tolerances import TOLERANCE

# Refuses to import torch, then runs the command that is given.
WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None
from mlip_engines.commands.export import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def checkpoint(monkeypatch, tmp_path):
    """A checkpoint as mlip-train returns it, of an exact network in float32."""
    fields = {"name": "argon", "species": ["H", "O"], "errors": {"rms_c_minus_nc": 0.01}}

    def read(path):
        network = LennardJones(**PARAMETERS)
        return Exportable(network, reference_energies=REFERENCE_ENERGIES, scale=2.0, **fields)

    monkeypatch.setattr(checkpoints, "checkpoint_readers", lambda: {"test": read})
    path = tmp_path / "checkpoint.pt"
    path.touch()
    return path


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_export_writes_what_the_checkpoint_holds(dtype, checkpoint, tmp_path, capsys):
    model = tmp_path / "model.pt"
    assert main([str(checkpoint), "-o", str(model), "--dtype", dtype]) == 0
    assert "same results as the network" in capsys.readouterr().out
    metadata = read_metadata(model)
    assert (metadata.name, metadata.species, metadata.dtype) == ("argon", ["H", "O"], dtype)
    assert metadata.interaction_range == metadata.cutoff == PARAMETERS["cutoff"]
    assert metadata.reference_energies == REFERENCE_ENERGIES
    assert metadata.errors == {"rms_c_minus_nc": 0.01}

    atoms = STRUCTURES["molecule"]()
    atoms.calc = MlipCalculator(model)
    distance = atoms.get_all_distances()[[0, 0, 1], [1, 2, 2]]
    sixth = (PARAMETERS["sigma"] / distance) ** 6
    pairs = 4 * PARAMETERS["epsilon"] * (sixth**2 - sixth)
    pairs *= (1 - (distance / PARAMETERS["cutoff"]) ** 2) ** 3
    expected = 2.0 * pairs.sum() + REFERENCE_ENERGIES["O"] + 2 * REFERENCE_ENERGIES["H"]
    assert atoms.get_potential_energy() == pytest.approx(expected, abs=TOLERANCE[dtype].energy)


def test_float32_is_the_default(checkpoint, tmp_path):
    assert main([str(checkpoint), "-o", str(tmp_path / "model.pt")]) == 0
    assert read_metadata(tmp_path / "model.pt").dtype == "float32"


def test_info_prints_json_without_torch(model_files):
    command = [sys.executable, "-c", WITHOUT_TORCH, "--info", str(model_files["float64"])]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    values = json.loads(done.stdout)
    assert values["contract_version"] == 1
    assert values["species"] == ["H", "O"]
    assert values["checksum"].startswith("sha256:")
    assert values["heads"] == ["energy", "non_conservative_forces"]


def test_info_does_not_run_the_model(model_files, monkeypatch, capsys):
    monkeypatch.setattr(torch.jit, "load", lambda *_, **__: pytest.fail("the model was loaded"))
    assert main(["--info", str(model_files["float64"])]) == 0
    assert json.loads(capsys.readouterr().out)["name"] == "float64"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "expected CHECKPOINT -o MODEL"),
        (["checkpoint.pt"], "expected CHECKPOINT -o MODEL"),
        (["nowhere.pt", "-o", "model.pt"], "found nothing at nowhere.pt"),
        ([__file__, "-o", "model.pt"], "expected a checkpoint of mlip-train"),
        (["a.pt", "-o", "b.pt", "--species", "H"], "--species goes with --from"),
        (["a.pt", "-o", "b.pt", "--no-compare"], "--no-compare goes with --from"),
        (["a.pt", "-o", "b.pt", "--compare-on", "c.xyz"], "--compare-on goes with --from"),
        (["a.pt", "-o", "b.pt", "--from", "nobody"], "expected --from to be one of "),
        (["--info", "nowhere.pt"], "got 'nowhere.pt'"),
        (["--info", __file__], "a file that is no archive"),
        (["--info", "a.pt", "-o", "b.pt"], "--info takes a model and nothing else"),
    ],
)
def test_bad_input_is_named_and_the_exit_is_not_zero(arguments, message, capsys):
    assert main(arguments) == 1
    output = capsys.readouterr()
    assert output.out == ""
    assert message in output.err
    assert "Traceback" not in output.err


def test_unknown_dtype_is_refused(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["checkpoint.pt", "-o", "model.pt", "--dtype", "float16"])
    assert caught.value.code == 2
    assert "float32" in capsys.readouterr().err
