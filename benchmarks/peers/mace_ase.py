"""Contestant: a MACE of random weights in ASE."""

import numpy as np
import torch
from swing import Swing
from turns import claim_stdout, parser_of, peak_mb, take_turns, timed, versions_of

STDOUT = claim_stdout()  # before MACE prints what it could not import
torch.serialization.add_safe_globals(
    [slice]
)  # in the constants that e3nn 0.4.4 loads when imported
from e3nn import o3  # noqa: E402
from mace.calculators import MACECalculator  # noqa: E402
from mace.modules import ScaleShiftMACE, gate_dict, interaction_classes  # noqa: E402

NEIGHBOURS = 38.0  # mean number within 4.5 Å in liquid water, which scales messages


def random_mace(options) -> ScaleShiftMACE:
    """Return a MACE whose weights are those of a fixed seed: two layers, correlation order 3, as those published."""
    torch.manual_seed(1)
    hidden = " + ".join(f"{options.channels}x{k}{'eo'[k % 2]}" for k in range(options.degree + 1))
    return ScaleShiftMACE(
        r_max=4.5,
        num_bessel=8,
        num_polynomial_cutoff=5,
        max_ell=3,
        interaction_cls=interaction_classes["RealAgnosticResidualInteractionBlock"],
        interaction_cls_first=interaction_classes["RealAgnosticResidualInteractionBlock"],
        num_interactions=2,
        num_elements=2,
        hidden_irreps=o3.Irreps(hidden),
        MLP_irreps=o3.Irreps("16x0e"),
        atomic_energies=np.zeros(2),
        avg_num_neighbors=NEIGHBOURS,
        atomic_numbers=[1, 8],
        correlation=3,
        gate=gate_dict["silu"],
        atomic_inter_scale=1.0,
        atomic_inter_shift=0.0,
    )


def main() -> None:
    """Evaluate when asked to."""
    parser = parser_of(__doc__)
    parser.add_argument("--channels", type=int, required=True)
    parser.add_argument("--degree", type=int, required=True, help="largest L of a message")
    options = parser.parse_args()
    before = peak_mb()
    torch.set_default_dtype(torch.float32)
    swing = Swing(options.copies)
    swing.atoms.calc = MACECalculator(
        models=[random_mace(options)], device="cpu", default_dtype="float32"
    )
    about = {
        "n_atoms": len(swing.atoms),
        "versions": versions_of("mace-torch", "e3nn", "torch", "ase"),
        "dtype": "float32",
        "first_force": swing.forces()[0].tolist(),
    }
    take_turns(STDOUT, lambda: timed(swing.forces, options.count), options.warm_up, before, about)


if __name__ == "__main__":
    main()
