"""Counted minimisations, and the structures that they start from."""

import numpy as np
from ase import Atoms
from ase.build import molecule

from mlip_engines import load_model
from mlip_engines.diagnostics.case import Case, quick
from mlip_engines.diagnostics.optimisation import CLUSTER, Optimisation, starts


def test_success_is_counted(argon_model):
    pair = Atoms("Ar2", [[0.0, 0.0, 0.0], [3.9, 0.3, 0.2]])
    case = Case(load_model(argon_model), pair, quick(optimisation_steps=150))
    result = Optimisation().measure(case)
    runs = {(r["forces"], r["minimiser"]): r for r in result.values["runs"]}
    assert all(r["phase"] == "condensed" for r in runs.values())  # no molecules
    assert runs["C", "LBFGS"]["converged"] == runs["C", "LBFGS"]["structures"]
    assert runs["NC", "LBFGS"]["converged"] == 0
    assert runs["NC", "LBFGS"]["median_steps"] is None
    words = Optimisation().render(result).paragraphs[0]
    assert "2 of 2 minimisations with C forces converged" in words
    assert "0 of 2 minimisations with NC forces converged" in words


def test_clusters_are_whole_molecules():
    box = Atoms()
    for k in range(8):
        water = molecule("H2O")
        water.positions += 3.1 * np.array([k % 2, k // 2 % 2, k // 4]) + 0.05
        box += water
    box.cell, box.pbc = [6.2, 6.2, 6.2], True
    box.wrap()
    found = starts(box, 2, np.random.default_rng(1))
    assert {kind: len(s) for kind, s in found.items()} == {"gas": 2, "condensed": 2}
    cluster = found["gas"][0]
    assert len(cluster) == 3 * CLUSTER and not cluster.pbc.any()
    for k in range(CLUSTER):
        assert 0.5 < cluster.get_distance(3 * k, 3 * k + 1) < 1.4
