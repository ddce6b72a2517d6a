"""Keywords that a function does not know, refused with the one that was probably meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def refuse_unknown(function: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Raise TypeError if a keyword is not known.

    Parameters
    ----------
    function : str
        Named in the message.
    given, known : iterable of str

    Raises
    ------
    TypeError
        With the nearest known keyword and the list of all.

    Examples
    --------
    >>> refuse_unknown("simulate", ["engin"], ["engine", "folder"])
    Traceback (most recent call last):
    ...
    TypeError: simulate got an unknown keyword 'engin'; did you mean 'engine'? It knows engine, folder
    """
    known = list(known)
    for name in given:
        if name not in known:
            nearest = get_close_matches(name, known, n=1)
            meant = f"; did you mean {nearest[0]!r}? It" if nearest else "; it"
            raise TypeError(
                f"{function} got an unknown keyword {name!r}{meant} knows {', '.join(known)}"
            )
