"""A model card, in Markdown, from the metadata of a model file alone: nothing of the model is run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mlip_engines.model.contract import ModelMetadata
from mlip_engines.units import MEV_PER_EV

_ERRORS = (
    ("energy", "energy, meV/atom"),
    ("conservative", "conservative forces, meV/Å"),
    ("non_conservative", "non-conservative forces, meV/Å"),
    ("stress", "stress, meV/Å^3"),
    ("non_conservative_stress", "non-conservative stress, meV/Å^3"),
)
# eV/Å per component: up to the first r-RESPA goes well, above the second it is warned of (properties/errors.py).
_GOOD_C_MINUS_NC, _LARGEST_C_MINUS_NC = 0.025, 0.1
_MOST_PAIRS = 10  # listed one by one

_TERMS = (
    "C means conservative forces, minus the derivative of the energy; NC means non-conservative (direct) forces, which "
    "a head of the network gives without one. M is the stride of r-RESPA: C acts every M steps, NC in between."
)
_SECURITY = (
    "**A TorchScript file is a program**, so load only files from people you trust. The checksum is of the code and "
    "the numbers of the file; loading compares it, which finds damage. It is no proof of who wrote the file."
)


def model_card(metadata: ModelMetadata, *, model: str) -> str:
    """Return the card of a model.

    Parameters
    ----------
    metadata : ModelMetadata
        Those that the file has; what they do not say, the card does not say either, or says that it is not known.
    model : str
        How the commands of the card call the model: the name of a shipped one, or a path.
    """
    facts = metadata.card
    sections = [
        f"# Model card: `{' '.join(metadata.name.split())}`",
        "\n\n".join(text for text in (facts.get("summary", "").strip(), _TERMS) if text),
        "\n".join(_table(["", ""], list(_properties(metadata)))),
        _errors(metadata),
        _section("Which stride to use", _stride(metadata, model)),
        _section("Speed", facts.get("speed", "Not recorded. `mlip-validate` measures it.").strip()),
        *(_section(heading, text.strip()) for heading, text in facts.get("notes", {}).items()),
        _section("What it is for", _bullets(facts.get("use", [])) or "Not recorded."),
        _section("What it must not be used for", _bullets(_limits(metadata))),
        _section("How to load it", _loading(metadata, model)),
        _section("Security", f"{_SECURITY}\n\n    mlip-export --info {model}"),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _properties(metadata: ModelMetadata) -> Iterator[list[str]]:
    """Yield the rows of the first table."""
    training = metadata.training
    yield ["elements", ", ".join(metadata.species)]
    yield ["gives", _answers(metadata)]
    yield ["units", f"{metadata.energy_unit} and Å; stress in eV/Å^3; computed in {metadata.dtype}"]
    yield [
        "reach",
        f"cutoff {metadata.cutoff:g} Å, {metadata.message_passing_layers} message-passing layers: an atom sees "
        f"{metadata.interaction_range:g} Å far"
        + (
            f"; NC forces see {metadata.non_conservative_layers} layers"
            if metadata.has_non_conservative_forces and metadata.non_conservative_layers
            else ""
        ),
    ]
    if training.get("network"):
        yield ["network", _network(training["network"])]
    inner = training.get("inner", {})
    if inner.get("network"):
        yield ["network of NC forces", _network(inner["network"])]
    if metadata.structure_inputs:
        yield ["depends on", ", ".join(n.replace("_", " ") for n in metadata.structure_inputs)]
    yield ["training data", _data(training)]
    yield ["parts", _parts(training)]
    if inner:
        yield ["training data of NC forces", _data(inner)]
        yield ["parts of these", _parts(inner)]
    if metadata.card.get("recipe"):
        yield ["training", _one_line(metadata.card["recipe"])]
    if metadata.reference_energies:
        energies = metadata.reference_energies.items()
        yield ["reference energies", ", ".join(f"{s} {energy:.3f} eV" for s, energy in energies)]
    yield ["short range", _short_range(metadata)]
    if metadata.energy_range:
        yield [
            "range of the data",
            "energies of atoms below those in the training data turn round, NC forces longer than those there are "
            "shortened",
        ]
    if metadata.symmetrisation:
        yield ["averaged over", f"{metadata.symmetrisation.get('orientations')} orientations"]
    if metadata.comparison:
        yield [
            "compared with",
            f"{metadata.comparison.get('calculator', 'its own package')}: largest difference of forces "
            f"{metadata.comparison.get('forces', float('nan')):.0e} eV/Å",
        ]
    yield ["licence", metadata.licence or "not recorded: ask whoever made the model"]
    if metadata.citation:
        yield ["to cite", metadata.citation]
    others = ", ".join(metadata.extensions) or "none"
    yield ["file", f"contract version {metadata.contract_version}; operators: {others}"]
    yield ["checksum", f"`{metadata.checksum}`"]


def _answers(metadata: ModelMetadata) -> str:
    answers = ["energy, conservative forces and stress"]
    if metadata.has_non_conservative_forces:
        answers.append("NC forces")
    if metadata.has_non_conservative_stress:
        answers.append("NC stress")
    return "; ".join(answers + metadata.other_heads)


def _network(settings: dict[str, Any]) -> str:
    """Return a network's name and sizes."""
    sizes = [
        f"{name} {_plain(value)}"
        for name, value in settings.items()
        if name not in ("name", "species") and not isinstance(value, dict)
    ]
    return f"{settings.get('name', 'unnamed')}: {', '.join(sizes)}"


