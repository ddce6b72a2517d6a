"""The heat flux of compute heat/flux: the motion of the energy, its definition, and any number of processes."""

from pathlib import Path

import ase.units
import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from ase.neighborlist import neighbor_list

from mlip_engines.checkpoints import export_checkpoint
from mlip_engines.model.exported import ExportedModel
from mlip_engines.model.graph import Graph, reverse_edges
from mlip_engines.model.load import find_model, load_model
from mlip_engines.properties import heat_flux
from mlip_train.networks.painn import PaiNN
from mlip_train.networks.pet import PET
from mlip_train.potentials.analytic import LennardJones
from structures import STRUCTURES
from tests.lammps_plugin.model_files import CUTOFF, SPECIES, export_network
from tests.lammps_plugin.runner import LammpsError, read_dump, read_thermo, run_script, write_data
from tolerances import TOLERANCE

# what central differences along a trajectory leave
DIFFERENCES = 1e-3
SCALE = 50.0  # of random networks, which are calm
RESPA = "run_style respa 2 4 inner 1 2.0 3.0 outer 2"
# LAMMPS's order, and its unit of stress times volume (bar Å^3) in eV: src/update.cpp
ORDER = [(0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2), (1, 0), (2, 0), (2, 1)]
TO_EV = 1.0 / 1.6021765e6


class PairsOfTwoLayers(LennardJones):
    """A sum over pairs that says it has two layers: its virials are known, and the way to them is the long one."""

    def __init__(self):
        super().__init__(CUTOFF, 0.02, 1.1)
        self.message_passing_layers = 2


@pytest.fixture(scope="module")
def networks() -> dict[str, torch.nn.Module]:
    """Random networks of several layers; of PET, the energy of an atom also depends on reverse edges."""
    torch.manual_seed(11)
    painn = PaiNN([1, 8], 2.5, n_features=6, n_basis=5, n_layers=3)
    pet = PET([1, 8], 2.6, n_edge_features=8, n_heads=2, n_layers=2)
    return {"painn": painn.double(), "pet": pet.double(), "pairs": PairsOfTwoLayers().double()}


@pytest.fixture(scope="module")
def files(networks, models, tmp_path_factory) -> dict[str, Path]:
    """Those networks in files, models of one layer, and the shipped models in float64."""
    folder = tmp_path_factory.mktemp("flux")
    found = {name: models[name] for name in ("argon", "square_root")}
    for name, network in networks.items():
        scale = 1.0 if name == "pairs" else SCALE
        found[name] = export_network(network, folder / f"{name}.pt", scale=scale)
    for name in ("copper", "water"):
        found[name] = folder / f"{name}.pt"
        export_checkpoint(find_model(name), found[name], dtype="float64")
    return found


def warm(atoms: Atoms, temperature_K: float) -> Atoms:
    """Velocities, in vacuum: the energy moves with the atoms and between them."""
    generator = np.random.default_rng(5)
    atoms.pbc = False
    atoms.rattle(0.05, rng=generator)
    width = np.sqrt(ase.units.kB * temperature_K / atoms.get_masses())[:, None]
    atoms.set_velocities(width * generator.standard_normal((len(atoms), 3)))
    return atoms


def argon_cluster():
    return warm(bulk("Ar", a=5.3, cubic=True).repeat((2, 1, 1)), 300.0)


def copper_cluster():
    return warm(bulk("Cu", a=3.63, cubic=True).repeat(2), 600.0)


CLUSTERS = {  # atoms, element of each type, time step in ps
    "argon": (argon_cluster, ["Ar"], 2e-4),
    "square_root": (argon_cluster, ["Ar"], 2e-4),
    "copper": (copper_cluster, ["Cu"], 2e-4),
    "scaled": (copper_cluster, ["Cu"], 2e-4),
    "two_levels": (copper_cluster, ["Cu"], 2e-4),
    "water": (lambda: warm(STRUCTURES["molecules"](), 300.0), ["O", "H"], 5e-6),
}


# half of the model beside another style, and the model as two sub-styles
HYBRID = {
    "scaled": """pair_style hybrid/scaled 0.5 mlip 1.0 lj/cut 20.0
pair_coeff * * mlip {file} Cu
pair_coeff * * lj/cut 0.2 2.3""",
    "two_levels": """pair_style hybrid/overlay mlip forces non_conservative mlip forces correction
pair_coeff * * mlip 1 {file} Cu
pair_coeff * * mlip 2 {file} Cu""",
}
SINGLE = "pair_style mlip\npair_coeff * * {file} {elements}"


