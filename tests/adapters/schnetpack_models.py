"""Untrained models as spktrain writes them."""

from pathlib import Path

import torch

CUTOFF = 4.0
OFFSETS = {1: -13.0, 8: -400.0}


def write_model(kind: str, path: Path, **options) -> Path:
    """Write a model of SchNet, PaiNN or SO3net with an offset per element."""
    import schnetpack as spk
    from schnetpack.atomistic import Atomwise, Forces, PairwiseDistances
    from schnetpack.nn.cutoff import MollifierCutoff
    from schnetpack.nn.radial import GaussianRBF
    from schnetpack.transform import AddOffsets

    torch.manual_seed(0)
    common = {
        "n_atom_basis": 16,
        "n_interactions": 2,
        "radial_basis": GaussianRBF(n_rbf=8, cutoff=CUTOFF),
        "cutoff_fn": MollifierCutoff(CUTOFF),
    }
    build = {
        "schnet": lambda: spk.representation.SchNet(**common),
        "painn": lambda: spk.representation.PaiNN(**common),
        "so3net": lambda: spk.representation.SO3net(lmax=1, **common),
    }
    steps = []
    if options.get("offsets", True):
        atomref = torch.zeros(100)
        for number, energy in OFFSETS.items():
            atomref[number] = energy
        steps = [AddOffsets("energy", add_mean=False, add_atomrefs=True)]
        steps[0].atomref = atomref
    model = spk.model.NeuralNetworkPotential(
        representation=build[kind](),
        input_modules=[PairwiseDistances()],
        output_modules=[
            Atomwise(16, output_key="energy", aggregation_mode=options.get("mode", "sum")),
            *options.get("more", []),
            Forces(energy_key="energy", force_key="forces"),
        ],
        postprocessors=steps,
    )
    torch.save(model.eval(), path)
    return path
