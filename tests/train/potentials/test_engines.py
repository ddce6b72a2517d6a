"""The empirical potential and a hybrid in both engines: the energy of the start is that of ASE."""

import pytest
from ase.build import bulk

from mlip_engines import MlipCalculator
from mlip_engines.simulations.engine import make_engine
from mlip_engines.simulations.simulation import Forces, Simulation
from mlip_train.networks import build_network
from tests.exact_models import write_model
from tests.tolerances import TOLERANCE

SETTINGS = {
    "eam": {"name": "eam", "species": [8, 14]},
    "hybrid": {
        "name": "painn",
        "species": [8, 14],
        "cutoff": 4.5,
        "n_features": 8,
        "n_layers": 1,
        "non_conservative_layer": 1,
        "empirical": True,
    },
}


@pytest.mark.parametrize(
    "engine",
    [
        pytest.param("lammps", marks=pytest.mark.lammps),
        pytest.param("openmm", marks=pytest.mark.openmm),
    ],
)
@pytest.mark.parametrize("name", SETTINGS)
def test_an_engine_has_the_energy_of_ase_and_keeps_it(name, engine, tmp_path):
    atoms = bulk("SiO", "rocksalt", 4.6, cubic=True).repeat(2)
    atoms.rattle(0.05, seed=1)
    network = build_network(SETTINGS[name]).double()
    path = write_model(tmp_path / "model.pt", network, ["O", "Si"])
    forces = Forces("respa", 2) if name == "hybrid" else Forces("conservative")
    simulation = Simulation(forces, 0.02, inner_step_fs=0.5, temperature_K=50.0, row_every_fs=2.0)
    run = make_engine(engine, path).run(simulation, atoms.copy(), tmp_path / "run")
    atoms.calc = MlipCalculator(path)
    tolerance = TOLERANCE["float64"].energy
    assert run.potential_eV[0] == pytest.approx(atoms.get_potential_energy(), abs=tolerance)
    assert not run.stopped
    change = abs(run.conserved_eV - run.conserved_eV[0]).max()
    assert change < 0.05 * abs(run.kinetic_eV[0].sum())
