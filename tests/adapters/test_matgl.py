"""Potentials of matgl: their numbers are those of its own ASE calculator, in every engine."""

import matgl
import pytest
import torch
from matgl.apps.pes import Potential
from matgl.models import CHGNet, M3GNet, TensorNet

from mlip_engines import check_conformance, read_metadata
from mlip_engines.adapters.matgl import open as open_matgl
from mlip_engines.commands.export import main
from structures import STRUCTURES
from tests.adapters.parity import (
    NAMES,
    check_lammps,
    check_numbers,
    check_openmm,
    check_stands_alone,
    crowd,
    drift_in_nve,
    salt,
)

pytestmark = [
    pytest.mark.adapters,
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]
ELEMENTS = tuple(crowd().symbols)
# One with what the published ones have, and others with every other choice.
KINDS = {
    "gaussian": {"units": 32, "nblocks": 2},
    "smooth_bessel": {
        "units": 16,
        "nblocks": 1,
        "rbf_type": "SphericalBessel",
        "use_smooth": True,
        "equivariance_invariance_group": "SO(3)",
        "activation_type": "softplus2",
    },
    "bessel": {"units": 16, "nblocks": 1, "rbf_type": "SphericalBessel"},
}
THREE_BODY = {
    "m3gnet_smooth": {"use_smooth": True, "nblocks": 3},
    "m3gnet": {"units": 16, "nblocks": 2, "max_n": 4, "max_l": 2},
}
LAYERS = {k: arguments["nblocks"] + 1 for k, arguments in KINDS.items()}
LAYERS.update({k: arguments["nblocks"] for k, arguments in THREE_BODY.items()})


def save(path, model, **more):
    Potential(model, element_refs=torch.linspace(-9.0, -1.0, len(ELEMENTS)), **more).save(path)
    return str(path)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Untrained models, whose forces the factor makes as large as those of trained ones."""
    torch.manual_seed(3)
    folder = tmp_path_factory.mktemp("matgl")
    models = {
        kind: (TensorNet if kind in KINDS else M3GNet)(
            element_types=ELEMENTS, is_intensive=False, cutoff=5.0, **arguments
        )
        for kind, arguments in {**KINDS, **THREE_BODY}.items()
    }
    return {kind: save(folder / kind, model, data_std=100.0) for kind, model in models.items()}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("kind", LAYERS)
def test_energies_forces_and_stress_are_those_of_matgl(kind, dtype, folders):
    opened = open_matgl(folders[kind], None, dtype)
    assert opened.network.message_passing_layers == LAYERS[kind]
    names = [*NAMES, "slab", "self_images", "no_neighbours"]
    for atoms in [*(STRUCTURES[name]() for name in names), salt(), crowd()]:
        check_numbers(opened, atoms, dtype)
    assert matgl.float_th == torch.get_default_dtype() == torch.float32


@pytest.mark.parametrize("kind", ["gaussian", "m3gnet_smooth"])
def test_the_contract_holds(kind, folders):
    opened = open_matgl(folders[kind], ["H", "O"], "float64")
    check_conformance(opened.network, opened.species, rotation=True)


@pytest.fixture(scope="module")
def exported(folders, tmp_path_factory):
    """A model file that the command has written, and the calculator that it is compared with."""
    path = tmp_path_factory.mktemp("exported") / "model.pt"
    source = folders["gaussian"]
    command = ["--from", "matgl", source, "-o", str(path), "--dtype", "float64"]
    assert main([*command, "--short-range", "none", "--species", "O", "H"]) == 0
    metadata = read_metadata(path)
    assert metadata.species == ["H", "O"]
    assert metadata.comparison["calculator"] == "matgl 4.1.2, PESCalculator"
    assert metadata.comparison["forces"] < 1e-9
    assert metadata.comparison["stress"] < 1e-9
    return path, open_matgl(source, None, "float64").reference


@pytest.mark.parametrize("processes", [1, 2, 4])
def test_lammps_gives_the_numbers_of_matgl_on_any_number_of_processes(
    processes, exported, plugin, tmp_path
):
    """More than one process: features are exchanged between the layers."""
    assert read_metadata(exported[0]).feature_exchange
    check_lammps(*exported, processes, tmp_path)


def test_lammps_gives_the_numbers_of_m3gnet(folders, plugin, tmp_path):
    source, path = folders["m3gnet_smooth"], tmp_path / "m3gnet.pt"
    command = ["--from", "matgl", source, "-o", str(path), "--dtype", "float64"]
    assert main([*command, "--short-range", "none", "--species", "O", "H"]) == 0
    check_lammps(path, open_matgl(source, None, "float64").reference, 2, tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_openmm_gives_the_numbers_of_matgl(name, exported):
    check_openmm(*exported, name)


def test_the_file_stands_alone(exported, tmp_path):
    check_stands_alone(*exported, ("matgl", "torch_geometric", "pymatgen"), tmp_path)


def test_energy_is_conserved_for_a_picosecond(exported, plugin):
    """An untrained network, but forces are its derivative all the same."""
    assert drift_in_nve(exported[0], STRUCTURES["triclinic"](), 1.0, 1.0) < 0.5


def test_what_cannot_be_opened_is_named(folders, tmp_path, capsys):
    def refused(*arguments):
        assert main(["--from", "matgl", *arguments, "-o", str(tmp_path / "m.pt")]) == 1
        assert not (tmp_path / "m.pt").exists()
        return capsys.readouterr().err

    def small(**more):
        return TensorNet(element_types=ELEMENTS, units=8, nblocks=1, **more)

    assert "expected a folder that matgl has saved a potential in" in refused(str(tmp_path))
    assert "got Xe; leave out" in refused(folders["bessel"], "--species", "Xe", "O")
    magnetic = save(tmp_path / "chgnet", CHGNet(element_types=ELEMENTS))
    assert "with TensorNet or M3GNet, got Potential of CHGNet" in refused(magnetic)
    azimuthal = M3GNet(element_types=ELEMENTS, is_intensive=False, use_phi=True)
    assert "complex numbers" in refused(save(tmp_path / "azimuthal", azimuthal))
    average = save(tmp_path / "average", small())
    assert "no energy that is a sum over atoms" in refused(average)
    shifted = save(tmp_path / "shifted", small(is_intensive=False), data_mean=0.3)
    assert "constant per structure" in refused(shifted)
    repelled = save(tmp_path / "repelled", small(is_intensive=False), calc_repuls=True)
    assert "ZBL repulsion" in refused(repelled)
    small(is_intensive=False).save(tmp_path / "bare")
    assert "got TensorNet of TensorNet" in refused(str(tmp_path / "bare"))
