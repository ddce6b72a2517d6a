"""What averaging over orientations costs, and what dependence on the orientation it leaves.

For each grid, the answers for a structure in random orientations, turned back: the root mean square deviation from
their mean over the orientations. Every second orientation is a mirror image.

    python benchmarks/symmetrised.py MODEL --structure FILE [--degrees 3 5 7] [--orientations 6] [--molecules N]

MODEL is a checkpoint of mlip-train, or a model file of it or its name. With --molecules, a cluster of so many molecules
in vacuum is cut from a liquid. Time is CPU time of one thread, so a busy machine does not
matter much.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from ase import Atoms
from ase.io import read
from ase.neighborlist import natural_cutoffs, neighbor_list
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components

from mlip_engines.checkpoints import export_checkpoint
from mlip_engines.model.load import find_model, load_model
from mlip_engines.model.neighbors import neighbor_graph
from mlip_engines.model.orientations import lebedev_orientations
from mlip_engines.properties.symmetry import random_orientation, turned

GPA = 160.21766  # per eV/Å^3


def main() -> None:
    options = arguments()
    torch.set_num_threads(1)
    model = options.model if Path(options.model).exists() else find_model(options.model)
    atoms = read(options.structure)
    if options.molecules:
        atoms = cluster(atoms, options.molecules)
    grids = [(None, "none", 1)]
    for degree in options.degrees:
        for inversion in (False, True):
            grid = lebedev_orientations(degree, inversion=inversion)
            label = f"lebedev:{grid.origin['degree']}" + ("" if inversion else " --no-inversion")
            grids.append((grid, label, len(grid)))
    print("| `--symmetrise` | evaluations | CPU s | energy, meV/atom | C | NC | stress, GPa |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for grid, label, n in grids:
            file = Path(folder) / "model.pt"
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                export_checkpoint(model, file, orientations=grid)
            spread, seconds = measure(load_model(file), atoms, options.orientations)
            numbers = " | ".join("" if x is None else f"{x:.2g}" for x in spread)
            print(f"| {label} | {n} | {seconds:.2f} | {numbers} |", flush=True)


def cluster(atoms, n_molecules):
    """The molecules nearest to the first atom, whole, in vacuum."""
    first, second, vectors = neighbor_list("ijD", atoms, natural_cutoffs(atoms, mult=1.2))
    whole = csr_matrix((np.ones(len(first)), (first, second)), shape=2 * [len(atoms)])
    _, molecule = connected_components(whole)
    positions = atoms.positions.copy()
    bonds = list(zip(first, second, vectors, strict=True))
    for _ in range(10):  # atoms of a molecule that lie on both sides of the cell
        for i, j, vector in bonds:
            if i < j:
                positions[j] = positions[i] + vector
    parts = [np.flatnonzero(molecule == m) for m in range(molecule.max() + 1)]
    centre, cell = atoms.positions[0], atoms.cell.array
    found = []
    for part in parts:
        offset = positions[part].mean(axis=0) - centre
        image = -np.rint(np.linalg.solve(cell.T, offset)) @ cell
        found.append((np.linalg.norm(offset + image), atoms.symbols[part], positions[part] + image))
    found.sort(key=lambda one: one[0])
    result = Atoms()
    for _, symbols, places in found[:n_molecules]:
        result += Atoms(symbols, places)
    return result


def measure(model, atoms, n_orientations):
    """Spread of energy (meV/atom), C and NC (meV/Å per component) and stress (GPa), and the time of an evaluation."""
    rng = np.random.default_rng(1)
    has_head = model.metadata.has_non_conservative_forces
    found: dict[str, list[np.ndarray]] = {"energy": [], "C": [], "NC": [], "stress": []}
    seconds = []
    for k in range(n_orientations):
        matrix = random_orientation(rng, inverted=k % 2 == 1)
        graph = neighbor_graph(turned(atoms, matrix), model.metadata.cutoff)
        start = time.process_time()
        output = model.evaluate(graph, with_non_conservative=has_head)
        seconds.append(time.process_time() - start)
        found["energy"].append(1000.0 * output["energy"].numpy() / len(atoms))
        found["C"].append(1000.0 * output["forces"].numpy() @ matrix)
        if has_head:
            found["NC"].append(1000.0 * output["non_conservative_forces"].numpy() @ matrix)
        if atoms.pbc.all():
            virial = matrix.T @ output["virial"].numpy() @ matrix
            found["stress"].append(-GPA * virial / atoms.get_volume())
    spreads = []
    for values in found.values():
        if not values:
            spreads.append(None)
            continue
        array = np.array(values)
        freedom = len(array) / (len(array) - 1.0)
        spreads.append(float(np.sqrt(freedom * ((array - array.mean(axis=0)) ** 2).mean())))
    return spreads, float(np.median(seconds))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="checkpoint or model file of mlip-train")
    parser.add_argument("--structure", required=True, help="file that ASE reads")
    parser.add_argument("--molecules", type=int, metavar="N", help="cut a cluster of N molecules")
    parser.add_argument("--degrees", type=int, nargs="+", default=[3, 5, 7])
    parser.add_argument("--orientations", type=int, default=6)
    return parser.parse_args()


if __name__ == "__main__":
    main()
