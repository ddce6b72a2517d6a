"""Which folder may import which, wherever in a file the import stands.

A package is a folder that can be shipped; a room is a folder or a file directly inside a package.
"""

import pytest

from tests.imports import (
    ROOT,
    Import,
    circles,
    imports_in,
    imports_of,
    modules,
    modules_of_adapted_packages,
    python_files,
)

ENGINES = {"lammps", "openmm", "openmmtorch", "openmmml", "simtk"}
OURS = {"mlip_engines", "mlip_train", "openmm_forces", "lammps_plugin"}
MAY_IMPORT = {  # folder: of our packages and of the engines
    "mlip_engines": {"mlip_engines"},
    "train": {"mlip_engines", "mlip_train"},
    "openmm_forces": {"mlip_engines", "openmm_forces", "openmm", "openmmtorch", "openmmml"},
    "lammps_plugin": set(),
    "examples": {"mlip_engines", "openmm_forces"} | ENGINES,
    "benchmarks": OURS | ENGINES | {"benchmarks"},
}
# The rooms of a package from top to bottom: a room imports only rooms below it. What ``__init__`` offers stands above
# all, since it passes on names of rooms.
ROOMS = {
    "mlip_engines": (
        "__init__",
        "commands",
        "doctor",
        "diagnostics",
        "phonons",
        "elasticity",
        "relaxation",
        "report",
        "committee",
        "properties",
        "simulations",
        "labels",
        "readers",
        "adapters",
        "checkpoints",
        "conformance",
        "calculator",
        "model",
        "lammps",
        "operators",
        "compiled",
        "shipped_models",
        "keywords",
        "launcher",
        "lazy",
        "quantities",
        "units",
    ),
    "mlip_train": (
        "__init__",
        "acceleration",
        "command",
        "robust",
        "property",
        "inspection",
        "recipes",
        "loop",
        "networks",
        "potentials",
        "recipe",
        "data",
        "loss_weights",
        "machine",
    ),
}
# Packages that the core imports together with a file only in these files and folders, which are about them.
CONFINED = {
    "ase": {
        "calculator.py",
        "committee.py",
        "conformance/__init__.py",
        "conformance/crystals.py",
        "labels",
        "model/export.py",
        "model/data_range.py",
        "model/short_range.py",
        "model/neighbors.py",
        "properties/errors.py",
        "readers",
        "elasticity",
        "phonons",
        "relaxation",
        "adapters/chgnet/reference.py",
        "adapters/matgl/reference.py",
        "adapters/pet/scaling.py",
        "adapters/sevennet/reference.py",
        "adapters/torchmdnet/reference.py",
    },
    "vesin_torch": {"model/neighbors.py"},
}


PUBLIC_MODULES = {"mlip_engines.units", "mlip_engines.simulations", "mlip_engines.properties"}
NAMES = {path: module for module, path in modules().items()}


def package_of(name: str) -> str:
    return name.split(".")[0]


def room_of(module: str) -> str:
    return (module.split(".") + ["__init__"])[1]


@pytest.mark.parametrize("folder", MAY_IMPORT)
def test_imports_point_towards_the_core(folder):
    wrong = {
        (NAMES.get(path, str(path.relative_to(ROOT))), found.name)
        for path in python_files(folder)
        for found in imports_of(path)
        if package_of(found.name) in (OURS | ENGINES | {"tests"}) - MAY_IMPORT[folder]
    }
    assert wrong == set()


def arrows_between_modules() -> set[tuple[str, str]]:
    return {
        (module, found.name)
        for module, path in modules().items()
        for found in imports_of(path)
        if found.name in modules() and found.name != module
    }


def test_no_circle_of_modules():
    arrows = {module: set() for module in modules()}
    for module, target in arrows_between_modules():
        arrows[module].add(target)
    assert circles(arrows) == []


@pytest.mark.parametrize("package", ROOMS)
def test_every_room_has_its_place_in_the_order(package):
    rooms = {room_of(module) for module in modules() if package_of(module) == package}
    assert rooms - set(ROOMS[package]) == set(), "write the new room into ROOMS, below its users"


@pytest.mark.parametrize("package", ROOMS)
def test_rooms_import_only_rooms_below_them(package):
    order = ROOMS[package]
    wrong = {
        (module, target)
        for module, target in arrows_between_modules()
        if package_of(module) == package_of(target) == package
        and room_of(module) != room_of(target)
        and order.index(room_of(module)) > order.index(room_of(target))
    }
    assert wrong == set()


@pytest.mark.parametrize("package", CONFINED)
def test_a_package_is_imported_only_by_the_files_about_it(package):
    core = ROOT / "mlip_engines"
    allowed = {core / place for place in CONFINED[package]}
    users = {
        str(path.relative_to(core))
        for path in python_files("mlip_engines")
        if not allowed & {path, *path.parents}
        for found in imports_of(path)
        if package_of(found.name) == package and not found.is_late
    }
    assert users == set()


def test_examples_use_public_names_only():
    """The two packages themselves, and the module of unit constants."""
    private = {
        (path.name, found.name)
        for path in python_files("examples")
        for found in imports_of(path)
        if package_of(found.name) in OURS and "." in found.name and found.name not in PUBLIC_MODULES
    }
    assert private == set()


def test_every_kind_of_import_is_read():
    source = """
from typing import TYPE_CHECKING
import openmm.app
if TYPE_CHECKING:
    import lammps
class Lazy:
    def load(self):
        from mlip_train.networks import painn
        importlib.import_module("vesin_torch")
        return [sys.executable, "-m", "mlip_engines.commands.doctor"]
"""
    assert imports_in(source) == {
        Import("typing", False),
        Import("openmm.app", False),
        Import("mlip_train.networks.painn", True),
        Import("vesin_torch", True),
        Import("mlip_engines.commands.doctor", True),
    }


def test_circles_are_found():
    arrows = {
        "a": {"b"},
        "b": {"c"},
        "c": {"a", "d"},
        "d": {"e"},
        "e": set(),
        "f": {"g"},
        "g": {"f"},
    }
    assert sorted(circles(arrows)) == [["a", "b", "c"], ["f", "g"]]


def test_packages_of_adapted_models_are_imported_inside_adapters_only():
    inside = {name for name in modules() if name.startswith("mlip_engines.adapters.")}
    needy = modules_of_adapted_packages()
    assert len(needy) > 3
    # the adapter itself, mlip_engines.adapters.NAME, has to say what to install
    assert needy <= {name for name in inside if name.count(".") > 2}
