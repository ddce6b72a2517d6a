"""How well a potential relaxes molecules, beside the method that made its labels, a force field, and DFT.

    pip install rdkit tblite pyscf
    OMP_NUM_THREADS=1 python benchmarks/molecular_relaxation.py MODEL MOLECULES -o OUT
    OMP_NUM_THREADS=1 python benchmarks/molecular_relaxation.py MODEL MOLECULES -o OUT --pyscf 6

MOLECULES is the folder that ``relaxation_paths.py`` has written. The conformers of RDKit of one part of a split are
relaxed by the model and, to compare, by the force field MMFF94 (Halgren, J. Comput. Chem. 17, 490 (1996)), and judged
by energies and forces of GFN2-xTB as Fu et al. ("Augmenting molecular graphs with geometries via machine learning
interatomic potentials", OpenReview JwzhHTISJL) judge theirs by DFT:

    pct        mean of (E(start) - E(relaxed)) / (E(start) - E(true)), in % (eqs. 10, 11)
    success    E(relaxed) - E(true) below 1 kcal/mol (eqs. 12, 13)
    divergence no energy, or one above that of the start
    converged  no force of GFN2-xTB above 0.05 eV/Å (eq. 14)
    other      bonds that are there in the true structure and not in the relaxed one, or the other way round

Molecules that cannot be relaxed count as diverged and are listed. Files in OUT: ``results.csv``, ``summary.json``,
``potential.extxyz``, ``force_field.extxyz``, each with the properties of the true structure, for
``property_conformers.py``.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
from ase import Atoms
from ase.data import covalent_radii
from ase.units import Hartree, kcal, mol

from mlip_engines import load_model
from mlip_engines.relaxation import relax

CHEMICAL_ACCURACY = kcal / mol  # eV
LARGEST_FORCE = 0.05  # eV/Å, of a structure that counts as converged
BOND = 1.25  # sums of covalent radii
LEAST_GAIN = 1e-3  # eV; a start that is as good as the end has no percentage


@dataclass(frozen=True)
class Outcome:
    """One relaxed molecule in the eyes of the reference method; energies in eV, NaN where there is none."""

    molecule: str
    formula: str
    reason: str  # of the failure, or empty
    before: float
    after: float
    true: float
    largest_force: float  # eV/Å, of the reference method at the end
    same_bonds: bool

    @property
    def percentage(self) -> float:
        """Equation 11, %; NaN if there was nothing to gain or no energy."""
        gain = self.before - self.true
        return 100.0 * (self.before - self.after) / gain if gain > LEAST_GAIN else math.nan

    @property
    def succeeds(self) -> bool:
        """Equation 12."""
        return self.after - self.true < CHEMICAL_ACCURACY

    @property
    def diverges(self) -> bool:
        """No energy, or one above that of the start."""
        return not self.after <= self.before

    @property
    def converges(self) -> bool:
        """Equation 14."""
        return self.largest_force < LARGEST_FORCE


def wilson(successes: int, n: int) -> tuple[float, float]:
    """Return the 95 % interval of a proportion (Wilson, J. Am. Stat. Assoc. 22, 209 (1927)), in %."""
    z, p = 1.959964, successes / n
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return 100.0 * max(middle - half, 0.0), 100.0 * min(middle + half, 1.0)


def summary(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Return equations 10 to 14 over all molecules, in %, proportions with their 95 % intervals.

    The mean percentage is over the molecules that have one, and comes with its standard error and the median, because
    one molecule that falls apart moves the mean by thousands.
    """
    if not outcomes:
        raise ValueError("expected relaxed molecules, got none")
    n = len(outcomes)
    percentages = np.array([o.percentage for o in outcomes])
    percentages = percentages[np.isfinite(percentages)]
    found: dict[str, Any] = {"molecules": n}
    if percentages.size:
        found["pct"] = float(percentages.mean())
        found["pct_standard_error"] = float(percentages.std() / math.sqrt(percentages.size))
        found["pct_median"] = float(np.median(percentages))
    residuals = np.array([o.after - o.true for o in outcomes]) / CHEMICAL_ACCURACY
    residuals = residuals[np.isfinite(residuals)]
    if residuals.size:
        found["median_residual_kcal_per_mol"] = float(np.median(residuals))
    for name, is_so in (
        ("success", [o.succeeds for o in outcomes]),
        ("divergence", [o.diverges for o in outcomes]),
        ("converged", [o.converges for o in outcomes]),
        ("other_bonds", [not o.same_bonds for o in outcomes]),
    ):
        found[name] = 100.0 * sum(is_so) / n
        found[f"{name}_interval"] = wilson(sum(is_so), n)
    return found


