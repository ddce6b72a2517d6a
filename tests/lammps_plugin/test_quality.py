"""What watches over a run: disagreement of the heads, limits, and what is left of a run that fails."""

import re
from dataclasses import replace

import ase.io
import numpy as np
import pytest
from ase.build import bulk

from mlip_engines.model.archive import read_metadata, replace_metadata
from mlip_engines.model.disagreement_limit import disagreement_limit
from structures import STRUCTURES
from tests.lammps_plugin.argon import argon
from tests.lammps_plugin.closed_form import ClosedForm
from tests.lammps_plugin.model_files import CUTOFF, SPECIES
from tests.lammps_plugin.runner import (
    LammpsError,
    read_dump,
    read_thermo,
    run_script,
    run_structure,
    write_data,
)
from tolerances import TOLERANCE

CURL = ClosedForm(CUTOFF, epsilon=0.02, sigma=1.1, curl=0.01)
FORCE = TOLERANCE["float64"].force


def disagreement(atoms):
    _, forces, _, direct = CURL.evaluate(atoms)
    return np.linalg.norm(forces - direct, axis=1)


@pytest.mark.parametrize(
    "style", ["run_style verlet", "run_style respa 2 4 inner 1 2.0 3.0 outer 2"]
)
def test_disagreement_in_total_per_element_and_per_atom(models, tmp_path, style):
    atoms = STRUCTURES["orthogonal"]()
    write_data(tmp_path / "water.data", atoms, ["O", "H"])
    script = f"""
units metal
atom_style atomic
read_data water.data
pair_style mlip disagreement warn 100.0
pair_coeff * * {models["curl"]} O H
{style}
group oxygen type 1
compute all all pair mlip
compute each all mlip/disagreement/atom
compute some oxygen mlip/disagreement/atom
compute largest oxygen reduce max c_each
thermo_style custom step pe c_all[3] c_all[4] c_all[5] c_all[6] c_largest
thermo_modify format float %.17g
dump d all custom 1 each.dump id c_each c_some
dump_modify d sort id format float %.17g
run 0
"""
    thermo = read_thermo(run_script(script, tmp_path))
    expected = disagreement(atoms)
    oxygen = atoms.symbols == "O"
    assert expected[oxygen].max() > 1e-3

    def rms(values):
        return np.sqrt((values**2).mean())

    values = [thermo[f"c_all[{k}]"][0] for k in (3, 4, 5, 6)] + [thermo["c_largest"][0]]
    wanted = [rms(expected), expected.max(), rms(expected[oxygen]), rms(expected[~oxygen])]
    assert np.abs(np.array(values) - [*wanted, expected[oxygen].max()]).max() < FORCE
    each = read_dump(tmp_path / "each.dump")[0]
    assert np.abs(each[:, 1] - expected).max() < FORCE
    assert np.abs(each[:, 2] - np.where(oxygen, expected, 0.0)).max() < FORCE


@pytest.mark.parametrize(("inner_steps", "extra"), [(0, 1), (4, 0)])
def test_disagreement_of_atoms_costs_nothing_under_respa(models, tmp_path, inner_steps, extra):
    move = f"run_style respa 2 {inner_steps} inner 1 2.0 3.0 outer 2\n" if inner_steps else ""
    counts = []
    for compute in ("", "compute d all mlip/disagreement/atom\ncompute m all reduce max c_d\n"):
        columns = "c_m" if compute else ""
        commands = f"fix move all nve\n{move}{compute}thermo 5\n"
        commands += f"thermo_style custom step time temp pe ke etotal press vol c_virial[*] c_mlip[*] {columns}\n"
        commands += "thermo_modify norm no format float %.17g\nrun 20\n"
        result = run_structure(argon(), models["argon"], tmp_path, commands=commands)
        counts.append(result.counters[1])
    assert counts[1] - counts[0] == extra * 5  # the steps that print: 0, 5, 10, 15, 20


def test_disagreement_of_a_model_without_the_head_is_refused(models, tmp_path):
    commands = "compute d all mlip/disagreement/atom\ncompute m all reduce max c_d\n"
    commands += "thermo_style custom step c_m\nrun 0\n"
    with pytest.raises(LammpsError, match="needs a model with non-conservative forces"):
        run_structure(
            STRUCTURES["triclinic"](),
            models["no_head"],
            tmp_path,
            species=SPECIES,
            commands=commands,
        )


def collision(tmp_path):
    """Two argon atoms that fly into each other, among others that do not."""
    atoms = bulk("Ar", a=5.6, cubic=True).repeat(2)
    velocities = np.zeros((len(atoms), 3))
    step = atoms.get_distance(0, 1, vector=True)
    velocities[0], velocities[1] = 0.35 * step, -0.35 * step  # ASE units: 34 Å/ps
    atoms.set_velocities(velocities)
    write_data(tmp_path / "argon.data", atoms, ["Ar"])
    return atoms


def run_collision(models, tmp_path, keywords, respa=False):
    style = (
        "timestep 0.004\nrun_style respa 2 4 inner 1 2.0 3.0 outer 2" if respa else "timestep 0.001"
    )
    return run_script(
        f"""
units metal
atom_style atomic
read_data argon.data
pair_style mlip {keywords}
pair_coeff * * {models["argon"]} Ar
{style}
fix move all nve
dump d all custom 1 steps.dump id xu yu zu vx vy vz
dump_modify d sort id format float %.17g
thermo 1
thermo_modify norm no format float %.17g
run 200
""",
        tmp_path,
    )


