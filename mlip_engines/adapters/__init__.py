"""Models of other packages: one adapter per package, imported only when it is asked for.

``mlip-export --from NAME FILE -o model.pt`` turns a network that another package has trained into a model file for
LAMMPS, OpenMM and ASE. ``NAME`` is a file in this folder, or an entry point of the group ``mlip_engines.adapters``, by
which any installed package can offer an adapter.

An adapter is a module with one function::

    def open(file: str, species: list[str] | None, dtype: str) -> Exportable

- ``file`` is the argument of the command, unchanged: a path, or the name of a model that the package knows.
- ``species`` are the chemical symbols that the user restricts the model to. None means all that the network knows.
- ``dtype`` is ``"float32"`` or ``"float64"``: the precision in which the model file will compute.

The :class:`~mlip_engines.checkpoints.Exportable` that it returns has

- ``network``, which follows :mod:`mlip_engines.model.contract`. As a rule this is a small module around the network of
  the package: it passes on the edges of the :class:`~mlip_engines.model.graph.Graph` in the form the package wants, and
  returns atomic energies in eV. It neither differentiates nor sums, and TorchScript accepts it.
- ``reference``, the package's own ASE calculator. The written file is compared with it, energy and forces of a cluster
  and of a small periodic cell, before it counts as exported. Leave it out only where there is none.

Raise ``FileNotFoundError`` for a file that is not there, ``ImportError`` with the pip command that helps if the package
is not installed, and ``ValueError`` that states what was expected and what was got for everything else.

:mod:`mlip_engines.adapters.python` is a complete example.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points

from mlip_engines.checkpoints import Exportable

GROUP = "mlip_engines.adapters"


def adapter_names() -> list[str]:
    """Return the names of all adapters: those in this folder and those of installed packages. Imports none of them."""
    return sorted(_here() | {entry.name for entry in _installed()})


def find_adapter(name: str) -> Callable[[str, list[str] | None, str], Exportable]:
    """Return the function ``open`` of an adapter.

    Raises
    ------
    ValueError
        If there is no adapter of this name; the message lists those there are.
    """
    for entry in _installed():
        if entry.name == name:
            return entry.load().open
    if name not in _here():
        raise ValueError(f"expected --from to be one of {', '.join(adapter_names())}, got {name!r}")
    return import_module(f"{__name__}.{name}").open


def _here() -> set[str]:
    return {module.name for module in pkgutil.iter_modules(__path__)}


def _installed() -> list[EntryPoint]:
    return list(entry_points(group=GROUP))
