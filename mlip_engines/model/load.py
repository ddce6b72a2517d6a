"""A model file to a model that runs. A TorchScript file is a program: load only what you trust."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from mlip_engines.model.archive import read_metadata, verify_checksum
from mlip_engines.model.contract import ModelContractError, ModelMetadata
from mlip_engines.model.structure_inputs import checked_structure_inputs
from mlip_engines.shipped_models import models_directory

if TYPE_CHECKING:
    import torch

    from mlip_engines.model.graph import Graph

__all__ = ["LoadedModel", "find_model", "load_model", "models_directory", "read_metadata"]


@dataclass(frozen=True)
class LoadedModel:
    """A scripted :class:`mlip_engines.model.exported.ExportedModel` and what its file says about it.

    It can be pickled: what travels is the path of the file and its checksum. Copies are the model itself, because
    nothing changes it.
    """

    module: torch.jit.ScriptModule
    metadata: ModelMetadata
    path: Path

    def __reduce__(self) -> tuple[Callable[..., LoadedModel], tuple[str, str, str]]:
        path = self.path.resolve()
        if path.parent == models_directory().resolve():
            path = Path(path.name)  # found by its name wherever this package is installed
        device = next(self.module.buffers()).device
        return load_again, (str(path), self.metadata.checksum, str(device))

    def __copy__(self) -> LoadedModel:
        return self

    def __deepcopy__(self, memo: dict) -> LoadedModel:
        return self

    def evaluate(
        self,
        graph: Graph,
        *,
        with_non_conservative: bool = False,
        with_atomic_virials: bool = False,
    ) -> dict[str, torch.Tensor]:
        """Evaluate energy, forces and virial and, if asked, the non-conservative heads.

        Returns
        -------
        dict
            As :meth:`mlip_engines.model.exported.ExportedModel.evaluate`.
        """
        from mlip_engines.model.evaluation import evaluate
        from mlip_engines.model.threads import warn_if_forked

        warn_if_forked()
        return evaluate(
            self.module,
            graph,
            with_non_conservative=with_non_conservative,
            with_atomic_virials=with_atomic_virials,
        )

    def non_conservative(self, graph: Graph) -> dict[str, torch.Tensor]:
        """Evaluate the non-conservative heads only."""
        from mlip_engines.model.evaluation import non_conservative
        from mlip_engines.model.threads import warn_if_forked

        warn_if_forked()
        return non_conservative(self.module, graph)

    def check_structure_inputs(self, **given: float | None) -> dict[str, float]:
        """Return the total charge and spin multiplicity that the model depends on.

        Raises
        ------
        ValueError
            As :func:`mlip_engines.model.structure_inputs.checked_structure_inputs`.
        """
        return checked_structure_inputs(self.metadata.structure_inputs, given, str(self.path))

    def check_elements(self, symbols: set[str]) -> None:
        """Raise ValueError if the model was not trained for one of these elements."""
        unknown = sorted(symbols - set(self.metadata.species))
        if unknown:
            raise ValueError(
                f"{self.path}: the model knows {', '.join(self.metadata.species)}, got "
                f"{', '.join(unknown)}; use a model trained for these elements"
            )


def find_model(name: str | Path) -> Path:
    """Return the path of a model file, or of a shipped model by its name.

    Raises
    ------
    FileNotFoundError
        If neither exists; the message lists the shipped models.
    """
    path = Path(name)
    if path.is_file():
        return path
    if path.name == str(name):
        shipped = models_directory() / path.name
        for candidate in (shipped, shipped.with_name(shipped.name + ".pt")):
            if candidate.is_file():
                return candidate
    names = ", ".join(sorted(p.stem for p in models_directory().glob("*.pt"))) or "none"
    raise FileNotFoundError(
        f"expected a model file or the name of a shipped model ({names}), got {str(name)!r}; "
        "write one with mlip-export"
    )


def load_model(name: str | Path, device: str | torch.device = "cpu") -> LoadedModel:
    """Load a model file after its metadata and checksum have been checked.

    A TorchScript file is a program: loading it gives its author the right to run code. Load only what you trust.

    Parameters
    ----------
    name : str or Path
        A file, or a shipped model such as ``"water"``.
    device : str or torch.device

    Raises
    ------
    ValueError
        If torch cannot use the device here.
    FileNotFoundError
        If there is no such model.
    ModelContractError
        If the file is no model, is damaged, is of another contract version, or calls operators that are not
        installed.
    """
    import torch

    from mlip_engines.model.extensions import load_extensions
    from mlip_engines.model.threads import survive_fork

    survive_fork()
    _check_device(torch.device(device))
    path = find_model(name)
    metadata = read_metadata(path)
    verify_checksum(path, metadata)
    load_extensions(metadata.extensions, str(path))
    try:
        module = torch.jit.load(str(path), map_location=device)
    except RuntimeError as e:
        raise ModelContractError(
            f"{path}: torch {torch.__version__} cannot load this TorchScript file: {e}"
        ) from e
    module.eval()
    for method in ("evaluate", "non_conservative"):
        if not hasattr(module, method):
            raise ModelContractError(
                f"{path}: expected a method {method!r}, got none; export it again"
            )
    return LoadedModel(module, metadata, path)


def _check_device(device: torch.device) -> None:
    import torch

    if device.type != "cuda":
        return
    n_devices = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if n_devices <= (device.index or 0):
        raise ValueError(
            f"expected a device that torch can use here, got {str(device)!r}, and torch finds {n_devices} CUDA "
            "devices; use 'cpu', or install a driver and a torch for your GPU"
        )


@lru_cache(maxsize=2)  # workers of a pool unpickle the same model with each task
def load_again(path: str, checksum: str, device: str) -> LoadedModel:
    """Return the model that was pickled in another process.

    Raises
    ------
    FileNotFoundError
        If the file is not there, as on another machine.
    ModelContractError
        If the file has changed since, or as :func:`load_model`.
    """
    loaded = load_model(path, device)
    if loaded.metadata.checksum != checksum:
        raise ModelContractError(
            f"{path}: the file holds another model than when this object was pickled (expected {checksum}, got "
            f"{loaded.metadata.checksum}); pickle it again"
        )
    return loaded
