"""Averages over orientations in LAMMPS: as in ASE, on one process and on two."""

import numpy as np
import pytest
import torch

from mlip_engines import MlipCalculator
from mlip_engines.model.orientations import lebedev_orientations
from mlip_engines.model.symmetrised import Symmetrised
from mlip_train.networks.painn import PaiNN
from mlip_train.networks.pet import PET
from structures import STRUCTURES
from tests.lammps_plugin.model_files import SPECIES, export_network
from tests.lammps_plugin.runner import run_structures
from tolerances import TOLERANCE

LIMIT = TOLERANCE["float64"]


@pytest.fixture(scope="module")
def symmetrised(tmp_path_factory):
    folder = tmp_path_factory.mktemp("symmetrised")
    torch.manual_seed(5)
    networks = {
        "pet": PET([1, 8], 2.6, n_edge_features=8, n_heads=2, n_layers=2, combine_last=True),
        "painn": PaiNN([1, 8], 2.6, n_features=8, n_basis=5, n_layers=2),
    }
    grid = lebedev_orientations(3, inversion=False)
    return {
        name: export_network(Symmetrised(network.double().eval(), grid), folder / f"{name}.pt")
        for name, network in networks.items()
    }


@pytest.mark.parametrize("processes", [1, 2])
def test_lammps_gives_what_ase_gives(symmetrised, tmp_path, processes):
    """Features are exchanged for one orientation after another; with a halo, all are one graph."""
    atoms = STRUCTURES["orthogonal"]()
    cases = [
        (model, f"mlip parallel {parallel} forces {forces}")
        for model in symmetrised.values()
        for parallel in ("exchange", "halo")
        for forces in ("conservative", "non_conservative")
    ]
    found = run_structures(
        [atoms] * len(cases),
        [model for model, _ in cases],
        tmp_path,
        species=SPECIES,
        pair_style=[style for _, style in cases],
        processes=processes,
    )
    for (model, style), result in zip(cases, found, strict=True):
        calculator = MlipCalculator(model)
        calculator.calculate(atoms, ["energy", "stress", "non_conservative_forces"])
        expected = calculator.results
        direct = "forces non_conservative" in style
        forces = expected["non_conservative_forces" if direct else "forces"]
        # LAMMPS turns the cell: what the grid leaves of the dependence on that is not compared here
        assert np.abs(result.forces - forces).max() < LIMIT.force, (model.stem, style)
        if not direct:
            assert abs(result.energy - expected["energy"]) < LIMIT.energy
