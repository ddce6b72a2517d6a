r"""How far are the forces from being the gradient of anything? The antisymmetric part of their Jacobian.

J_ij = dF_i/dr_j. Forces with an energy have J = J^T. The measure is

    lambda = |J_anti|_F / |J|_F,   J_anti = (J - J^T)/2,

0 for a gradient, 1 for forces with nothing but curl. For few atoms J is built row by row. For many, with random
vectors v of independent components +-1, |J v|^2 and |(J - J^T) v|^2/4 have the expectations |J|_F^2 and
|J_anti|_F^2 (Hutchinson); J v comes from differences of forces, J^T v from reverse differentiation. For
conservative forces the two ways to J v agree to the error of the differences, about 1e-8.

References
----------
Bigi, Langer, Ceriotti, ICML 2025 (arXiv:2412.11569), section 3 and figure 1; Hutchinson, Commun. Stat. Simul.
Comput. 18, 1059 (1989), for the estimator.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mlip_engines.diagnostics.case import Case
from mlip_engines.diagnostics.figures import panels
from mlip_engines.diagnostics.result import Result, Section, Table
from mlip_engines.properties.force_field import ForceField
from mlip_engines.properties.jacobian import (
    asymmetry,
    jacobian_asymmetry,
    jacobian_rows,
    nearest_atoms,
    pair_blocks,
)
from mlip_engines.simulations.simulation import Simulation, Trajectory

if TYPE_CHECKING:
    from mlip_engines.simulations.engine import Engine

# Theirs, bulk water: what the reader compares with.
LITERATURE = {"PET-NC": 0.004, "ORB": 0.015, "EquiformerV2": 0.017, "SOAP-BPNN-NC": 0.032}


class JacobianAsymmetry:
    """lambda of the NC forces, against distance, and that of C."""

    name: ClassVar[str] = "jacobian_asymmetry"
    title: ClassVar[str] = "Jacobian asymmetry"
    needs_engine: ClassVar[bool] = False
    after: ClassVar[tuple[str, ...]] = ()

    def simulations(
        self, case: Case, ensembles: tuple[str, ...], earlier: dict[str, Result]
    ) -> dict[str, Simulation]:
        """Return none: the structure is enough."""
        return {}

    def evaluations(self, case: Case) -> float:
        """Return roughly what it costs, in full evaluations of the structure."""
        rows = 3.0 * min(len(case.atoms), case.settings.exact_atoms)
        return 20.0 + 7.0 * case.settings.probes + 2.0 * rows

    def measure(
        self,
        case: Case,
        trajectories: dict[str, Trajectory],
        earlier: dict[str, Result],
        engine: Engine | None = None,
    ) -> Result:
        """Exact where small, stochastic in any case."""
        atoms, settings = case.atoms, case.settings
        values: dict[str, Any] = {"n_atoms": len(atoms), "probes": settings.probes}
        arrays: dict[str, NDArray] = {}
        for kind in ("C", "NC") if case.has_head else ("C",):
            # C is zero to the error of the differences with any vector: two are enough
            n_probes = settings.probes if kind == "NC" else 2
            estimate = jacobian_asymmetry(
                case.model,
                atoms,
                conservative=kind == "C",
                n_probes=n_probes,
                seed=settings.seed,
            )
            values[f"lambda_{kind}"] = estimate.value
            values[f"lambda_{kind}_error"] = estimate.error
        if case.has_head:
            chosen = nearest_atoms(atoms, min(len(atoms), settings.exact_atoms))
            columns = (3 * chosen[:, None] + np.arange(3)).ravel()
            field = ForceField(case.model, atoms, conservative=False)
            jacobian = jacobian_rows(field, atoms.positions, chosen)[:, columns]
            if len(chosen) == len(atoms):
                values["lambda_NC_exact"] = asymmetry(jacobian)
            whole, anti = pair_blocks(jacobian)
            upper = np.triu_indices(len(chosen))
            distances = atoms[chosen].get_all_distances(mic=bool(atoms.pbc.any()))
            symbols = np.array(atoms.get_chemical_symbols())[chosen]
            pairs = [
                "-".join(sorted((symbols[a], symbols[b]))) for a, b in zip(*upper, strict=True)
            ]
            arrays = {
                "distance_angstrom": distances[upper],
                "block_norm_eV_per_angstrom2": whole[upper],
                "antisymmetric_block_norm_eV_per_angstrom2": anti[upper],
                "pair": np.array(pairs),
            }
        return Result(values, arrays)

    def render(self, result: Result) -> Section:
        """Words, a table and the figure against distance."""
        v, section = result.values, Section()
        rows = [["C", _scientific(v["lambda_C"], v["lambda_C_error"])]]
        if "lambda_NC" in v:
            rows.append(["NC, stochastic", _scientific(v["lambda_NC"], v["lambda_NC_error"])])
            if "lambda_NC_exact" in v:
                rows.append(["NC, exact", f"{v['lambda_NC_exact']:.4f}"])
            others = ", ".join(f"{name} {value}" for name, value in LITERATURE.items())
            section.paragraphs.append(
                f"The NC forces of this model have λ = {v['lambda_NC']:.4f}: this part of their Jacobian belongs to no "
                f"energy. In bulk water Bigi, Langer and Ceriotti found {others}. Conservative forces come out at "
                f"{v['lambda_C']:.1e}, the error of the differences."
            )
            section.figures.append(
                (
                    "Each dot is the 3x3 block of the Jacobian for a pair of atoms: grey the whole, coloured its "
                    "antisymmetric part (distance 0 is an atom with itself). Blocks below 1e-8 are not shown.",
                    self._figure(result.arrays),
                )
            )
        section.tables.append(Table(["forces", "λ"], rows))
        if v["lambda_C"] > 1e-5:
            section.warnings.append(
                f"Conservative forces have λ = {v['lambda_C']:.1e}, expected zero to 1e-5: the energy is not smooth "
                "where this structure is, or a derivative in the network is cut."
            )
        return section

    @staticmethod
    def _figure(arrays: dict[str, NDArray]):
        figure, (axes,) = panels(1, height=4.0)
        distance = arrays["distance_angstrom"]
        whole = arrays["block_norm_eV_per_angstrom2"]
        anti = arrays["antisymmetric_block_norm_eV_per_angstrom2"]
        shown = whole > 1e-8
        axes.plot(distance[shown], whole[shown], ".", color="0.8", ms=3, label="J", rasterized=True)
        for pair in sorted(set(arrays["pair"])):
            chosen = (arrays["pair"] == pair) & (anti > 1e-8)
            axes.plot(distance[chosen], anti[chosen], ".", ms=3, label=f"antisymmetric, {pair}")
        axes.set(xlabel="distance, Å", ylabel="|block|, eV/Å²", yscale="log")
        axes.legend(frameon=False, fontsize="small", markerscale=2)
        return figure


def _scientific(value: float, error: float | None) -> str:
    if value < 1e-4:
        return f"{value:.1e}"
    return f"{value:.4f} ± {error:.4f}" if error is not None else f"{value:.4f}"
