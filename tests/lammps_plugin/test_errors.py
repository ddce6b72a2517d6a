"""Bad input to pair style mlip: every error says what was expected, what came, and what to do."""

import dataclasses
import re
import shutil
import zipfile

import pytest
import torch

from mlip_engines.model.archive import read_metadata, replace_metadata
from structures import STRUCTURES
from tests.lammps_plugin.model_files import SPECIES
from tests.lammps_plugin.runner import LammpsError, run_python, run_script, write_data

SCRIPT = """
units {units}
atom_style {atom_style}
{before}
read_data water.data
{between}
pair_style mlip {keywords}
pair_coeff {coeff}
fix move all nve
{commands}
"""


@pytest.fixture
def attempt(models, tmp_path):
    """Run a script that must fail; returns what LAMMPS printed."""
    write_data(tmp_path / "water.data", STRUCTURES["orthogonal"](), SPECIES)
    for name in ("curl", "no_head"):
        shutil.copy(models[name], tmp_path)

    def run(processes=1, **parts):
        values = {"units": "metal", "atom_style": "atomic", "before": "", "between": ""}
        values |= {"keywords": "", "coeff": "* * curl.pt H O", "commands": "run 0"}
        with pytest.raises(LammpsError) as caught:
            run_script(SCRIPT.format(**(values | parts)), tmp_path, processes=processes)
        assert caught.value.returncode != 0
        return caught.value.output

    return run


def test_missing_file(attempt):
    output = attempt(coeff="* * nowhere.pt H O")
    assert "cannot find the model file 'nowhere.pt'" in output
    assert "LAMMPS_POTENTIALS" in output


def test_file_that_is_no_model(attempt, tmp_path):
    (tmp_path / "text.pt").write_text("not a model\n")
    output = attempt(coeff="* * text.pt H O")
    assert "expected a model written by mlip-export" in output


def test_folder_instead_of_a_file(attempt, tmp_path):
    (tmp_path / "folder").mkdir()
    assert "got a directory" in attempt(coeff="* * folder H O")


def test_torchscript_file_without_metadata(attempt, tmp_path):
    with zipfile.ZipFile(tmp_path / "curl.pt") as source:
        records = {e.filename: source.read(e) for e in source.infolist()}
    with zipfile.ZipFile(tmp_path / "plain.pt", "w") as target:
        for name, content in records.items():
            if not name.endswith("metadata.json"):
                target.writestr(name, content)
    output = attempt(coeff="* * plain.pt H O")
    assert "without metadata" in output
    assert "mlip-export" in output


def test_other_contract_version(attempt, tmp_path):
    metadata = read_metadata(tmp_path / "curl.pt")
    replace_metadata(tmp_path / "curl.pt", dataclasses.replace(metadata, contract_version=3))
    assert "expected contract version 1 or 2, the file has 3" in attempt()


def test_missing_metadata_entry(attempt, tmp_path):
    class Incomplete:
        def to_json(self):
            return '{"contract_version": 1}'

    replace_metadata(tmp_path / "curl.pt", Incomplete())
    assert "the metadata lack 'energy_unit'" in attempt()


def test_changed_tensor_fails_the_checksum(attempt, tmp_path):
    with zipfile.ZipFile(tmp_path / "curl.pt") as source:
        records = {e.filename: source.read(e) for e in source.infolist()}
    name = next(n for n in records if re.search(r"/(data|constants)/0$", n))
    records[name] = bytes([records[name][0] ^ 1]) + records[name][1:]
    with zipfile.ZipFile(tmp_path / "curl.pt", "w") as target:
        for record, content in records.items():
            target.writestr(record, content)
    output = attempt()
    assert "the file is damaged: expected checksum sha256:" in output


def test_truncated_file(attempt, tmp_path):
    content = (tmp_path / "curl.pt").read_bytes()
    (tmp_path / "curl.pt").write_bytes(content[: len(content) // 2])
    assert "a damaged file" in attempt()


def test_element_the_model_does_not_know(attempt):
    output = attempt(coeff="* * curl.pt H Si")
    assert "atom type 2 is given the element 'Si'" in output
    assert "knows: H O" in output


@pytest.mark.parametrize("elements", ["H", "H O O", ""])
def test_wrong_number_of_elements(attempt, elements):
    output = attempt(coeff=f"* * curl.pt {elements}")
    assert (
        f"for each of the 2 atom types after the file name, got {len(elements.split())}" in output
    )


def test_pair_coeff_without_a_file(attempt):
    assert "expects: pair_coeff * * FILE" in attempt(coeff="* *")


def test_pair_coeff_without_wildcards(attempt):
    output = attempt(coeff="1 2 curl.pt H O")  # LAMMPS itself refuses this
    assert re.search(r"ERROR.*\* \*", output)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ("cutoff 5.0", "got 'cutoff'"),
        ("forces", "'forces' needs a value"),
        (
            "forces direct",
            "expected forces conservative, non_conservative or correction, got 'direct'",
        ),
        ("device cuda:x", "expected device auto, cpu, cuda or cuda:N, got 'cuda:x'"),
        ("stress none", "expected stress conservative or non_conservative, got 'none'"),
        ("stress non_conservative", "belongs to forces non_conservative"),
        ("rotate maybe", "expected rotate yes or no, got 'maybe'"),
        ("seed -1", "expected a whole number after 'seed', got '-1'"),
        ("check_masses off", "expected check_masses yes or no, got 'off'"),
        ("max_force 0", "expected a positive number after 'max_force', got '0'"),
        ("max_force nan", "expected a positive number after 'max_force', got 'nan'"),
        ("max_force 5x", "expected a positive number after 'max_force', got '5x'"),
        ("disagreement loud 1", "expected disagreement ignore, warn or stop, got 'loud'"),
        ("disagreement", "'disagreement' needs a value"),
        ("disagreement warn -1", "expected a positive number after 'disagreement', got '-1'"),
        ("disagreement warn often", "expected a keyword"),
        ("disagreement stop", "a limit is needed: disagreement stop F, in eV/Angstrom"),
        ("parallel fast", "expected parallel auto, halo or exchange, got 'fast'"),
        ("device tpu", "expected device auto, cpu, cuda or cuda:N, got 'tpu'"),
    ],
)
def test_wrong_keyword(attempt, keywords, message):
    assert message in attempt(keywords=keywords)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_gpu_that_is_not_there(attempt):
    assert "Use device cpu" in attempt(keywords="device cuda")