def _digits(value: float) -> str:
    """Return three digits, and all of those before the point."""
    if isinstance(value, int) or abs(value) >= 1000.0:
        return f"{value:.0f}"
    return f"{value:#.3g}".rstrip(".")


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _data(training: dict[str, Any]) -> str:
    """Return what a network was trained on."""
    named = [training.get("source", ""), training.get("data", "")]
    told = "; ".join(str(text) for text in named if text)
    digest = training.get("data_sha256")
    if isinstance(digest, str) and digest:
        told += f" (sha256 {digest[:12]}...)"
    return told or "not recorded"


def _parts(training: dict[str, Any]) -> str:
    """Return how many structures there were for what."""
    names = (
        ("n_train", "for training"),
        ("n_validation", "for validation"),
        ("n_test", "for the test"),
        ("n_unlabelled", "without labels"),
        ("n_replay", "replayed"),
    )
    counts = [f"{training[key]} {words}" for key, words in names if key in training]
    if not counts:
        return "not recorded"
    seed = training.get("split_seed")
    return ", ".join(counts) + ("" if seed is None else f"; seed {seed}")


def _short_range(metadata: ModelMetadata) -> str:
    pairs = metadata.short_range
    if not pairs:
        return "nothing but the network: it may have false minima where atoms come closer than in its data"
    if len(pairs) <= _MOST_PAIRS:
        named = ", ".join(f"{distance:.2f} Å ({pair})" for pair, distance in pairs.items())
    else:
        shortest, longest = (f(pairs, key=pairs.__getitem__) for f in (min, max))
        named = f"{len(pairs)} distances, from {pairs[shortest]:.2f} Å ({shortest}) to "
        named += f"{pairs[longest]:.2f} Å ({longest})"
    return f"below {named} nuclei repel each other"


def _errors(metadata: ModelMetadata) -> str:
    """Return the section about errors."""
    n_test = metadata.training.get("n_test")
    errors = metadata.errors
    rows = [
        [title, *(_digits(MEV_PER_EV * errors[f"{name}_{kind}"]) for kind in ("mae", "rmse"))]
        for name, title in _ERRORS
        if f"{name}_mae" in errors and f"{name}_rmse" in errors
    ]
    if errors.get("rms_c_minus_nc") is not None:
        rows.append(
            ["C - NC, meV/Å per component", "", _digits(MEV_PER_EV * errors["rms_c_minus_nc"])]
        )
    structures = f" ({n_test} structures, never seen)" if n_test else ""
    parts = ["\n".join(_table(["", "MAE", "RMSE"], rows))] if rows else ["Not recorded."]
    parts += _tables_of_parts(metadata.errors_by)
    parts.append(metadata.card.get("errors", "").strip())
    return _section(f"Errors on the test split{structures}", "\n\n".join(p for p in parts if p))


