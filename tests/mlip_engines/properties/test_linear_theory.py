"""Linear theory against closed forms, and against many simulated wells that know nothing of matrices of covariance."""

import ase.units
import numpy as np
import pytest

from mlip_engines import load_model
from mlip_engines.properties.linear_theory import (
    BathedRespa,
    LinearMolecule,
    linear_molecules,
    sampling,
)
from tests.exact_models import CURL, K

PS = 1000.0 * ase.units.fs  # in ASE's unit of time


def well(omegas, masses, symbols, jacobian=1.0) -> LinearMolecule:
    """Each coordinate with an angular frequency of its own, 1/ps; NC is C times a number."""
    hessian = np.diag(np.repeat(masses, 3) * np.asarray(omegas, dtype=float) ** 2) / PS**2
    masses = np.asarray(masses, dtype=float)
    return LinearMolecule(symbols, np.zeros((len(masses), 3)), masses, hessian, jacobian * hessian)


@pytest.mark.parametrize("omega_h", [0.1, 0.9, 1.7])
def test_verlet_around_a_bath_samples_positions_exactly(omega_h):
    """The known result for BAOAB: <x^2> = kT/k for any stable step, and <v^2> = kT/m (1 - (omega h)^2/4)."""
    h_fs = 2.0
    one = well([omega_h / (h_fs / 1000.0)] * 3, [16.0], ["O"])
    found = sampling([one], BathedRespa(h_fs, 1, friction=5.0))
    assert found.configurational["O"] == pytest.approx(1.0, abs=1e-8)
    assert found.kinetic["O"] == pytest.approx(1.0 - omega_h**2 / 4.0, abs=1e-8)
    assert found.potential == pytest.approx(0.0, abs=1e-8)


def test_an_exact_inner_force_makes_the_outer_step_irrelevant():
    one = well([150.0, 60.0, 20.0], [1.008], ["H"])
    reference = sampling([one], BathedRespa(1.0, 1, 2.0, 200.0, 100.0))
    for inner_steps in (4, 20, 50):
        found = sampling([one], BathedRespa(1.0, inner_steps, 2.0, 200.0, 100.0))
        assert found.configurational["H"] == pytest.approx(reference.configurational["H"], abs=1e-8)


def test_half_a_period_is_a_resonance():
    """An outer step of half a period, and an inner force that is 10 % off: unstable, or hot with friction."""
    omega = 400.0
    one = well([omega] * 3, [1.008], ["H"], jacobian=0.9)
    resonance = round(np.pi / omega / 1e-4)  # inner steps of 0.1 fs
    weak = sampling([one], BathedRespa(0.1, resonance, 0.1))
    assert weak.largest_eigenvalue > 1.0
    assert np.isnan(weak.configurational["H"])
    assert np.isnan(weak.potential)
    strong = sampling([one], BathedRespa(0.1, resonance, 80.0))
    assert strong.configurational["H"] > 1.4
    damped = sampling([one], BathedRespa(0.1, resonance, 0.1, 500.0, 200.0))
    assert 1.0 < damped.configurational["H"] < 1.2


def test_many_simulated_wells_have_the_temperatures_of_the_theory():
    """One light and one heavy atom, coupled, with an inner force that has a curl; 4000 copies of them, step by step."""
    random = np.random.default_rng(2)
    masses = np.array([1.008, 16.0])
    raw = random.standard_normal((6, 6))
    hessian = 20.0 * np.eye(6) + raw @ raw.T
    jacobian = hessian + 2.0 * random.standard_normal((6, 6))
    molecule = LinearMolecule(["H", "O"], np.zeros((2, 3)), masses, hessian, jacobian)
    r = BathedRespa(0.6, 10, friction=8.0, high_pass_friction=100.0, memory_rate=150.0)
    theory = sampling([molecule], r)

    m, h = np.repeat(masses, 3), r.inner_step_fs / 1000.0
    kt = 1.0 / PS**2  # so that v is in Å/ps; ratios do not depend on it
    x, v, s = (np.sqrt(kt / m) * random.standard_normal((4000, 6)) for _ in range(3))
    v, s = v * PS, s * PS
    width = np.sqrt(kt / m) * PS
    light = m < 4.5
    g, a, k = r.high_pass_friction, r.memory_rate, r.friction
    forget = np.exp(-(g + a) * h)
    c, t, q = [], [], []
    for step in range(300):
        v -= 0.5 * r.inner_steps * h * (x @ (hessian - jacobian).T) / m * PS**2
        for _ in range(r.inner_steps):
            v -= 0.5 * h * (x @ jacobian.T) / m * PS**2
            x += 0.5 * h * v
            w = (np.sqrt(g) * v + np.sqrt(a) * s) / np.sqrt(g + a)
            d = (forget - 1.0) * w + np.sqrt(1.0 - forget**2) * width * random.standard_normal(
                x.shape
            )
            v = np.where(light, v + np.sqrt(g / (g + a)) * d, v)
            s = np.where(light, s + np.sqrt(a / (g + a)) * d, s)
            left = np.exp(-k * h)
            v = left * v + np.sqrt(1.0 - left**2) * width * random.standard_normal(x.shape)
            x += 0.5 * h * v
            v -= 0.5 * h * (x @ jacobian.T) / m * PS**2
        v -= 0.5 * r.inner_steps * h * (x @ (hessian - jacobian).T) / m * PS**2
        if step >= 100:
            force = x @ hessian
            c.append((force**2).mean(axis=0))
            t.append((v**2).mean(axis=0))
            q.append(0.5 * (force * x).sum(axis=1).mean() / 6)
    c, t = np.mean(c, axis=0), np.mean(t, axis=0)
    for part, symbol in ((slice(0, 3), "H"), (slice(3, 6), "O")):
        configurational = c[part].sum() / np.diag(hessian)[part].sum() / kt
        kinetic = (t * m)[part].sum() / 3 / (kt * PS**2)
        assert theory.configurational[symbol] == pytest.approx(configurational, rel=0.01)
        assert theory.kinetic[symbol] == pytest.approx(kinetic, rel=0.01)
    assert theory.potential == pytest.approx(np.mean(q) / kt - 0.5, abs=0.005)
    assert abs(theory.configurational["H"] - 1.0) > 0.02  # there was something to see


