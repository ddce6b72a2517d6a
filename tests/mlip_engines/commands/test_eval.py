"""Errors of a model whose labels differ from it by known amounts; the command mlip-eval."""

import gzip
import json

import ase.io
import numpy as np
import pytest
from ase.calculators.singlepoint import SinglePointCalculator

from mlip_engines.commands.eval import main
from mlip_engines.labels.reading import read_checked
from mlip_engines.model.load import load_model
from mlip_engines.properties.errors import evaluate_model, format_errors
from pair_oracle import pair_sums
from structures import STRUCTURES
from tests.dataset_files import (
    write_ase,
    write_database,
    write_deepmd,
    write_extxyz,
    write_n2p2,
    write_n2p2_atomic,
)
from tests.mlip_engines.conftest import CURL, PARAMETERS, REFERENCE_ENERGIES
from tolerances import FINITE_DIFFERENCE_STEP, FINITE_DIFFERENCE_STRESS, TOLERANCE

ENERGY_OFFSETS = [0.3, -0.1, 0.2, 0.0]  # eV
NAMES = ["molecule", "triclinic", "dimer", "slab"]


def labelled():
    """Structures with labels off the model by known amounts, and the errors that follow."""
    rng = np.random.default_rng(4)
    frames, energy, conservative, head_errors, disagreement = [], [], [], [], []
    for name, offset in zip(NAMES, ENERGY_OFFSETS, strict=True):
        atoms = STRUCTURES[name]()
        pair, forces, head = pair_sums(atoms, curl=CURL, **PARAMETERS)
        head = head - head.mean(axis=0)
        noise = rng.normal(scale=0.05, size=forces.shape)
        baseline = sum(REFERENCE_ENERGIES[symbol] for symbol in atoms.symbols)
        labels = {"energy": baseline + pair + offset, "forces": forces + noise}
        atoms.calc = SinglePointCalculator(atoms, **labels)
        frames.append(atoms)
        energy.append(offset / len(atoms))
        conservative.append(noise.ravel())
        head_errors.append((head - forces - noise).ravel())
        disagreement.append((forces - head).ravel())
    expected = {}
    for key, values in [
        ("energy", energy),
        ("conservative", np.concatenate(conservative)),
        ("non_conservative", np.concatenate(head_errors)),
    ]:
        expected[f"{key}_mae"] = np.mean(np.abs(values))
        expected[f"{key}_rmse"] = np.sqrt(np.mean(np.square(values)))
    expected["rms_c_minus_nc"] = np.sqrt(np.mean(np.concatenate(disagreement) ** 2))
    return frames, expected


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


@pytest.fixture
def data_file(tmp_path):
    path = tmp_path / "labelled.extxyz"
    ase.io.write(path, labelled()[0], format="extxyz")
    return path


def test_command_prints_json_alone_on_standard_output(model_files, data_file, capsys):
    assert main([str(model_files["float64"]), str(data_file), "--json"]) == 0
    output = capsys.readouterr()
    values = json.loads(output.out)
    for name, value in labelled()[1].items():
        assert values[name] == pytest.approx(value, abs=1e-6), name  # digits of the file: 1e-8
    assert "4/4" in output.err  # the progress bar


