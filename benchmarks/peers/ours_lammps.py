"""Contestant: this project in LAMMPS, with a model file or a shipped model."""

from lammps_steps import LammpsSteps
from turns import claim_stdout, parser_of, peak_mb, take_turns, versions_of

from mlip_engines.load import find_model, read_metadata


def main() -> None:
    """Run steps when asked to."""
    stdout = claim_stdout()
    parser = parser_of(__doc__)
    parser.add_argument("model", help="model file, or the name of a shipped model")
    parser.add_argument("--forces", choices=["conservative", "non_conservative"], required=True)
    options = parser.parse_args()
    before = peak_mb()
    pair_style = f"mlip device cpu forces {options.forces}"
    steps = LammpsSteps(pair_style, f"* * {options.model} O H", options.copies)
    about = {
        "n_atoms": steps.n_atoms,
        "versions": versions_of("torch", "lammps"),
        "dtype": read_metadata(find_model(options.model)).dtype,
        "first_force": steps.first_force(),
    }
    take_turns(stdout, lambda: steps.run(options.count), options.warm_up, before, about)


if __name__ == "__main__":
    main()