@pytest.fixture(scope="module")
def moved(files, tmp_path_factory):
    """The part of d/dt sum_i e_i r_i that is not carried by the atoms, three ways, eV Å/ps, for each cluster.

    From differences along a trajectory, from stress/atom, from centroid/stress/atom; and the sums
    of the two virials of the atoms at all steps.
    """
    folder = tmp_path_factory.mktemp("clusters")
    script = ""
    for name, (build, species, step) in CLUSTERS.items():
        write_data(folder / f"{name}.data", build(), species)
        file = files["copper" if name in HYBRID else name]
        pair = HYBRID.get(name, SINGLE).format(file=file, elements=" ".join(species))
        script += f"""
clear
units metal
atom_style atomic
boundary f f f
read_data {name}.data
{pair}
timestep {step}
fix move all nve
compute ke all ke/atom
compute pe all pe/atom
compute s all stress/atom NULL virial
compute c all centroid/stress/atom NULL virial
compute js all heat/flux ke pe s
compute jc all heat/flux ke pe c
compute sums all reduce sum c_s[1] c_s[4] c_c[1] c_c[4] c_c[7]
thermo_style custom step c_js[*] c_jc[*] c_sums[*]
thermo_modify norm no format float %.17g
thermo 1
dump d all custom 1 {name}.dump id x y z c_ke c_pe
dump_modify d sort id format float %.17g
run 20
"""
    logs = run_script(script, folder).split("Reading data file")[1:]

    def measure(name, log):
        thermo = read_thermo(log)

        def columns(key, numbers):
            return np.stack([thermo[f"c_{key}[{k}]"] for k in numbers], axis=1)

        frames = read_dump(folder / f"{name}.dump")
        moments = [((f[:, 4] + f[:, 5])[:, None] * f[:, 1:4]).sum(axis=0) for f in frames]
        motion = (np.array(moments[2:]) - moments[:-2]) / (2 * CLUSTERS[name][2])
        carried = columns("jc", (4, 5, 6))
        stress = (columns("js", (1, 2, 3)) - carried)[1:-1]
        centroid = (columns("jc", (1, 2, 3)) - carried)[1:-1]
        return motion - carried[1:-1], stress, centroid, columns("sums", range(1, 6))

    return {name: measure(name, log) for name, log in zip(CLUSTERS, logs, strict=True)}


def relative_error(flux, motion):
    return np.abs(flux - motion).max() / np.abs(motion).max()


def test_heat_flux_is_the_motion_of_the_energy_for_pairs(moved):
    """Either decomposition is right when the energy is a sum over pairs."""
    motion, stress, centroid, _ = moved["argon"]
    assert relative_error(stress, motion) < DIFFERENCES
    assert relative_error(centroid, motion) < DIFFERENCES


@pytest.mark.parametrize("name", ["square_root", "copper", "scaled", "two_levels", "water"])
def test_heat_flux_of_many_bodies_needs_the_centroid_virial(moved, name):
    """One layer, and shipped models of two and three, also in hybrid styles: the energy moves as the flux says."""
    motion, stress, centroid, sums = moved[name]
    print(
        name, relative_error(centroid, motion), relative_error(stress, motion), np.abs(motion).max()
    )
    assert relative_error(centroid, motion) < DIFFERENCES
    assert relative_error(stress, motion) > 30 * DIFFERENCES
    # both sum to the same virial: xx, xy of one, xx, xy, yx of the other
    np.testing.assert_allclose(sums[:, 2], sums[:, 0], rtol=1e-8, atol=1e-6)
    np.testing.assert_allclose(sums[:, 3:5], sums[:, [1, 1]], rtol=1e-8, atol=1e-6)


