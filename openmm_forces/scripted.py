"""A model to the scripted module that OpenMM hosts, scripted once per model.

torch keeps what it scripts until the process ends, tens of megabytes with the optimised graphs, but frees a module that
it loads. A hosted module is therefore scripted once, and every force gets a copy loaded from that archive.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import io
import warnings

import torch
import vesin_torch  # noqa: F401  the neighbour list in an archive that is read back
from torch import Tensor

import mlip_engines.operators  # noqa: F401  and what else it may call
from mlip_engines.model.load import LoadedModel
from openmm_forces import edge_list, hosted
from openmm_forces.hosted import HostedModel

_N_ARCHIVES = 4  # kept, one per model
_archives: dict[tuple[str, str, bool], bytes] = {}


def scripted_for(
    loaded: LoadedModel,
    atomic_numbers: Tensor,
    particles: Tensor | None,
    skin: float,
    *,
    fixed_box: bool,
    structure: dict[str, Tensor],
) -> torch.jit.ScriptModule:
    """Return a scripted :class:`openmm_forces.hosted.HostedModel` that shares nothing with any other.

    Parameters
    ----------
    loaded : LoadedModel
    atomic_numbers, particles, skin, fixed_box, structure
        As for :class:`openmm_forces.hosted.HostedModel`.
    """
    return _scripted(
        loaded.module,
        loaded.metadata.checksum,
        atomic_numbers,
        particles,
        cutoff=loaded.metadata.cutoff,
        skin=skin,
        has_non_conservative=loaded.metadata.has_non_conservative_forces,
        fixed_box=fixed_box,
        structure=structure,
    )


def scripted_again(archive: bytes) -> torch.jit.ScriptModule:
    """Return the module of an archive that another version of this package wrote, with the program of this one."""
    old = torch.jit.load(io.BytesIO(archive))
    buffer = io.BytesIO()
    torch.jit.save(old.model, buffer)
    return _scripted(
        old.model,
        hashlib.sha256(buffer.getvalue()).hexdigest(),
        old.atomic_numbers,
        old.particles if old.has_subset else None,
        cutoff=old.edges.cutoff,
        skin=old.edges.skin,
        has_non_conservative=old.has_non_conservative,
        fixed_box=old.fixed_box if hasattr(old, "fixed_box") else False,
        structure=dict(old.structure) if hasattr(old, "structure") else {},
    )


@functools.cache
def program_fingerprint() -> str:
    """Return a hash of the sources from which hosted modules are scripted."""
    text = inspect.getsource(hosted) + inspect.getsource(edge_list)
    return hashlib.sha256(text.encode()).hexdigest()


def load_archive(archive: bytes) -> torch.jit.ScriptModule:
    """Return the module of an archive."""
    return torch.jit.load(io.BytesIO(archive))


def archive_of(module: torch.jit.ScriptModule) -> bytes:
    """Return the archive of a module."""
    buffer = io.BytesIO()
    torch.jit.save(module, buffer)
    return buffer.getvalue()


def _scripted(
    model: torch.jit.ScriptModule,
    checksum: str,
    atomic_numbers: Tensor,
    particles: Tensor | None,
    *,
    cutoff: float,
    skin: float,
    has_non_conservative: bool,
    fixed_box: bool,
    structure: dict[str, Tensor],
) -> torch.jit.ScriptModule:
    device = str(next(model.buffers()).device)
    key = (checksum, device, len(structure) > 0)
    if checksum not in ("", None) and key in _archives:
        archive = _archives[key]
    else:
        template = HostedModel(
            model,
            atomic_numbers,
            None,
            cutoff,
            skin,
            has_non_conservative,
            fixed_box=fixed_box,
            structure=structure,
        ).eval()
        with warnings.catch_warnings():
            # torch deprecates TorchScript from 2.10 on; TorchForce takes nothing else.
            warnings.filterwarnings("ignore", message=".*torch.jit.*", category=DeprecationWarning)
            archive = archive_of(torch.jit.script(template))
        while len(_archives) >= _N_ARCHIVES:
            del _archives[next(iter(_archives))]
        _archives[key] = archive
    module = load_archive(archive)
    subset = torch.arange(atomic_numbers.numel()) if particles is None else particles
    module.atomic_numbers = atomic_numbers
    module.particles = subset
    module.owned = torch.ones_like(atomic_numbers, dtype=torch.bool)
    module.has_subset = particles is not None
    module.last_particle = int(subset.max()) if subset.numel() > 0 else -1
    module.edges.cutoff = float(cutoff)
    module.edges.skin = float(skin)
    module.has_non_conservative = has_non_conservative
    module.fixed_box = fixed_box
    module.structure = structure
    return module
