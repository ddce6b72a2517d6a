"""Temperatures of positions in the report: which of them there are, and that those of motions are shown."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule

from mlip_engines import load_model
from mlip_engines.diagnostics.case import Case, quick
from mlip_engines.diagnostics.configurational_temperature import (
    ConfigurationalTemperature,
    _temperatures,
)
from mlip_engines.diagnostics.result import Result
from mlip_engines.properties.molecules import is_molecular
from mlip_engines.properties.motion import configurational_temperature_of_motions
from structures import STRUCTURES


class Frames:
    """A run of a few frames near a structure."""

    def __init__(self, atoms):
        random = np.random.default_rng(2)
        self.positions = atoms.positions + 0.01 * random.standard_normal((10, len(atoms), 3))

    def structures(self, atoms, chosen):
        found = []
        for k in chosen:
            found.append(atoms.copy())
            found[-1].positions = self.positions[k]
        return found


def test_molecules_have_temperatures_of_their_motions_beside_those_of_elements(model_files):
    atoms = STRUCTURES["orthogonal"]()
    model = load_model(model_files["float64"])
    settings = quick()
    found, motions = _temperatures(Case(model, atoms, settings), [Frames(atoms)])
    assert motions == [name for name in found if name not in {"all", "H", "O"}]
    assert set(motions) <= {"translation", "libration", "bend", "stretch"} and motions
    n = settings.configurations
    frames = Frames(atoms).structures(atoms, np.unique(np.linspace(2, 9, n).astype(int)))
    alone = configurational_temperature_of_motions(model, frames, seed=settings.seed)
    assert {k: found[k].value for k in motions} == pytest.approx(
        {k: v.value for k, v in alone.items()}
    )


def test_molecules_that_a_frame_joins_to_a_network_have_no_motions(model_files):
    """Molecules of the start; in the frames their bonds go through all of them, as where ions are near."""
    water = molecule("H2O")
    apart, joined = Atoms(), Atoms()
    for k in range(20):
        for chain, distance in ((apart, 3.0), (joined, 1.4)):
            chain += water
            chain.positions[-3:, 2] += distance * k
    assert is_molecular(apart) and not is_molecular(joined)
    case = Case(load_model(model_files["float64"]), apart, quick())
    found, motions = _temperatures(case, [Frames(joined)])
    assert motions == [] and set(found) == {"all", "H", "O"}


def test_what_is_measured_is_in_the_table_and_in_the_figure():
    names = ["all", "H", "O", "translation", "stretch"]
    run = {
        "forces": "C",
        "excess_K": dict(zip(names, (1.0, 2.0, 3.0, 4.0, 55.0), strict=True)),
        "excess_K_error": dict.fromkeys(names, 1.0),
    }
    values = {"temperature_K": 300.0, "frames": 5, "elements": ["H", "O"], "left_out": []}
    values |= {"motions": ["translation", "stretch"], "runs": [run]}
    section = ConfigurationalTemperature().render(Result(values))
    assert section.tables[0].header[-1] == "excess stretch, K"
    assert "55" in section.tables[0].rows[0][-1]
    labels = [tick.get_text() for tick in section.figures[0][1].axes[0].get_xticklabels()]
    assert labels == names