def bonds(atoms: Atoms) -> set[tuple[int, int]]:
    """Return the pairs of atoms closer than 1.25 sums of their covalent radii."""
    radii = covalent_radii[atoms.numbers]
    limits = BOND * (radii[:, None] + radii)
    close = np.argwhere(np.triu(atoms.get_all_distances() < limits, 1))
    return {(int(i), int(j)) for i, j in close}


def xtb(atoms: Atoms) -> tuple[float, float]:
    """Return the energy (eV) and the largest force (eV/Å) of GFN2-xTB, NaN where it has none."""
    from tblite.ase import TBLite

    copy = Atoms(atoms.numbers, atoms.positions)
    copy.calc = TBLite(method="GFN2-xTB", verbosity=0)
    try:
        return copy.get_potential_energy(), float(
            np.linalg.norm(copy.get_forces(), axis=1).max(initial=0.0)
        )
    except Exception:  # noqa: BLE001 - a molecule that has no energy is a result
        return math.nan, math.nan


def b3lyp(atoms: Atoms) -> float:
    """Return the energy of B3LYP/6-31G* by PySCF, eV, the level of PubChemQCR; NaN if it does not converge."""
    from pyscf import dft, gto

    molecule = gto.M(
        atom=list(zip(atoms.get_chemical_symbols(), atoms.positions.tolist(), strict=True)),
        basis="6-31g*",
        verbose=0,
    )
    field = dft.RKS(molecule, xc="b3lyp").density_fit()
    energy = field.kernel()
    return float(energy) * Hartree if field.converged else math.nan


def judged(
    starts: Sequence[Atoms], ends: Sequence[Atoms | str], truths: Sequence[Atoms]
) -> Iterable[Outcome]:
    """Yield an outcome for each molecule; an end that is a text is the reason why there is none."""
    for start, end, true in zip(starts, ends, truths, strict=True):
        reason = end if isinstance(end, str) else ""
        after, force, same = math.nan, math.nan, False
        if not isinstance(end, str):
            (after, force), same = xtb(end), bonds(end) == bonds(true)
            reason = reason or ("" if math.isfinite(after) else "GFN2-xTB has no energy")
        yield Outcome(
            str(true.info["molecule"]),
            true.get_chemical_formula(),
            reason,
            xtb(start)[0],
            after,
            xtb(true)[0],
            force,
            same,
        )


def by_force_field(atoms: Atoms) -> Atoms | str:
    """Relax by MMFF94 from the given geometry; return why if that is not possible."""
    from rdkit import Chem
    from rdkit.Chem import AllChem

    molecule = Chem.AddHs(Chem.MolFromSmiles(str(atoms.info["smiles"])))
    symbols = [a.GetSymbol() for a in molecule.GetAtoms()]
    if symbols != atoms.get_chemical_symbols():
        return "its atoms are not in the order of RDKit"
    if not AllChem.MMFFHasAllMoleculeParams(molecule):
        return "MMFF94 has no parameters for it"
    conformer = Chem.Conformer(len(symbols))
    conformer.SetPositions(np.ascontiguousarray(atoms.positions))
    molecule.AddConformer(conformer)
    AllChem.MMFFOptimizeMolecule(molecule, maxIters=2000)
    relaxed = atoms.copy()
    relaxed.positions = molecule.GetConformer().GetPositions()
    return relaxed


