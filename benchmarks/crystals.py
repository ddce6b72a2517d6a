"""Twenty elemental and binary crystals: lattice, elastic constants and phonons of a model beside experiment.

    OMP_NUM_THREADS=1 python benchmarks/crystals.py 7net-crystals.pt -o crystals
    OMP_NUM_THREADS=1 python benchmarks/crystals.py copper -o copper --only Cu

Each crystal begins at its measured lattice and is relaxed, as mlip-relax, mlip-elastic and mlip-phonons do it. What is
done is kept in FOLDER, a file for each crystal, so that the same command goes on after a break; a crystal that fails
keeps its reason. Crystals with elements that the model does not know are left out. ``crystals.md`` is the table.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
from measured_crystals import CRYSTALS, MODES, MeasuredCrystal, bulk_modulus

from mlip_engines import load_model
from mlip_engines.elasticity.measurement import elasticity
from mlip_engines.model.load import LoadedModel
from mlip_engines.phonons.settings import PhononSettings
from mlip_engines.phonons.spectrum import phonons
from mlip_engines.phonons.supercell import widths
from mlip_engines.relaxation.crystal import relaxed_crystal

FMAX = 1e-3  # eV/Å


def measured(model: LoadedModel, crystal: MeasuredCrystal, width: float) -> dict:
    """Return the lattice (Å), elastic constants (GPa) and a frequency (THz) of a crystal, and warnings.

    Parameters
    ----------
    model : LoadedModel
    crystal : MeasuredCrystal
    width : float, Å
        Between opposite faces of the supercell of the phonons, at least; twice the cutoff in any case.

    Raises
    ------
    ValueError
        If it cannot be relaxed.
    """
    began = time.process_time()
    relaxed, warnings = relaxed_crystal(model, crystal.atoms(), fmax=FMAX)
    a, c = lattice_constants(relaxed.cell.array, crystal.structure)
    elastic = elasticity(model, relaxed, fmax=FMAX)
    wide = np.ceil(max(width, 2.0 * model.metadata.cutoff) / widths(relaxed) - 1e-9)
    supercell = tuple(int(n) for n in wide)
    found = phonons(model, relaxed, settings=PhononSettings(supercell=supercell))
    label, place, _ = MODES[crystal.structure]
    t = elastic.tensor.constants
    constants = [t[0, 0], t[0, 1], t[3, 3]]
    if crystal.structure == "hcp":
        constants += [t[0, 2], t[2, 2]]
    imaginary = found.imaginary_modes()
    return {
        "a_angstrom": a,
        "c_angstrom": c,
        "constants_GPa": [float(x) for x in constants],
        "phonon_THz": float(found.points()[label][place]),
        "highest_phonon_THz": float(np.max(found.phonopy.mesh.frequencies)),
        "lowest_imaginary_THz": -imaginary[0][1] if imaginary else None,
        "supercell": supercell,
        "warnings": [*warnings, *elastic.warnings, *found.warnings],
        "cpu_seconds": time.process_time() - began,
    }


def lattice_constants(cell: np.ndarray, structure: str) -> tuple[float, float | None]:
    """Return a of the cube, or a and c of the hexagonal cell, Å, from the primitive cell (3, 3) of ASE."""
    if structure == "hcp":
        return float(np.linalg.norm(cell[0])), float(np.linalg.norm(cell[2]))
    per_cube = {"bcc": 2, "cesiumchloride": 1}.get(structure, 4)
    return float((per_cube * abs(np.linalg.det(cell))) ** (1.0 / 3.0)), None


def table(results: dict[str, dict]) -> list[str]:
    """Return the lines of the table: the model, and experiment in parentheses."""
    lines = [
        "| crystal | a, Å | B, GPa | C11 | C12 | C44 | C13, C33 | mode | its frequency, THz | lowest imaginary, THz |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for crystal in CRYSTALS:
        found = results.get(crystal.name)
        if found is None:
            continue
        if "failure" in found:
            lines.append(f"| {crystal.name} | {found['failure']} |" + " |" * 8)
            continue
        own = found["constants_GPa"]
        pairs = [f"{x:.0f} ({y:.0f})" for x, y in zip(own, crystal.constants, strict=True)]
        a = f"{found['a_angstrom']:.3f} ({crystal.a:.3f})"
        if crystal.c:
            a += f", c {found['c_angstrom']:.3f} ({crystal.c:.3f})"
        phonon = f"{found['phonon_THz']:.2f} ({crystal.phonon or '-'})"
        imaginary = found["lowest_imaginary_THz"]
        lines.append(
            f"| {crystal.name}, {crystal.structure} | {a} | {bulk_modulus(own):.0f} ({crystal.bulk_modulus:.0f}) | "
            f"{' | '.join(pairs[:3])} | {', '.join(pairs[3:])} | {MODES[crystal.structure][2]} | {phonon} | "
            f"{'' if imaginary is None else f'{imaginary:.2f}i'} |"
        )
    return lines


def errors(results: dict[str, dict]) -> list[str]:
    """Return a line for each quantity: mean and mean absolute deviation from experiment, in per cent."""
    kinds: dict[str, list[float]] = {
        "a": [],
        "B": [],
        "C11": [],
        "C12": [],
        "C44": [],
        "phonon": [],
    }
    for crystal in CRYSTALS:
        found = results.get(crystal.name)
        if found is None or "failure" in found:
            continue
        own = found["constants_GPa"]
        pairs = {
            "a": (found["a_angstrom"], crystal.a),
            "B": (bulk_modulus(own), crystal.bulk_modulus),
            **{f"C{k}": (own[n], crystal.constants[n]) for n, k in enumerate(("11", "12", "44"))},
        }
        if crystal.phonon:
            pairs["phonon"] = (found["phonon_THz"], crystal.phonon)
        for name, (x, y) in pairs.items():
            kinds[name].append(100.0 * (x - y) / y)
    lines = [
        "| quantity | crystals | mean deviation, % | mean of its size, % |",
        "|---|---|---|---|",
    ]
    for name, values in kinds.items():
        if values:
            lines.append(
                f"| {name} | {len(values)} | {np.mean(values):+.1f} | {np.mean(np.abs(values)):.1f} |"
            )
    return lines


def main(arguments: list[str] | None = None) -> None:
    """Measure what is missing in the folder and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="a model file or the name of a shipped model")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--only", nargs="+", choices=[each.name for each in CRYSTALS], default=None)
    parser.add_argument("--width", type=float, default=0.0, help="Å, least width of supercells")
    options = parser.parse_args(arguments)
    options.output.mkdir(parents=True, exist_ok=True)
    model = load_model(options.model)
    made_with = {"checksum": model.metadata.checksum, "width": options.width}
    results = {}
    for crystal in CRYSTALS:
        if options.only and crystal.name not in options.only:
            continue
        if not set(crystal.atoms().get_chemical_symbols()) <= set(model.metadata.species):
            continue
        path = options.output / f"{crystal.name}.json"
        found = json.loads(path.read_text()) if path.exists() else None
        if found is None or found.get("made_with") != made_with:
            try:
                found = measured(model, crystal, options.width)
            except ValueError as e:  # this crystal is no minimum of the model: a result as well
                found = {"failure": str(e)}
            found["made_with"] = made_with
            draft = path.with_suffix(".partial")
            draft.write_text(json.dumps(found, indent=1) + "\n")
            draft.replace(path)
        results[crystal.name] = found
        print(table({crystal.name: found})[-1], flush=True)
    text = "\n".join([*table(results), "", *errors(results)])
    (options.output / "crystals.md").write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
