"""Errors of a model whose labels differ from it by known amounts are these amounts."""

import numpy as np
import pytest

from mlip_engines.model.load import load_model
from mlip_engines.properties.errors import c_minus_nc_warning, evaluate_model, format_errors
from pair_oracle import pair_sums
from tests.known_errors import NAMES, labelled
from tests.mlip_engines.conftest import CURL, PARAMETERS
from tolerances import FINITE_DIFFERENCE_STEP, FINITE_DIFFERENCE_STRESS, TOLERANCE


@pytest.mark.parametrize("batch_size", [1, 3, 4, 9])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_errors_are_those_put_into_the_labels(dtype, batch_size, model_files):
    frames, expected = labelled()
    assert expected["rms_c_minus_nc"] > 0.01
    errors = evaluate_model(load_model(model_files[dtype]), frames, batch_size=batch_size)
    assert (errors.n_structures, errors.n_atoms) == (4, sum(len(atoms) for atoms in frames))
    for name, value in expected.items():
        assert getattr(errors, name) == pytest.approx(value, abs=TOLERANCE[dtype].force), name


def test_a_model_without_the_head_has_no_errors_of_it(model_files):
    errors = evaluate_model(load_model(model_files["no_head"]), labelled()[0])
    assert errors.non_conservative_mae is None
    assert errors.rms_c_minus_nc is None
    assert "non-conservative" not in format_errors(errors)


def strained_energy(atoms, strain):
    moved = atoms.copy()
    moved.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
    return pair_sums(moved, curl=CURL, **PARAMETERS)[0]


@pytest.mark.parametrize("batch_size", [1, 4])
def test_errors_of_stress_are_those_put_into_the_labels(batch_size, model_files):
    frames, _ = labelled()
    h, noise = FINITE_DIFFERENCE_STEP, np.array([1.0, -2.0, 3.0, -0.4, 0.5, 0.6]) * 1e-3
    stress = np.zeros(6)
    triclinic = frames[NAMES.index("triclinic")]
    for k, (a, b) in enumerate([(0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)]):  # ASE's order
        strain = np.zeros((3, 3))
        strain[a, b] += h / 2
        strain[b, a] += h / 2
        slope = strained_energy(triclinic, strain) - strained_energy(triclinic, -strain)
        stress[k] = slope / (2 * h) / triclinic.get_volume()
    assert np.abs(stress).min() > 100 * FINITE_DIFFERENCE_STRESS
    triclinic.calc.results["stress"] = stress + noise
    # Neither has a stress that is defined: it must not count.
    for name in ("molecule", "slab"):
        frames[NAMES.index(name)].calc.results["stress"] = np.full(6, 7.0)
    errors = evaluate_model(load_model(model_files["float64"]), frames, batch_size=batch_size)
    assert errors.n_stresses == 1 and errors.non_conservative_stress_mae is None
    limit = FINITE_DIFFERENCE_STRESS
    assert errors.stress_mae == pytest.approx(np.abs(noise).mean(), abs=limit)
    assert errors.stress_rmse == pytest.approx(np.sqrt((noise**2).mean()), abs=limit)
    assert "stress, meV/Å^3" in format_errors(errors)
    triclinic.calc.results.pop("stress")
    errors = evaluate_model(load_model(model_files["float64"]), frames, batch_size=batch_size)
    assert errors.stress_mae is None and "stress" not in format_errors(errors)


def test_one_energy_label_is_not_rounded_to_float32(model_files):
    """Labels may be Python numbers; an energy of many atoms has more than seven digits."""
    frames, _ = labelled()
    for atoms in frames:
        atoms.calc.results["energy"] = float(atoms.calc.results["energy"])
    errors = evaluate_model(load_model(model_files["float64"]), frames[-1:], batch_size=1)
    assert errors.energy_mae == pytest.approx(0.0, abs=1e-9)


def test_forces_too_far_apart_for_respa_are_said():
    assert c_minus_nc_warning(None) is None and c_minus_nc_warning(0.025) is None
    assert "C - NC is 780 meV/Å" in c_minus_nc_warning(0.78)
