"""Models of TorchMD-Net: their numbers are those of its own model, in every engine."""

import numpy as np
import pytest
import torch

from mlip_engines import MlipCalculator, check_conformance, read_metadata
from mlip_engines.adapters import torchmdnet as adapter
from mlip_engines.commands.export import main
from structures import STRUCTURES
from tests.adapters.parity import (
    FORCE,
    NAMES,
    check_lammps,
    check_numbers,
    check_openmm,
    check_stands_alone,
    crowd,
    drift_in_nve,
    evaluated,
)
from tests.adapters.torchmdnet_models import FREE_ATOMS, ZBL, write_checkpoint

pytestmark = [
    pytest.mark.adapters,
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]
# Two layers each; TensorNet embeds neighbours before them, and so do the others with neighbor_embedding.
KINDS = ["tensornet", "equivariant-transformer", "transformer", "graph-network"]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("torchmdnet")
    with adapter._imported():
        return {kind: str(write_checkpoint(kind, folder / f"{kind}.ckpt")) for kind in KINDS}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("kind", KINDS)
def test_energies_forces_and_stress_are_those_of_torchmdnet(kind, dtype, files):
    """In cells narrower than the cutoff too, where TorchMD-Net itself is given repeated cells."""
    opened = adapter.open(files[kind], None, dtype)
    assert opened.network.message_passing_layers == 3
    free = {"H": FREE_ATOMS[1], "O": FREE_ATOMS[8]}
    assert opened.reference_energies == pytest.approx(free)
    for name in NAMES:
        check_numbers(opened, STRUCTURES[name](), dtype)


@pytest.mark.parametrize("kind", ["tensornet", "graph-network"])
def test_an_atom_sees_its_own_images(kind, files):
    """Not for the equivariant transformer: at a symmetric site its energy is a cone, whose slope is rounding."""
    check_numbers(
        adapter.open(files[kind], None, "float64"), STRUCTURES["self_images"](), "float64"
    )


def test_an_so3_tensornet_keeps_its_handedness(tmp_path):
    """Its energy changes in a mirror, so vectors of the wrong sign would show."""
    with adapter._imported():
        path = write_checkpoint(
            "tensornet", tmp_path / "so3.ckpt", equivariance_invariance_group="SO(3)"
        )
    opened = adapter.open(str(path), None, "float64")
    atoms = STRUCTURES["molecules"]()
    mirrored = atoms.copy()
    mirrored.positions *= -1.0
    energies = [float(evaluated(opened, a)["energy"]) for a in (atoms, mirrored)]
    assert abs(energies[0] - energies[1]) > 1e-7
    atoms.calc = opened.reference
    assert energies[0] == pytest.approx(atoms.get_potential_energy(), abs=1e-9)


def test_the_nuclear_repulsion_is_taken_over(tmp_path):
    """Its cutoff may be longer than that of the network."""
    with adapter._imported():
        priors = [{"Atomref": {"max_z": 100}}, {"ZBL": ZBL}]
        path = write_checkpoint("transformer", tmp_path / "zbl.ckpt", prior_model=priors)
    opened = adapter.open(str(path), None, "float64")
    assert opened.network.cutoff == 4.5
    for name in NAMES:
        check_numbers(opened, STRUCTURES[name](), "float64")


def test_the_total_charge_is_an_input_if_asked_for(tmp_path, files):
    opened = adapter.open(f"{files['tensornet']}#eV,charge", None, "float64")
    assert opened.network.structure_inputs == ["total_charge"]
    path = tmp_path / "charged.pt"
    command = ["--from", "torchmdnet", f"{files['tensornet']}#eV,charge", "-o", str(path)]
    assert main([*command, "--dtype", "float64", "--short-range", "none"]) == 0
    energies = []
    for charge in (0, 1):
        atoms = STRUCTURES["triclinic"]()
        atoms.info["total_charge"] = charge
        atoms.calc = MlipCalculator(path)
        energies.append(atoms.get_potential_energy())
        forces = atoms.get_forces()
        atoms.calc = opened.reference
        assert energies[-1] == pytest.approx(atoms.get_potential_energy(), abs=1e-6)
        np.testing.assert_allclose(forces, atoms.get_forces(), atol=FORCE["float64"])
    assert abs(energies[1] - energies[0]) > 1e-4


def test_the_unit_of_the_energy_is_what_the_user_says(files):
    opened = adapter.open(f"{files['tensornet']}#kcal/mol", None, "float64")
    assert opened.scale == pytest.approx(0.0433641, rel=1e-5)
    check_numbers(opened, STRUCTURES["triclinic"](), "float64")


def test_twenty_elements_at_once(tmp_path):
    with adapter._imported():
        path = str(write_checkpoint("tensornet", tmp_path / "plain.ckpt", prior_model=None))
    with pytest.raises(ValueError, match="name them with --species"):
        adapter.open(path, None, "float64")
    opened = adapter.open(path, list(crowd().symbols), "float64")
    assert opened.network.representation.tensor_embedding.emb.weight.shape[0] == 20
    check_numbers(opened, crowd(), "float64")


