"""Contestant: this project in ASE, a PET of random weights or a model file."""

import torch
from pet_sizes import CUTOFF, CUTOFF_WIDTH, SEED, SPECIES, add_sizes, stem_of
from swing import Swing
from turns import claim_stdout, parser_of, peak_mb, take_turns, timed, versions_of

from mlip_engines import MlipCalculator, export_model
from mlip_engines.model.contract import ModelMetadata
from mlip_train.networks.pet import PET


def random_pet(path, options) -> None:
    """Write a PET whose weights are those of a fixed seed; all heads after the last layer."""
    torch.manual_seed(SEED)
    network = PET(
        species=SPECIES,
        cutoff=CUTOFF,
        cutoff_width=CUTOFF_WIDTH,
        n_edge_features=options.features,
        n_heads=options.heads,
        n_layers=options.layers,
        n_attention_layers=options.attention_layers,
        non_conservative_layer=options.layers,
        non_conservative_stress=True,
    )
    metadata = ModelMetadata(
        name=path.stem,
        species=["H", "O"],
        cutoff=network.cutoff,
        message_passing_layers=options.layers,
        heads=network.heads,
        dtype="float32",
        interaction_range=options.layers * network.cutoff,
        reference_energies={"H": 0.0, "O": 0.0},
    )
    export_model(network, metadata, path)


def add_model(parser) -> None:
    """Let a parser take a model and which of its forces."""
    parser.add_argument("model", help="pet: of random weights; or a model file, or a shipped model")
    parser.add_argument("--forces", choices=["conservative", "non_conservative"], required=True)
    add_sizes(parser)


def model_of(options):
    """Return the model that was asked for; a PET is written where it is to be prepared."""
    if options.model != "pet":
        return options.model
    path = stem_of("ours", options).with_suffix(".pt")
    if options.prepare and not path.is_file():
        random_pet(path, options)
    return path


def main() -> None:
    """Write the model, or evaluate it when asked to."""
    stdout = claim_stdout()
    parser = parser_of(__doc__)
    add_model(parser)
    options = parser.parse_args()
    model = model_of(options)
    if options.prepare:
        return
    before = peak_mb()
    swing = Swing(options.copies)
    swing.atoms.calc = MlipCalculator(model, forces=options.forces)
    about = {
        "n_atoms": len(swing.atoms),
        "versions": versions_of("torch", "ase"),
        "dtype": swing.atoms.calc.model.metadata.dtype,
        "first_force": swing.forces()[0].tolist(),
    }
    take_turns(stdout, lambda: timed(swing.forces, options.count), options.warm_up, before, about)


if __name__ == "__main__":
    main()
