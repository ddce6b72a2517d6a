"""Contestant: i-PI's multiple time steps with metatrain's PET of random weights, in one process.

Direct forces in M inner steps of 0.5 fs, the correction in the outer step; or conservative forces in every step. The
file is the one that ``metatrain_pet.py --prepare`` writes.
"""

import os
from pathlib import Path

import ase.io
from ipi.scripting import InteractiveSimulation
from metatrain_pet import random_pet
from pet_sizes import add_sizes, stem_of
from turns import claim_stdout, parser_of, peak_mb, take_turns, timed, versions_of

WATER = Path(__file__).parents[2] / "examples" / "water_64.extxyz"
INNER_STEP = 0.5  # fs
FIELD = """
<ffdirect name="{name}" threaded="False">
  <pes>metatomic</pes>
  <parameters>{{ template: {start}, model: {model}, device: cpu, non_conservative: {direct} }}</parameters>
</ffdirect>"""
SIMULATION = """
<simulation verbosity="quiet" safe_stride="1000000">
  <output prefix="{prefix}"></output>
  <prng><seed>4711</seed></prng>
  {fields}
  <system>
    <initialize nbeads="1">
      <file mode="ase" units="angstrom">{start}</file>
      <velocities mode="thermal" units="kelvin">75</velocities>
    </initialize>
    <forces>{forces}</forces>
    <ensemble><temperature units="kelvin">75</temperature></ensemble>
    <motion mode="dynamics">
      <dynamics mode="nve">
        <timestep units="femtosecond">{step}</timestep>
        <nmts>{nmts}</nmts>
      </dynamics>
    </motion>
  </system>
</simulation>"""


def simulation_of(model: Path, folder: Path, inner_steps: int) -> InteractiveSimulation:
    """Return a simulation of 192 atoms, with multiple time steps unless there is one inner step."""
    start = folder / "ipi-start.extxyz"
    ase.io.write(start, ase.io.read(WATER))
    named = {"start": start, "model": model}
    fields = FIELD.format(name="conservative", direct="False", **named)
    forces = '<force forcefield="conservative"><mts_weights>[1]</mts_weights></force>'
    nmts = "[1]"
    if inner_steps > 1:
        fields += FIELD.format(name="direct", direct="True", **named)
        # the outer level has C - NC, the inner one NC
        forces = (
            '<force forcefield="conservative"><mts_weights>[1, 0]</mts_weights></force>'
            '<force forcefield="direct"><mts_weights>[-1, 1]</mts_weights></force>'
        )
        nmts = f"[1, {inner_steps}]"
    return InteractiveSimulation(
        SIMULATION.format(
            prefix=folder / "ipi",
            fields=fields,
            start=start,
            forces=forces,
            step=INNER_STEP * inner_steps,
            nmts=nmts,
        )
    )


def main() -> None:
    """Write the model, or run steps when asked to."""
    stdout = claim_stdout()
    parser = parser_of(__doc__.splitlines()[0])
    parser.add_argument("--inner-steps", type=int, default=1, help="1: conservative forces")
    add_sizes(parser)
    options = parser.parse_args()
    model = stem_of("metatrain", options).with_suffix(".pt")
    if options.prepare:
        if not model.is_file():
            random_pet(options).export().save(str(model))
        return
    before = peak_mb()
    folder = options.files.absolute() / f"ipi-{options.inner_steps}"
    folder.mkdir(exist_ok=True)
    model = model.absolute()
    os.chdir(folder)  # i-PI leaves a RESTART file where it ends
    simulation = simulation_of(model, folder, options.inner_steps)
    about = {
        "n_atoms": 192,
        "versions": versions_of("ipi", "metatrain", "metatomic-torch", "torch"),
        "dtype": "float32",
    }

    def turn() -> list[tuple[float, float]]:
        return timed(lambda: simulation.run(1), options.count, per_call=options.inner_steps)

    take_turns(stdout, turn, options.warm_up, before, about)


if __name__ == "__main__":
    main()
