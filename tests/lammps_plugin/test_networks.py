"""Every network that can be trained runs in LAMMPS: energies, both forces and r-RESPA, on one and on two processes."""

import ase.units
import numpy as np
import pytest
import torch

from mlip_engines import MlipCalculator
from mlip_train.networks import build_network
from structures import STRUCTURES
from tests.lammps_plugin.model_files import SPECIES, export_network
from tests.lammps_plugin.runner import run_structures
from tests.respa_steps import moving, respa_steps
from tests.small_networks import NETWORKS
from tolerances import TOLERANCE

pytestmark = pytest.mark.lammps

LIMIT = TOLERANCE["float64"]
STYLES = ("mlip", "mlip forces non_conservative", "mlip parallel halo")
# PaiNN and PET have tests of their own.
OTHERS = sorted(set(NETWORKS) - {"painn", "pet"})


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Random networks in files, by name."""
    folder = tmp_path_factory.mktemp("networks")
    paths = {}
    for name in OTHERS:
        torch.manual_seed(7)
        settings = {"name": name, "species": [1, 8], "cutoff": 3.0, **NETWORKS[name]}
        network = build_network({**settings, "non_conservative_stress": True})
        paths[name] = export_network(network.eval(), folder / f"{name}.pt", scale=5.0)
    return paths


@pytest.fixture(scope="module", params=[1, 2])
def found(request, files, tmp_path_factory):
    """Results of LAMMPS by network and style, all in one start."""
    cases = [(name, style) for name in OTHERS for style in STYLES]
    results = run_structures(
        [STRUCTURES["triclinic"]()] * len(cases),
        [files[name] for name, _ in cases],
        tmp_path_factory.mktemp("run"),
        species=SPECIES,
        pair_style=[style for _, style in cases],
        processes=request.param,
    )
    return dict(zip(cases, results, strict=True))


@pytest.mark.parametrize("name", OTHERS)
def test_lammps_gives_what_ase_gives(files, found, name):
    atoms = STRUCTURES["triclinic"]()
    atoms.calc = MlipCalculator(files[name])
    for style in ("mlip", "mlip parallel halo"):
        result = found[name, style]
        assert abs(result.energy - atoms.get_potential_energy()) < LIMIT.energy
        np.testing.assert_allclose(result.forces, atoms.get_forces(), rtol=0, atol=LIMIT.force)
        virial = -atoms.get_stress(voigt=False) * atoms.get_volume()
        np.testing.assert_allclose(result.virial, virial, rtol=0, atol=LIMIT.virial)
    atoms.calc = MlipCalculator(files[name], forces="non_conservative")
    direct = found[name, "mlip forces non_conservative"].forces
    np.testing.assert_allclose(direct, atoms.get_forces(), rtol=0, atol=LIMIT.force)
    assert np.abs(direct).max() > 1e3 * LIMIT.force


@pytest.mark.parametrize("processes", [1, 2])
def test_respa_follows_its_equations(files, tmp_path, processes):
    atoms = moving(STRUCTURES["triclinic"]())
    commands = (
        "fix move all nve\ntimestep 0.0015\nrun_style respa 2 3 inner 1 2.0 3.0 outer 2\nrun 4\n"
    )
    results = run_structures(
        [atoms] * len(OTHERS),
        [files[name] for name in OTHERS],
        tmp_path,
        species=SPECIES,
        commands=commands,
        processes=processes,
    )
    for name, result in zip(OTHERS, results, strict=True):
        expected = respa_steps(atoms, files[name], 0.5, 3, 4)
        np.testing.assert_allclose(result.positions, expected, rtol=0, atol=LIMIT.position)
        # which is not what either force would do alone
        moved = atoms.positions + 0.006 * ase.units.fs * 1000.0 * atoms.get_velocities()
        assert np.abs(expected - moved).max() > 1e-4
