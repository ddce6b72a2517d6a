"""The force on an atom of a crystal by its displacement from equilibrium: is it linear, as a harmonic crystal has it?

    python benchmarks/force_displacement.py pet=pet/checkpoint.pt nc=nc/checkpoint.pt --element Cu -o linear

After figure 6a of Bigi, Pegolo, Mazitov, Schmidt, Ceriotti, arXiv:2601.16195, which has hcp titanium: direct forces of
a network that was trained on them alone are not linear near equilibrium, those of a conservatively trained one are.
The crystal is turned at random and relaxed by the conservative forces of the model; for non-conservative forces its
atoms are then relaxed by these. One atom of a supercell moves along a direction that is no axis of symmetry, to both
sides. Networks compute in float64. FOLDER has the numbers, a table and a figure.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import make_supercell
from element_crystals import LATTICES, element_crystal
from symmetry_breaking import TURN, model_for

from mlip_engines.model.load import LoadedModel, find_model
from mlip_engines.phonons.supercell import widths
from mlip_engines.properties.symmetry import turned
from mlip_engines.relaxation import relax
from mlip_engines.relaxation.evaluation import evaluate_each

KINDS = {"C": "conservative", "NC": "non_conservative"}
DIRECTION = np.array([0.48, 0.60, 0.64])
DISPLACEMENTS = np.array([0.0003, 0.001, 0.003, 0.01, 0.03, 0.06, 0.1, 0.2])  # Å


def equilibrium(model: LoadedModel, atoms: Atoms, kind: str) -> tuple[Atoms, float]:
    """Return the crystal relaxed by these forces, and its largest force, eV/Å, which direct forces may leave."""
    (found,) = relax(model, [atoms], cell=True, fmax=1e-5, steps=1000)
    if kind == "NC":
        (found,) = relax(model, [found.atoms], forces=KINDS[kind], fmax=1e-5, steps=300)
    return found.atoms, found.largest_force


def forces_by_displacement(model: LoadedModel, crystal: Atoms, kind: str) -> dict:
    """Return forces, eV/Å, on an atom that is displaced by ``DISPLACEMENTS``.

    Returns
    -------
    dict
        ``magnitude`` and ``along``, the latter half the difference of both sides along the direction, which leaves a
        force at equilibrium out.
    """
    wide = np.ceil(2.0 * model.metadata.cutoff / widths(crystal) - 1e-9).astype(int)
    perfect = make_supercell(crystal, np.diag(wide))
    moved = []
    for size in DISPLACEMENTS:
        for sign in (1.0, -1.0):
            each = perfect.copy()
            each.positions[0] += sign * size * DIRECTION
            moved.append(each)
    found = evaluate_each(model, moved, forces=KINDS[kind])
    forces = np.array([each.forces[0] for each in found]).reshape(-1, 2, 3)  # by size and side
    return {
        "magnitude": np.linalg.norm(forces[:, 0], axis=1).tolist(),
        "along": (0.5 * (forces[:, 1] - forces[:, 0]) @ DIRECTION).tolist(),
    }


def table(curves: list[dict]) -> list[str]:
    """Return the lines of the table: forces over displacement, which are equal where forces are linear."""
    sizes = " | ".join(f"{size:g}" for size in DISPLACEMENTS)
    lines = [
        f"| forces | left at equilibrium, meV/Å | {sizes} |",
        "|---|---|" + "---|" * len(DISPLACEMENTS),
    ]
    for curve in curves:
        for what in ("magnitude", "along"):
            ratios = np.array(curve[what]) / DISPLACEMENTS
            values = " | ".join(f"{value:.2f}" for value in ratios)
            left = f"{1000.0 * curve['left']:.2g}" if what == "magnitude" else ""
            name = curve["name"] + (", both sides" if what == "along" else "")
            lines.append(f"| {name} | {left} | {values} |")
    return lines


def draw(curves: list[dict], path: Path) -> None:
    """Draw magnitudes of forces by displacement, both on logarithmic axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.5, 4.0), layout="constrained")
    axes = figure.subplots()
    for curve in curves:
        axes.loglog(DISPLACEMENTS, curve["magnitude"], "o-", markersize=3, label=curve["name"])
    axes.set_xlabel("displacement, Å")
    axes.set_ylabel("force on the displaced atom, eV/Å")
    axes.legend(fontsize=8)
    figure.savefig(path)


def main(arguments: list[str] | None = None) -> None:
    """Measure all models and write the folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", metavar="NAME=FILE", nargs="+", help="checkpoints or model files")
    parser.add_argument("--element", choices=sorted(LATTICES), default="Cu")
    parser.add_argument("--structure", default="hcp")
    parser.add_argument(
        "--degree", type=int, default=3, help="of the averages over orientations; 0: none"
    )
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args(arguments)
    options.output.mkdir(parents=True, exist_ok=True)
    crystal = turned(element_crystal(options.element, options.structure), TURN)
    curves = []
    for given in options.models:
        name, _, file = given.partition("=")
        source = Path(file) if Path(file).exists() else find_model(file)
        for way in ("free", *["averaged"] * (options.degree > 0)):
            model = model_for(way, source, crystal, options.output, options.degree)
            for kind in KINDS:
                if kind == "NC" and not model.metadata.has_non_conservative_forces:
                    continue
                relaxed, left = equilibrium(model, crystal, kind)
                label = f"{name}, {kind}" + (", averaged" if way == "averaged" else "")
                curve = forces_by_displacement(model, relaxed, kind)
                curves.append({"name": label, "left": left, **curve})
                print(table(curves[-1:])[-2], flush=True)
    values = {"displacements_angstrom": DISPLACEMENTS.tolist(), "curves": curves}
    (options.output / "forces.json").write_text(json.dumps(values, indent=1) + "\n")
    (options.output / "forces.md").write_text("\n".join(table(curves)) + "\n")
    draw(curves, options.output / "forces.svg")


if __name__ == "__main__":
    main()
