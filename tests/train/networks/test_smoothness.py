"""The energy of every network is smooth in displacements from symmetric sites, where vector features vanish."""

import numpy as np
import pytest
import torch
from ase.build import bulk

from mlip_engines import (
    MlipCalculator,
    ModelContractError,
    ModelMetadata,
    check_conformance,
    export_model,
)
from mlip_train.networks import NETWORKS, build_network, stored_settings

DISPLACEMENTS = (1e-4, 1e-3, 5e-3, 0.02)  # Å
CRYSTALS = {
    "fcc": bulk("Cu", "fcc", a=3.6, cubic=True),
    "bcc": bulk("Cu", "bcc", a=2.9, cubic=True),
    "diamond": bulk("Si", "diamond", a=5.4, cubic=True),
    "rocksalt": bulk("NaCl", "rocksalt", a=5.6, cubic=True),
}
SMALL = {
    "eam": {},
    "cgcnn": {"n_features": 16, "n_basis": 9, "n_layers": 2, "non_conservative_layer": 1},
    "m3gnet": {
        "n_features": 16,
        "three_body_cutoff": 2.9,
        "n_layers": 2,
        "non_conservative_layer": 1,
    },
    "painn": {"n_features": 16, "n_basis": 6, "n_layers": 2, "non_conservative_layer": 1},
    "pet": {"n_edge_features": 16, "n_heads": 2, "n_layers": 2, "non_conservative_layer": 1},
    "schnet": {"n_features": 16, "n_basis": 9, "n_layers": 2, "non_conservative_layer": 1},
    "tensornet": {"n_features": 16, "n_basis": 9, "n_layers": 2, "non_conservative_layer": 1},
    "torchmdnet": {
        "n_features": 16,
        "n_basis": 6,
        "n_heads": 2,
        "n_layers": 2,
        "non_conservative_layer": 1,
    },
}


@pytest.fixture(scope="module", params=sorted(NETWORKS))
def model(request, tmp_path_factory):
    """A model file of each network with random weights, which are the worst case: nothing has smoothed them."""
    torch.manual_seed(5)
    species = {"Na": 11, "Si": 14, "Cl": 17, "Cu": 29}
    network = build_network(
        {
            "name": request.param,
            "species": list(species.values()),
            "cutoff": 4.5,
            **SMALL[request.param],
        }
    ).double()
    metadata = ModelMetadata(
        name=request.param,
        species=list(species),
        cutoff=network.cutoff,
        message_passing_layers=network.message_passing_layers,
        interaction_range=network.cutoff * network.message_passing_layers,
        heads=list(network.heads),
        dtype="float64",
    )
    path = tmp_path_factory.mktemp("smooth") / f"{request.param}.pt"
    export_model(network, metadata, path)
    return path


def force_constants(calculator, crystal) -> np.ndarray:
    """-dF/du along a low-symmetry direction, from displacements of both signs, for each of DISPLACEMENTS."""
    direction = np.array([2.0, 1.0, 0.5]) / np.linalg.norm([2.0, 1.0, 0.5])
    values = []
    for u in DISPLACEMENTS:
        forces = []
        for sign in (1.0, -1.0):
            atoms = crystal.repeat(2)
            atoms.positions[0] += sign * u * direction
            atoms.calc = calculator
            forces.append(sign * (atoms.get_forces()[0] @ direction))
        values.append(-sum(forces) / (2.0 * u))
    return np.array(values)


@pytest.mark.parametrize("name", CRYSTALS)
def test_a_crystal_has_one_force_constant(model, name):
    """A harmonic crystal has the same one for every small displacement; a cone in the energy gives 1/u."""
    found = force_constants(MlipCalculator(model), CRYSTALS[name])
    # An even function of u: what is left is anharmonic, of order u^2.
    squares = np.square(DISPLACEMENTS)
    smooth = np.polyval(np.polyfit(squares, found, 1), squares)
    np.testing.assert_allclose(found, smooth, rtol=0.0, atol=0.02 * np.abs(found).max())


@pytest.mark.parametrize("norm_width", [1e-4, 1.0])
def test_the_conformance_check_tells_a_sharp_norm_from_a_smooth_one(norm_width):
    """PaiNN takes the length of vector features; with the width of before, its energy is a cone."""
    torch.manual_seed(5)
    settings = {"name": "painn", "species": [29], "cutoff": 4.5, **SMALL["painn"]}
    network = build_network({**settings, "norm_width": norm_width})
    if norm_width == 1.0:
        assert "an atom of a crystal has one force constant" in check_conformance(network, ["Cu"])
    else:
        with pytest.raises(ModelContractError, match="fcc Cu, conservative"):
            check_conformance(network, ["Cu"])


def test_files_of_before_keep_their_norm():
    """What was trained with a sharp norm is evaluated with it."""
    settings = {"name": "painn", "species": [29], "cutoff": 4.0}
    assert stored_settings(settings)["norm_width"] == 1e-4
    assert build_network(settings).force_head[0].norm_width == 1.0
    assert stored_settings({**settings, "norm_width": 0.5})["norm_width"] == 0.5
