"""The table of a comparison: medians and quartiles over rounds, ratios within them."""

import numpy as np

CLOCK_NAMES = {"wall": "time", "cpu": "processor time"}


def quartiles(values: list[float]) -> tuple[float, float, float]:
    """Return the median, the first and the third quartile."""
    low, middle, high = np.percentile(values, [25, 50, 75])
    return float(middle), float(low), float(high)


def ratios(own: list[list[float]], reference: list[list[float]]) -> list[float]:
    """Return, round by round, the median time over that of the reference."""
    return [float(np.median(o) / np.median(r)) for o, r in zip(own, reference, strict=True)]


def rows_of(contest: dict, clock: str) -> list[str]:
    """Return a contest's rows; a ratio is to the first contestant of the same kind of forces."""
    references: dict[str, list[list[float]]] = {}
    rows = []
    for c in contest["contestants"]:
        rounds = [turn[clock] for turn in c["rounds"]]
        middle, low, high = quartiles([ms for turn in rounds for ms in turn])
        cells = [c["name"], c["kind"], c["about"]["dtype"], f"{middle:.1f} ({low:.1f}-{high:.1f})"]
        if c["kind"] in references:
            middle, low, high = quartiles(ratios(rounds, references[c["kind"]]))
            cells.append(f"{middle:.2f} ({low:.2f}-{high:.2f})")
        else:
            references[c["kind"]] = rounds
            cells.append("1")
        cells.append(f"{c['peak_MB']:.0f}")
        rows.append(f"| {' | '.join(cells)} |")
    return rows


def table_of(contests: list[dict], clock: str) -> str:
    """Return the contests as Markdown, with the versions of what took part."""
    lines = []
    for contest in contests:
        n_atoms = {c["about"]["n_atoms"] for c in contest["contestants"]}
        if len(n_atoms) != 1:
            raise ValueError(
                f"{contest['title']}: expected the same number of atoms of all, got {n_atoms}"
            )
        begin, end = contest["load_average"]
        n_rounds = len(contest["contestants"][0]["rounds"])
        lines += [
            f"**{contest['title']}**, {n_atoms.pop()} atoms, {n_rounds} rounds, {contest['threads']} thread(s) of "
            f"{contest['processor']}, load average {begin:.1f} to {end:.1f}:",
            "",
            f"| | forces | precision | {CLOCK_NAMES[clock]}, ms (quartiles) | times ours | peak memory, MB |",
            "|---|---|---|---|---|---|",
            *rows_of(contest, clock),
            "",
        ]
    versions: dict[str, set[str]] = {}
    for c in (c for contest in contests for c in contest["contestants"]):
        for package, version in c["about"]["versions"].items():
            versions.setdefault(package, set()).add(version)
    found = [f"{package} {' and '.join(sorted(v))}" for package, v in sorted(versions.items())]
    return "\n".join([*lines, f"Versions: {', '.join(found)}."]) + "\n"
