"""Contestant: pet-kokkos in ASE, on the weights that ``metatrain_pet.py --prepare`` has written."""

from pet_kokkos import backend
from pet_kokkos.ase import PETCalculator
from pet_sizes import add_sizes, stem_of
from swing import Swing
from turns import claim_stdout, parser_of, peak_mb, take_turns, timed, versions_of


def main() -> None:
    """Evaluate when asked to."""
    stdout = claim_stdout()
    parser = parser_of(__doc__)
    add_sizes(parser)
    options = parser.parse_args()
    stem = stem_of("metatrain", options)
    if not stem.with_suffix(".safetensors").is_file():
        parser.error(f"expected {stem}.safetensors: run metatrain_pet.py --prepare first")
    before = peak_mb()
    swing = Swing(options.copies)
    swing.atoms.calc = PETCalculator(str(stem))
    about = {
        "n_atoms": len(swing.atoms),
        "versions": versions_of("pet-kokkos", "ase"),
        "dtype": "float32",
        "backend": backend(),
        "first_force": swing.forces()[0].tolist(),
    }
    take_turns(stdout, lambda: timed(swing.forces, options.count), options.warm_up, before, about)


if __name__ == "__main__":
    main()
