"""Direct forces of ORB: those of its own calculator, as the inner force of another model."""

import numpy as np
import pytest
import torch

from mlip_engines import MlipCalculator, read_metadata
from mlip_engines.adapters import orb as adapter
from mlip_engines.checkpoints import Exportable, export_network
from mlip_engines.commands.export import main
from mlip_train.potentials.analytic import LennardJones
from structures import STRUCTURES
from tests.adapters.parity import FORCE, check_stands_alone
from tests.lammps_plugin.runner import run_structures

pytestmark = [
    pytest.mark.adapters,
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]
SMALL = {
    "latent_dim": 16,
    "base_mlp_hidden_dim": 16,
    "head_mlp_hidden_dim": 16,
    "num_message_passing_steps": 2,
}
CELLS = ["triclinic", "cell_smaller_than_cutoff", "orthogonal"]
SCALE = 2.0  # variance of the forces that the model was normalised with


def build(kind, neighbours=120, **how):
    import orb_models.forcefield.pretrained as pretrained
    from orb_models.forcefield.atomic_system import SystemConfig

    torch.manual_seed(0)
    architecture = getattr(pretrained, f"orb_v3_{kind}_architecture")
    return architecture(**SMALL, device="cpu", system_config=SystemConfig(6.0, neighbours), **how)


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Weights in files, of small models that ORB has under names of ours."""
    kinds = {
        "small": lambda: build("direct"),
        "nearest": lambda: build("direct", neighbours=20),
        "charged": lambda: build("direct", has_charge_spin_cond=True),
        "conservative": lambda: build("conservative"),
    }
    with adapter._imported(downloads=False):
        import orb_models.forcefield.pretrained as pretrained

        def loader(make):
            def load(weights_path, device, precision, compile):
                model = make()
                return pretrained.load_model(
                    model, weights_path, device, precision=precision, compile=compile
                )

            return load

        found = {}
        for name, make in kinds.items():
            monkeypatch.setitem(pretrained.ORB_PRETRAINED_MODELS, name, loader(make))
            model = make()
            if name == "small":
                model.heads["forces"].normalizer.bn.running_var.fill_(SCALE)
            torch.save(model.state_dict(), tmp_path / f"{name}.ckpt")
            found[name] = f"{tmp_path / name}.ckpt#{name}"
    # it is imported now; the fixture keeps what downloads out of the way of load_model
    monkeypatch.setattr(pretrained, "cached_path", lambda path: path)
    return found


def theirs(file, dtype, atoms):
    """Return the forces of ORB's calculator, without their mean."""
    from orb_models.forcefield.calculator import ORBCalculator

    path, _, name = file.rpartition("#")
    with adapter._imported(downloads=False):
        atoms = atoms.copy()
        atoms.calc = ORBCalculator(adapter._loaded(path, name, dtype), device="cpu")
        forces = atoms.get_forces()
    return forces - forces.mean(axis=0)


def with_energy(file, dtype, path):
    """Write a Lennard-Jones energy with the forces of ORB inside."""
    energy = LennardJones(6.0, 0.002, 1.1, with_non_conservative_head=False)
    outer = Exportable(energy, ["H", "O"], name="lj")
    inner = adapter.open(file, ["H", "O"], dtype)
    return export_network(outer, path, dtype, inner=inner, short_range="none")


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_direct_forces_are_those_of_orb(dtype, files, tmp_path):
    """In cells: around molecules in vacuum ORB removes a net torque, which takes the whole structure."""
    path = tmp_path / "model.pt"
    metadata = with_energy(files["small"], dtype, path)
    assert metadata.heads == ["energy", "non_conservative_forces"]
    for name in CELLS:
        atoms = STRUCTURES[name]()
        atoms.calc = MlipCalculator(path, forces="non_conservative")
        expected = theirs(files["small"], dtype, atoms)
        assert np.abs(expected).max() > 0.05
        np.testing.assert_allclose(atoms.get_forces(), expected, atol=FORCE[dtype], rtol=0)


def test_the_repulsion_of_crushed_molecules_is_that_of_orb(files, tmp_path):
    """Bonds of 0.7 Å, below the 0.85 Å at which it ends for O and H: tens of eV/Å come from it."""
    path = tmp_path / "model.pt"
    with_energy(files["small"], "float64", path)
    atoms = STRUCTURES["triclinic"]()
    for oxygen in range(0, len(atoms), 3):
        for hydrogen in (oxygen + 1, oxygen + 2):
            bond = atoms.positions[hydrogen] - atoms.positions[oxygen]
            atoms.positions[hydrogen] = atoms.positions[oxygen] + 0.7 * bond
    atoms.calc = MlipCalculator(path, forces="non_conservative")
    expected = theirs(files["small"], "float64", atoms)
    assert np.abs(expected).max() > 3.0
    np.testing.assert_allclose(atoms.get_forces(), expected, atol=FORCE["float64"], rtol=0)


def test_an_atom_by_itself_has_no_force(files, tmp_path):
    with_energy(files["small"], "float64", tmp_path / "model.pt")
    atoms = STRUCTURES["no_neighbours"]()
    atoms.calc = MlipCalculator(tmp_path / "model.pt", forces="non_conservative")
    assert np.abs(atoms.get_forces()).max() == 0.0


@pytest.mark.parametrize("processes", [1, 2, 4])
def test_lammps_gives_the_forces_of_orb(processes, files, plugin, tmp_path):
    path = tmp_path / "model.pt"
    with_energy(files["small"], "float64", path)
    structures = [STRUCTURES[name]() for name in CELLS]
    results = run_structures(
        structures,
        path,
        tmp_path,
        processes=processes,
        pair_style="mlip forces non_conservative",
    )
    for atoms, result in zip(structures, results, strict=True):
        expected = theirs(files["small"], "float64", atoms)
        np.testing.assert_allclose(result.forces, expected, atol=FORCE["float64"], rtol=0)


def test_the_command_refuses_its_energy_and_says_why(files, tmp_path, capsys):
    command = ["--from", "orb", files["small"], "--species", "H", "O"]
    assert main([*command, "-o", str(tmp_path / "model.pt")]) == 1
    assert "no energy that is a sum over atoms" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nearest", "sees the 20 nearest neighbours only"),
        ("charged", "wants the charge and spin"),
        ("conservative", "has no direct forces, and ORB's energy is a mean over atoms"),
    ],
)
def test_what_cannot_be_an_inner_force_is_refused(name, message, files):
    with pytest.raises(ValueError, match=message):
        adapter.open(files[name], ["H", "O"], "float32")


def test_a_name_that_orb_does_not_know_is_refused(files):
    path = files["small"].rpartition("#")[0]
    with pytest.raises(ValueError, match="expected the name of a model of ORB.*got 'orb-v9'"):
        adapter.open(f"{path}#orb-v9", ["H", "O"], "float32")


def test_weights_of_another_model_are_refused(files):
    path = files["charged"].rpartition("#")[0]
    with pytest.raises(ValueError, match="ORB cannot load the weights of small"):
        adapter.open(f"{path}#small", ["H", "O"], "float32")


def test_the_file_stands_alone(files, tmp_path):
    path = tmp_path / "model.pt"
    with_energy(files["small"], "float64", path)
    assert read_metadata(path).heads == ["energy", "non_conservative_forces"]
    check_stands_alone(path, MlipCalculator(path), ("orb_models", "tree", "cached_path"), tmp_path)
