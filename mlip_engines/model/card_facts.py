"""What a model card says beyond the rest of the metadata: facts that somebody wrote down or measured.

They are the entry ``card`` of the metadata of a model file. ``mlip-train`` takes them from the entry ``card`` of a
recipe, and ``mlip-card --record`` writes them into a file that is there.
"""

from __future__ import annotations

from typing import Any

TEXTS = ("summary", "recipe", "errors", "stride", "speed")
"""Facts of one text each, in Markdown."""

LISTS = ("use", "not_for")
"""Facts of several sentences each."""

_MEASURED = ("stride", "speed")


def check_facts(facts: Any, where: str) -> dict[str, Any]:
    """Return facts that a card can be made of.

    Parameters
    ----------
    facts : dict
        ``summary`` (what the model is), ``recipe`` (how it was trained), ``errors`` (what to know about them),
        ``stride`` (which one to use), ``speed``: Markdown. ``use``, ``not_for``: lists of sentences. ``notes``:
        Markdown by heading.
    where : str
        Where they come from, for messages.

    Raises
    ------
    ValueError
        If they are of another kind, or one has another name.
    """
    if facts is None:
        return {}
    if not isinstance(facts, dict):
        raise ValueError(f"{where}: expected facts by name, got {type(facts).__name__}")
    known = (*TEXTS, *LISTS, "notes")
    unknown = sorted(str(name) for name in set(facts) - set(known))
    if unknown:
        raise ValueError(f"{where}: expected {', '.join(known)}; got {', '.join(unknown)}")
    for name in TEXTS:
        if name in facts and not isinstance(facts[name], str):
            raise ValueError(f"{where}: {name}: expected a text, got {facts[name]!r}")
    for name in LISTS:
        sentences = facts.get(name, [])
        if not isinstance(sentences, list) or not all(isinstance(s, str) for s in sentences):
            raise ValueError(f"{where}: {name}: expected a list of sentences, got {sentences!r}")
    notes = facts.get("notes", {})
    if not isinstance(notes, dict) or not all(
        isinstance(text, str) for pair in notes.items() for text in pair
    ):
        raise ValueError(f"{where}: notes: expected texts by heading, got {notes!r}")
    return dict(facts)


def with_another_inner_force(facts: dict[str, Any]) -> dict[str, Any]:
    """Return the facts that still hold when the non-conservative forces come from another network."""
    return {name: value for name, value in facts.items() if name not in _MEASURED}
