r"""Does the model know that space has no directions? Energy and forces of the same structure, turned and inverted.

A structure and its cell are turned by random rotations R, every second one with an inversion. An equivariant model
gives the same energy, and forces that turn along. What others get wrong is the standard deviation of E over the
orientations, and of R^T F(R x). The average over n orientations is closer: its error is estimated from two halves.

References
----------
Langer, Pozdnyakov, Ceriotti, Mach. Learn.: Sci. Technol. 5, 04LT01 (2024).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from mlip_engines.diagnostics.case import Case
from mlip_engines.diagnostics.result import Result, Section, Table
from mlip_engines.properties.symmetry import orientational_spread, random_orientation, turned
from mlip_engines.simulations.simulation import Simulation, Trajectory
from mlip_engines.units import MEV_PER_EV

if TYPE_CHECKING:
    from mlip_engines.simulations.engine import Engine

# A float32 network repeats itself to about 1e-5 eV/Å in another orientation.
ROUND_OFF_MEV_PER_ANGSTROM = {"float32": 0.5, "float64": 1e-6}


class Symmetry:
    """Spread of energy and both kinds of forces over orientations."""

    name: ClassVar[str] = "symmetry"
    title: ClassVar[str] = "Symmetry"
    needs_engine: ClassVar[bool] = False
    after: ClassVar[tuple[str, ...]] = ()

    def simulations(
        self, case: Case, ensembles: tuple[str, ...], earlier: dict[str, Result]
    ) -> dict[str, Simulation]:
        """Return none: the structure is enough."""
        return {}

    def evaluations(self, case: Case) -> float:
        """Return roughly what it costs, in full evaluations of the structure."""
        return 1.3 * case.settings.rotations

    def measure(
        self,
        case: Case,
        trajectories: dict[str, Trajectory],
        earlier: dict[str, Result],
        engine: Engine | None = None,
    ) -> Result:
        """Evaluate in random orientations."""
        from mlip_engines.calculator import MlipCalculator

        rng = np.random.default_rng(case.settings.seed)
        calculator = MlipCalculator(case.model)
        energies, forces = [], {"C": [], "NC": []}
        for k in range(case.settings.rotations):
            matrix = random_orientation(rng, inverted=k % 2 == 1)
            atoms = turned(case.atoms, matrix)
            if case.has_head:
                calculator.calculate(atoms, ["energy", "forces", "non_conservative_forces"])
                forces["NC"].append(calculator.results["non_conservative_forces"] @ matrix)
            else:
                calculator.calculate(atoms, ["energy", "forces"])
            energies.append(calculator.results["energy"])
            forces["C"].append(calculator.results["forces"] @ matrix)
        per_atom = MEV_PER_EV * np.array(energies) / len(case.atoms)
        values: dict[str, Any] = {"orientations": len(energies), "dtype": case.model.metadata.dtype}
        values["energy_spread_meV_per_atom"], values["energy_error_of_average_meV_per_atom"] = (
            orientational_spread(per_atom)
        )
        arrays = {"energy_meV_per_atom": per_atom}
        for kind, found in forces.items():
            if found:
                key = f"force_{kind}"
                whole, average = orientational_spread(MEV_PER_EV * np.array(found))
                values[f"{key}_spread_meV_per_angstrom"] = whole
                values[f"{key}_error_of_average_meV_per_angstrom"] = average
        return Result(values, arrays)

    def render(self, result: Result) -> Section:
        """Words and a table."""
        v, section = result.values, Section()
        rows = [
            [
                "energy, meV/atom",
                f"{v['energy_spread_meV_per_atom']:.2g}",
                f"{v['energy_error_of_average_meV_per_atom']:.2g}",
            ]
        ]
        limit, worst = ROUND_OFF_MEV_PER_ANGSTROM[v["dtype"]], 0.0
        for kind in ("C", "NC"):
            if f"force_{kind}_spread_meV_per_angstrom" in v:
                value = v[f"force_{kind}_spread_meV_per_angstrom"]
                worst = max(worst, value)
                average = v[f"force_{kind}_error_of_average_meV_per_angstrom"]
                rows.append(
                    [f"{kind} forces, meV/Å per component", f"{value:.2g}", f"{average:.2g}"]
                )
        section.tables.append(
            Table(
                [
                    "",
                    "spread over orientations",
                    f"error left in the average of {v['orientations']}",
                ],
                rows,
            )
        )
        if worst <= limit:
            section.paragraphs.append(
                "The model is equivariant to round-off: orientation does not matter."
            )
        else:
            section.paragraphs.append(
                "Energy and forces depend on how the structure is turned in space. If this spread is not small against "
                "the errors of the model, use `pair_style mlip rotate yes` in LAMMPS, and train with random rotations."
            )
        return section
