"""What is said about outer steps, from results whose answer is known, and for a model whose answer is known."""

import numpy as np
import pytest

from mlip_engines import load_model
from mlip_engines.diagnostics.case import Case, quick
from mlip_engines.diagnostics.linear_theory import LinearTheory, longest_outer_step
from mlip_engines.diagnostics.result import Result


def row(outer, configurational, kinetic=0.98):
    return {
        "outer_step_fs": outer,
        "configurational": {"H": configurational},
        "kinetic": {"H": kinetic},
    }


@pytest.mark.parametrize(
    ("rows", "longest"),
    [
        ([row(2, 1.0), row(4, 1.015), row(6, 1.03), row(8, 1.0)], 4),  # 8 fs is beyond a resonance
        ([row(2, 1.0), row(4, 1.0, 1.04), row(6, 1.0, 0.98)], 2),  # velocities too warm at 4 fs
        ([row(2, 1.0), row(4, float("nan"), float("nan"))], 2),
        ([row(2, None, None)], None),  # as it comes from disk
        ([row(2, 0.97)], None),
    ],
)
def test_the_longest_step_passes_with_all_shorter_ones(rows, longest):
    assert longest_outer_step(rows, {"H": 0.98}) == longest


def test_forces_that_are_nearly_a_gradient_carry_any_step(argon_model, argon):
    """Argon at rest vibrates slowly: no outer step of the list is near a resonance. No hydrogen, no high-pass bath."""
    case = Case(load_model(argon_model), argon, quick(temperature_K=40.0))
    result = LinearTheory().measure(case)
    schemes = result.values["schemes"]
    assert [s["thermostat"] for s in schemes] == ["Langevin, 2/ps", "Langevin, 10/ps"]
    assert [s["longest_outer_step_fs"] for s in schemes] == [24.0, 24.0]
    for r in schemes[0]["rows"]:
        assert r["configurational"]["Ar"] == pytest.approx(1.0, abs=2e-3)
    section = LinearTheory().render(result)
    assert len(section.figures) == 1
    assert section.tables[0].rows[0][-1] == "up to 24 fs"
    assert "Langevin, 2/ps: up to 24 fs" in LinearTheory().verdict(result, {})


def test_hydrogen_with_a_crude_inner_force_is_unstable_without_the_high_pass_bath(
    model_files, tmp_path
):
    """A stiff molecule with an inner force that is 2 % off; resonances are shown as unstable, also from disk."""
    from mlip_engines.properties import linear_theory

    random = np.random.default_rng(1)
    stiff = 30.0 * np.eye(9) + random.standard_normal((9, 9))
    hessian = stiff @ stiff.T / 30.0
    well = linear_theory.LinearMolecule(
        ["O", "H", "H"],
        np.array([[0.0, 0, 0], [0.96, 0, 0], [0, 0.96, 0]]),
        np.array([15.999, 1.008, 1.008]),
        hessian,
        0.98 * hessian,
    )
    from structures import STRUCTURES

    case = Case(load_model(model_files["float64"]), STRUCTURES["orthogonal"](), quick())
    patch = pytest.MonkeyPatch()
    patch.setattr(linear_theory, "linear_molecules", lambda *_, **__: [well])
    LinearTheory().measure(case).save(tmp_path / "part")
    patch.undo()
    result = Result.load(tmp_path / "part")
    plain, _, high_pass, *_ = result.values["schemes"]
    assert plain["thermostat"] == "Langevin, 2/ps"
    assert high_pass["thermostat"].startswith("high-pass")
    assert plain["longest_outer_step_fs"] < high_pass["longest_outer_step_fs"]
    assert not all(r["is_stable"] for r in plain["rows"])
    assert all(r["is_stable"] for r in high_pass["rows"])
    section = LinearTheory().render(result)
    assert "unstable" in section.tables[0].rows[0]
    of_motions = section.tables[1].rows
    assert [cells[1] for cells in of_motions[:4]] == ["translation", "libration", "bend", "stretch"]
    assert "unstable" in of_motions[0]
    assert "unstable" not in of_motions[8]  # the high-pass thermostat


def test_a_model_without_head_has_no_outer_step(model_files):
    from structures import STRUCTURES

    case = Case(load_model(model_files["no_head"]), STRUCTURES["orthogonal"](), quick())
    assert LinearTheory().evaluations(case) == 0.0
    result = LinearTheory().measure(case)
    assert "no head" in LinearTheory().render(result).paragraphs[0]
    assert LinearTheory().verdict(result, {}) == ""
