"""How far are the forces from being the gradient of anything? The antisymmetric part of their Jacobian.

lambda is that of :mod:`mlip_engines.properties.jacobian`: 0 for a gradient, 1 for forces with nothing but curl. It is
estimated with random vectors, and exact where the structure is small; pairs of atoms are shown against their distance.

References
----------
Bigi, Langer, Ceriotti, ICML 2025 (arXiv:2412.11569), section 3 and figure 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mlip_engines.diagnostics.case import Case
from mlip_engines.diagnostics.diagnostic import ModelDiagnostic, Results
from mlip_engines.diagnostics.result import Result, Section, Table
from mlip_engines.properties.jacobian import (
    asymmetry,
    jacobian_asymmetry,
    jacobian_rows,
    nearest_atoms,
    pair_blocks,
)
from mlip_engines.report.figures import panels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Theirs, bulk water: what the reader compares with.
LITERATURE = {"PET-NC": 0.004, "ORB": 0.015, "EquiformerV2": 0.017, "SOAP-BPNN-NC": 0.032}
LARGEST_OF_C = 1e-5  # beyond which the energy is not smooth


class JacobianAsymmetry(ModelDiagnostic):
    """lambda of the NC forces, against distance, and that of C."""

    name = "jacobian_asymmetry"
    title = "Jacobian asymmetry"

    def evaluations(self, case: Case) -> float:
        """Seven for each random vector, two for each row."""
        rows = 3.0 * min(len(case.atoms), case.settings.exact_atoms)
        return 20.0 + 7.0 * case.settings.probes + 2.0 * rows

    def measure(self, case: Case) -> Result:
        """Exact where small, stochastic in any case."""
        s = case.settings
        values: dict[str, Any] = {"n_atoms": len(case.atoms), "probes": s.probes}
        for kind in case.kinds:
            conservative = kind == "C"
            # C is zero to the error of the differences with any vector: two are enough
            n_probes = 2 if conservative else s.probes
            estimate = jacobian_asymmetry(
                case.model, case.atoms, conservative=conservative, n_probes=n_probes, seed=s.seed
            )
            values[f"lambda_{kind}"], values[f"lambda_{kind}_error"] = estimate
        if not case.has_head:
            return Result(values)
        chosen = nearest_atoms(case.atoms, min(len(case.atoms), s.exact_atoms))
        jacobian = _jacobian_of(case, chosen)
        if len(chosen) == len(case.atoms):
            values["lambda_NC_exact"] = asymmetry(jacobian)
        return Result(values, _pairs(case, chosen, jacobian))

    def render(self, result: Result) -> Section:
        """Words, a table and the figure against distance."""
        v, section = result.values, Section(tables=[_table(result.values)])
        if "lambda_NC" in v:
            section.paragraphs.append(_words(v))
            caption = (
                "Each dot is the 3x3 block of the Jacobian for a pair of atoms: grey the whole, coloured its "
                "antisymmetric part (distance 0 is an atom with itself). Blocks below 1e-8 are not shown."
            )
            section.figures.append((caption, _figure(result.arrays)))
        if v["lambda_C"] > LARGEST_OF_C:
            section.warnings.append(
                f"Conservative forces have λ = {v['lambda_C']:.1e}, expected zero to 1e-5: the energy is not smooth "
                "where this structure is, or a derivative in the network is cut."
            )
        return section

    def verdict(self, result: Result, beside: Results) -> str:
        """The number."""
        if "lambda_NC" not in result.values:
            return ""
        return f"Jacobian asymmetry of the NC forces: λ = {result.values['lambda_NC']:.4f}."


def _jacobian_of(case: Case, chosen: NDArray[np.int_]) -> NDArray[np.float64]:
    """Return the part (3n, 3n) of the Jacobian of the NC forces, eV/Å^2, that belongs to some atoms."""
    from mlip_engines.properties.force_field import ForceField

    field = ForceField(case.model, case.atoms, conservative=False)
    columns = (3 * chosen[:, None] + np.arange(3)).ravel()
    return jacobian_rows(field, case.atoms.positions, chosen)[:, columns]


def _pairs(case: Case, chosen: NDArray[np.int_], jacobian: NDArray) -> dict[str, NDArray]:
    """Return distance, elements and norms of the block of each pair of the chosen atoms."""
    atoms = case.atoms[chosen]
    whole, anti = pair_blocks(jacobian)
    first, second = np.triu_indices(len(atoms))
    distances = atoms.get_all_distances(mic=bool(atoms.pbc.any()))
    symbols = atoms.get_chemical_symbols()
    pairs = ["-".join(sorted((symbols[a], symbols[b]))) for a, b in zip(first, second, strict=True)]
    return {
        "distance_angstrom": distances[first, second],
        "block_norm_eV_per_angstrom2": whole[first, second],
        "antisymmetric_block_norm_eV_per_angstrom2": anti[first, second],
        "pair": np.array(pairs),
    }


def _words(v: dict[str, Any]) -> str:
    others = ", ".join(f"{name} {value}" for name, value in LITERATURE.items())
    return (
        f"The NC forces of this model have λ = {v['lambda_NC']:.4f}: this part of their Jacobian cannot come from an "
        f"energy. In bulk water Bigi, Langer and Ceriotti found {others}. Conservative forces give "
        f"{v['lambda_C']:.1e}, which is the error of finite differences."
    )


def _table(v: dict[str, Any]) -> Table:
    rows = [["C", _scientific(v["lambda_C"], v["lambda_C_error"])]]
    if "lambda_NC" in v:
        rows.append(["NC, stochastic", _scientific(v["lambda_NC"], v["lambda_NC_error"])])
    if "lambda_NC_exact" in v:
        rows.append(["NC, exact", f"{v['lambda_NC_exact']:.4f}"])
    return Table(["forces", "λ"], rows)


def _scientific(value: float, error: float | None) -> str:
    if value < 1e-4:
        return f"{value:.1e}"
    return f"{value:.4f} ± {error:.4f}" if error is not None else f"{value:.4f}"


def _figure(arrays: dict[str, NDArray]) -> Figure:
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
