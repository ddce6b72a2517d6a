"""What a time step costs, beside the drift that it buys: every engine, mode and size in one run.

    OMP_NUM_THREADS=1 python benchmarks/speed.py --molecules 64 512 -o speed

Conservative forces (C), non-conservative forces (NC) and r-RESPA with several strides M, in LAMMPS, OpenMM and ASE
(which has no r-RESPA), and the bare module on the same graph. For each engine and size, all modes take turns with the
bare module, so that whatever else the machine does slows all of them alike; medians are compared. For the smallest size
the energy is followed as well (--drift-ps), because a speed says nothing without its drift; drifts and their errors are
those of mlip_engines.simulations.drift. Beside the ratio at one inner step stands the fair comparison (--fair-ps): C at
its own best step and r-RESPA at its best (inner step, M), within the same limits of drift and fluctuation, in seconds
per picosecond and nanoseconds per day. Memory is that of the largest process of the engine, without the bare module.

Writes ``speed.json`` (everything), ``table.md`` and ``speed.png``. Parts that are finished are not measured again.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from tqdm import tqdm

ENGINES = ("lammps", "openmm", "ase")
WORKER = Path(__file__).with_name("speed_of_engine.py")
MOLECULES_IN_BOX = 64


def measure(engine: str, copies: int, with_drift: bool, options: argparse.Namespace) -> dict:
    """Return what the process of one engine and size found, from its file if it has run before."""
    path = options.output / "parts" / f"{engine}_{MOLECULES_IN_BOX * copies**3}.json"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, str(WORKER), engine, "--copies", str(copies)]
        command += ["--model", options.model, "--repeats", str(options.repeats)]
        command += ["--strides", *map(str, options.strides), "--output", str(path)]
        if with_drift:
            command += ["--drift-ps", str(options.drift_ps), "--fair-ps", str(options.fair_ps)]
            command += ["--fair-step", str(options.fair_step)]
            command += ["--drift-limit", str(options.drift_limit)]
            command += ["--fluctuation-limit", str(options.fluctuation_limit)]
        if options.hydrogen_mass is not None:
            command += ["--hydrogen-mass", str(options.hydrogen_mass)]
        log = path.with_suffix(".log")
        with log.open("w") as file:
            done = subprocess.run(command, stdout=file, stderr=subprocess.STDOUT)
        if done.returncode != 0 or not path.is_file():
            last = "\n  ".join(log.read_text().splitlines()[-6:])
            sys.exit(f"{' '.join(command)} failed; all output is in {log}\n  {last}")
    return json.loads(path.read_text())


def table_of(parts: list[dict]) -> str:
    """Return times, speed-ups and drifts, and how time grows with size."""
    # That of the smallest size, should a folder have it for more than one.
    drift = {(p["engine"], m): d for p in reversed(parts) for m, d in p.get("drift", {}).items()}
    lines = [
        "| engine | molecules | mode | ms per inner step | µs per atom | speed-up over C | over the bare module "
        "| drift, meV/atom/ps | rms C - NC, meV/Å | peak memory, MB |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for p in parts:
        for mode, ms in p["ms_per_inner_step"].items():
            d = drift.get((p["engine"], mode))
            cells = [p["engine"], str(p["n_atoms"] // 3), mode, f"{ms:.2f}"]
            cells += [f"{1000 * ms / p['n_atoms']:.1f}", f"{p['ms_per_inner_step']['C'] / ms:.2f}"]
            bare = p["bare_ms_per_inner_step"].get(mode)
            cells.append("-" if bare is None else f"{ms / bare:.2f}")
            cells.append("-" if d is None else f"{d['meV_per_atom_per_ps']:+.2f}")
            rms = None if d is None else d["rms_c_minus_nc_meV_per_A"]
            cells += ["-" if rms is None else f"{rms:.0f}", f"{p['peak_memory_MB']:.0f}"]
            lines.append(f"| {' | '.join(cells)} |")
    lines += ["", *fits(parts), "", *phases(parts)]
    return "\n".join([*fair_tables(parts), *lines]) + "\n"


def fair_tables(parts: list[dict]) -> list[str]:
    """Return what each engine's C and r-RESPA reach at the same limits of drift and fluctuation."""
    lines = []
    for p in parts:
        if "fair" not in p:
            continue
        lines += [f"{p['engine']}, {p['n_atoms']} atoms. {p['fair']['words']}", ""]
        lines += [
            "| steps | outer step, fs | s/ps | ns/day | drift, meV/atom/ps | fluctuation, meV/atom | |",
            "|---|---|---|---|---|---|---|",
        ]
        for pace in p["fair"]["paces"]:
            drift = f"{pace['drift']:+.3f} ± {pace['drift_error']:.3f}"
            cells = [pace["label"], f"{pace['outer_step_fs']:g}", f"{pace['seconds_per_ps']:.2f}"]
            cells += [f"{pace['ns_per_day']:.2f}", "blew up" if pace["stopped"] else drift]
            fluctuation = f"{pace['fluctuation']:.3f} ± {pace.get('fluctuation_error', 0.0):.3f}"
            cells += [fluctuation, pace["verdict"]]
            if pace["label"] in p["fair"]["best"]:
                cells = [f"**{cell}**" for cell in cells]
            lines.append(f"| {' | '.join(cells)} |")
        lines.append("")
    return lines


