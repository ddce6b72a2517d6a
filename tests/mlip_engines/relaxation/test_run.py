"""Many structures relaxed together end where optimisers of ASE take each of them alone."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111
from ase.constraints import FixAtoms, FixBondLength
from ase.filters import UnitCellFilter
from ase.optimize import LBFGS

from mlip_engines import MlipCalculator, load_model
from mlip_engines.relaxation import Settings, relax, relax_each
from mlip_engines.relaxation.under_way import UnderWay
from mlip_train.potentials.analytic import HarmonicPair
from tests.exact_models import SIGMA, argon_model, write_model  # noqa: F401
from tolerances import EXACT, TOLERANCE

FMAX = 1e-4  # eV/Å; the cohesive energy of the model is 0.09 eV
POSITION = 2e-3  # Å; a force of FMAX over the softest force constant, 0.05 eV/Å^2


@pytest.fixture(scope="module")
def model(argon_model):  # noqa: F811
    return load_model(argon_model)


def argon_structures():
    """Clusters and crystals, deformed."""
    rng = np.random.default_rng(5)
    triangle = Atoms("Ar3", [[0, 0, 0], [3.9, 0.2, 0], [1.8, 3.4, 0.3]])
    tetrahedron = Atoms("Ar4", [[0, 0, 0], [3.9, 0, 0], [1.9, 3.3, 0], [1.9, 1.1, 3.2]])
    crystals = [bulk("Ar", a=5.3), bulk("Ar", a=5.2, cubic=True), bulk("Ar", "hcp", a=3.7, c=6.1)]
    for crystal in crystals:
        strain = 0.03 * rng.normal(size=(3, 3))
        crystal.set_cell(crystal.cell.array @ (np.eye(3) + strain), scale_atoms=True)
        crystal.rattle(0.05, seed=4)
    return [triangle, crystals[0], tetrahedron, crystals[1], crystals[2]]


@pytest.fixture(scope="module")
def relaxed(model):
    return relax(model, argon_structures(), cell=True, fmax=FMAX, keep_path=True)


def test_ends_are_those_of_ase(model, relaxed):
    for before, after in zip(argon_structures(), relaxed, strict=True):
        alone = before.copy()
        alone.calc = MlipCalculator(model)
        moving = UnitCellFilter(alone) if alone.pbc.all() else alone
        LBFGS(moving, logfile=None).run(fmax=FMAX, steps=500)
        assert after.converged
        assert after.energy_after == pytest.approx(alone.get_potential_energy(), abs=1e-6)
        here, there = (a.get_all_distances(mic=bool(a.pbc.all())) for a in (after.atoms, alone))
        np.testing.assert_allclose(here, there, atol=POSITION)
        np.testing.assert_allclose(
            after.atoms.cell.lengths(), alone.cell.lengths(), atol=3 * POSITION
        )


def test_what_is_returned_belongs_to_the_last_structure(model, relaxed):
    for after in relaxed:
        again = after.atoms.copy()
        again.calc = MlipCalculator(model)
        assert after.energy_after == pytest.approx(again.get_potential_energy(), abs=EXACT)
        np.testing.assert_allclose(after.atoms.get_forces(), again.get_forces(), atol=EXACT)
        assert np.linalg.norm(again.get_forces(), axis=1).max() <= FMAX
        if after.atoms.pbc.all():
            np.testing.assert_allclose(after.atoms.get_stress(), again.get_stress(), atol=EXACT)


def test_path_has_every_step_from_first_to_last(model, relaxed):
    for before, after in zip(argon_structures(), relaxed, strict=True):
        assert len(after.path) == after.steps + 1
        np.testing.assert_allclose(after.path[0].positions, before.positions, atol=EXACT)
        assert after.path[0].get_potential_energy() == after.energy_before
        assert after.path[-1].get_potential_energy() == after.energy_after
        middle = after.path[len(after.path) // 2].copy()
        energy = after.path[len(after.path) // 2].get_potential_energy()
        middle.calc = MlipCalculator(model)
        assert middle.get_potential_energy() == pytest.approx(energy, abs=EXACT)


def test_neighbours_in_a_batch_change_nothing(model, relaxed):
    """Alone, with another skin: lists are renewed at other steps, and the path is the same."""
    alone = relax(
        model, argon_structures(), cell=True, fmax=FMAX, max_edges=1, skin=0.05, keep_path=True
    )
    for one, together in zip(alone, relaxed, strict=True):
        assert one.steps == together.steps
        for a, b in zip(one.path, together.path, strict=True):
            np.testing.assert_allclose(a.positions, b.positions, atol=TOLERANCE["float64"].position)


def test_a_fixed_cell_stays_and_so_do_fixed_atoms(model):
    crystal = bulk("Ar", a=5.4, cubic=True)
    crystal.rattle(0.1, seed=1)
    crystal.set_constraint(FixAtoms([1, 2]))
    (after,) = relax(model, [crystal], fmax=FMAX)
    assert after.converged
    np.testing.assert_array_equal(after.atoms.cell.array, crystal.cell.array)
    np.testing.assert_array_equal(after.atoms.positions[1:3], crystal.positions[1:3])
    assert np.abs(after.atoms.positions[0] - crystal.positions[0]).max() > 0.01


def test_a_slab_keeps_its_cell_beside_a_crystal_that_changes(model):
    slab = fcc111("Ar", (1, 1, 4), a=5.3, vacuum=8.0)
    slab.rattle(0.02, seed=2)
    after = relax(model, [slab, bulk("Ar", a=5.2)], cell=True, fmax=FMAX)
    assert all(each.converged for each in after)
    np.testing.assert_array_equal(after[0].atoms.cell.array, slab.cell.array)
    assert after[1].atoms.get_volume() != pytest.approx(5.2**3 / 4, rel=0.01)


def test_harmonic_pair_ends_at_its_length(tmp_path):
    """A bond of closed form; FIRE and L-BFGS, and non-conservative forces without swirl."""
    path = write_model(tmp_path / "bond.pt", HarmonicPair(200.0, k=3.0, r0=1.2), ["Ar"])
    model = load_model(path)
    bond = Atoms("Ar2", [[0, 0, 0], [0.9, 0.4, 0.5]])
    for settings in (
        {"optimiser": "fire"},
        {"optimiser": "lbfgs"},
        {"forces": "non_conservative"},
    ):
        (after,) = relax(model, [bond], fmax=1e-5, **settings)
        # the cutoff factor shifts the length by 3e-7 of it
        assert after.atoms.get_distance(0, 1) == pytest.approx(1.2, abs=1e-5), settings


def test_failures_have_reasons_and_do_not_stop_the_others(model):
    far = Atoms("Ar2", [[0, 0, 0], [0, 0, 3.0]])
    bound = Atoms("Ar2", [[0, 0, 0], [0, 0, 3.9]])
    bound.set_constraint(FixBondLength(0, 1))
    given = [
        Atoms("ArXe", [[0, 0, 0], [0, 0, 4.0]]),
        Atoms("Ar2"),
        Atoms(),
        bound,
        far,
        Atoms("Ar", [[np.nan, 0, 0]]),
        Atoms("Ar2", [[0, 0, 0], [0, 0, 1e-9]]),  # forces are not finite
        Atoms("Ar"),
    ]
    found = relax(model, given, steps=2, fmax=1e-6)
    assert [each.failure for each in found] == [
        "element unknown",
        "refused",
        "refused",
        "refused",
        "not converged",
        "refused",
        "exploded",
        None,
    ]
    assert "Xe" in found[0].reason and "different places" in found[1].reason
    assert "FixBondLength" in found[3].reason and "after 2 steps" in found[4].reason
    assert found[4].steps == 2 and found[7].steps == 0


def test_a_cell_that_flies_apart_has_exploded(tmp_path):
    """Springs that push: the energy has no lower bound."""
    network = HarmonicPair(4.0, k=-0.5, r0=0.0)
    model = load_model(write_model(tmp_path / "push.pt", network, ["Ar"]))
    crystal = bulk("Ar", a=3.0)
    found = relax(model, [crystal, Atoms("Ar")], cell=True, fmax=1e-9, steps=300)
    assert found[0].failure in ("exploded", "not converged")
    assert found[1].converged


def test_non_conservative_forces_vanish_at_the_end_and_come_with_the_energy(model):
    """The head of the model swirls around z, weakly enough for FIRE to get somewhere."""
    triangle = argon_structures()[0]
    (after,) = relax(
        model,
        [triangle],
        forces="non_conservative",
        optimiser="fire",
        steps=40,
        fmax=1e-4,
        keep_path=True,
    )
    for atoms, energy in ((triangle, after.energy_before), (after.atoms, after.energy_after)):
        again = atoms.copy()
        again.calc = MlipCalculator(model, forces="non_conservative")
        assert energy == pytest.approx(again.get_potential_energy(), abs=EXACT)
    np.testing.assert_allclose(after.atoms.get_forces(), again.get_forces(), atol=EXACT)
    assert after.path[0].get_potential_energy() == after.energy_before
    assert after.energy_after < after.energy_before


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"optimiser": "newton"}, "optimiser must be one of"),
        ({"fmax": 0.0}, "fmax must be positive"),
        ({"fmax": np.nan}, "fmax must be positive"),
        ({"cell": True, "forces": "non_conservative"}, "stress of the energy"),
        ({"steps": -1}, "at least 0"),
    ],
)
def test_settings_that_cannot_be_right_are_refused(model, settings, words):
    with pytest.raises(ValueError, match=words):
        relax(model, [Atoms("Ar")], **settings)


def test_forces_that_a_model_lacks_are_refused(tmp_path):
    network = HarmonicPair(4.0, with_non_conservative_head=False)
    model = load_model(write_model(tmp_path / "energy.pt", network, ["Ar"]))
    with pytest.raises(ValueError, match="need a model with this head"):
        relax(model, [Atoms("Ar")], forces="non_conservative")


def test_bfgs_ends_where_lbfgs_does(model, relaxed):
    for one, other in zip(
        relax(model, argon_structures(), cell=True, fmax=FMAX, optimiser="bfgs"),
        relaxed,
        strict=True,
    ):
        assert one.converged
        assert one.energy_after == pytest.approx(other.energy_after, abs=1e-6)


def test_bfgs_refuses_what_would_take_forever(model):
    (found,) = relax(model, [bulk("Ar", a=5.3, cubic=True).repeat(6)], optimiser="bfgs")
    assert found.failure == "refused"
    assert "expected at most 500, use lbfgs" in found.reason


@pytest.mark.parametrize("optimiser", ["lbfgs", "bfgs", "fire"])
def test_structures_under_way_go_on_from_where_they_were(model, optimiser, tmp_path):
    """Killed after eight steps: numbers of steps and ends are those without the break."""
    settings = Settings(optimiser=optimiser, cell=True, fmax=FMAX, max_edges=900)
    structures = list(enumerate(argon_structures()))
    whole = {each.index: each for each in relax_each(model, structures, settings)}
    calls, done = [], {}

    def save(under_way):
        calls.append(0)
        if len(calls) == 6:
            under_way().write(tmp_path / "state")
        if len(calls) == 9:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        for each in relax_each(model, structures, settings, save=save):
            done[each.index] = each
    kept = UnderWay.read(tmp_path / "state")
    assert len(kept.index) and (kept.steps > 0).any()
    there = set(kept.index.tolist())
    waiting = sorted((s for s in structures if s[0] not in done), key=lambda s: s[0] not in there)
    for each in relax_each(model, waiting, settings, under_way=kept):
        done[each.index] = each
    assert sorted(done) == sorted(whole)
    for index, each in done.items():
        assert each.steps == whole[index].steps
        assert each.energy_before == whole[index].energy_before
        assert each.energy_after == pytest.approx(whole[index].energy_after, abs=EXACT)


@pytest.mark.parametrize("optimiser", ["lbfgs", "bfgs", "fire"])
def test_the_next_steps_after_a_break_are_those_without(model, optimiser, tmp_path):
    """All that decides a step is kept: coordinates differ by rounding, of other neighbour lists and sums, alone.

    Later steps may differ by more: optimisers enlarge any difference, also that of a start moved by 1e-13 Å.
    """
    settings = Settings(optimiser=optimiser, cell=True, fmax=1e-8, steps=24)
    structures = list(enumerate(argon_structures()))

    def steps(stop, under_way=None):
        """Return coordinates by structure and step, up to a call of ``save``, and what was kept then."""
        found, calls, kept = {}, [0], None

        def save(state):
            nonlocal kept
            now = state()
            ends = np.cumsum(now.counts)[:-1]
            parts = np.split(now.coordinates, ends)
            for index, step, part in zip(now.index, now.steps, parts, strict=True):
                found[int(index), int(step)] = part
            calls[0] += 1
            if calls[0] == stop:
                now.write(tmp_path / "state")
                kept = UnderWay.read(tmp_path / "state")
                raise KeyboardInterrupt

        try:
            for _ in relax_each(model, structures, settings, under_way=under_way, save=save):
                pass
        except KeyboardInterrupt:
            pass
        return found, kept

    whole, _ = steps(stop=None)
    _, kept = steps(stop=12)
    after, _ = steps(stop=8, under_way=kept)
    compared = after.keys() & whole.keys()
    assert {step for _, step in compared} == set(range(11, 19))
    for key in compared:
        np.testing.assert_allclose(after[key], whole[key], atol=EXACT)


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 and no more", b"\x93NUMPY\x01\x00"])
def test_a_damaged_state_begins_anew(tmp_path, damage):
    (tmp_path / "under_way.npz").write_bytes(damage)
    assert UnderWay.read(tmp_path / "under_way.npz") is None
