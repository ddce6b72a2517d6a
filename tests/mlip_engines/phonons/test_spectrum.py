"""Phonons of a Lennard-Jones crystal are those of its dynamical matrix, written out as a sum over pairs."""

import numpy as np
import pytest
from ase import units
from ase.build import bulk

from mlip_engines import load_model
from mlip_engines.phonons import PhononSettings, phonons, smallest_supercell
from tests.exact_models import EPSILON, SIGMA

CUTOFF = 7.0  # Å, of argon_model
EV_PER_PLANCK_TO_THZ = units._e / units._hplanck * 1e-12
THZ = 1e-3  # displacements of 0.001 Å leave this much anharmonicity and round-off
SETTINGS = {
    "displacements": {"conservative": 0.001, "non_conservative": 0.001},
    "mesh": 15.0,
    "path_points": 11,
}


def pair_energy(r):
    """The energy of a pair as ``mlip_train.potentials.analytic`` states it."""
    return 4.0 * EPSILON * ((SIGMA / r) ** 12 - (SIGMA / r) ** 6) * (1.0 - (r / CUTOFF) ** 2) ** 3


def closed_form(crystal, q):
    """Frequencies in THz at q (in reciprocal lattice vectors): sum over pairs of u'' and u'/r."""
    n, h = len(crystal), 1e-4
    matrix = np.zeros((n, 3, n, 3), dtype=complex)
    images = np.array(list(np.ndindex(9, 9, 9))) - 4
    for i in range(n):
        for j in range(n):
            for image in images:
                vector = crystal.positions[j] - crystal.positions[i] + image @ crystal.cell.array
                r = np.linalg.norm(vector)
                if not 1e-6 < r < CUTOFF:
                    continue
                slope = (pair_energy(r + h) - pair_energy(r - h)) / (2.0 * h)
                curve = (pair_energy(r + h) - 2.0 * pair_energy(r) + pair_energy(r - h)) / h**2
                along = np.outer(vector, vector) / r**2
                block = curve * along + slope / r * (np.eye(3) - along)
                matrix[i, :, i] += block
                matrix[i, :, j] -= block * np.exp(2j * np.pi * image @ q)
    masses = np.repeat(crystal.get_masses(), 3)
    matrix = matrix.reshape(3 * n, 3 * n) / np.sqrt(np.outer(masses, masses))
    squares = np.linalg.eigvalsh(matrix)  # eV/(amu Å^2)
    omega = np.sign(squares) * np.sqrt(np.abs(squares)) * units.second * 1e-12  # rad/ps
    return omega / (2.0 * np.pi)


@pytest.fixture(scope="module")
def model(argon_model):
    return load_model(argon_model)


@pytest.fixture(scope="module", params=["fcc", "hcp"])
def crystal(request):
    return {"fcc": bulk("Ar", a=5.28), "hcp": bulk("Ar", "hcp", a=3.73, c=6.1)}[request.param]


@pytest.fixture(scope="module")
def found(model, crystal):
    return phonons(model, crystal, settings=PhononSettings(**SETTINGS))


def test_bands_are_those_of_the_dynamical_matrix(found, crystal):
    bands = found.phonopy.band_structure
    checked = 0
    primitive = found.phonopy.primitive
    for qs, frequencies in zip(bands.qpoints, bands.frequencies, strict=True):
        for q, own in list(zip(qs, frequencies, strict=True))[::5]:
            # q of the path belongs to the primitive cell that phonopy chose
            cartesian = np.linalg.inv(primitive.cell) @ q
            np.testing.assert_allclose(
                own, closed_form(crystal, crystal.cell.array @ cartesian), atol=THZ
            )
            checked += 1
    assert checked > 10
    assert found.imaginary_modes() == []


def test_free_energy_is_the_sum_over_modes(found):
    mesh, thermal = found.phonopy.mesh, found.thermal()
    k = 30  # 300 K
    assert thermal["temperature_K"][k] == 300.0
    energy = np.where(mesh.frequencies > 0, mesh.frequencies, np.nan) / EV_PER_PLANCK_TO_THZ
    kt = units.kB * 300.0
    each = 0.5 * energy + kt * np.log(1.0 - np.exp(-energy / kt))
    weights = mesh.weights / mesh.weights.sum()
    acoustic = mesh.frequencies < 1e-3  # at the centre of the zone; phonopy leaves them out
    total = float((weights[:, None] * np.where(acoustic, 0.0, each)).sum())
    wanted = total / (units.kJ / units.mol)
    assert thermal["free_energy_kJ_per_mol"][k] == pytest.approx(wanted, abs=1e-4)


def test_forces_without_swirl_and_displacement_are_recorded(model, crystal, found):
    assert found.displacement == 0.001
    assert found.residual_force < 1e-8
    assert found.drift < 1e-5
    assert found.n_displaced <= 2


def test_an_unstable_crystal_has_imaginary_modes_with_their_q(model):
    """Lennard-Jones atoms do not stay in a bcc lattice: it shears along [110], next to N."""
    bcc = bulk("Ar", "bcc", a=4.2)
    found = phonons(model, bcc, settings=PhononSettings(**SETTINGS))
    modes = found.imaginary_modes()
    assert modes and "imaginary modes" in found.warnings[-1]
    primitive = found.phonopy.primitive
    for q, lowest in modes[:3]:
        cartesian = np.linalg.inv(primitive.cell) @ q
        exact = closed_form(bcc, bcc.cell.array @ cartesian)[0]
        assert lowest == pytest.approx(exact, abs=2 * THZ)


@pytest.mark.parametrize("crystal", ["hcp"], indirect=True)
def test_files_are_read_by_phonopy(found, tmp_path):
    import phonopy

    found.write(tmp_path / "ar")
    again = phonopy.load(tmp_path / "ar" / "phonopy_params.yaml", produce_fc=False, log_level=0)
    own, read = (p.run_qpoints([[0.3, 0.1, 0.2]]).frequencies for p in (found.phonopy, again))
    np.testing.assert_allclose(read, own, atol=1e-6)
    assert {path.name for path in (tmp_path / "ar").iterdir()} == {
        "phonopy_params.yaml",
        "band.yaml",
        "total_dos.dat",
        "thermal_properties.yaml",
    }


def test_a_supercell_that_is_too_small_is_refused(model):
    crystal = bulk("Ar", a=5.28)
    assert smallest_supercell(crystal, model) == (5, 5, 5)  # 3.05 Å between faces, 14 Å needed
    with pytest.raises(ValueError, match="use --supercell 5 5 5"):
        phonons(model, crystal, settings=PhononSettings(supercell=(4, 5, 5), **SETTINGS))


def test_what_is_no_crystal_is_refused(model):
    crystal = bulk("Ar", a=5.28)
    crystal.pbc = [True, True, False]
    with pytest.raises(ValueError, match="periodic in three directions"):
        phonons(model, crystal)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"mesh": 0.0}, "mesh must be positive"),
        ({"displacements": {"conservative": -0.1}}, "displacement of conservative forces"),
        ({"supercell": (0, 1, 1)}, "three repeats"),
        ({"path_points": 1}, "at least 2 points"),
    ],
)
def test_settings_that_cannot_be_right_are_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        PhononSettings(**settings)