def by_definition(network: torch.nn.Module, atoms: Atoms, scale: float) -> np.ndarray:
    """W_j = sum_i sum_n (r_i - r_jn) (x) dE_i/dr_jn, (N, 3, 3) eV, with the images jn of j in all cells in reach."""
    reach = network.cutoff * network.message_passing_layers
    widths = 1.0 / np.linalg.norm(np.linalg.inv(atoms.cell.array), axis=0)
    n_cells = np.where(atoms.pbc, np.ceil(reach / widths), 0).astype(int)
    around = [range(-n, n + 1) for n in n_cells]
    shifts = np.array([[a, b, c] for a in around[0] for b in around[1] for c in around[2]])
    shifts = shifts[np.argsort(np.abs(shifts).sum(axis=1), kind="stable")]  # the cell itself first
    images = Atoms(
        np.tile(atoms.numbers, len(shifts)),
        (atoms.positions[None] + (shifts @ atoms.cell.array)[:, None]).reshape(-1, 3),
    )
    i, j = (torch.from_numpy(index) for index in neighbor_list("ij", images, network.cutoff))
    edge_index = torch.stack([i, j])
    positions = torch.tensor(images.positions, requires_grad=True)
    graph = Graph(
        torch.from_numpy(images.numbers),
        edge_index,
        positions[j] - positions[i],
        reverse_edges(edge_index, torch.zeros((len(i), 3))),
        torch.arange(len(images)) < len(atoms),
    )
    energies = scale * network.eval()(graph, False)["atomic_energies"]
    virials = np.zeros((len(atoms), 3, 3))
    for atom in range(len(atoms)):
        (gradient,) = torch.autograd.grad(energies[atom], positions, retain_graph=True)
        separation = images.positions[atom] - images.positions
        terms = separation[:, :, None] * gradient.numpy()[:, None, :]
        virials += terms.reshape(len(shifts), len(atoms), 3, 3).sum(axis=0)
    return virials


STATIC = [  # network, structure, keywords, commands before and after the box is there
    ("painn", "triclinic", "parallel exchange", "newton off", RESPA),
    ("painn", "cell_smaller_than_cutoff", "parallel halo rotate yes", "newton on", ""),
    ("pet", "triclinic", "parallel exchange", "newton on", ""),
    ("pet", "triclinic", "parallel halo", "newton off", RESPA),
    ("painn", "slab", "forces non_conservative", "newton on", ""),
    ("pairs", "orthogonal", "", "newton on", ""),
]


@pytest.fixture(scope="module")
def expected(networks):
    """Virials of the atoms of each case, from the definition."""
    found = {}
    for name, structure, *_ in STATIC:
        if (name, structure) not in found:
            scale = 1.0 if name == "pairs" else SCALE
            atoms = STRUCTURES[structure]()
            found[name, structure] = by_definition(networks[name], atoms, scale)
    return found


@pytest.mark.parametrize(("processes", "n_cases"), [(1, 6), (2, 5), (4, 3)])
def test_centroid_virials_are_those_of_the_definition(
    files, expected, tmp_path, processes, n_cases
):
    script = ""
    cells = []
    for k, (name, structure, keywords, before, after) in enumerate(STATIC[:n_cases]):
        atoms = STRUCTURES[structure]()
        cells.append(write_data(tmp_path / f"{k}.data", atoms, SPECIES))
        script += f"""
clear
units metal
atom_style atomic
{before}
boundary {" ".join("p" if periodic else "f" for periodic in atoms.pbc)}
read_data {k}.data
pair_style mlip {keywords}
pair_coeff * * {files[name]} {" ".join(SPECIES)}
{after}
compute c all centroid/stress/atom NULL pair
dump d all custom 1 {k}.dump id c_c[*]
dump_modify d sort id format float %.17g
run 0
"""
    run_script(script, tmp_path, processes=processes)
    for k, (case, cell) in enumerate(zip(STATIC[:n_cases], cells, strict=True)):
        table = -TO_EV * read_dump(tmp_path / f"{k}.dump")[0][:, 1:]  # minus the virial
        found = np.empty((len(table), 3, 3))
        for column, (a, b) in enumerate(ORDER):
            found[:, a, b] = table[:, column]
        found = np.einsum("ai,nij,jb->nab", cell.rotation.T, found, cell.rotation)
        wanted = expected[case[:2]]
        assert np.abs(wanted).max() > 0.1
        assert np.abs(found - wanted).max() < TOLERANCE["float64"].virial, case


def test_the_sum_over_pairs_has_the_virials_of_stress_per_atom(files, tmp_path):
    """For pairs the two decompositions are one, and stress/atom does not come from the unfolded graph."""
    write_data(tmp_path / "water.data", STRUCTURES["orthogonal"](), SPECIES)
    script = f"""
units metal
atom_style atomic
read_data water.data
pair_style mlip
pair_coeff * * {files["pairs"]} {" ".join(SPECIES)}
compute c all centroid/stress/atom NULL pair
compute s all stress/atom NULL pair
dump d all custom 1 c.dump id c_c[*] c_s[*]
dump_modify d sort id format float %.17g
run 0
"""
    run_script(script, tmp_path)
    table = TO_EV * read_dump(tmp_path / "c.dump")[0][:, 1:]
    limit = TOLERANCE["float64"].virial
    assert np.abs(table[:, :6] - table[:, 9:]).max() < limit
    assert np.abs(table[:, 6:9] - table[:, 3:6]).max() < limit


