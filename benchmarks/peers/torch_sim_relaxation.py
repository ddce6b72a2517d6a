"""The same crystals relaxed by torch-sim and by mlip_engines.relaxation, with the same model, on the same core.

    OMP_NUM_THREADS=1 python benchmarks/peers/torch_sim_relaxation.py --count 200

Run it in an environment that has torch-sim-atomistic 0.3.0 beside this package. Both use FIRE in batches that are
refilled, float64 coordinates and the threshold ``--fmax``. The adapter below makes the neighbour lists of each step by
vesin, one structure after the other, as the adapters that come with torch-sim do. With ``--cell``, both relax the cell
as ASE's FrechetCellFilter does.
"""

from __future__ import annotations

import argparse
import time
from importlib.metadata import version

import numpy as np
import torch
import torch_sim
from torch_sim.models.interface import ModelInterface

from benchmarks.relaxation import coppers
from mlip_engines import load_model
from mlip_engines.model.graph import batch_graphs
from mlip_engines.model.neighbors import neighbor_graph_from_arrays
from mlip_engines.model.prediction import by_structure
from mlip_engines.relaxation import relax


class Adapter(ModelInterface):
    """A model file of this package as a model of torch-sim."""

    def __init__(self, model, *, with_stress: bool):
        super().__init__()
        self.model = model
        self._device, self._dtype = torch.device("cpu"), torch.float64
        self._compute_stress, self._compute_forces = with_stress, True

    def forward(self, state, **_):
        graphs = []
        for k in range(len(state.cell)):
            own = state.system_idx == k
            graphs.append(
                neighbor_graph_from_arrays(
                    state.positions[own].detach().numpy(),
                    state.cell[k].detach().numpy().T,  # columns are vectors there
                    state.pbc,
                    state.atomic_numbers[own].numpy(),
                    self.model.metadata.cutoff,
                )
            )
        graph, structure = batch_graphs(graphs)
        output = self.model.evaluate(graph, with_atomic_virials=self._compute_stress)
        n = len(graphs)
        found = {
            "energy": by_structure(output["atomic_energies"], structure, n),
            "forces": output["forces"],
        }
        if self._compute_stress:
            volumes = torch.linalg.det(state.cell).abs()[:, None, None]
            found["stress"] = -by_structure(output["atomic_virials"], structure, n) / volumes
        return found


def timed(work):
    cpu, wall = time.process_time(), time.perf_counter()
    result = work()
    return result, time.process_time() - cpu, time.perf_counter() - wall


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--cell", action="store_true")
    parser.add_argument("--fmax", type=float, default=0.02)
    parser.add_argument(
        "--atoms", type=int, default=400, help="atoms together, about, in torch-sim"
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = load_model("copper")
    structures = [coppers(k) for k in range(options.count)]
    relax(model, structures[:3], steps=2)  # what is done once
    ours, cpu, wall = timed(
        lambda: relax(
            model, structures, optimiser="fire", cell=options.cell, fmax=options.fmax, steps=500
        )
    )
    n = options.count
    print(
        f"together here: {n / cpu:.1f} per s of the core ({n / wall:.1f} of the wall), "
        f"{sum(each.converged for each in ours)} of {n} relaxed, {np.mean([e.steps for e in ours]):.1f} steps"
    )
    adapter = Adapter(model, with_stress=options.cell)
    batcher = torch_sim.InFlightAutoBatcher(
        adapter, memory_scales_with="n_atoms", max_memory_scaler=options.atoms
    )
    fire = torch_sim.frechet_cell_fire if options.cell else torch_sim.optimizers.fire
    theirs, cpu, wall = timed(
        lambda: torch_sim.optimize(
            structures,
            adapter,
            optimizer=fire,
            convergence_fn=torch_sim.generate_force_convergence_fn(
                options.fmax, include_cell_forces=options.cell
            ),
            autobatcher=batcher,
            max_steps=500,
            steps_between_swaps=1,
        )
    )
    difference = np.array([e.energy_after for e in ours]) - theirs.energy.numpy()
    print(
        f"torch-sim {version('torch-sim-atomistic')}: {n / cpu:.1f} per s of the core ({n / wall:.1f} of the wall); "
        "energies, here - there: median "
        f"{np.median(np.abs(difference)):.1e}, largest {np.abs(difference).max():.1e} eV"
    )


if __name__ == "__main__":
    main()
