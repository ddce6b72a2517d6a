"""Does the model know that space has no directions? Energy and forces of the same structure, turned and inverted.

A structure and its cell are turned by random rotations R, every second one with an inversion. An equivariant model
gives the same energy, and forces that turn along. What others get wrong is the standard deviation of E over the
orientations, and of R^T F(R x). The average over n orientations is closer: its error is estimated from two halves.

References
----------
Langer, Pozdnyakov, Ceriotti, Mach. Learn.: Sci. Technol. 5, 04LT01 (2024).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mlip_engines.diagnostics.case import Case
from mlip_engines.diagnostics.diagnostic import ModelDiagnostic
from mlip_engines.diagnostics.result import Result, Section, Table
from mlip_engines.properties.symmetry import orientational_spread, random_orientation, turned
from mlip_engines.units import MEV_PER_EV

# A float32 network repeats itself to about 1e-5 eV/Å in another orientation.
ROUND_OFF_MEV_PER_ANGSTROM = {"float32": 0.5, "float64": 1e-6}


class Symmetry(ModelDiagnostic):
    """Spread of energy and forces over orientations."""

    name = "symmetry"
    title = "Symmetry"

    def evaluations(self, case: Case) -> float:
        """One for each orientation, with its neighbour list."""
        return 1.3 * case.settings.rotations

    def measure(self, case: Case) -> Result:
        """Evaluate in random orientations."""
        energies, forces = _in_orientations(case)
        per_atom = MEV_PER_EV * energies / len(case.atoms)
        spread, average = orientational_spread(per_atom)
        values: dict[str, Any] = {
            "orientations": len(energies),
            "dtype": case.model.metadata.dtype,
            "energy_spread_meV_per_atom": spread,
            "energy_error_of_average_meV_per_atom": average,
        }
        for kind, found in forces.items():
            spread, average = orientational_spread(MEV_PER_EV * found)
            values[f"force_{kind}_spread_meV_per_angstrom"] = spread
            values[f"force_{kind}_error_of_average_meV_per_angstrom"] = average
        return Result(values, {"energy_meV_per_atom": per_atom})

    def render(self, result: Result) -> Section:
        """Words and a table."""
        v = result.values
        worst = max(v.get(f"force_{k}_spread_meV_per_angstrom", 0.0) for k in ("C", "NC"))
        words = "The model is equivariant to round-off: orientation does not matter."
        if worst > ROUND_OFF_MEV_PER_ANGSTROM[v["dtype"]]:
            words = (
                "Energy and forces depend on how the structure is turned in space. If this spread is not small "
                "compared with the errors of the model, use `pair_style mlip rotate yes` in LAMMPS, and train with "
                "random rotations."
            )
        return Section([words], [_table(v)])


def _in_orientations(case: Case) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return energies (n,), eV, and for each kind of forces (n, N, 3), eV/Å, turned back."""
    from mlip_engines.calculator import MlipCalculator

    rng = np.random.default_rng(case.settings.seed)
    calculator = MlipCalculator(case.model)
    names = {"C": "forces", "NC": "non_conservative_forces"}
    energies, forces = [], {kind: [] for kind in case.kinds}
    for k in range(case.settings.rotations):
        matrix = random_orientation(rng, inverted=k % 2 == 1)
        wanted = ["energy", *(names[kind] for kind in case.kinds)]
        calculator.calculate(turned(case.atoms, matrix), wanted)
        energies.append(calculator.results["energy"])
        for kind in case.kinds:
            forces[kind].append(calculator.results[names[kind]] @ matrix)
    return np.array(energies), {kind: np.array(found) for kind, found in forces.items()}


def _table(v: dict[str, Any]) -> Table:
    quantities = {"energy, meV/atom": ("energy", "meV_per_atom")}
    for kind in ("C", "NC"):
        quantities[f"{kind} forces, meV/Å per component"] = (f"force_{kind}", "meV_per_angstrom")
    rows = [
        [
            title,
            f"{v[f'{name}_spread_{unit}']:.2g}",
            f"{v[f'{name}_error_of_average_{unit}']:.2g}",
        ]
        for title, (name, unit) in quantities.items()
        if f"{name}_spread_{unit}" in v
    ]
    left = f"error left in the average of {v['orientations']}"
    return Table(["", "spread over orientations", left], rows)
