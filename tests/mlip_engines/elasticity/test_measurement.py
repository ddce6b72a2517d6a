"""Elastic constants of Lennard-Jones crystals: sums over pairs, and energies of strained cells by ASE."""

import numpy as np
import pytest
from ase.build import bulk
from ase.filters import UnitCellFilter
from ase.optimize import LBFGS

from mlip_engines import MlipCalculator, load_model
from mlip_engines.elasticity import elasticity
from mlip_engines.elasticity.report import words
from mlip_engines.elasticity.tensor import VOIGT
from mlip_engines.relaxation.crystal import relaxed_crystal
from mlip_engines.units import EV_PER_CUBIC_ANGSTROM_TO_GPA
from tests.exact_models import EPSILON, SIGMA

CUTOFF = 7.0  # Å, of argon_model
GPA = 0.01  # the constants are 1 to 4 GPa; what is left are third-order terms and fmax


@pytest.fixture(scope="module")
def model(argon_model):
    return load_model(argon_model)


@pytest.fixture(scope="module")
def fcc(model):
    return relaxed_crystal(model, bulk("Ar", a=5.28), fmax=1e-6)[0]


@pytest.fixture(scope="module")
def found(model, fcc):
    return elasticity(model, fcc, strain=0.004, fmax=1e-5)


def pair_energy(r):
    """The energy of a pair as ``mlip_train.potentials.analytic`` states it."""
    return 4.0 * EPSILON * ((SIGMA / r) ** 12 - (SIGMA / r) ** 6) * (1.0 - (r / CUTOFF) ** 2) ** 3


def closed_form(crystal):
    """C_abcd = 1/(2V) sum_R (u''/r^2 - u'/r^3) R_a R_b R_c R_d of one atom a cell without stress (Born and Huang)."""
    h, total = 1e-4, np.zeros((3, 3, 3, 3))
    for image in np.array(list(np.ndindex(9, 9, 9))) - 4:
        x = image @ crystal.cell.array
        r = np.linalg.norm(x)
        if 0.0 < r < CUTOFF:
            slope = (pair_energy(r + h) - pair_energy(r - h)) / (2.0 * h)
            curve = (pair_energy(r + h) - 2.0 * pair_energy(r) + pair_energy(r - h)) / h**2
            weight = curve / r**2 - slope / r**3
            total += weight * np.einsum("a,b,c,d->abcd", x, x, x, x)
    total *= EV_PER_CUBIC_ANGSTROM_TO_GPA / (2.0 * crystal.get_volume())
    return np.array([[total[a, b, c, d] for c, d in VOIGT] for a, b in VOIGT])


def test_constants_of_fcc_are_those_of_the_sum_over_pairs(found, fcc):
    np.testing.assert_allclose(found.tensor.constants, closed_form(fcc), atol=GPA)
    c = found.tensor.constants
    assert c[0, 1] == pytest.approx(c[3, 3], abs=GPA)  # Cauchy
    assert found.asymmetry < GPA and found.warnings == []
    assert np.abs(found.stress).max() < 1e-3


def test_bulk_modulus_of_stress_and_of_energy_agree(found, fcc):
    state = found.equation_of_state
    assert state.bulk_modulus == pytest.approx(found.tensor.bulk["voigt"], rel=0.01)
    assert state.volume == pytest.approx(fcc.get_volume(), rel=1e-3)
    assert 6.0 < state.slope < 10.0  # Lennard-Jones crystals: about 8


@pytest.mark.parametrize(("component", "named"), [(0, "C11"), (3, "C44")])
def test_constants_of_hcp_are_curvatures_of_the_energy_with_relaxed_atoms(model, component, named):
    """Two atoms a cell: under strain, they move against each other."""
    crystal = bulk("Ar", "hcp", a=3.73, c=6.1)
    crystal.calc = MlipCalculator(model)
    LBFGS(UnitCellFilter(crystal), logfile=None).run(fmax=1e-6, steps=200)
    energies, h = [], 4e-3
    a, b = VOIGT[component]
    for size in (-h, 0.0, h):
        change = np.zeros((3, 3))
        change[a, b] += size / 2
        change[b, a] += size / 2
        strained = crystal.copy()
        strained.set_cell(crystal.cell.array @ (np.eye(3) + change), scale_atoms=True)
        strained.calc = crystal.calc
        LBFGS(strained, logfile=None).run(fmax=1e-7, steps=200)
        energies.append(strained.get_potential_energy())
    curve = (energies[0] - 2.0 * energies[1] + energies[2]) / h**2 / crystal.get_volume()
    crystal.calc = None
    constants = elasticity(model, crystal, strain=0.004, fmax=1e-6).tensor.constants
    wanted = curve * EV_PER_CUBIC_ANGSTROM_TO_GPA
    assert constants[component, component] == pytest.approx(wanted, abs=2 * GPA), named
    assert constants[5, 5] == pytest.approx((constants[0, 0] - constants[0, 1]) / 2, abs=1e-6)


def test_a_crystal_under_pressure_is_warned_about(model):
    found = elasticity(model, bulk("Ar", a=5.15), strain=0.004, fmax=1e-5)
    assert "relax its cell first" in found.warnings[0]


def test_a_crystal_that_shears_is_reported_as_not_stable(model):
    """The bcc lattice of Lennard-Jones atoms has C11 < C12 (Born); no moduli are stated."""
    bcc = relaxed_crystal(model, bulk("Ar", "bcc", a=4.2), fmax=1e-5)[0]
    found = elasticity(model, bcc, strain=0.002, fmax=1e-5)
    constants = found.tensor.constants
    np.testing.assert_allclose(constants, closed_form(bcc), atol=2 * GPA)
    assert constants[0, 0] < constants[0, 1] and not found.tensor.is_stable
    assert "not stable" in found.warnings[-1] and "not stable" in words(found)[0]
    assert found.summary()["shear_modulus_GPa"] is None


@pytest.mark.parametrize("strain", [0.0, -0.1, 0.2, np.nan])
def test_strains_that_cannot_be_right_are_refused(model, strain):
    with pytest.raises(ValueError, match="expected a strain"):
        elasticity(model, bulk("Ar", a=5.3), strain=strain)


def test_what_is_no_crystal_is_refused(model):
    slab = bulk("Ar", a=5.3)
    slab.pbc = [True, True, False]
    with pytest.raises(ValueError, match="periodic in three directions"):
        elasticity(model, slab)
