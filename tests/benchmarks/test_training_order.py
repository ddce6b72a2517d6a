"""The benchmark of the order of training runs, goes on where it stopped, and reports what its runs report."""

import csv
import json

import pytest

from benchmarks.training_order import WAYS, curve, main
from tests.labelled import write_argon


@pytest.mark.training
def test_every_way_is_trained_once_and_tabulated(tmp_path, capsys):
    data = write_argon(tmp_path / "argon.xyz")
    ways = ["energy only", "C with energy", "fine-tuned hybrid"]
    arguments = ["--data", str(data), "-o", str(tmp_path / "order"), "--minutes", "0.005"]
    arguments += ["--n-validation", "2", "--n-test", "2", "--device", "cpu"]
    assert main([*arguments, "--ways", *ways[:2]]) == 0
    first = tmp_path / "order/C_with_energy/checkpoint.pt"
    written = first.stat().st_mtime_ns
    assert main([*arguments, "--ways", *ways]) == 0
    assert first.stat().st_mtime_ns == written
    assert (tmp_path / "order/learning_curves.png").stat().st_size > 10_000
    lines = (tmp_path / "order/table.md").read_text().splitlines()
    rows = {
        line.split("|")[1].strip(): line.split("|")[2:] for line in lines if line.startswith("|")
    }
    for way in ways:
        errors = json.loads((tmp_path / "order" / way.replace(" ", "_") / "test.json").read_text())
        assert float(rows[way][1]) == round(errors["conservative_mae"], 2)
        assert float(rows[way][-2]) > 0.0
    assert rows["C with energy"][2].strip() == "-"  # its head has not been trained
    assert "fine-tuned hybrid gets there" in lines[-1]


def test_curves_go_on_in_time_from_stage_to_stage(tmp_path):
    minutes = [("a", 1.0), ("a", 2.5), ("b", 0.5), ("b", 1.0)]
    with open(tmp_path / "metrics.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["stage", "minutes", "conservative_rmse"])
        writer.writerows([(stage, m, 10 - k) for k, (stage, m) in enumerate(minutes)])
    assert curve(tmp_path, "conservative") == [(1.0, 10.0), (2.5, 9.0), (3.0, 8.0), (3.5, 7.0)]


def test_every_way_is_allotted_the_whole_time():
    assert all(abs(sum(share for share, _, _ in stages) - 1.0) < 1e-12 for stages in WAYS.values())
