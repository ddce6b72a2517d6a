"""Direct forces of ORB as the inner force of another model: ``mlip-export ... --inner NAME --inner-from orb``.

``NAME`` is one that ORB downloads, such as ``orb-v3-direct-inf-omat``, or ``FILE#NAME`` with weights on the disk.

**Its energy cannot be taken**: it is a function of the mean over all atoms, so it is no sum of atomic energies, and an
atom acts on all others however far away. Its direct forces are those of a graph network with a finite reach. They take
the place of an inner force in r-RESPA, whose outer force corrects them.
"""

import sys
import types
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from mlip_engines.adapters.orb.network import OrbNetwork
from mlip_engines.checkpoints import Exportable

INSTALL = "pip install 'mlip-engines[orb]'"
_CITATION = "Neumann et al., arXiv:2410.22570 (2024); Rhodes et al., arXiv:2504.06231 (2025)"
_UNLIMITED = 120  # ORB's own number for all neighbours
# The elements of MPtrj, Alexandria and OMat24, from which ORB has learned.
_UNKNOWN = ("Po", "At", "Rn", "Fr", "Ra")
_LAST = 94


def open(file: str, species: list[str] | None, dtype: str) -> Exportable:
    """Open the direct forces of an ORB model.

    Parameters
    ----------
    file : str
        Name of a model, or ``FILE#NAME`` for its weights in a file.
    species : list of str, optional
        Chemical symbols; by default all of its training data.
    dtype : {"float32", "float64"}

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ImportError
        If ORB is not installed.
    ValueError
        If ORB knows no such model, it has no direct forces, sees the nearest neighbours only, wants charge and spin, or
        lacks an element.
    """
    from ase.data import chemical_symbols

    path, _, name = file.rpartition("#")
    if path and not Path(path).is_file():
        raise FileNotFoundError(f"expected weights of ORB, found nothing at {path}")
    known = [s for s in chemical_symbols[1 : _LAST + 1] if s not in _UNKNOWN]
    symbols = list(known if species is None else species)
    missing = [symbol for symbol in symbols if symbol not in known]
    if missing:
        raise ValueError(
            f"{file}: the model was trained for the elements up to {chemical_symbols[_LAST]} without "
            f"{', '.join(_UNKNOWN)}, got {', '.join(missing)}; leave out what it does not know"
        )
    with _imported(downloads=not path):
        model = _loaded(path, name, dtype)
        _refuse(model, file)
        from mlip_engines.adapters.orb.core import traced

        core = traced(model, dtype)
    steps = int(model.model.num_message_passing_steps)
    network = OrbNetwork(core, float(model.system_config.radius), steps + 1)
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    return Exportable(network, symbols, name=name, citation=_CITATION)


@contextmanager
def _imported(*, downloads: bool) -> Iterator[None]:
    """Import ORB in here, without what downloads if nothing is to be, and put torch's precision back."""
    before = torch.get_default_dtype(), torch.get_float32_matmul_precision()
    if not downloads and "cached_path" not in sys.modules:
        stand_in = types.ModuleType("cached_path")
        stand_in.cached_path = lambda path: path
        sys.modules["cached_path"] = stand_in
        hidden = True
    else:
        hidden = False
    try:
        import orb_models.forcefield.pretrained  # noqa: F401

        yield
    except ImportError as e:
        raise ImportError(f"models of ORB need the package orb-models ({e}); run: {INSTALL}") from e
    finally:
        if hidden:
            del sys.modules["cached_path"]
        torch.set_default_dtype(before[0])
        torch.set_float32_matmul_precision(before[1])


def _loaded(path: str, name: str, dtype: str) -> Any:
    """Return the regressor of a name, with weights of a file or those that ORB downloads."""
    from orb_models.forcefield.pretrained import ORB_PRETRAINED_MODELS

    if name not in ORB_PRETRAINED_MODELS:
        raise ValueError(
            f"expected the name of a model of ORB, or FILE#NAME, with one of {', '.join(ORB_PRETRAINED_MODELS)}, got "
            f"{name!r}"
        )
    precision = {"float32": "float32-highest", "float64": "float64"}[dtype]
    how = {"weights_path": path} if path else {}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the precision that it sets
            model = ORB_PRETRAINED_MODELS[name](
                device="cpu", precision=precision, compile=False, **how
            )
    except ImportError:
        raise
    except Exception as e:  # whatever a file may raise
        raise ValueError(
            f"{path or name}: ORB cannot load the weights of {name} ({type(e).__name__}: {e})"
        ) from e
    return model.eval()


def _refuse(model: Any, file: str) -> None:
    """Raise ValueError for what cannot be an inner force."""
    from orb_models.forcefield.forcefield_heads import ForceHead

    if not isinstance(dict(model.heads).get("forces"), ForceHead):
        raise ValueError(
            f"{file}: the model has no direct forces, and ORB's energy is a mean over atoms that no domain "
            "decomposition can divide; take a model with 'direct' in its name"
        )
    if model.system_config.max_num_neighbors < _UNLIMITED:
        raise ValueError(
            f"{file}: the model sees the {model.system_config.max_num_neighbors} nearest neighbours only, so that its "
            "forces jump whenever two change places; take one with 'inf' in its name"
        )
    if model.model.conditioner is not None:
        raise ValueError(
            f"{file}: the model wants the charge and spin of the whole, which this adapter does not pass on"
        )
