"""examples/lammps/ensembles.in: temperatures, conserved quantities, boxes, with Verlet and r-RESPA.

The system is a Lennard-Jones crystal of which a third has the mass of oxygen and the rest that of hydrogen, so
equipartition between fast and slow atoms can fail. Its head adds a curl that heats the system by itself.
"""

import shutil

import numpy as np
import pytest
from ase.build import bulk

from tests.examples.lammps.test_inputs import EXAMPLES
from tests.lammps_plugin.runner import read_thermo, run_script, write_data

ENSEMBLES = ["nve", "nvt_langevin", "nvt_nose", "nvt_csvr", "nvt_gle"]
ENSEMBLES += [f"{kind}_{box}" for kind in ("npt", "nph") for box in ("iso", "aniso", "tri")]


@pytest.fixture
def run_ensembles(models, tmp_path):
    """Run several ensembles in one LAMMPS process; returns a thermo table for each."""
    atoms = bulk("O", "fcc", a=5.4, cubic=True).repeat(2)
    atoms.symbols[np.arange(len(atoms)) % 3 > 0] = "H"
    atoms.rattle(0.1, rng=np.random.default_rng(1))
    write_data(tmp_path / "water.data", atoms, ["O", "H"])
    shutil.copy(EXAMPLES / "gle.A", tmp_path)

    def run(names, **variables):
        settings = {"model": models["liquid"], "temperature": 60, **variables}
        script = ""
        for name in names:
            # before the script sets its defaults
            values = "".join(f"variable {k} index {v}\n" for k, v in settings.items())
            script += f"clear\nvariable ensemble delete\nvariable ensemble index {name}\n{values}"
            script += f"include {EXAMPLES / 'ensembles.in'}\n"
            script += "".join(f"variable {k} delete\n" for k in settings)
        tables = run_script(script, tmp_path).split("Reading data file")[1:]
        assert len(tables) == len(names)
        return {name: read_thermo(t) for name, t in zip(names, tables, strict=True)}

    return run


@pytest.mark.parametrize("inner_steps", [0, 1, 4, 8], ids=["verlet", "M1", "M4", "M8"])
def test_conserved_quantity_of_every_ensemble(run_ensembles, inner_steps):
    """What thermostat and barostat exchange is accounted for, with the conservative energy and virial."""
    tables = run_ensembles(
        ENSEMBLES, M=inner_steps, steps=400, every=8, tau=0.05, taup=0.3, temperature=60
    )
    for name, thermo in tables.items():
        conserved = thermo["Econserve"]
        # the energy that goes back and forth: between kinetic and potential, or with the bath
        exchanged = max(np.ptp(thermo["PotEng"]), np.ptp(thermo["TotEng"]))
        assert len(conserved) == 51
        assert exchanged > 0.02, name
        assert np.ptp(conserved) < 0.1 * exchanged, name
        if name.startswith("np"):
            assert np.ptp(thermo["Volume"]) > 1e-3 * thermo["Volume"][0], name
        else:
            assert np.ptp(thermo["Volume"]) == 0.0, name


@pytest.mark.slow
@pytest.mark.parametrize("inner_steps", [0, 4], ids=["verlet", "M4"])
def test_thermostats_give_their_temperature_to_all_atoms(run_ensembles, inner_steps):
    """Mean kinetic energies of all, heavy and light atoms within their errors of kT/2."""
    names = ["nvt_langevin", "nvt_nose", "nvt_csvr", "nvt_gle"]
    tables = run_ensembles(names, M=inner_steps, steps=5000, every=8, tau=0.05, inner=0.001)
    for name, thermo in tables.items():
        for column in ("Temp", "c_to", "c_th"):
            values = thermo[column][len(thermo[column]) // 5 :]
            blocks = values[: len(values) // 16 * 16].reshape(16, -1).mean(axis=1)
            error = blocks.std(ddof=1) / np.sqrt(len(blocks))
            assert error < 4.0, (name, column)
            assert abs(blocks.mean() - 60.0) < 4.0 * error, (name, column)


def test_non_conservative_forces_heat_what_r_respa_keeps(run_ensembles):
    kept = run_ensembles(["nve"], M=4, steps=4000)["nve"]["TotEng"]
    heated = run_ensembles(["nve"], M=0, steps=4000, forces="non_conservative")["nve"]["TotEng"]
    assert abs(heated[-1] - heated[0]) > 20.0 * np.ptp(kept)


@pytest.mark.parametrize(
    ("style", "box"),
    [("fire", "fixed"), ("cg", "fixed"), ("cg", "iso"), ("cg", "aniso"), ("cg", "tri")],
)
def test_minimizer_and_box_relax_find_zero_force_and_pressure(models, tmp_path, style, box):
    """A squeezed crystal with its atoms out of place."""
    atoms = bulk("Ar", a=5.4, cubic=True).repeat(2)
    atoms.set_cell(atoms.cell.array @ np.diag([0.98, 1.01, 1.0]), scale_atoms=True)
    atoms.rattle(0.3, rng=np.random.default_rng(4))
    atoms.symbols[:] = "O"
    write_data(tmp_path / "water.data", atoms, ["O", "H"])
    script = f"""
variable style index {style}
variable box index {box}
variable steps index 0
variable iterations index 400
variable model index {models["liquid"]}
include {EXAMPLES / "minimise.in"}
"""
    thermo = read_thermo(run_script(script, tmp_path))
    final = np.flatnonzero(thermo["Step"] == thermo["Step"].max())[0]
    assert thermo["Fmax"][0] > 0.1
    assert thermo["PotEng"][final] < thermo["PotEng"][0] - 0.01
    assert thermo["Fmax"][final] < 0.05
    assert abs(thermo["Press"][0]) > 100.0  # bar
    if box != "fixed":
        assert abs(thermo["Press"][final]) < 20.0
