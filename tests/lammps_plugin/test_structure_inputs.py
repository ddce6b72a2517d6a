"""A model that depends on total charge and spin, through LAMMPS, against its closed form."""

import dataclasses
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils import cpp_extension

from mlip_engines import MlipCalculator
from mlip_engines.model.archive import read_metadata, replace_metadata
from mlip_engines.model.load import load_model
from mlip_train.networks import build_network
from mlip_train.potentials.charged import ChargedLennardJones
from structures import STRUCTURES
from tests.lammps_plugin.closed_form import ClosedForm
from tests.lammps_plugin.model_files import BASELINE, CUTOFF, SPECIES, export_pair
from tests.lammps_plugin.runner import LammpsError, run_script, run_structures, write_data
from tolerances import TOLERANCE

PARAMETERS = {"epsilon": 0.02, "sigma": 1.1, "curl": 0.01}
CLOSED_FORM = ClosedForm(CUTOFF, **PARAMETERS)
SLOPE, SPIN = 0.3, 0.01
NAMES = ["orthogonal", "triclinic", "molecules", "single_atom"]
LIMIT = TOLERANCE["float64"]


@pytest.fixture(scope="module")
def charged(tmp_path_factory):
    network = ChargedLennardJones(CUTOFF, SLOPE, SPIN, **PARAMETERS)
    path = tmp_path_factory.mktemp("charged") / "charged.pt"
    return export_pair(network.to(torch.float64), path)


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("forces", ["conservative", "non_conservative"])
def test_energy_forces_and_virial_are_those_of_the_charge(charged, tmp_path, processes, forces):
    structures = [STRUCTURES[name]() for name in NAMES]
    given = [(0, 1), (-1, 2), (2.5, 3), (1, 2)]
    styles = [
        f"mlip forces {forces} total_charge {charge} spin_multiplicity {multiplicity}"
        for charge, multiplicity in given
    ]
    results = run_structures(
        structures, charged, tmp_path, species=SPECIES, pair_style=styles, processes=processes
    )
    for atoms, result, (charge, multiplicity) in zip(structures, results, given, strict=True):
        energy, conservative, virial, direct = CLOSED_FORM.evaluate(atoms)
        factor = 1.0 + SLOPE * charge
        expected = factor * energy + SPIN * (multiplicity - 1) * len(atoms)
        expected += sum(BASELINE[symbol] for symbol in atoms.symbols)
        assert abs(result.energy - expected) < LIMIT.energy
        wanted = conservative if forces == "conservative" else direct
        assert np.abs(result.forces - factor * wanted).max() < LIMIT.force
        if forces == "conservative":
            assert np.abs(result.virial - factor * virial).max() < LIMIT.virial


@pytest.mark.parametrize("processes", [1, 2])
def test_a_network_of_ours_gives_what_ase_gives(tmp_path, processes):
    torch.manual_seed(2)
    settings = {"name": "painn", "species": [1, 8], "cutoff": CUTOFF, "charge": True, "spin": True}
    settings |= {"n_features": 8, "n_layers": 1, "non_conservative_layer": 1, "n_force_layers": 0}
    network = build_network(settings).double()
    model = export_pair(network, tmp_path / "ions.pt")
    structures, styles, expected = [], [], []
    for charge, multiplicity in ((0, 1), (-1, 2)):
        atoms = STRUCTURES["triclinic"]()
        structures.append(atoms.copy())
        styles.append(f"mlip total_charge {charge} spin_multiplicity {multiplicity}")
        atoms.info.update(charge=charge, spin=multiplicity)
        atoms.calc = MlipCalculator(model)
        expected.append((atoms.get_potential_energy(), atoms.get_forces()))
    results = run_structures(
        structures, model, tmp_path, species=SPECIES, pair_style=styles, processes=processes
    )
    for result, (energy, forces) in zip(results, expected, strict=True):
        assert abs(result.energy - energy) < LIMIT.energy
        assert np.abs(result.forces - forces).max() < LIMIT.force
    assert abs(expected[1][0] - expected[0][0]) > 1e-3


@pytest.mark.parametrize("processes", [1, 2])
def test_respa_conserves_the_energy_of_the_charge(charged, tmp_path, processes):
    """M = 1 is velocity Verlet with the forces of the energy: the same trajectory, whatever the head."""
    atoms = STRUCTURES["molecules"]()
    style = "mlip total_charge 1 spin_multiplicity 2"
    commands = "timestep 0.0002\nfix move all nve\nthermo 1\n{}run 5"
    respa = "run_style respa 2 1 inner 1 4.0 5.0 outer 2\n"
    verlet, found = run_structures(
        [atoms, atoms],
        charged,
        tmp_path,
        species=SPECIES,
        pair_style=style,
        commands=[commands.format(""), commands.format(respa)],
        processes=processes,
    )
    assert np.abs(found.positions - verlet.positions).max() < LIMIT.position
    assert np.abs(found.velocities).max() > 0.0


