"""Libraries of operators that model files need, by name.

A file names what it calls: the extension ``mlip`` is ``torch.ops.mlip``, the operators of this package. Other packages
bring their own: each registers a function without arguments in the entry-point group ``mlip_engines.extensions``, under
the name of its operators in ``torch.ops``, that makes torch know them.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable

from mlip_engines.operators import library

GROUP = "mlip_engines.extensions"
OWN = "mlip"


class ExtensionError(RuntimeError):
    """Operators that a file needs cannot be had; the message says which, and what is installed."""


def installed_extensions() -> list[str]:
    """Return the names of the libraries that can be loaded here."""
    return sorted({OWN, *(entry.name for entry in importlib.metadata.entry_points(group=GROUP))})


def load_extensions(names: Iterable[str]) -> None:
    """Make torch know the operators that a file needs; has to happen before the file is loaded.

    Parameters
    ----------
    names : iterable of str
        As ``metadata.extensions`` lists them.

    Raises
    ------
    ExtensionError
        If there is no library by a name, or it cannot be loaded.
    """
    for name in names:
        if name == OWN:
            library.load()
            continue
        entries = importlib.metadata.entry_points(group=GROUP, name=name)
        if not entries:
            raise ExtensionError(
                f"the model needs the operators {name!r}, which are not installed; there are: "
                f"{', '.join(installed_extensions())}. Install the package that brings them"
            )
        (entry, *_) = entries
        try:
            entry.load()()
        except Exception as e:
            where = entry.dist.name if entry.dist else entry.value
            raise ExtensionError(
                f"the model needs the operators {name!r} of {where}, which cannot be loaded: {e}"
            ) from e
