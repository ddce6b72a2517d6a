"""The answer in words, and what to type."""

from mlip_engines.diagnostics.registry import DIAGNOSTICS
from mlip_engines.diagnostics.result import Result
from mlip_engines.diagnostics.verdict import commands, verdict


def test_commands_for_both_engines():
    found = {"largest_inner_steps": 4, "outer_step_fs": 2.0, "inner_step_fs": 0.5}
    assert commands("lammps", found).splitlines()[0].startswith("timestep   0.002 ")
    assert commands("openmm", found) == "integrator = RespaIntegrator(2 * unit.femtoseconds, 4)"
    none = {"largest_inner_steps": 1, "outer_step_fs": 0.5, "inner_step_fs": 0.5}
    assert "run_style  verlet" in commands("lammps", none)
    assert "VerletIntegrator(0.5 * unit.femtoseconds)" in commands("openmm", none)


def test_the_answer_for_a_model_without_head_is_conservative_forces():
    strides = {"C": {"inner_steps": 1, "drift_meV_per_atom_per_ps": 0.01}}
    values = {
        "strides": strides,
        "largest_inner_steps": 1,
        "inner_step_fs": 0.5,
        "outer_step_fs": 0.5,
        "limit_meV_per_atom_per_ps": 0.3,
        "undecided_inner_steps": [],
    }
    (words,) = verdict({"lammps/stride": Result(values)}, DIAGNOSTICS)["words"]
    assert "no head for non-conservative forces" in words and "+0.010 meV/atom/ps" in words


def test_a_diagnostic_that_fails_to_answer_says_so_and_the_others_answer():
    parts = {"jacobian_asymmetry": Result({"lambda_NC": 0.01}), "closed_loop": Result({})}
    parts["closed_loop"].values["work_NC_rms_meV"] = None  # a number that was not finite
    words = verdict(parts, DIAGNOSTICS)["words"]
    assert words[0].endswith("λ = 0.0100.")
    assert words[1].startswith("closed_loop has no verdict (")