@pytest.mark.parametrize("units", ["lj", "electron"])
def test_units_without_conversion(attempt, units):
    output = attempt(units=units)
    assert f"needs 'units metal' or 'units real', got 'units {units}'" in output


def test_missing_pair_coeff(attempt):
    output = attempt(coeff="* * curl.pt H O\npair_style none\npair_style mlip")
    assert "pair coeffs" in output.lower()


def test_respa_with_a_model_that_has_no_head(attempt):
    output = attempt(
        coeff="* * no_head.pt H O", commands="run_style respa 2 4 inner 1 2.0 3.0 outer 2\nrun 1"
    )
    assert "needs a model with non-conservative forces" in output
    assert "Use run_style verlet" in output


def test_direct_forces_of_a_model_that_has_no_head(attempt):
    output = attempt(coeff="* * no_head.pt H O", keywords="forces non_conservative")
    assert "Use forces conservative" in output


def test_respa_with_a_middle_level(attempt):
    output = attempt(
        commands="run_style respa 3 2 2 inner 1 1.0 1.5 middle 2 2.0 2.5 outer 3\nrun 1"
    )
    assert "remove 'middle'" in output


def test_respa_of_direct_forces(attempt):
    output = attempt(
        keywords="forces non_conservative",
        commands="run_style respa 2 4 inner 1 2.0 3.0 outer 2\nrun 1",
    )
    assert "remove 'forces' from the pair_style command" in output


def test_minimization_of_direct_forces(attempt):
    output = attempt(keywords="forces non_conservative", commands="minimize 0 0 1 1")
    assert "Use forces conservative" in output


def test_excluded_pairs(attempt):
    output = attempt(between="neigh_modify exclude type 1 1")
    assert "the model needs all neighbors of an atom" in output
    assert "remove the exclusion" in output


def test_bonded_neighbours_left_out(attempt, tmp_path):
    lines = (
        (tmp_path / "water.data")
        .read_text()
        .replace("2 atom types\n", "2 atom types\n1 bonds\n1 bond types\n")
    )
    head, atoms = lines.split("Atoms # atomic\n")
    rows = [row.split() for row in atoms.strip().splitlines()]
    atoms = "\n".join(" ".join([row[0], "1", *row[1:]]) for row in rows)
    (tmp_path / "water.data").write_text(
        f"{head}Atoms # molecular\n\n{atoms}\n\nBonds\n\n1 1 1 2\n"
    )
    output = attempt(
        atom_style="molecular", before="bond_style zero nocoeff", between="bond_coeff * 1.0"
    )
    assert "special_bonds lj/coul 1.0e-50 1.0e-50 1.0e-50" in output


def test_two_atoms_at_one_place(attempt):
    output = attempt(between="set atom 1 x 1.0 y 1.0 z 1.0\nset atom 2 x 1.0 y 1.0 z 1.0")
    assert "is not a number" in output


def test_two_dimensional_system(attempt):
    output = attempt(before="dimension 2", between="set group all z 0.0")
    assert "2d" in output or "dimension" in output


def test_positions_that_are_no_numbers(models, tmp_path):
    write_data(tmp_path / "water.data", STRUCTURES["orthogonal"](), SPECIES)
    code = """
for line in open("start.in"):
    lmp.command(line)
lmp.numpy.extract_atom("x")[3, 1] = float("nan")
lmp.command("run 1 pre no")
"""
    (tmp_path / "start.in").write_text(
        "units metal\natom_style atomic\nread_data water.data\npair_style mlip\n"
        f"pair_coeff * * {models['curl']} H O\nfix move all nve\nrun 1\n"
    )
    done = run_python(code, tmp_path)
    assert done.returncode != 0
    assert re.search(r"the position of atom \d+ is not a number", done.stdout + done.stderr)
