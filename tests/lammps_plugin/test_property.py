"""Compute mlip/property against the trained network itself, on one process and on several."""

import numpy as np
import pytest

from mlip_train.property.prediction import predict_properties
from structures import triclinic
from tests.lammps_plugin.model_files import SPECIES
from tests.lammps_plugin.runner import LammpsError, read_dump, read_thermo, run_script, write_data
from tests.property_models import write_property_model
from tolerances import TOLERANCE

LIMIT = TOLERANCE["float64"].energy
SCRIPT = """
units metal
atom_style atomic
read_data atoms.data
{style}
neighbor 1.0 bin
timestep 0.0005
compute gap {group} mlip/property {names}
thermo_style custom step pe c_gap c_gap[*]
thermo_modify format float %.17g
thermo 2
dump final all custom 4 final.dump id xu yu zu
dump_modify final sort id format float %.17g
velocity all create 2000.0 12345 loop geom
fix move all nve
{more}
run 4
"""
RESPA = "run_style respa 2 2 inner 1 2.5 3.0 outer 2"


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """The file and the network by (name, pooling)."""
    folder = tmp_path_factory.mktemp("models")
    kinds = [("painn", "sum"), ("painn", "mean"), ("painn", "attention"), ("schnet", "attention")]
    kinds.append(("pet", "attention"))
    return {kind: write_property_model(folder, *kind) for kind in kinds}


def run(folder, path, processes=1, respa=False, **parts):
    values = {"group": "all", "names": "polarizability gap", "more": ""}
    style = f"pair_style mlip\npair_coeff * * {path} H O\n{RESPA if respa else ''}"
    atoms = triclinic()
    cell = write_data(folder / "atoms.data", atoms, SPECIES)
    text = SCRIPT.format(**({**values, "style": style} | parts))
    log = run_script(text, folder, processes=processes)
    last = atoms.copy()
    last.positions = cell.vectors_from_lammps(last_positions(folder)) + cell.origin
    return read_thermo(log), last


def last_positions(folder):
    return read_dump(folder / "final.dump")[-1][:, 1:4]


def check(thermo, last, network):
    first = triclinic()
    expected = predict_properties(network, [first, last], [1, 8])[0].numpy()
    np.testing.assert_allclose(thermo["c_gap"][[0, -1]], expected[:, 1], atol=LIMIT)
    np.testing.assert_allclose(thermo["c_gap[1]"][[0, -1]], expected[:, 1], atol=LIMIT)
    np.testing.assert_allclose(thermo["c_gap[2]"][[0, -1]], expected[:, 0], atol=LIMIT)
    assert abs(expected[1, 0] - expected[0, 0]) > LIMIT  # the atoms have moved


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("pooling", ["sum", "mean", "attention"])
def test_poolings_on_one_process_and_on_two(models, tmp_path, pooling, processes):
    """The sum has reference values of 1000 an atom: none is counted twice."""
    path, network = models["painn", pooling]
    thermo, last = run(tmp_path, path, processes)
    check(thermo, last, network)


@pytest.mark.parametrize("name", ["schnet", "pet"])
def test_networks_that_exchange_features_of_atoms_and_of_edges(models, tmp_path, name):
    path, network = models[name, "attention"]
    check(*run(tmp_path, path, processes=2), network)


def test_under_respa_and_without_a_change_of_the_trajectory(models, tmp_path):
    path, network = models["painn", "attention"]
    thermo, last = run(tmp_path, path, processes=2, respa=True)
    check(thermo, last, network)
    moved = last_positions(tmp_path)
    bare = SCRIPT.replace("compute gap {group} mlip/property {names}\n", "").replace(
        " c_gap c_gap[*]", ""
    )
    style = f"pair_style mlip\npair_coeff * * {path} H O\n{RESPA}"
    run_script(bare.format(style=style, more=""), tmp_path, processes=2)
    limit = TOLERANCE["float64"].position
    np.testing.assert_allclose(last_positions(tmp_path), moved, rtol=0, atol=limit)


def test_who_asks_again_within_a_step_gets_the_value_of_then(models, tmp_path):
    """An inner force asks at each inner step: the line of the step must not show the first one."""
    path, network = models["painn", "mean"]
    more = "variable z equal 0*c_gap\nfix push all addforce v_z 0 0\nfix_modify push respa 1"
    check(*run(tmp_path, path, respa=True, more=more), network)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"names": "mass"}, r"has no property mass. It has: gap, polarizability"),
        ({"names": ""}, "expects the names of one or more properties"),
        ({"group": "some"}, "expected the group all"),
    ],
)
def test_what_is_refused(models, tmp_path, parts, message):
    path, _ = models["painn", "mean"]
    if "group" in parts:
        parts = {**parts, "style": f"group some id 1\npair_style mlip\npair_coeff * * {path} H O"}
    with pytest.raises(LammpsError, match=message):
        run(tmp_path, path, **parts)


def test_a_model_without_properties_says_where_they_come_from(tmp_path):
    with pytest.raises(LammpsError, match="It has: none. Models get them from mlip-property"):
        run(tmp_path, "water")
