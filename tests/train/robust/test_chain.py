"""One recipe from data to a network that was trained on an empirical potential first; interrupted and resumed."""

import json

import ase.io
import numpy as np
import pytest
import yaml
from ase import Atoms

from mlip_engines import MlipCalculator
from mlip_engines.checkpoints import export_checkpoint
from mlip_train.command import main as train
from mlip_train.loop.checkpoint import read_checkpoint
from mlip_train.robust.chain import read_chain
from tests.labelled import argon_frames
from tests.tolerances import TOLERANCE

SMALL = {"n_validation": 1, "n_test": 1, "stress_where_labelled": True}
STAGE = {"name": "a", "epochs": 1, "learning_rate": 0.002}
STAGE["weights"] = {"energy": 1.0, "conservative": 1.0, "stress": 0.1}
PAINN = {"name": "painn", "cutoff": 5.0, "n_features": 8, "n_basis": 6, "n_layers": 1}
CHAIN = {
    "eam": {**SMALL, "name": "eam", "network": {"name": "eam", "cutoff": 5.2}, "stages": [STAGE]},
    "perturb": {"rounds": 2, "pairs": 1, "sites": 1, "pull": [0.5, 0.0], "displacement": [0.3, 0]},
    "pretrain": {
        **SMALL,
        "name": "before",
        "network": {**PAINN, "non_conservative_layer": 1},
        "stages": [STAGE],
    },
    "fine_tune": {**SMALL, "name": "after", "refit_composition": True, "stages": [STAGE]},
}


def write(path, **changes):
    path.write_text(yaml.safe_dump({**CHAIN, **changes}))
    return str(path)


def closest(atoms):
    return np.min(atoms.get_all_distances(mic=True)[np.triu_indices(len(atoms), 1)])


def split_of(run):
    return json.loads((run / "split.json").read_text())["train"]


@pytest.mark.training
def test_a_chain_ends_with_a_network_of_the_data_and_goes_on_where_it_was_stopped(
    tmp_path, monkeypatch, capsys
):
    ase.io.write(tmp_path / "argon.xyz", argon_frames(6), format="extxyz")
    out = tmp_path / "out"
    recipe = write(tmp_path / "chain.yaml")
    arguments = [recipe, "--data", str(tmp_path / "argon.xyz"), "-o", str(out)]
    with monkeypatch.context() as patch:
        patch.setattr("mlip_train.robust.chain.label", lambda *a: iter([1 / 0 for _ in "x"]))
        with pytest.raises(ZeroDivisionError):
            train(arguments)
    assert (out / "perturbed.extxyz").exists() and not (out / "labelled.extxyz").exists()
    assert train(arguments) == 1 and "--resume" in capsys.readouterr().err
    before = (out / "perturbed.extxyz").stat().st_mtime_ns, (out / "eam.pt").stat().st_mtime_ns
    assert train([*arguments, "--resume"]) == 0
    after = (out / "perturbed.extxyz").stat().st_mtime_ns, (out / "eam.pt").stat().st_mtime_ns
    assert before == after  # what was there was not made again

    labelled = ase.io.read(out / "labelled.extxyz", ":")
    assert len(labelled) == 12
    atoms = labelled[3].copy()
    atoms.calc = MlipCalculator(out / "eam.pt")
    tolerance = TOLERANCE["float32"]
    assert labelled[3].get_potential_energy() == pytest.approx(
        atoms.get_potential_energy(), abs=tolerance.energy
    )
    np.testing.assert_allclose(labelled[3].get_forces(), atoms.get_forces(), atol=tolerance.force)
    # the unit of the data, not that of close pairs, which is far too coarse for them
    forces = np.concatenate([a.get_forces() for a in argon_frames(6)])
    pretrained = read_checkpoint(out / "pretrain/checkpoint.pt")
    assert pretrained["scale"] == pytest.approx(np.sqrt(np.mean(forces**2)), rel=1e-6)
    close = np.concatenate([a.get_forces() for a in labelled])
    assert np.sqrt(np.mean(close**2)) > 5 * pretrained["scale"]
    # energies of the data, not those of the potential
    state = read_checkpoint(out / "fine_tune/checkpoint.pt")
    energy = np.mean([a.get_potential_energy() / 8 for a in argon_frames(6)])
    assert state["reference_energies"]["Ar"] == pytest.approx(energy, abs=0.02)
    assert json.loads((out / "fine_tune/test.json").read_text())
    # the file trusts the network with the distances, energies and forces of the data, not with those of close pairs
    kept = [s["metadata"]["training"] for s in (pretrained, state)]
    used = [k for k, a in enumerate(argon_frames(6)) if k in split_of(out / "fine_tune")]
    assert kept[1]["shortest_distances"]["Ar-Ar"] == pytest.approx(
        min(closest(argon_frames(6)[k]) for k in used)
    )
    assert kept[0]["shortest_distances"]["Ar-Ar"] < kept[1]["shortest_distances"]["Ar-Ar"] - 0.2
    assert kept[0]["empirical_range"] and "empirical_range" not in kept[1]
    assert kept[1]["range_of_start"] == "forgotten" and "range_of_start" not in kept[0]
    export_checkpoint(out / "fine_tune/checkpoint.pt", out / "final.pt", short_range="none")
    calculator = MlipCalculator(out / "final.pt")
    forces = [calculator.get_forces(argon_frames(6)[k]) for k in used]
    assert kept[1]["largest_forces"]["Ar"] == pytest.approx(
        np.linalg.norm(np.concatenate(forces), axis=1).max(), rel=1e-4
    )
    assert "of these data alone" in capsys.readouterr().err

    # a chain of an earlier version, which did not know some settings
    kept = json.loads((out / "chain.json").read_text())
    for part in ("eam", "pretrain", "fine_tune"):
        for setting in ("force_scale", "schedule", "patience", "reduction"):
            del kept["chain"][part][setting]
    (out / "chain.json").write_text(json.dumps(kept))
    assert train([*arguments, "--resume"]) == 0

    write(tmp_path / "chain.yaml", perturb={**CHAIN["perturb"], "pairs": 2})
    assert train([*arguments, "--resume"]) == 1
    assert "expected the recipe of the chain to resume" in capsys.readouterr().err
    assert train([*arguments, "--from", "x.pt"]) == 1
    assert "leave --from out" in capsys.readouterr().err


def test_the_chain_of_the_package_is_read():
    chain = read_chain("robust")
    assert chain.perturb.rounds == 5 and chain.eam.network["name"] == "eam"
    assert chain.fine_tune.refit_composition and not chain.fine_tune.network
    assert read_chain("water") is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"perturb": {"round": 5}}, "perturb: .*round"),
        ({"perturb": {"pull": 1.0}}, "perturb: "),
        ({"label": {}}, r"unknown \['label'\]"),
        ({"eam": "water"}, "expected a recipe of the network eam"),
        ({"pretrain": CHAIN["fine_tune"]}, "pretrain: expected a network, got none"),
        ({"fine_tune": {**CHAIN["fine_tune"], "network": {"name": "pet"}}}, "leave its own out"),
    ],
)
def test_parts_that_do_not_fit_are_named(change, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        read_chain(write(tmp_path / "chain.yaml", **change))


@pytest.mark.training
def test_single_atoms_are_not_perturbed_and_named(tmp_path, monkeypatch):
    from mlip_train.robust.chain import _with_pairs

    with pytest.warns(UserWarning, match=r"structures \[1\] have one atom"):
        assert len(_with_pairs([argon_frames(1)[0], Atoms("Ar")])) == 1