def fits(parts: list[dict]) -> list[str]:
    """Return the fit of time against size, t = a + b N, weighted by 1/t."""
    lines = []
    for engine in dict.fromkeys(p["engine"] for p in parts):
        of_engine = [p for p in parts if p["engine"] == engine]
        if len(of_engine) < 2:
            continue
        n = np.array([p["n_atoms"] for p in of_engine])
        for mode in of_engine[0]["ms_per_inner_step"]:
            t = np.array([p["ms_per_inner_step"][mode] for p in of_engine])
            slope, offset = np.polyfit(n, t, 1, w=1 / t)
            lines.append(f"- {engine}, {mode}: {offset:.2f} ms + {1000 * slope:.2f} µs per atom")
    return lines


def phases(parts: list[dict]) -> list[str]:
    """Return where the time of a conservative step in LAMMPS goes."""
    measured = [p for p in parts if p.get("phases_ms")]
    if not measured:
        return []
    names = list(measured[0]["phases_ms"])
    lines = [
        "A conservative step in LAMMPS, ms:",
        "",
        f"| molecules | {' | '.join(names)} |",
        "|---" * (1 + len(names)) + "|",
    ]
    for p in measured:
        cells = [f"{p['phases_ms'][name]:.2f}" for name in names]
        lines.append(f"| {p['n_atoms'] // 3} | {' | '.join(cells)} |")
    return lines


def draw(parts: list[dict], path: Path) -> None:
    """Draw time against size, and speed-up against drift."""
    figure = Figure(figsize=(10.0, 4.2))
    left, right = figure.subplots(1, 2)
    colours = dict(zip(ENGINES, ("tab:blue", "tab:orange", "tab:green"), strict=True))
    for engine in dict.fromkeys(p["engine"] for p in parts):
        of_engine = [p for p in parts if p["engine"] == engine]
        for mode, style in (("C", "-"), ("NC", ":"), ("M = 8", "--")):
            points = [
                (p["n_atoms"], p["ms_per_inner_step"][mode])
                for p in of_engine
                if mode in p["ms_per_inner_step"]
            ]
            if points:
                left.plot(
                    *zip(*points, strict=True),
                    style,
                    marker=".",
                    color=colours[engine],
                    label=f"{engine}, {mode}",
                )
        p = of_engine[0]
        for mode, d in p.get("drift", {}).items():
            point = (
                abs(d["meV_per_atom_per_ps"]),
                p["ms_per_inner_step"]["C"] / p["ms_per_inner_step"][mode],
            )
            right.plot(*point, "o", color=colours[engine])
            right.annotate(mode, point, xytext=(4, 4), textcoords="offset points", fontsize="small")
    left.set(xlabel="atoms", ylabel="ms per inner step", xscale="log", yscale="log")
    left.legend(fontsize="small", frameon=False)
    right.set(xlabel="|drift|, meV/atom/ps", ylabel="speed-up over C", xscale="symlog")
    right.set_xscale("symlog", linthresh=0.01)
    right.axvline(0.1, color="grey", lw=0.8)
    figure.tight_layout()
    figure.savefig(path, dpi=150)


def main() -> None:
    """Measure what is not measured yet; write everything."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, default=Path("speed"))
    parser.add_argument(
        "--model", default="water", help="model file, or the name of a shipped model"
    )
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=ENGINES)
    parser.add_argument(
        "--molecules",
        nargs="+",
        type=int,
        default=[64, 512],
        help=f"{MOLECULES_IN_BOX} times a cube: 64, 512, 4096, 32768",
    )
    parser.add_argument("--strides", nargs="+", type=int, default=[1, 2, 4, 8, 16])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--drift-ps", type=float, default=1.0, help="0 for no drift")
    parser.add_argument(
        "--fair-ps", type=float, default=2.0, help="of runs for the fair comparison; 0 for none"
    )
    parser.add_argument("--fair-step", type=float, default=0.5, help="its shortest step, fs")
    parser.add_argument("--drift-limit", type=float, default=0.1, help="meV/atom/ps")
    parser.add_argument("--fluctuation-limit", type=float, default=0.1, help="meV/atom")
    parser.add_argument("--hydrogen-mass", type=float, help="g/mol; what it gains, oxygen loses")
    options = parser.parse_args()
    sizes = []
    for molecules in sorted(options.molecules):
        copies = round((molecules / MOLECULES_IN_BOX) ** (1 / 3))
        if copies < 1 or MOLECULES_IN_BOX * copies**3 != molecules:
            parser.error(f"--molecules must be {MOLECULES_IN_BOX} times a cube, got {molecules}")
        sizes.append(copies)
    # With other settings than before, finished parts would be of something else.
    settings = {
        k: str(v)
        for k, v in sorted(vars(options).items())
        if k not in ("engines", "molecules", "output")
    }
    settings["threads"] = os.environ.get("OMP_NUM_THREADS", "all")
    options.output.mkdir(parents=True, exist_ok=True)
    record = options.output / "settings.json"
    if record.is_file() and json.loads(record.read_text()) != settings:
        parser.error(
            f"{options.output} holds measurements with other settings; choose another folder"
        )
    record.write_text(json.dumps(settings, indent=1))
    parts = []
    for copies in tqdm(sizes, unit="size"):
        with_drift = copies == sizes[0]
        for engine in options.engines:
            parts.append(measure(engine, copies, with_drift and engine != "ase", options))
    (options.output / "speed.json").write_text(
        json.dumps({"settings": settings, "parts": parts}, indent=1)
    )
    table = table_of(parts)
    (options.output / "table.md").write_text(table)
    draw(parts, options.output / "speed.png")
    print(table)


if __name__ == "__main__":
    main()
