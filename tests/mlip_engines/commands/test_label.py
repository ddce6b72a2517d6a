"""Labels by a model are those of its calculator, and the file reads back as training data."""

import re

import ase.io
import numpy as np
import pytest

from mlip_engines import MlipCalculator, load_model
from mlip_engines.commands.label import main
from mlip_engines.labels.labelling import label
from mlip_engines.readers import read_structures
from structures import STRUCTURES
from tolerances import FINITE_DIFFERENCE_FORCE, FINITE_DIFFERENCE_STEP, TOLERANCE

EXACT = TOLERANCE["float64"]
DISPLACEMENT = 0.05  # Å


@pytest.fixture
def model_file(model_files):
    return model_files["float64"]


@pytest.fixture
def frames():
    return [STRUCTURES["orthogonal"](), STRUCTURES["molecule"]()]


def test_labels_are_energy_and_conservative_forces_of_the_model(frames, model_file):
    model = load_model(model_file)
    labelled = list(label(model, frames))
    assert len(labelled) == len(frames)
    for atoms, given in zip(labelled, frames, strict=True):
        given.calc = MlipCalculator(model)
        assert atoms.get_potential_energy() == pytest.approx(
            given.get_potential_energy(), abs=EXACT.energy
        )
        np.testing.assert_allclose(atoms.get_forces(), given.get_forces(), atol=EXACT.force)
        # A central difference of the energy is an oracle that knows nothing of forces.
        moved = atoms.copy()
        step = FINITE_DIFFERENCE_STEP
        energies = []
        for sign in (1, -1):
            moved.positions[0, 1] = atoms.positions[0, 1] + sign * step
            moved.calc = MlipCalculator(model)
            energies.append(moved.get_potential_energy())
        slope = -(energies[0] - energies[1]) / (2 * step)
        assert atoms.get_forces()[0, 1] == pytest.approx(slope, abs=FINITE_DIFFERENCE_FORCE)
    assert "stress" in labelled[0].calc.results
    assert "stress" not in labelled[1].calc.results


def test_copies_are_displaced_by_as_much_as_asked_and_labelled_where_they_are(frames, model_file):
    model = load_model(model_file)
    labelled = list(label(model, frames[:1], copies=3, displacement=DISPLACEMENT, seed=4))
    assert len(labelled) == 4
    np.testing.assert_array_equal(labelled[0].positions, frames[0].positions)
    moves = np.array([atoms.positions - frames[0].positions for atoms in labelled[1:]])
    # Standard error of a standard deviation of n normal numbers: sigma / sqrt(2 n).
    assert abs(moves.std() - DISPLACEMENT) < 5 * DISPLACEMENT / np.sqrt(2 * moves.size)
    copy = labelled[2].copy()
    copy.calc = MlipCalculator(model)
    np.testing.assert_allclose(labelled[2].get_forces(), copy.get_forces(), atol=EXACT.force)
    again = list(label(model, frames[:1], copies=3, displacement=DISPLACEMENT, seed=4))
    np.testing.assert_array_equal(again[3].positions, labelled[3].positions)


def test_stiff_copies_lie_along_the_stiff_modes(model_file):
    """Against the Hessian H by finite differences: a step of power iteration cannot lower |D y| / |y|, D symmetric."""
    model, atoms = load_model(model_file), STRUCTURES["molecule"]()
    copies = list(label(model, [atoms], copies=2, displacement=1e-4, stiff=True, seed=2))[1:]
    moved, rows = atoms.copy(), []
    moved.calc = MlipCalculator(model)
    for k in range(atoms.positions.size):
        forces = []
        for sign in (1.0, -1.0):
            moved.positions = atoms.positions
            moved.positions.flat[k] += sign * FINITE_DIFFERENCE_STEP
            forces.append(moved.get_forces().ravel())
        rows.append((forces[1] - forces[0]) / (2.0 * FINITE_DIFFERENCE_STEP))
    hessian, masses = np.array(rows), np.repeat(atoms.get_masses(), 3)
    displaced, stiff = ((copy.positions - atoms.positions).ravel() for copy in copies)
    assert np.sqrt(np.mean(stiff**2)) == pytest.approx(1e-4, rel=1e-9)
    expected = hessian @ displaced / masses
    assert abs(stiff @ expected) / np.linalg.norm(stiff) / np.linalg.norm(expected) > 0.999

    def square_of_frequency(u):  # y = M^1/2 u, D = M^-1/2 H M^-1/2
        return np.linalg.norm(hessian @ u / np.sqrt(masses)) / np.linalg.norm(u * np.sqrt(masses))

    assert square_of_frequency(stiff) > 1.05 * square_of_frequency(displaced)


def test_the_command_writes_what_training_reads(frames, model_file, tmp_path, capsys):
    ase.io.write(tmp_path / "frames.xyz", frames[:1])
    output = tmp_path / "labelled.xyz"
    arguments = [str(model_file), str(tmp_path / "frames.xyz"), "-o", str(output), "--copies", "1"]
    assert main(arguments) == 0
    assert "2 structures" in capsys.readouterr().out
    atoms = read_structures(output)[0]
    frames[0].calc = MlipCalculator(model_file)
    np.testing.assert_allclose(atoms.get_forces(), frames[0].get_forces(), atol=EXACT.force)


@pytest.mark.parametrize(
    "content, message",
    [
        (None, "found nothing"),
        ("", "at least one structure|structure 0: "),
        ("nonsense\n", "structure 0: "),
    ],
)
def test_an_unusable_file_is_named_and_nothing_is_written(
    content, message, model_file, tmp_path, capsys
):
    path = tmp_path / "frames.xyz"
    if content is not None:
        path.write_text(content)
    assert main([str(model_file), str(path), "-o", str(tmp_path / "out.xyz")]) == 1
    error = capsys.readouterr().err
    assert re.search(message, error) and "frames.xyz" in error
    assert list(tmp_path.glob("out*")) == []


def test_negative_numbers_are_refused(frames, model_file):
    with pytest.raises(ValueError, match="copies=-1"):
        next(label(load_model(model_file), frames, copies=-1))
