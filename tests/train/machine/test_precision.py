"""Precision and device: what is coarser is so where it is meant to be, and only there."""

import pytest
import torch

from mlip_train.command import main as train
from mlip_train.data.batching import collate
from mlip_train.data.structure import prepare
from mlip_train.loop.checkpoint import read_checkpoint
from mlip_train.loop.prediction import predict
from mlip_train.machine.precision import PRECISIONS, choose_device, matmul_precision
from mlip_train.networks import build_network
from structures import STRUCTURES
from tests.labelled import RECIPE, write_argon, write_recipe
from tests.small_networks import CUTOFF, NETWORKS

BFLOAT16 = 2.0**-8  # the last digit


@pytest.mark.training
@pytest.mark.parametrize("name", NETWORKS)
def test_matrix_products_in_bfloat16_change_results_by_its_digits_and_can_be_trained(name):
    torch.manual_seed(1)
    settings = {"name": name, "species": [1, 8], "cutoff": CUTOFF, **NETWORKS[name]}
    network = build_network({**settings, "non_conservative_stress": True}).train()
    items = [prepare(STRUCTURES[key](), CUTOFF) for key in ("triclinic", "molecules")]
    batch = collate(items, torch.zeros(119), CUTOFF, torch.float32)
    answers = {}
    for autocast in (False, True):
        prediction = predict(
            network,
            batch,
            1.0,
            differentiate=True,
            with_non_conservative=True,
            create_graph=True,
            with_stress=True,
            autocast=autocast,
        )
        values = vars(prediction)
        assert all(value.dtype == torch.float32 for value in values.values())
        sum(value.square().sum() for value in values.values()).backward()
        values["gradient"] = torch.cat(
            [p.grad.flatten() for p in network.parameters() if p.grad is not None]
        )
        network.zero_grad()
        answers[autocast] = {key: value.detach() for key, value in values.items()}
    for key, exact in answers[False].items():
        difference = float((answers[True][key] - exact).norm() / exact.norm())
        # Some ten products follow on each other.
        assert 0.01 * BFLOAT16 < difference < 20 * BFLOAT16, key


@pytest.mark.training
@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_run_in_each_precision_ends_near_that_in_double_precision(tmp_path, precision, capsys):
    data = write_argon(tmp_path / "argon.xyz")
    energies = {}
    for name in ("float64", precision):
        recipe = write_recipe(tmp_path / "recipe.yaml", RECIPE + f"precision: {name}\n")
        folder = tmp_path / name
        if not folder.exists():
            assert (
                train([str(recipe), "--data", str(data), "--device", "cpu", "-o", str(folder)]) == 0
            )
        state = read_checkpoint(folder / "checkpoint.pt")
        assert state["average"]["embedding.weight"].dtype == PRECISIONS[name].dtype
        energies[name] = state["metadata"]["errors"]["conservative_rmse"]
    assert energies[precision] == pytest.approx(energies["float64"], rel=20 * BFLOAT16)
    assert torch.get_float32_matmul_precision() == "highest"


def test_a_batch_moves_as_a_whole():
    items = [prepare(STRUCTURES["triclinic"](), CUTOFF)]
    move = [torch.zeros(12, 3, dtype=torch.float64)]
    options = {"displacements": move, "perturbation": 0.1}
    arguments = (items, torch.zeros(119), CUTOFF, torch.float32)
    here, there = (collate(*arguments, **options, device=d) for d in ("cpu", "meta"))
    graphs = [{k: v for k, v in b.graph._asdict().items() if v is not None} for b in (here, there)]
    for one, two, n_tensors in ((*graphs, 6), (vars(here.labels), vars(there.labels), 9)):
        assert one.keys() == two.keys() and len(one) == n_tensors
        for name, value in one.items():
            assert two[name].device.type == "meta" and two[name].shape == value.shape, name
    assert there.perturbation == here.perturbation == 0.1


def test_the_precision_of_products_is_put_back():
    with pytest.raises(KeyError), matmul_precision("high"):
        assert torch.get_float32_matmul_precision() == "high"
        raise KeyError
    assert torch.get_float32_matmul_precision() == "highest"


def test_a_process_takes_the_device_of_its_rank_or_says_that_there_is_none(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert choose_device("auto", 1) == torch.device("cuda", 1)
    assert choose_device("cpu", 1) == torch.device("cpu")
    with pytest.raises(ValueError, match="process 2 of this machine and 2 devices"):
        choose_device("cuda", 2)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert choose_device("auto", 1) == torch.device("cpu")
    with pytest.raises(ValueError, match="0 devices"):
        choose_device("cuda")
    with pytest.raises(ValueError, match="cpu, cuda or auto"):
        choose_device("tpu")