def by_model(
    model: Any, starts: Sequence[Atoms], fmax: float, steps: int
) -> tuple[list[Atoms | str], dict[str, Any]]:
    """Relax by the model; a structure that is not converged is taken as it is, like in the paper."""
    began = time.monotonic()
    found = relax(model, starts, fmax=fmax, steps=steps)
    seconds = time.monotonic() - began
    ends: list[Atoms | str] = []
    for each, start in zip(found, starts, strict=True):
        if each.failure and each.failure != "not converged":
            ends.append(f"{each.failure}: {each.reason}")
        else:
            end = start.copy()
            end.positions = each.atoms.positions
            ends.append(end)
    unfinished = [each.index for each in found if each.failure == "not converged"]
    return ends, {
        "seconds": round(seconds, 1),
        "steps": sum(each.steps for each in found),
        "not_converged": len(unfinished),
    }


def by_dft(
    model_ends: Sequence[Atoms | str], starts: Sequence[Atoms], truths: Sequence[Atoms], n: int
) -> list[dict[str, Any]]:
    """Return B3LYP energies of the `n` smallest molecules above that of the true structure, kcal/mol."""
    order = sorted(
        range(len(truths)), key=lambda k: (len(truths[k]), str(truths[k].info["molecule"]))
    )
    rows = []
    for k in [k for k in order if not isinstance(model_ends[k], str)][:n]:
        true = b3lyp(truths[k])
        before, after = (b3lyp(a) for a in (starts[k], model_ends[k]))
        rows.append(
            {
                "smiles": str(truths[k].info["smiles"]),
                "start": (before - true) / CHEMICAL_ACCURACY,
                "potential": (after - true) / CHEMICAL_ACCURACY,
            }
        )
        print(json.dumps(rows[-1]), flush=True)
    return rows


def pairs(folder: Path, key: str, part: str, n: int) -> tuple[list[Atoms], list[Atoms]]:
    """Return the conformers of RDKit and the true structures of a part, `n` of them if it is positive."""
    truths = {a.info["molecule"]: a for a in ase.io.iread(folder / "relaxed.extxyz", ":")}
    starts = [a for a in ase.io.iread(folder / "embedded.extxyz", ":") if a.info.get(key) == part]
    if not starts:
        raise ValueError(f"{folder}: expected molecules with {key}={part}, got none")
    starts = starts[:n] if n > 0 else starts
    return starts, [truths[a.info["molecule"]] for a in starts]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model")
    parser.add_argument("molecules", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--split-key", default="split_random")
    parser.add_argument("--part", default="test")
    parser.add_argument("--n", type=int, default=0, help="so many molecules (default: all)")
    parser.add_argument("--fmax", type=float, default=LARGEST_FORCE, help="eV/Å (default 0.05)")
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument(
        "--pyscf", type=int, default=0, help="B3LYP/6-31G* for so many of the smallest"
    )
    parser.add_argument(
        "--no-judge", action="store_true", help="only relax by the model, for training"
    )
    options = parser.parse_args(arguments)
    starts, truths = pairs(options.molecules, options.split_key, options.part, options.n)
    options.output.mkdir(parents=True, exist_ok=True)
    ends, effort = by_model(load_model(options.model), starts, options.fmax, options.steps)
    methods = {"potential": ends}
    if not options.no_judge:
        methods["force_field"] = [by_force_field(a) for a in starts]
        methods["start"] = list(starts)
    result: dict[str, Any] = {
        "settings": {k: str(v) for k, v in vars(options).items()},
        "effort": effort,
    }
    rows = []
    for method, some in methods.items():
        structures = [a for a in some if not isinstance(a, str)]
        ase.io.write(options.output / f"{method}.extxyz", structures, format="extxyz")
        if options.no_judge:
            continue
        outcomes = list(judged(starts, some, truths))
        result[method] = summary(outcomes)
        rows += [{"method": method, **asdict(o), "pct": o.percentage} for o in outcomes]
        print(method, json.dumps(result[method]), flush=True)
    if rows:
        with (options.output / "results.csv").open("w", newline="") as file:
            table = csv.DictWriter(file, list(rows[0]))
            table.writeheader()
            table.writerows(rows)
    if options.pyscf:
        result["b3lyp"] = by_dft(ends, starts, truths, options.pyscf)
    (options.output / "summary.json").write_text(json.dumps(result, indent=2))
    print(json.dumps(effort))
    return 0


if __name__ == "__main__":
    sys.exit(main())
