"""Contestant: metatrain's PET of random weights through metatomic's calculator in ASE.

``--prepare`` also writes the energy part of the network in the format of pet-kokkos, for ``pet_kokkos_ase.py``.
"""

import json
import os
from pathlib import Path

import torch
from metatomic_ase import MetatomicCalculator
from metatrain.pet import PET
from metatrain.utils.architectures import get_default_hypers
from metatrain.utils.data import DatasetInfo
from metatrain.utils.data.target_info import get_energy_target_info, get_generic_target_info
from pet_sizes import CUTOFF, CUTOFF_WIDTH, SEED, SPECIES, add_sizes, stem_of
from safetensors.torch import save_file
from swing import Swing
from turns import claim_stdout, parser_of, peak_mb, take_turns, timed, versions_of


def random_pet(options) -> PET:
    """Return a PET whose weights are those of a fixed seed, with heads for energy, forces and stress."""
    torch.manual_seed(SEED)
    hypers = get_default_hypers("pet")["model"]
    hypers.update(
        cutoff=CUTOFF,
        cutoff_width=CUTOFF_WIDTH,
        d_pet=options.features,
        d_head=options.features,
        d_node=4 * options.features,
        d_feedforward=2 * options.features,
        num_heads=options.heads,
        num_gnn_layers=options.layers,
        num_attention_layers=options.attention_layers,
    )
    targets = {
        "energy": get_energy_target_info("energy", {"quantity": "energy", "unit": "eV"}, True)
    }
    # Where atoms are periodic, the calculator takes direct forces only together with direct stress.
    direct = (
        ("non_conservative_force", "force", "eV/Angstrom", 1),
        ("non_conservative_stress", "pressure", "eV/Angstrom^3", 2),
    )
    for name, quantity, unit, rank in direct:
        target = {
            "quantity": quantity,
            "unit": unit,
            "type": {"cartesian": {"rank": rank}},
            "sample_kind": "atom" if rank == 1 else "system",
            "num_subtargets": 1,
        }
        targets[name] = get_generic_target_info(name, target)
    return PET(hypers, DatasetInfo("angstrom", SPECIES, targets)).eval()


def write_for_pet_kokkos(network: PET, stem: Path) -> None:
    """Write the energy of a network as the two files that pet-kokkos reads."""
    hypers = dict(network.hypers)
    long_range = hypers.pop("long_range")
    about = {
        "format_version": 1,
        "architecture": "pet",
        "target": "energy",
        "hypers": {
            **hypers,
            "head_dim": hypers["d_pet"] // hypers["num_heads"],
            "num_readout_layers": network.num_readout_layers,
            "long_range_enabled": long_range["enable"],
        },
        "length_unit": "angstrom",
        "energy_unit": "eV",
        "energy_scale": 1.0,
        "n_species": len(network.atomic_types),
        "atomic_types": network.atomic_types,
        "species_to_index": network.backend.species_to_species_index.tolist(),
        "composition_energies": [0.0] * len(network.atomic_types),
    }
    weights = {
        name: value.detach().contiguous()
        for name, value in network.backend.named_parameters()
        if "non_conservative" not in name
    }
    save_file(weights, f"{stem}.safetensors")
    Path(f"{stem}.json").write_text(json.dumps(about))


def main() -> None:
    """Write the model, or evaluate it when asked to."""
    stdout = claim_stdout()
    parser = parser_of(__doc__.splitlines()[0])
    parser.add_argument("--forces", choices=["conservative", "non_conservative"], required=True)
    add_sizes(parser)
    options = parser.parse_args()
    stem = stem_of("metatrain", options)
    model = stem.with_suffix(".pt")
    if options.prepare:
        if not model.is_file():
            network = random_pet(options)
            write_for_pet_kokkos(network, stem)
            draft = stem.with_suffix(".draft.pt")
            network.export().save(str(draft))
            os.replace(draft, model)  # last: where it is, all are
        return
    before = peak_mb()
    swing = Swing(options.copies)
    direct = options.forces == "non_conservative"
    swing.atoms.calc = MetatomicCalculator(model, device="cpu", non_conservative=direct)
    about = {
        "n_atoms": len(swing.atoms),
        "versions": versions_of("metatrain", "metatomic-torch", "metatomic-ase", "torch", "ase"),
        "dtype": "float32",
        "first_force": swing.forces()[0].tolist(),
    }
    take_turns(stdout, lambda: timed(swing.forces, options.count), options.warm_up, before, about)


if __name__ == "__main__":
    main()