SCRIPT = """
units metal
read_data water.data
pair_style {style}
pair_coeff {coeff}
fix move all nve
run 0
"""


@pytest.fixture
def refusal(charged, models, tmp_path):
    write_data(tmp_path / "water.data", STRUCTURES["orthogonal"](), SPECIES)
    shutil.copy(charged, tmp_path / "charged.pt")
    shutil.copy(models["curl"], tmp_path / "curl.pt")

    def attempt(style, coeff="* * charged.pt H O", processes=1):
        script = SCRIPT.format(style=style, coeff=coeff)
        with pytest.raises(LammpsError) as caught:
            run_script(script, tmp_path, processes=processes)
        return caught.value.output

    return attempt


@pytest.mark.parametrize("processes", [1, 2])
def test_what_is_missing_is_asked_for(refusal, processes):
    output = refusal("mlip total_charge 1", processes=processes)
    assert "charged.pt depends on spin_multiplicity" in output
    assert "pair_style mlip ... spin_multiplicity" in output


def test_what_the_model_does_not_depend_on_is_refused(refusal):
    output = refusal("mlip total_charge 0", "* * curl.pt H O")
    assert "curl.pt does not depend on total_charge" in output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("total_charge", "keyword 'total_charge' needs a value"),
        ("total_charge plus", "expected a number after 'total_charge', got 'plus'"),
        ("spin_multiplicity 0", "a whole number of at least 1, after 'spin_multiplicity', got '0'"),
        ("spin_multiplicity 1.5", "after 'spin_multiplicity', got '1.5'"),
    ],
)
def test_values_that_cannot_be_right_are_refused(refusal, words, message):
    assert message in refusal(f"mlip {words}")


def test_sub_styles_have_to_agree(refusal):
    output = refusal(
        "hybrid/overlay mlip forces non_conservative total_charge 1 spin_multiplicity 2 "
        "mlip forces correction total_charge 0 spin_multiplicity 2",
        "* * mlip 1 charged.pt H O\npair_coeff * * mlip 2 charged.pt H O",
    )
    assert "same total_charge and spin_multiplicity" in output


OPERATORS = """
#include <torch/library.h>
static at::Tensor half(const at::Tensor &x) { return x.mul(0.5); }
TORCH_LIBRARY(mlip_absent, m) { m.def("half(Tensor x) -> Tensor", half); }
"""


def needs_operators(path: Path) -> None:
    """Let a file ask for operators; its code calls none of them."""
    needed = dataclasses.replace(
        read_metadata(path), extensions=["mlip", "mlip_absent"], contract_version=2
    )
    replace_metadata(path, needed)


@pytest.fixture
def needy(models, tmp_path):
    write_data(tmp_path / "water.data", STRUCTURES["orthogonal"](), SPECIES)
    shutil.copy(models["curl"], tmp_path / "curl.pt")
    needs_operators(tmp_path / "curl.pt")
    return SCRIPT.format(style="mlip", coeff="* * curl.pt H O")


def test_operators_of_another_library_are_asked_for(needy, tmp_path, monkeypatch):
    with pytest.raises(LammpsError) as caught:
        run_script(needy, tmp_path)
    assert "the model needs the operators mlip_absent, which no loaded" in caught.value.output
    assert "MLIP_EXTENSIONS" in caught.value.output
    monkeypatch.setenv("MLIP_EXTENSIONS", "/nowhere/absent.so")
    with pytest.raises(LammpsError) as caught:
        run_script(needy, tmp_path)
    assert "cannot load /nowhere/absent.so" in caught.value.output


@pytest.mark.slow
def test_a_library_that_is_named_brings_them(needy, tmp_path, monkeypatch):
    (tmp_path / "absent.cpp").write_text(OPERATORS)
    library = tmp_path / "libabsent.so"
    command = ["g++", "-std=c++17", "-shared", "-fPIC", str(tmp_path / "absent.cpp")]
    command += [f"-I{folder}" for folder in cpp_extension.include_paths()]
    folder = cpp_extension.library_paths()[0]
    command += [f"-L{folder}", "-ltorch_cpu", "-lc10", f"-Wl,-rpath,{folder}"]
    abi = int(torch.compiled_with_cxx11_abi())
    subprocess.run([*command, f"-D_GLIBCXX_USE_CXX11_ABI={abi}", "-o", str(library)], check=True)
    monkeypatch.setenv("MLIP_EXTENSIONS", str(library))
    run_script(needy, tmp_path)
    load_model(tmp_path / "curl.pt")