def test_the_wells_of_a_model_are_its_derivatives(linear_model, cluster):
    """Springs between all pairs: H = k L (x) 1, and the head has a curl about z; one cluster is one well."""
    (well,) = linear_molecules(load_model(linear_model), cluster)
    n = len(cluster)
    laplacian = n * np.eye(n) - np.ones((n, n))
    z = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    np.testing.assert_allclose(well.hessian, np.kron(laplacian, K * np.eye(3)), atol=1e-4)
    np.testing.assert_allclose(
        well.jacobian, np.kron(laplacian, K * np.eye(3) + CURL * z), atol=1e-4
    )
    assert well.symbols == cluster.get_chemical_symbols()


def test_atoms_of_a_crystal_are_wells_of_their_own(argon_model, argon):
    wells = linear_molecules(load_model(argon_model), argon)
    assert {w.hessian.shape for w in wells} == {(3, 3)}
    assert 10 < len(wells) <= 60
    # a cubic site: the same stiffness in every direction
    np.testing.assert_allclose(wells[0].hessian, wells[0].hessian[0, 0] * np.eye(3), atol=1e-6)


def test_mass_goes_from_the_nearest_atom_to_hydrogens():
    positions = np.array([[0.0, 0, 0], [1.0, 0, 0], [0, 1.0, 0], [3.0, 0, 0]])
    masses = np.array([16.0, 1.0, 1.0, 12.0])
    molecule = LinearMolecule(
        ["O", "H", "H", "C"], positions, masses, np.eye(12), np.eye(12)
    ).with_hydrogen_mass(3.0)
    np.testing.assert_allclose(molecule.masses, [12.0, 3.0, 3.0, 12.0])


def test_what_settles_to_nothing_is_refused():
    one = well([100.0] * 3, [1.008], ["H"])
    with pytest.raises(ValueError, match="at least one molecule"):
        sampling([], BathedRespa(1.0, 1))
    with pytest.raises(ValueError, match="friction of more than 0"):
        sampling([one], BathedRespa(1.0, 1, friction=0.0))


@pytest.mark.parametrize("outer_step_fs", [1.0, 3.0, 6.0])
def test_ends_of_outer_steps_see_a_constant_force_wrongly_and_inner_steps_see_it_rightly(
    outer_step_fs,
):
    """What docs/measurements/long_steps.md says, from an oscillator that is kicked by a constant force."""
    omega, m, force, n = 2.0 * np.pi / 9.5, 1.0, 1.0, 200  # 1/fs; the O-H stretch
    h = outer_step_fs / n
    c, s = np.cos(omega * h), np.sin(omega * h)
    half = 0.5 * force * outer_step_fs / m

    def step(x, v):
        v, seen = v + half, []
        for _ in range(n):
            middle = x * np.cos(omega * h / 2) + v / omega * np.sin(omega * h / 2)
            x, v = c * x + s / omega * v, -omega * s * x + c * v
            seen.append(middle)
        return x, v + half, np.mean(seen)

    # Many steps from rest: the mean over steps of a bounded linear map is its fixed point.
    x = v = 0.0
    ends, within = [], []
    for _ in range(20000 // n * 5):
        x, v, mean = step(x, v)
        ends.append(x)
        within.append(mean)
    phase = omega * outer_step_fs / 2.0
    true = force / (m * omega**2)
    assert np.mean(ends) / true == pytest.approx(phase / np.tan(phase), abs=0.02)
    assert np.mean(within) / true == pytest.approx(1.0, abs=0.02)
