"""Settings of networks that are small enough to be trained in a test, and a recipe that uses every head."""

from tests.labelled import RECIPE

CUTOFF = 4.0  # Å
NETWORKS = {
    "cgcnn": {"n_features": 8, "n_basis": 9, "n_layers": 2, "non_conservative_layer": 1},
    "m3gnet": {
        "n_features": 14,
        "three_body_cutoff": 2.9,
        "n_layers": 2,
        "non_conservative_layer": 1,
    },
    "painn": {"n_features": 8, "n_basis": 5, "n_layers": 2, "non_conservative_layer": 1},
    "pet": {"n_edge_features": 8, "n_heads": 2, "n_layers": 2, "non_conservative_layer": 1},
    "schnet": {"n_features": 12, "n_basis": 9, "n_layers": 2, "non_conservative_layer": 1},
    "tensornet": {"n_features": 8, "n_basis": 6, "n_layers": 1, "non_conservative_layer": 1},
    "torchmdnet": {
        "n_features": 8,
        "n_basis": 6,
        "n_heads": 2,
        "n_layers": 2,
        "non_conservative_layer": 1,
    },
}

STRESS_RECIPE = RECIPE.replace(
    "non_conservative_layer: 1", "non_conservative_layer: 1, non_conservative_stress: true"
)
STRESS_RECIPE = STRESS_RECIPE.replace(
    "non_conservative: 1.0}", "non_conservative: 1.0, non_conservative_stress: 1.0}"
)
STRESS_RECIPE = STRESS_RECIPE.replace(
    "match: 0.5}", "match: 0.5, stress: 1.0, non_conservative_stress: 0.01}"
)
