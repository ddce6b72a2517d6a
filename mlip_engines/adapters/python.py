"""A network from a Python file of yours: ``mlip-export --from python my_network.py:build -o model.pt``.

The file is **run**, with the rights of whoever exports. The function takes no arguments and returns either

- a ``torch.nn.Module`` that follows :mod:`mlip_engines.model.contract`. The chemical symbols come from ``--species``,
  or from an attribute ``species`` of the network.
- an :class:`~mlip_engines.checkpoints.Exportable`, which adds reference energies, training data, citation and more.

The model takes the name of the file, unless ``--name`` or the Exportable gives another.
"""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

from torch import nn

from mlip_engines.checkpoints import Exportable
from mlip_engines.conformance.network import check_attributes


def open(file: str, species: list[str] | None, dtype: str) -> Exportable:
    """Run ``FILE.py`` and call the function of it that ``FILE.py:FUNCTION`` names.

    Parameters
    ----------
    file : str
        ``path/to/file.py:function``.
    species : list of str, optional
        Chemical symbols; of an Exportable, the part of its own that the file shall keep.
    dtype : {"float32", "float64"}
        Not used: export casts the network.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If no function is named or there is none of this name, it fails, or it returns something else than a network; if
        the chemical symbols are unknown.
    """
    path, _, function = file.rpartition(":")
    if not path or not function.isidentifier():
        raise ValueError(f"expected FILE.py:FUNCTION, such as my_network.py:build, got {file!r}")
    if not Path(path).is_file():
        raise FileNotFoundError(f"expected a Python file, found nothing at {path}")
    try:
        names = _run(Path(path))
    except Exception as e:  # whatever the file raises, it is not ours
        raise ValueError(f"{path}: running the file failed, {type(e).__name__}: {e}") from e
    if not callable(names.get(function)):
        functions = sorted(n for n, v in names.items() if callable(v) and not n.startswith("_"))
        raise ValueError(
            f"{path}: expected a function {function!r}, found {', '.join(functions) or 'none'}"
        )
    try:
        built = names[function]()
    except Exception as e:
        raise ValueError(f"{file}: calling the function failed, {type(e).__name__}: {e}") from e
    exportable = _exportable(built, species, file)
    check_attributes(exportable.network)
    return exportable if exportable.name else replace(exportable, name=Path(path).stem)


def _run(path: Path) -> dict[str, object]:
    """Run a file as a module that stays, so that TorchScript finds the source of its classes; return its names."""
    spec = importlib.util.spec_from_file_location(f"_exported_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    sys.path.insert(0, str(path.resolve().parent))  # as python path/to/file.py does
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.pop(0)
    return vars(module)


def _exportable(built: object, species: list[str] | None, file: str) -> Exportable:
    if isinstance(built, nn.Module):
        known = species or getattr(built, "species", None)
        if not known or not all(isinstance(symbol, str) for symbol in known):
            raise ValueError(
                f"{file}: which chemical elements the network knows is not said; give --species, or the network an "
                "attribute 'species', a list of chemical symbols"
            )
        return Exportable(built, list(known))
    if not isinstance(built, Exportable) or not isinstance(built.network, nn.Module):
        raise ValueError(
            f"{file}: expected the function to return a network (torch.nn.Module) or an Exportable with one, got "
            f"{type(built).__name__}"
        )
    if species is None:
        return built
    unknown = sorted(set(species) - set(built.species))
    if unknown:
        raise ValueError(
            f"{file}: the network knows {', '.join(built.species)}, got {', '.join(unknown)}"
        )
    return replace(built, species=list(species))