@pytest.mark.parametrize("kind", ["tensornet", "transformer", "graph-network"])
def test_the_contract_holds(kind, files):
    """Not for the equivariant transformer, whose energy is a cone at symmetric sites."""
    opened = adapter.open(files[kind], None, "float64")
    check_conformance(opened.network, opened.species)


def exported(kind, files, folder):
    """Return a model file that the command has written, and the calculator that it is compared with."""
    path = folder / f"{kind}.pt"
    command = ["--from", "torchmdnet", files[kind], "-o", str(path), "--dtype", "float64"]
    assert main([*command, "--short-range", "none"]) == 0
    metadata = read_metadata(path)
    assert "TorchMD_Net" in metadata.comparison["calculator"]
    assert metadata.comparison["forces"] < 1e-6
    return path, adapter.open(files[kind], None, "float64").reference


@pytest.fixture(scope="module")
def tensornet(files, tmp_path_factory):
    return exported("tensornet", files, tmp_path_factory.mktemp("tensornet"))


@pytest.fixture(scope="module")
def transformer(files, tmp_path_factory):
    return exported("equivariant-transformer", files, tmp_path_factory.mktemp("et"))


@pytest.mark.parametrize("processes", [1, 2, 4])
def test_lammps_gives_the_numbers_of_tensornet(processes, tensornet, plugin, tmp_path):
    check_lammps(*tensornet, processes, tmp_path)


@pytest.mark.parametrize("processes", [1, 2])
def test_lammps_gives_the_numbers_of_the_equivariant_transformer(
    processes, transformer, plugin, tmp_path
):
    """Its messages go the other way along an edge, which a domain decomposition could tell."""
    check_lammps(*transformer, processes, tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_openmm_gives_the_numbers_of_tensornet(name, tensornet):
    check_openmm(*tensornet, name)


def test_openmm_gives_the_numbers_of_the_equivariant_transformer(transformer):
    check_openmm(*transformer, "triclinic")


def test_the_file_stands_alone(tensornet, tmp_path):
    check_stands_alone(*tensornet, ("torchmdnet", "lightning", "torch_geometric"), tmp_path)


def test_energy_is_conserved_for_a_picosecond(tensornet, plugin):
    """An untrained network, but forces are its derivative all the same."""
    assert drift_in_nve(tensornet[0], STRUCTURES["triclinic"](), 1.0, 1.0) < 0.5


@pytest.mark.parametrize(
    ("changes", "said", "message"),
    [
        ({"reduce_op": "mean"}, "", "the energy is the mean over atoms"),
        ({"output_model": "DipoleMoment", "prior_model": None}, "", "one of DipoleMoment"),
        ({"cutoff_lower": 0.5}, "", "ignores neighbours nearer than 0.5"),
        ({"model": "transformer"}, "#charge", "only a TensorNet has the total charge"),
        ({}, "#furlong", "the unit one of eV, kcal/mol, kJ/mol, Hartree, got #furlong"),
    ],
)
def test_what_cannot_be_taken_over_is_refused(changes, said, message, tmp_path):
    with adapter._imported():
        kind = changes.pop("model", "tensornet")
        path = write_checkpoint(kind, tmp_path / "some.ckpt", **changes)
    with pytest.raises(ValueError, match=message):
        adapter.open(f"{path}{said}", ["H", "O"], "float32")


def test_dispersion_is_refused(tmp_path):
    with adapter._imported():
        prior = {
            "cutoff_distance": 8.0,
            "max_num_neighbors": 64,
            "atomic_number": list(range(30)),
            "distance_scale": 1e-10,
            "energy_scale": 1.602176634e-19,
        }
        path = write_checkpoint("tensornet", tmp_path / "d2.ckpt", prior_model=[{"D2": prior}])
    with pytest.raises(ValueError, match="the model has D2, of a range beyond the cutoff"):
        adapter.open(str(path), ["H", "O"], "float32")


def test_whoever_exports_is_told_what_is_left_out_and_what_is_rough(tmp_path):
    with adapter._imported():
        path = write_checkpoint(
            "equivariant-transformer", tmp_path / "rough.ckpt", mean=3.0, vector_cutoff=False
        )
    with pytest.warns(UserWarning) as warned:
        adapter.open(str(path), None, "float32")
    texts = " ".join(str(w.message) for w in warned)
    assert "adds 3 in its unit to the energy of each structure" in texts
    assert "vector_cutoff: false" in texts


def test_elements_that_the_model_lacks_are_refused(files):
    with pytest.raises(ValueError, match="trained for H, O, got Xe"):
        adapter.open(files["tensornet"], ["O", "Xe"], "float32")


def test_a_file_of_something_else_is_refused(tmp_path):
    path = tmp_path / "linear.ckpt"
    torch.save(torch.nn.Linear(2, 2), path)
    with pytest.raises(ValueError, match="expected a checkpoint of torchmd-train"):
        adapter.open(str(path), None, "float32")
