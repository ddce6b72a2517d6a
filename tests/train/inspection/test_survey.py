"""A data report and a recipe from data: numbers of known structures, and choices that a recipe can hold."""

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator

from mlip_train.command import main as train
from mlip_train.inspection.beginning import argument_parser
from mlip_train.inspection.proposal import propose, recipe_text
from mlip_train.inspection.survey import survey
from mlip_train.recipe import read_recipe
from tests.labelled import argon_frames


def labelled(atoms, energy, forces=None, **info):
    forces = np.zeros((len(atoms), 3)) if forces is None else np.asarray(forces)
    atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=forces)
    atoms.info.update(info)
    return atoms


def test_numbers_are_those_of_known_structures():
    pair = labelled(Atoms("HeNe", [[0, 0, 0], [0, 0, 2.5]]), -3.0, [[0, 0, 3.0], [0, 4.0, 0]])
    copy = labelled(pair.copy(), -3.0, [[0, 0, 3.0], [0, 4.0, 0]])
    crystal = labelled(bulk("Ne", "fcc", a=4.0, cubic=True), -8.0, config_type="crystal")
    lone = labelled(Atoms("He"), -1.0, config_type="IsolatedAtom")
    found = survey([pair, copy, crystal, lone])
    assert found.sizes.tolist() == [2, 2, 4, 1] and found.n_repeated == 1
    assert found.n_labels == {"energy": 4, "forces": 4, "stress": 0}
    assert (found.n_periodic[0], found.n_periodic[3]) == (3, 1)
    helium, neon = found.elements
    assert (helium.symbol, helium.n_structures, helium.n_atoms, helium.isolated) == (
        "He",
        3,
        3,
        -1.0,
    )
    assert (neon.n_structures, neon.n_atoms, neon.isolated) == (3, 6, None)
    assert helium.largest_force == pytest.approx(3.0) and neon.largest_force == pytest.approx(4.0)
    assert helium.force_rms == pytest.approx(np.sqrt(18 / 3))
    assert helium.reference == pytest.approx(-1.0) and neon.reference == pytest.approx(-2.0)
    assert found.force_rms == pytest.approx(np.sqrt((2 * 25) / 27))
    assert found.net_force == pytest.approx(np.sqrt((2 * 2.5**2 + 0.0) / 3))
    assert found.shortest == pytest.approx({"He-Ne": 2.5, "Ne-Ne": 4.0 / np.sqrt(2)}, abs=1e-6)
    assert found.volumes == pytest.approx([16.0])
    # within 4.5 Å: one in each pair, 12 and 6 in the crystal
    assert found.neighbors[4.5] == pytest.approx((2 * 2 + 4 * 18) / 8)
    assert {kind.name: kind.n_structures for kind in found.kinds} == {
        "": 2,
        "crystal": 1,
        "IsolatedAtom": 1,
    }


@pytest.fixture(scope="module")
def argon(tmp_path_factory):
    frames = argon_frames(24)
    for k, atoms in enumerate(frames):
        atoms.info["trajectory"] = f"run{k // 8}"
    frames[17].positions[0] += 0.2
    frames[17].calc.results["forces"][0] = [0.0, 45.0, 0.0]
    path = tmp_path_factory.mktemp("argon") / "argon.xyz"
    ase.io.write(path, frames, format="extxyz")
    return path


def test_the_page_names_what_stands_out_by_file_and_index(argon, tmp_path, capsys):
    page = tmp_path / "page.html"
    assert train(["--check", str(argon), "-o", str(page)]) == 0
    text, printed = page.read_text(), capsys.readouterr()
    assert "argon.xyz</td><td>17</td><td>45<" in text  # the longest force, first in its table
    assert "structures 17 have a force component of more than 30" in text
    assert "structures 17 have a force component" in printed.err
    for words in ("with stress", "24 of 24", "trajectory", "eV/Å"):
        assert words in printed.out
    assert train(["--check", str(argon), "-o", str(tmp_path)]) == 1
    assert "expected the file of a page" in capsys.readouterr().err
    assert train(["--check", str(argon), "-o", str(page), "--minutes", "5"]) == 1
    assert "--minutes is for a training" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        train(["water", "--data", "a.xyz"])
    assert "--check DATA" in capsys.readouterr().err


def test_a_recipe_for_data_is_one_that_is_read(argon, tmp_path, capsys):
    path = tmp_path / "my-argon.yaml"
    assert train(["init", "--data", str(argon), "-o", str(path)]) == 0
    recipe = read_recipe(path)
    assert (recipe.name, recipe.n_test, recipe.n_validation) == ("my_argon", 2, 1)
    assert recipe.batch_atoms == 72 and recipe.reference_energies == "fit"
    assert recipe.stages[0].weights.stress > 0.0 and recipe.stages[0].weights.conservative == 1.0
    assert "# split_by: trajectory" in path.read_text()
    assert train(["init", "--data", str(argon), "-o", str(path)]) == 1
    assert "exists" in capsys.readouterr().err
    assert argument_parser().parse_args(["--data", "a", "b"]).data[1].name == "b"


def test_choices_follow_the_data(tmp_path):
    molecules = [
        labelled(Atoms("HeNe", [[0, 0, 0], [0, 0, 2.0 + 0.1 * k]]), -3.0) for k in range(20)
    ]
    lone = [labelled(Atoms(s), -1.0, config_type="IsolatedAtom") for s in ("He", "Ne")]
    for atoms in [*molecules, *lone]:
        del atoms.calc.results["forces"]
    chosen = propose(survey([*molecules, *lone]), "x")
    assert chosen.reference_energies == "isolated_atoms" and chosen.cutoff == 5.0
    path = tmp_path / "x.yaml"
    path.write_text(recipe_text(chosen, "x.xyz"))
    recipe = read_recipe(path)
    assert not recipe.stages[0].weights.uses_stress
    assert recipe.stages[0].weights.conservative == 0.0  # there are no forces
    crystals = [labelled(bulk("Cu", "fcc", a=3.6, cubic=True) * (5, 5, 2), -1.0) for _ in range(4)]
    chosen = propose(survey(crystals), "cu")
    assert chosen.batch_atoms == 200  # at least the largest
    assert chosen.cutoff == 4.5  # 42 neighbours; 18 within 4