def _tables_of_parts(parts: dict[str, dict[str, dict[str, float]]]) -> Iterator[str]:
    """Yield a table of the errors by element and one by ``config_type``."""
    columns = {
        "structures": ("structures", 1),
        "energy_rmse": ("energy RMSE, meV/atom", MEV_PER_EV),
        "conservative_rmse": ("C RMSE, meV/Å", MEV_PER_EV),
        "non_conservative_rmse": ("NC RMSE, meV/Å", MEV_PER_EV),
    }
    for title, rows in parts.items():
        shown = [key for key in columns if any(key in values for values in rows.values())]
        table = [
            [name or "(none)"]
            + [_digits(columns[k][1] * values[k]) if k in values else "-" for k in shown]
            for name, values in rows.items()
        ]
        yield "\n".join(_table([title, *(columns[k][0] for k in shown)], table))


def _stride(metadata: ModelMetadata, model: str) -> str:
    """Return what to know about r-RESPA."""
    if not metadata.has_non_conservative_forces:
        return "The model has no NC forces: r-RESPA needs them (`mlip-accelerate` teaches some)."
    told = metadata.card.get("stride", "").strip()
    apart = metadata.errors.get("rms_c_minus_nc")
    if apart is None:
        verdict = (
            "The RMS of C - NC is not recorded: `mlip-eval` measures it; up to 25 meV/Å are good."
        )
    elif apart <= _GOOD_C_MINUS_NC:
        verdict = f"C - NC is {_digits(MEV_PER_EV * apart)} meV/Å (RMS per component), which is small enough."
    elif apart <= _LARGEST_C_MINUS_NC:
        verdict = (
            f"C - NC is {_digits(MEV_PER_EV * apart)} meV/Å (RMS per component) on the test split. Up to 25 are good: "
            "begin with M = 2 or 4 and look at the drift."
        )
    else:
        verdict = (
            f"**C - NC is {MEV_PER_EV * apart:.0f} meV/Å (RMS per component): too far apart for r-RESPA**, which may "
            "heat up. Use conservative forces alone."
        )
    if told:
        return f"{told}\n\n{verdict}" if apart is not None else told
    return f"{verdict} `mlip-validate {model} --structure FILE --only stride` finds the largest M."


def _limits(metadata: ModelMetadata) -> list[str]:
    """Return what the model must not be used for: what its metadata tell, then what was written down."""
    found = [f"Other elements than {', '.join(metadata.species)}: they are refused."]
    if metadata.has_non_conservative_forces:
        found.append(
            "NC forces alone in long runs: they heat or cool the system. Use them in r-RESPA."
        )
    if "stress_mae" not in metadata.errors:
        found.append(
            "Pressure without a test of your own: stress is the derivative of the energy, and its errors are not "
            "recorded."
        )
    if not metadata.short_range:
        found.append("Close encounters of atoms, such as in hot or packed starts.")
    if not metadata.errors:
        found.append(
            "Anything that you have not tested: the errors of this model are not recorded."
        )
    return [*found, *metadata.card.get("not_for", [])]


def _loading(metadata: ModelMetadata, model: str) -> str:
    """Return how engines take the model."""
    symbols = " ".join(metadata.species[:4]) + (" ..." if metadata.species[4:] else "")
    lines = [
        f"LAMMPS, with one symbol for each atom type (`lmp -in FILE`, after `mlip-lammps build`):\n\n"
        f"    pair_style mlip\n    pair_coeff * * {model} {symbols}",
        "ASE:\n\n    from mlip_engines import MlipCalculator\n"
        f'    atoms.calc = MlipCalculator("{model}")',
        "OpenMM:\n\n    from openmmml import MLPotential\n"
        f'    system = MLPotential("mlip", modelPath="{model}").createSystem(topology)',
    ]
    if metadata.structure_inputs:
        lines.append(
            f"The model depends on {', '.join(metadata.structure_inputs)}: engines refuse it until they are told."
        )
    return "\n\n".join(lines)


def _section(heading: str, text: str) -> str:
    return f"## {heading}\n\n{text}" if text else ""


def _bullets(sentences: list[str]) -> str:
    return "\n".join(f"- {' '.join(sentence.split())}" for sentence in sentences)


def _table(header: list[str], rows: list[list[str]]) -> list[str]:
    lines = [header, *rows]
    found = ["| " + " | ".join(_one_line(cell) for cell in line) + " |" for line in lines]
    return [found[0], "|" + "---|" * len(header), *found[1:]]


def _one_line(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
