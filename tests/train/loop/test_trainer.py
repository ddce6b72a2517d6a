"""The loop: a killed run resumes to the same numbers, two processes equal one, every stage can be learned."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import pytest
import torch
from ase import Atoms
from ase.calculators.lj import LennardJones
from ase.calculators.singlepoint import SinglePointCalculator

from mlip_train.command import main as train
from mlip_train.data.batching import collate
from mlip_train.data.structure import prepare
from mlip_train.loop.checkpoint import read_checkpoint
from mlip_train.loop.losses import loss
from mlip_train.loop.metrics import evaluate
from mlip_train.loop.prediction import predict
from mlip_train.loop.sharpness import climb, descend
from mlip_train.loss_weights import LossWeights
from mlip_train.networks import build_network
from tests.labelled import RECIPE, write_argon, write_recipe
from tests.small_networks import NETWORKS, STRESS_RECIPE
from tolerances import TOLERANCE

ROOT = Path(__file__).parents[3]
EQUALITY = TOLERANCE["float64"].equality
CUTOFF = 5.0


def start(*arguments, module="mlip_train.command"):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", *module.split(), *map(str, arguments)],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def rows_without_times(path):
    rows = list(csv.DictReader((path / "metrics.csv").read_text().splitlines()))
    return [{name: value for name, value in row.items() if name != "minutes"} for row in rows]


@pytest.mark.training
@pytest.mark.slow
def test_a_run_that_is_killed_twice_resumes_to_the_same_numbers(tmp_path):
    text = (
        STRESS_RECIPE.replace("epochs: 2", "epochs: 6") + "checkpoint_minutes: 0.0\nbatch_size: 2\n"
    )
    recipe = write_recipe(tmp_path / "recipe.yaml", text)
    data = write_argon(tmp_path / "argon.xyz")
    arguments = [recipe, "--data", data, "--device", "cpu", "-o"]
    assert train([*map(str, arguments), str(tmp_path / "whole")]) == 0
    checkpoint = tmp_path / "parts/checkpoint.pt"
    for n_updates in (7, 29):  # in the middle of epochs of four steps, one in each stage
        process = start(*arguments, tmp_path / "parts", *(["--resume"] if n_updates > 7 else []))
        read = 0  # when the checkpoint that was read last was written, ns
        while process.poll() is None:
            if checkpoint.is_file() and (written := checkpoint.stat().st_mtime_ns) != read:
                read = written  # reading takes longer than a step: not the same file again
                if read_checkpoint(checkpoint)["n_updates"] >= n_updates:
                    process.send_signal(signal.SIGKILL)
                    break
            time.sleep(0.005)
        _, errors = process.communicate(timeout=300)
        assert process.returncode == -signal.SIGKILL, errors
        assert n_updates <= read_checkpoint(checkpoint)["n_updates"] < 48
    assert train([*map(str, arguments), str(tmp_path / "parts"), "--resume"]) == 0
    whole, parts = (
        read_checkpoint(tmp_path / name / "checkpoint.pt") for name in ("whole", "parts")
    )
    for name, value in whole["average"].items():
        assert torch.equal(value, parts["average"][name]), name
    assert whole["metadata"]["errors"] == parts["metadata"]["errors"]
    # The table too: no row twice, none missing, losses of epochs that were interrupted included.
    assert rows_without_times(tmp_path / "whole") == rows_without_times(tmp_path / "parts")
    assert len(json.loads((tmp_path / "parts/environment.json").read_text())) == 3


@pytest.mark.training
@pytest.mark.slow
def test_two_processes_with_one_structure_each_equal_one_process_with_two(tmp_path):
    # Muon rounds to bfloat16, which would turn a difference of the last digit into one of the third.
    text = RECIPE.replace("perturbed_steps: 0.3", "") + "precision: float64\noptimizer: adamw\n"
    data = write_argon(tmp_path / "argon.xyz")
    one = write_recipe(tmp_path / "one.yaml", text + "batch_size: 2\n")
    two = write_recipe(tmp_path / "two.yaml", text + "batch_size: 1\n")
    assert (
        train([str(one), "--data", str(data), "--device", "cpu", "-o", str(tmp_path / "one")]) == 0
    )
    launcher = "torch.distributed.run --nproc-per-node 2 --standalone -m mlip_train.command"
    process = start(two, "--data", data, "--device", "cpu", "-o", tmp_path / "two", module=launcher)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    averages = [
        read_checkpoint(tmp_path / name / "checkpoint.pt")["average"] for name in ("one", "two")
    ]
    for name, value in averages[0].items():
        torch.testing.assert_close(averages[1][name], value, rtol=EQUALITY, atol=EQUALITY)


def small(name, **options):
    torch.manual_seed(2)
    settings = {"name": name, "species": [18], "cutoff": CUTOFF, **NETWORKS[name], **options}
    return build_network(settings).double().train()


def loss_of(network, batch, weights):
    prediction = predict(
        network,
        batch,
        1.0,
        differentiate=weights.differentiates,
        with_non_conservative=weights.uses_head,
        create_graph=weights.trains_gradient,
        with_stress=weights.uses_stress,
    )
    return loss(prediction, batch, weights)["total"]


@pytest.mark.training
def test_sharpness_takes_the_gradient_a_radius_up_the_slope(tmp_path, monkeypatch):
    """Against the gradient of the same loss, by hand, at weights moved by hand."""
    radius, seen = 0.05, []
    text = RECIPE[: RECIPE.index("  - name: conservative")].replace("epochs: 2", "epochs: 1")
    text += f"sharpness: {radius}\nprecision: float64\ngradient_clip: 1.0e9\n"

    def recorded(parameters, limit):
        seen.append(
            [(p.detach().clone(), p.grad.clone()) for p in parameters if p.grad is not None]
        )
        return torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])

    batches = []

    def remembered(network, batch, *arguments, **options):
        batches.append(batch)
        return predict(network, batch, *arguments, **options)

    monkeypatch.setattr("mlip_train.loop.trainer.nn.utils.clip_grad_norm_", recorded)
    monkeypatch.setattr("mlip_train.loop.trainer.predict", remembered)
    data = write_argon(tmp_path / "argon.xyz", 5)
    recipe = write_recipe(tmp_path / "recipe.yaml", text)
    assert (
        train([str(recipe), "--data", str(data), "--device", "cpu", "-o", str(tmp_path / "run")])
        == 0
    )
    scale = read_checkpoint(tmp_path / "run/checkpoint.pt")["scale"]
    settings = read_checkpoint(tmp_path / "run/checkpoint.pt")["network"]
    torch.manual_seed(1)
    network = build_network(settings).double().train()
    weights = LossWeights(energy=1.0, non_conservative=1.0)

    def gradient():
        prediction = predict(
            network,
            batches[0],
            scale,
            differentiate=False,
            with_non_conservative=True,
            create_graph=False,
        )
        total = loss(prediction, batches[0], weights)["total"]
        return torch.autograd.grad(total, list(network.parameters()), allow_unused=True)

    first = gradient()
    norm = torch.sqrt(sum(g.square().sum() for g in first if g is not None))
    before = [p.detach().clone() for p in network.parameters()]
    with torch.no_grad():
        for p, g in zip(network.parameters(), first, strict=True):
            if g is not None:
                p += radius * g / norm
    expected = [g for g in gradient() if g is not None]
    moved = max(
        float((g - h).abs().max())
        for g, h in zip(expected, [g for g in first if g is not None], strict=True)
    )
    assert moved > 1e-4  # the test would see a gradient taken in the wrong place
    for (_, found), g in zip(seen[0], expected, strict=True):
        torch.testing.assert_close(found, g, rtol=EQUALITY, atol=EQUALITY)
    used = [p for p, g in zip(before, first, strict=True) if g is not None]
    for (value, _), p in zip(seen[0], used, strict=True):
        assert torch.equal(value, p)  # back where it was


def test_climbing_and_descending_leaves_every_bit():
    parameters = [torch.nn.Parameter(torch.randn(7)), torch.nn.Parameter(torch.randn(3))]
    parameters[0].grad = torch.randn(7)
    values = [p.detach().clone() for p in parameters]
    before = climb(parameters, 0.3)
    step = parameters[0].detach() - values[0]
    assert float(step.norm()) == pytest.approx(0.3, rel=1e-5)
    assert torch.equal(parameters[1].detach(), values[1])
    descend(parameters, before)
    assert all(torch.equal(p.detach(), value) for p, value in zip(parameters, values, strict=True))


LABELS = {
    "non_conservative": ["energy", "non_conservative", "non_conservative_stress"],
    "conservative": ["energy", "conservative", "stress"],
    "joint": ["energy", "conservative", "non_conservative", "stress", "non_conservative_stress"],
}


@pytest.mark.training
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "stage"),
    # Both heads at once test the loss, for which two networks are enough: they take the longest.
    [(n, s) for n in NETWORKS for s in LABELS if s != "joint" or n in ("painn", "pet")],
)
def test_one_structure_is_learned_to_zero(name, stage):
    """With a quasi-Newton method: what it cannot reach in a few hundred steps the network or the loss cannot give."""
    network = small(name, non_conservative_stress=True)
    terms = LABELS[stage]
    positions = [[0.1, 0.2, 0.3], [2.7, 2.6, 0.1], [2.9, 0.3, 2.8]]
    atoms = Atoms("Ar3", positions, cell=[5.2, 5.4, 5.6], pbc=True)
    atoms.calc = LennardJones(epsilon=0.5, sigma=3.4, rc=CUTOFF, smooth=True)
    labels = {name: atoms.calc.get_property(name, atoms) for name in ("energy", "forces", "stress")}
    atoms.calc = SinglePointCalculator(atoms, **labels)
    size = {
        "energy": abs(labels["energy"]) / 3,
        "conservative": float(labels["forces"].std()),
        "stress": float(abs(labels["stress"]).mean()),
    }
    size |= {"non_conservative": size["conservative"], "non_conservative_stress": size["stress"]}
    in_loss = {
        term: size[term] * (atoms.get_volume() / 3 if "stress" in term else 1) for term in terms
    }
    weights = LossWeights(
        **{"energy": 0.0, **{term: value**-2 for term, value in in_loss.items()}},
        functions=dict.fromkeys(terms, "mse"),
    )
    item, baseline = prepare(atoms, CUTOFF), torch.zeros(119, dtype=torch.float64)
    batch = collate([item], baseline, CUTOFF, torch.float64)
    optimizer = torch.optim.LBFGS(
        network.parameters(),
        max_iter=25,
        history_size=50,
        tolerance_grad=0.0,
        tolerance_change=0.0,
        line_search_fn="strong_wolfe",
    )

    def closure():
        optimizer.zero_grad()
        total = loss_of(network, batch, weights)
        total.backward()
        return total

    start = torch.optim.Adam(network.parameters(), lr=0.01)
    for _ in range(60):  # near enough for a line search
        closure()
        start.step()
    relative = {}
    for _ in range(30):
        optimizer.step(closure)
        errors = evaluate(network, [item], baseline, 1.0, differentiate=True)
        relative = {term: errors[f"{term}_rmse"] / (1000 * size[term]) for term in terms}
        if max(relative.values()) < 0.005:
            return
    raise AssertionError(f"expected relative errors below 0.005, got {relative}")


@pytest.mark.training
def test_the_page_of_a_run_needs_no_other_file_and_shows_what_the_table_says(tmp_path, with_report):
    data = write_argon(tmp_path / "argon.xyz")
    recipe = write_recipe(tmp_path / "recipe.yaml", STRESS_RECIPE)
    assert train([str(recipe), "--data", str(data), "-o", str(tmp_path / "run")]) == 0
    page = (tmp_path / "run/report.html").read_text()
    assert page.count("data:image/png;base64,") == 2
    assert 'src="http' not in page and "href=" not in page
    for name, value in json.loads((tmp_path / "run/test.json").read_text()).items():
        assert f"{value:.3f}" in page, name
    split = json.loads((tmp_path / "run/split.json").read_text())
    assert "Worst structures" in page
    for k in split["test"]:  # of few, all are among the worst
        assert f"<td>argon.xyz: structure {k}</td>" in page
    environment = json.loads((tmp_path / "run/environment.json").read_text())
    assert environment[0]["torch"] == version("torch") and environment[0]["device"] == "cpu"
    assert environment[0]["torch"] in page