@pytest.mark.parametrize("respa", [False, True], ids=["verlet", "respa"])
def test_exploding_forces_stop_the_run_and_leave_the_neighbourhood(models, tmp_path, respa):
    collision(tmp_path)
    with pytest.raises(LammpsError) as caught:
        run_collision(models, tmp_path, "max_force 2.0", respa)
    output = caught.value.output
    found = re.search(
        r"atom (\d+) \(type 1\) in step (\d+): .*more than max_force 2.*\n.*is in (\S+)", output
    )
    atom, step, name = int(found[1]), int(found[2]), found[3]
    assert atom in (1, 2)
    # the file: the atom first, then all within the cutoff
    cluster = ase.io.read(tmp_path / name)
    assert cluster.arrays["id"][0] == atom
    assert set(cluster.arrays["id"][1:]) >= {1, 2} - {atom}
    distances = np.linalg.norm(cluster.positions[1:] - cluster.positions[0], axis=1)
    assert distances.max() < 6.0
    assert np.linalg.norm(cluster.get_forces()[0]) > 2.0
    # nothing lost: all that was printed and dumped before the step that failed is there
    frames = read_dump(tmp_path / "steps.dump")
    assert len(frames) == step
    assert read_thermo(output)["Step"].tolist() == list(range(step))


def test_forces_that_are_no_numbers_leave_the_neighbourhood(models, tmp_path):
    write_data(tmp_path / "water.data", STRUCTURES["orthogonal"](), SPECIES)
    script = f"""
units metal
atom_style atomic
read_data water.data
set atom 1 x 1.0 y 1.0 z 1.0
set atom 2 x 1.0 y 1.0 z 1.0
pair_style mlip
pair_coeff * * {models["curl"]} H O
run 0
"""
    with pytest.raises(LammpsError) as caught:
        run_script(script, tmp_path)
    name = re.search(r"atom 1 .*not a number.*\n.*is in (\S+)", caught.value.output)[1]
    cluster = ase.io.read(tmp_path / name)
    assert cluster.arrays["id"].tolist()[0] == 1
    assert 2 in cluster.arrays["id"]
    assert not np.isfinite(cluster.get_forces()[0]).all()


def test_large_forces_do_not_stop_a_minimization(models, tmp_path):
    collision(tmp_path)
    commands = "displace_atoms all random 0.6 0.6 0.6 7\nminimize 0 1e-3 200 1000\n"
    atoms = bulk("Ar", a=5.6, cubic=True).repeat(2)
    result = run_structure(
        atoms, models["argon"], tmp_path, pair_style="mlip max_force 0.05", commands=commands
    )
    assert result.thermo["PotEng"][1] < result.thermo["PotEng"][0]


def test_limit_of_the_disagreement_warns_once(models, tmp_path):
    collision(tmp_path)
    output = run_collision(models, tmp_path, "disagreement warn 0.004", respa=True)
    assert output.count("more than 0.004: the model may not know this environment") == 1


@pytest.mark.parametrize(
    "errors, limit, warns",
    [
        ({"max_c_minus_nc": 0.002, "rms_c_minus_nc": 1.0}, 0.003, 1),
        ({"rms_c_minus_nc": 0.0004}, 0.004, 1),
        ({"max_c_minus_nc": 100.0}, 150.0, 0),
    ],
)
def test_limit_of_the_disagreement_is_that_of_the_model_file(
    models, tmp_path, errors, limit, warns
):
    """What the file says, as the Python side reads it; the energy does not depend on it."""
    path = tmp_path / "told.pt"
    path.write_bytes(models["argon"].read_bytes())
    metadata = replace(read_metadata(path), errors=errors)
    replace_metadata(path, metadata)
    assert disagreement_limit(metadata) == pytest.approx(limit, rel=1e-12)
    collision(tmp_path)
    output = run_collision({"argon": path}, tmp_path, "disagreement warn", respa=True)
    assert f"disagreement warn {limit:g} eV/Angstrom, from the model file" in output
    assert output.count(f"more than {limit:g}: the model may not know") == warns


@pytest.mark.parametrize("respa", [False, True], ids=["verlet", "respa"])
def test_limit_of_the_disagreement_stops_with_a_restart_file(models, tmp_path, respa):
    """The restart file has the last whole step: velocities are not those of half a step."""
    collision(tmp_path)
    with pytest.raises(LammpsError) as caught:
        run_collision(models, tmp_path, "disagreement stop 0.004", respa)
    output = caught.value.output
    found = re.search(
        r"ERROR: .*force on atom (\d+) .* in step (\d+), more than 0.004: .* state is in (\S+)",
        output,
    )
    step, name = int(found[2]), found[3]
    assert step > 0
    keep = read_dump(tmp_path / "steps.dump")
    run_script(
        f"""
read_restart {name}
dump d all custom 1 again.dump id xu yu zu vx vy vz
dump_modify d sort id format float %.17g
pair_style mlip
pair_coeff * * {models["argon"]} Ar
fix move all nve
timestep {0.004 if respa else 0.001}
run 0
""",
        tmp_path,
    )
    again = read_dump(tmp_path / "again.dump")[0]
    # the same run without the limit
    run_collision(models, tmp_path, "", respa)
    whole = read_dump(tmp_path / "steps.dump")
    assert len(keep) in (step, step + 1)
    np.testing.assert_allclose(again, whole[step], atol=1e-9)


def test_limit_of_the_disagreement_stops_a_minimization(models, tmp_path):
    collision(tmp_path)
    script = f"""
units metal
atom_style atomic
read_data argon.data
pair_style mlip disagreement stop 0.002
pair_coeff * * {models["argon"]} Ar
displace_atoms all random 0.3 0.3 0.3 7
minimize 0 1e-3 200 1000
"""
    with pytest.raises(LammpsError, match="The state is in mlip_disagreement_"):
        run_script(script, tmp_path)
    assert list(tmp_path.glob("mlip_disagreement_*.restart"))