FLUX = """
compute ke all ke/atom
compute pe all pe/atom
compute c all centroid/stress/atom NULL virial
compute j all heat/flux ke pe c
"""


def run_water(file, folder, commands):
    write_data(folder / "water.data", warm_box(), SPECIES)
    script = f"""
units metal
atom_style atomic
read_data water.data
pair_style mlip
pair_coeff * * {file} {" ".join(SPECIES)}
neighbor 0.2 bin
fix move all nve
timestep 0.001
compute mlip all pair mlip
{commands}
"""
    return run_script(script, folder)


def warm_box():
    atoms = warm(STRUCTURES["triclinic"](), 300.0)
    atoms.pbc = True
    return atoms


def test_who_asks_now_and_then_gets_what_he_gets_in_every_step(files, tmp_path):
    """The list is read anew only where it is needed, and nobody's trajectory depends on who looks."""
    columns = "thermo_style custom step pe ke c_mlip[2] {flux}\nthermo_modify norm no format float %.17g\n"
    rare, often, never = (
        read_thermo(run_water(files["painn"], tmp_path, text + "run 40\n"))
        for text in (
            FLUX + columns.format(flux="c_j[*]") + "thermo 10\n",
            FLUX + columns.format(flux="c_j[*]") + "thermo 1\n",
            columns.format(flux="") + "thermo 10\n",
        )
    )
    assert np.abs(rare["c_j[1]"]).max() > 1e-2
    for column, values in rare.items():
        np.testing.assert_allclose(often[column][::10], values, rtol=1e-8, atol=1e-8)
        if column in never:
            np.testing.assert_allclose(never[column], values, rtol=1e-10)


class Older(PairsOfTwoLayers):
    """TorchScript compiles the module of a file once for each class of networks: this one has no newer module."""


def test_an_older_file_says_how_it_is_written_anew(tmp_path, monkeypatch):
    monkeypatch.delattr(ExportedModel, "centroid_virials")
    old = export_network(Older(), tmp_path / "old.pt", scale=1.0)
    assert not hasattr(load_model(old).module, "centroid_virials")
    with pytest.raises(
        LammpsError, match="does not support compute centroid/stress/atom"
    ) as caught:
        run_water(old, tmp_path, FLUX + "thermo_style custom c_j[1]\nrun 0\n")
    assert "is too old to give the virials" in caught.value.output
    assert "mlip-export OLD.pt -o NEW.pt" in caught.value.output


@pytest.mark.parametrize("name", ["copper", "water"])
def test_shipped_files_give_the_flux_that_python_gives(tmp_path, name):
    """In single precision, in boxes that are smaller than the interaction range."""
    if name == "copper":
        atoms, species = bulk("Cu", a=3.63, cubic=True), ["Cu"]
    else:
        atoms, species = STRUCTURES["orthogonal"](), ["O", "H"]
    atoms = warm(atoms, 600.0)
    atoms.pbc = True
    write_data(tmp_path / "x.data", atoms, species)
    script = f"""
units metal
atom_style atomic
read_data x.data
pair_style mlip
pair_coeff * * {name} {" ".join(species)}
{FLUX}
thermo_style custom step c_j[*]
thermo_modify norm no format float %.17g
run 0
"""
    thermo = read_thermo(run_script(script, tmp_path))
    found = np.array([thermo[f"c_j[{k}]"][0] for k in range(1, 7)])
    flux = heat_flux(load_model(name), atoms)
    speed = np.abs(atoms.get_velocities()).max() * 1000.0 * ase.units.fs
    # LAMMPS's mass unit and ours differ in the 7th digit, and energies are those of isolated atoms
    np.testing.assert_allclose(found[3:], flux.convective, rtol=1e-6)
    limit = speed * len(atoms) ** 0.5 * TOLERANCE["float32"].virial
    assert np.abs(found[:3] - found[3:] - flux.potential).max() < limit
    assert np.abs(flux.potential).max() > 10 * limit
