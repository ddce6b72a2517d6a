"""Reference energies on a command line."""

from __future__ import annotations

from pathlib import Path

import yaml

from mlip_train.data.references import FIT, ISOLATED, check_references


def given_references(text: str) -> str | dict[str, float]:
    """Return reference energies from ``H=-13.6,O=-430.2``, the name of a file, or one of the words of a recipe.

    Raises
    ------
    ValueError
        If there is no such file, or it holds something else.
    """
    if text in (FIT, ISOLATED):
        return text
    if "=" in text:
        values: dict[str, float] = {}
        for entry in text.split(","):
            symbol, _, number = (part.strip() for part in entry.partition("="))
            if symbol in values:
                raise ValueError(f"--reference-energies: expected {symbol} once, got it twice")
            try:
                values[symbol] = float(number)
            except ValueError as e:
                raise ValueError(
                    f"--reference-energies: expected pairs such as H=-13.6,O=-430.2, got {entry!r}"
                ) from e
        return check_references(values)
    if not Path(text).is_file():
        raise ValueError(
            f"--reference-energies: expected H=-13.6,O=-430.2, {FIT}, {ISOLATED} or a file, found no file {text}"
        )
    try:
        return check_references(yaml.safe_load(Path(text).read_text()))
    except (yaml.YAMLError, UnicodeDecodeError) as e:
        raise ValueError(f"{text}: expected YAML or JSON of energies by element, got {e}") from e
    except ValueError as e:
        raise ValueError(f"{text}: {e}") from e
