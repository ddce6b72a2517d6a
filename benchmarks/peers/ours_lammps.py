"""Contestant: this project in LAMMPS, with a PET of random weights, a model file or a shipped model."""

from lammps_steps import LammpsSteps
from ours_ase import add_model, model_of
from turns import claim_stdout, parser_of, peak_mb, take_turns, versions_of

from mlip_engines.model.load import find_model, read_metadata


def main() -> None:
    """Run steps when asked to."""
    stdout = claim_stdout()
    parser = parser_of(__doc__)
    parser.add_argument("--inner-steps", type=int, default=1, help="of r-RESPA")
    add_model(parser)
    options = parser.parse_args()
    model = model_of(options)
    if options.prepare:
        return
    before = peak_mb()
    pair_style = f"mlip device cpu forces {options.forces}"
    pair_coeff = f"* * {model} O H"
    steps = LammpsSteps(pair_style, pair_coeff, options.copies, options.inner_steps)
    about = {
        "n_atoms": steps.n_atoms,
        "versions": versions_of("torch", "lammps"),
        "dtype": read_metadata(find_model(model)).dtype,
        "first_force": steps.first_force(),
    }
    take_turns(stdout, lambda: steps.run(options.count), options.warm_up, before, about)


if __name__ == "__main__":
    main()
