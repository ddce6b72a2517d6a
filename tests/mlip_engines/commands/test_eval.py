"""The command mlip-eval: every format, every option, and what it refuses."""

import gzip
import json

import ase.io
import pytest

from mlip_engines.commands.eval import main
from mlip_engines.model.load import load_model
from mlip_engines.properties.errors import evaluate_model
from structures import STRUCTURES
from tests.dataset_files import (
    write_ase,
    write_database,
    write_deepmd,
    write_extxyz,
    write_n2p2,
    write_n2p2_atomic,
)
from tests.known_errors import ENERGY_OFFSETS, NAMES, labelled


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
    rows = {
        line[:32].strip(): [float(x) for x in line[32:].split()]
        for line in lines[2 : lines.index("")]
    }
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


@pytest.mark.parametrize(("limit", "is_said"), [(1e-3, True), (10.0, False)])
def test_forces_too_far_apart_for_respa_are_said(
    limit, is_said, model_files, data_file, capsys, monkeypatch
):
    monkeypatch.setattr("mlip_engines.properties.errors.LARGEST_C_MINUS_NC", limit)
    assert main([str(model_files["float64"]), str(data_file)]) == 0
    assert ("warning: C - NC is" in capsys.readouterr().err) is is_said


def test_command_selects_structures(model_files, data_file, capsys):
    assert main([str(model_files["float64"]), str(data_file), "--index", "-1", "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert (values["n_structures"], values["n_atoms"]) == (1, len(STRUCTURES["slab"]()))


def test_partly_labelled_structures_count_where_they_have_labels(model_files, tmp_path, capsys):
    """Energies of all, forces of two: the first as without the change, the second as of these two alone."""
    frames, expected = labelled()
    two = evaluate_model(load_model(model_files["float64"]), frames[:2])
    for atoms in frames[2:]:
        del atoms.calc.results["forces"]
    path = tmp_path / "partly.extxyz"
    ase.io.write(path, frames, format="extxyz")
    assert main([str(model_files["float64"]), str(path), "--json", "--batch", "3"]) == 0
    output = capsys.readouterr()
    values = json.loads(output.out)
    assert (values["n_energies"], values["n_forces"]) == (4, 2)
    for name in ("energy_mae", "energy_rmse", "rms_c_minus_nc"):
        assert values[name] == pytest.approx(expected[name], abs=1e-6), name
    for name in ("conservative_mae", "conservative_rmse", "non_conservative_rmse"):
        assert values[name] == pytest.approx(getattr(two, name), abs=1e-6), name
    assert "structures 2, 3 of 4 have no label of forces" in output.err
    for atoms in frames[:2]:
        del atoms.calc.results["forces"]
    ase.io.write(path, frames, format="extxyz")
    assert main([str(model_files["float64"]), str(path)]) == 0
    table = capsys.readouterr().out
    assert "0 of them with forces" in table and "conservative forces" not in table


def test_kinds_and_worst_structures_are_named_by_their_index_in_the_file(
    model_files, tmp_path, capsys
):
    """Energies are off by known amounts: the kinds are RMS of these, the worst is the largest per atom."""
    frames, _ = labelled()
    kinds = ["free", "bulk", "free", "bulk"]
    for atoms, kind in zip(frames, kinds, strict=True):
        atoms.info["config_type"] = kind
    frames[2].calc.results["forces"] = frames[2].calc.results["forces"] + [[2.0, 0, 0], [0, 0, 0]]
    path = tmp_path / "kinds.extxyz"
    ase.io.write(path, frames, format="extxyz")
    call = [str(model_files["float64"]), str(path), "--index", "::2", "--batch", "1"]
    assert main([str(model_files["float64"]), str(path), "--json"]) == 0
    by_kind = json.loads(capsys.readouterr().out)["by_config_type"]
    per_atom = [offset / len(atoms) for offset, atoms in zip(ENERGY_OFFSETS, frames, strict=True)]
    for kind, members in (("free", (0, 2)), ("bulk", (1, 3))):
        expected = (sum(per_atom[k] ** 2 for k in members) / 2) ** 0.5
        assert by_kind[kind]["energy_rmse"] == pytest.approx(expected, abs=1e-6)
        assert by_kind[kind]["n_structures"] == 2
    assert main(call) == 0
    worst = capsys.readouterr().out.split("worst structures")[1].splitlines()[1:]
    assert worst[0].startswith("structure 2 ")  # the dimer, whose force was changed
    assert float(worst[0].split()[3]) == pytest.approx(-1000 * per_atom[2], abs=1e-3)


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
            "2\nProperties=species:S:1:pos:R:3 dft_energy=1\nO 0 0 0\nH 0 0 1\n",
            "got ['dft_energy']",
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