def test_command_prints_a_table_in_mev(model_files, data_file, capsys):
    assert main([str(model_files["float64"]), str(data_file), "--batch", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    expected = labelled()[1]
    assert "4 structures" in lines[0]
    rows = {line[:32].strip(): [float(x) for x in line[32:].split()] for line in lines[2:]}
    energy = [1000 * expected["energy_mae"], 1000 * expected["energy_rmse"]]
    assert rows["energy, meV/atom"] == pytest.approx(energy, abs=1e-3)
    assert rows["C - NC, meV/Å per component"] == pytest.approx(
        [1000 * expected["rms_c_minus_nc"]], abs=1e-3
    )


FORMATS = {
    "labelled.extxyz": write_extxyz,
    "labelled.traj": write_ase,
    "labelled.db": write_database,
    "input.data": write_n2p2,
    "atomic.data": write_n2p2_atomic,
}


@pytest.mark.parametrize("name", FORMATS)
def test_errors_do_not_depend_on_the_format_of_the_labels(name, model_files, tmp_path, capsys):
    frames = labelled()[0][:3]  # input.data has no periodicity in two of three directions
    expected = evaluate_model(load_model(model_files["float64"]), frames)
    path = FORMATS[name](tmp_path / name, frames)
    compressed = path.with_name(path.name + ".gz")
    if name != "labelled.traj":  # ASE tells this one by its name
        compressed.write_bytes(gzip.compress(path.read_bytes()))
        path = compressed
    units = ["--units", "atomic"] if name == "atomic.data" else []
    assert main([str(model_files["float64"]), str(path), "--json", *units]) == 0
    values = json.loads(capsys.readouterr().out)
    for quantity in ("energy_mae", "conservative_rmse", "non_conservative_mae", "rms_c_minus_nc"):
        assert values[quantity] == pytest.approx(getattr(expected, quantity), abs=1e-9), quantity


def test_a_folder_of_deepmd_is_evaluated(model_files, tmp_path, capsys):
    frames = [labelled()[0][NAMES.index("triclinic")] for _ in range(3)]
    expected = evaluate_model(load_model(model_files["float64"]), frames)
    folder = write_deepmd(tmp_path / "deepmd", frames)
    assert main([str(model_files["float64"]), str(folder), "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["n_structures"] == 3
    assert values["conservative_rmse"] == pytest.approx(expected.conservative_rmse, abs=1e-9)


def test_units_that_nobody_states_are_asked_for(model_files, tmp_path, capsys):
    """Lengths in bohr taken for Å are refused, as mlip-train refuses them; so are units where a format has its own."""
    model = str(model_files["float64"])
    water = labelled()[0][NAMES.index("molecule")]
    path = write_n2p2_atomic(tmp_path / "input.data", [water])
    assert main([model, str(path)]) == 1
    assert "--units metal or atomic" in capsys.readouterr().err
    path = write_extxyz(tmp_path / "labelled.extxyz", [water])
    assert main([model, str(path), "--units", "atomic"]) == 1
    assert "has units of its own" in capsys.readouterr().err


def test_doubtful_labels_are_evaluated_with_a_warning(model_files, tmp_path, capsys):
    water = labelled()[0][NAMES.index("molecule")]
    water.calc.results["forces"] = 1e-4 * water.calc.results["forces"]
    path = write_extxyz(tmp_path / "labelled.extxyz", [water])
    assert main([str(model_files["float64"]), str(path), "--json"]) == 0
    output = capsys.readouterr()
    assert json.loads(output.out)["n_structures"] == 1
    assert "mlip-eval: warning: " in output.err and "hartree/bohr" in output.err


def test_command_selects_structures(model_files, data_file, capsys):
    assert main([str(model_files["float64"]), str(data_file), "--index", "-1", "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert (values["n_structures"], values["n_atoms"]) == (1, len(STRUCTURES["slab"]()))


def test_one_energy_label_is_not_rounded_to_float32(model_files, tmp_path):
    """Labels may be Python numbers; an energy of many atoms has more than seven digits."""
    frames, _ = labelled()
    for atoms in frames:
        atoms.calc.results["energy"] = float(atoms.calc.results["energy"])
    errors = evaluate_model(load_model(model_files["float64"]), frames[-1:], batch_size=1)
    assert errors.energy_mae == pytest.approx(0.0, abs=1e-9)


def write(path, text):
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "found nothing at"),
        ("no structures at all", "structure 0: "),
        ("1\nProperties=species:S:1:pos:R:3\nO 0 0 0\n", "expected a label 'energy' in eV"),
        (
            "2\nProperties=species:S:1:pos:R:3 energy=1\nO 0 0 0\nH 0 0 1\n",
            "expected a label 'forces'",
        ),
        (
            "1\nProperties=species:S:1:pos:R:3:forces:R:3 energy=nan\nO 0 0 0 0 0 0\n",
            "energy is not finite",
        ),
        (
            "1\nProperties=species:S:1:pos:R:3:forces:R:3 energy=1\nAr 0 0 0 0 0 0\n",
            "knows H, O, got Ar",
        ),
    ],
)
def test_bad_data_are_named(content, message, model_files, tmp_path, capsys):
    path = tmp_path / "data.extxyz"
    if content is not None:
        write(path, content)
    assert main([str(model_files["float64"]), str(path)]) == 1
    output = capsys.readouterr()
    assert output.out == ""
    assert message in output.err


def test_bad_options_are_named(model_files, data_file, capsys):
    model = str(model_files["float64"])
    assert main([model, str(data_file), "--batch", "0"]) == 1
    assert "batch size must be at least 1, got 0" in capsys.readouterr().err
    assert main([model, str(data_file), "--index", "7:"]) == 1
    assert "at least one structure in '7:'" in capsys.readouterr().err
    assert main([model, str(data_file), "--index", "first"]) == 1
    assert (
        "expected an index as in ASE, such as -1, 5: or ::10, got 'first'"
        in capsys.readouterr().err
    )
    assert main(["nowhere.pt", str(data_file)]) == 1
    assert "'nowhere.pt'" in capsys.readouterr().err


@pytest.mark.parametrize("index", [":", "::2", "1:3", "-1", "-3:-1", "2"])
def test_an_index_chooses_what_ase_chooses(index, data_file):
    expected = ase.io.read(data_file, index=index)
    expected = expected if isinstance(expected, list) else [expected]
    frames, _ = read_checked(data_file, index)
    for atoms, other in zip(frames, expected, strict=True):
        np.testing.assert_array_equal(atoms.positions, other.positions)


@pytest.mark.parametrize("index", [":", "1:", "-3:"])
def test_a_structure_has_the_same_number_in_messages_whatever_is_chosen(index, data_file, tmp_path):
    frames = ase.io.read(data_file, index=":")
    frames[2].calc.results["energy"] = np.nan
    path = write_extxyz(tmp_path / "broken.extxyz", frames)
    with pytest.raises(ValueError, match="structure 2: energy is not finite"):
        read_checked(path, index)
    read_checked(path, ":2")  # of what is not chosen nothing is asked


def test_structures_are_read_with_their_labels(data_file):
    frames, _ = read_checked(data_file, "::2")
    assert [len(atoms) for atoms in frames] == [3, 2]
    assert all("forces" in atoms.calc.results for atoms in frames)
