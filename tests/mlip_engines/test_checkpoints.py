"""Checkpoints of any kind that is installed, by the readers that are registered for them."""

from importlib.metadata import EntryPoint

import pytest
import torch

from mlip_engines import checkpoints
from mlip_engines.checkpoints import NotThisKind, checkpoint_readers, open_checkpoint
from mlip_train.loop.checkpoint import save_checkpoint


def read_theirs(path):
    if path.read_text() != "theirs":
        raise NotThisKind(f"{path}: expected 'theirs'")
    return "opened"


def read_damaged(path):
    raise ValueError(f"{path}: is of this kind, and damaged")


@pytest.fixture
def registered(monkeypatch):
    def register(**readers):
        entries = [EntryPoint(n, f"{__name__}:{r.__name__}", "") for n, r in readers.items()]
        monkeypatch.setattr(EntryPoint, "load", lambda entry: readers[entry.name])
        monkeypatch.setattr(checkpoints, "entry_points", lambda group: entries)

    return register


def test_mlip_train_registers_its_own_kind(tmp_path):
    assert "mlip-train" in checkpoint_readers()
    network = {"name": "painn", "species": [1, 8], "n_features": 4, "n_layers": 1}
    network["non_conservative_layer"] = 0
    from mlip_train.networks import build_network

    built = build_network(network)
    state = {
        "network": network,
        "average": built.state_dict(),
        "metadata": {"name": "water", "species": ["H", "O"], "training": {"n_train": 3}},
        "reference_energies": {"H": -13.0, "O": -430.0},
        "scale": 1.5,
    }
    save_checkpoint(tmp_path / "checkpoint.pt", state)
    opened = open_checkpoint(tmp_path / "checkpoint.pt")
    assert (opened.name, opened.species, opened.scale) == ("water", ["H", "O"], 1.5)
    assert opened.reference_energies == {"H": -13.0, "O": -430.0}
    for name, value in built.state_dict().items():
        assert torch.equal(opened.network.state_dict()[name], value)


def test_the_first_reader_that_knows_the_file_opens_it(registered, tmp_path):
    path = tmp_path / "file"
    path.write_text("theirs")
    registered(theirs=read_theirs)
    assert open_checkpoint(path) == "opened"


def test_a_file_that_nobody_knows_is_refused_with_the_kinds_there_are(registered, tmp_path):
    path = tmp_path / "file"
    path.write_text("something else")
    registered(one=read_theirs, two=read_theirs)
    with pytest.raises(ValueError, match="none of the installed readers") as caught:
        open_checkpoint(path)
    assert f"one: {path}: expected 'theirs'" in str(caught.value)
    assert "two: " in str(caught.value)


def test_a_damaged_file_is_not_passed_to_the_next_reader(registered, tmp_path):
    path = tmp_path / "file"
    path.write_text("theirs")
    registered(a_damaged=read_damaged, theirs=read_theirs)
    with pytest.raises(ValueError, match="of this kind, and damaged"):
        open_checkpoint(path)


def test_without_any_reader_the_message_says_so(registered, tmp_path):
    path = tmp_path / "file"
    path.touch()
    registered()
    with pytest.raises(ValueError, match="no reader of checkpoints is installed"):
        open_checkpoint(path)


def test_a_file_that_is_not_there():
    with pytest.raises(FileNotFoundError, match="expected a checkpoint, found nothing at nowhere"):
        open_checkpoint("nowhere.pt")


def test_nobody_is_advised_to_run_a_file_of_unknown_origin(tmp_path):
    """torch's own message for a TorchScript file says to load it with weights_only=False, which may run anything."""
    path = tmp_path / "foreign.pt"
    torch.jit.save(torch.jit.script(torch.nn.Identity()), path)
    with pytest.raises(ValueError) as refusal:
        open_checkpoint(path)
    assert "more than plain tensors" in str(refusal.value)
    assert "weights_only" not in str(refusal.value) and "torch.load" not in str(refusal.value)
