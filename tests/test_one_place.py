"""What only one place in the sources does or knows: read from the text of the files."""

import re

from tests.imports import ROOT, python_files

ENGINE_WORDS = re.compile(r"lammps|openmm|ghost|gromacs|i-?pi\b|plumed", re.IGNORECASE)


def users(pattern: str, *folders: str) -> set[str]:
    """Return the files of these folders in which a pattern is found, as paths from the root."""
    return {
        str(path.relative_to(ROOT))
        for folder in folders
        for path in python_files(folder)
        if re.search(pattern, path.read_text())
    }


def test_no_network_knows_an_engine():
    found = {
        f"{path.name}: {match}"
        for path in python_files("train/networks")
        for match in ENGINE_WORDS.findall(path.read_text())
    }
    assert found == set()


def test_only_export_and_load_know_the_file_format():
    """Another format must be able to join by touching these files (and the C++ loader)."""
    expected = {"mlip_engines/model/export.py", "mlip_engines/model/load.py"}
    assert users(r"torch\.jit\.(save|load)", "mlip_engines") == expected


def test_only_one_file_differentiates_energies():
    expected = {"mlip_engines/model/derivatives.py"}
    packages = ("mlip_engines", "openmm_forces", "train")
    assert (
        users(r"autograd\.grad|torch\.func|functional\.(jacobian|hessian|[vjh]+p)\b", *packages)
        == expected
    )


def test_only_the_training_loops_differentiate_losses():
    packages = ("mlip_engines", "openmm_forces", "train")
    assert users(r"\.backward\(", *packages) == {"train/loop/trainer.py", "train/property/run.py"}


def test_numeric_unit_constants_are_in_one_file():
    digits = r"96\.48|23\.06|0\.0433|8\.617|160\.217|0\.0103"
    found = users(digits, "mlip_engines", "openmm_forces", "train", "examples")
    assert found <= {"mlip_engines/units.py"}
