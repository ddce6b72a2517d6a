"""Libraries of operators that a model file calls beside those of torch: which it needs, and whether they are there.

A library is known by the name under which its operators are registered: ``mlip`` for ``torch.ops.mlip``. It becomes
available

- through an entry point of the group ``mlip_engines.extensions``, which packages that bring operators declare: its name
  is that of the library, and importing the module it points to registers the operators.
- through the environment variable ``MLIP_EXTENSIONS``: shared libraries, separated by ``:`` (``;`` on Windows), that
  register operators when they are loaded. This is the way in LAMMPS, where no Python runs.
"""

from __future__ import annotations

import os
from importlib.metadata import entry_points

import torch

from mlip_engines.model.contract import OWN_OPERATORS, ModelContractError

GROUP = "mlip_engines.extensions"
VARIABLE = "MLIP_EXTENSIONS"

# What torch registers itself.
_OF_TORCH = {"aten", "prim", "prims", "quantized", "onednn", "mkldnn", "inductor", "cuda", "c10d"}


def used_extensions(scripted: torch.jit.ScriptModule) -> list[str]:
    """Return the libraries of operators that the methods of a scripted module call, sorted."""
    found: set[str] = set()

    def visit(block: torch._C.Graph | torch._C.Block) -> None:
        for node in block.nodes():
            found.add(node.kind().split("::")[0])
            for inner in node.blocks():
                visit(inner)

    for method in ("evaluate", "non_conservative"):
        visit(getattr(scripted, method).inlined_graph)
    return sorted(found - _OF_TORCH)


def load_extensions(names: list[str], where: str) -> None:
    """Make libraries of operators available.

    Parameters
    ----------
    names : list of str
    where : str
        The model file, for messages.

    Raises
    ------
    ModelContractError
        If one of them is not installed, or does not register the operators it should.
    """
    if OWN_OPERATORS in names:
        import mlip_engines.operators  # noqa: F401  registers them

    registered = _registered()
    for name in names:
        if name in registered:
            continue
        for found in entry_points(group=GROUP, name=name):
            try:
                found.load()
            except ImportError as e:
                raise ModelContractError(
                    f"{where}: the model needs the operators '{name}', which {found.value} cannot load: {e}"
                ) from e
    if not set(names) <= _registered():
        _load_libraries(where)
    missing = sorted(set(names) - _registered())
    if missing:
        raise ModelContractError(
            f"{where}: the model needs the operators {', '.join(missing)}, which are not installed; install the "
            f"package that has them, or name its shared library in the environment variable {VARIABLE}"
        )


def _registered() -> set[str]:
    """Return the names of the libraries that have registered operators in this process."""
    return {name.split("::")[0] for name in torch._C._dispatch_get_all_op_names()}


def _load_libraries(where: str) -> None:
    for path in filter(None, os.environ.get(VARIABLE, "").split(os.pathsep)):
        try:
            torch.ops.load_library(path)
        except OSError as e:
            raise ModelContractError(
                f"{where}: cannot load {path}, which the environment variable {VARIABLE} names: {e}"
            ) from e
