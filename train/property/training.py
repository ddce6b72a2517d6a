"""From structures of files to a run on properties: who is left out, who is in which part, what conformers there are."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ase import Atoms
from torch import Tensor

from mlip_train.data.sets import DataFiles, OpenedSets
from mlip_train.data.structure_inputs import check_structure_inputs
from mlip_train.property.conformers import Conformers
from mlip_train.property.network import Build
from mlip_train.property.parts import parts_of
from mlip_train.property.prediction import reasons_against
from mlip_train.property.run import PropertyRun
from mlip_train.property.settings import Settings


def train_property(
    settings: Settings,
    files: DataFiles,
    sets: list[list[Atoms]],
    network: dict[str, Any],
    output: Path,
    *,
    weights: dict[str, Tensor] | None = None,
    potential: dict[str, Any] | None = None,
    units: Sequence[str] = (),
    conformers: Sequence[Atoms] | None = None,
    molecule_key: str = "molecule",
    start: dict[str, Tensor] | None = None,
    resume: bool = False,
) -> dict[str, Any]:
    """Train on the structures of files; return the errors on validation and test.

    Structures with elements that the network lacks are left out and listed.

    Parameters
    ----------
    settings : Settings
    files : DataFiles
    sets : list of lists of ase.Atoms
        The structures of each file.
    network : dict
        Settings of the network; without species, all elements of the data are taken.
    output : Path
    weights : dict of str to Tensor, optional
        Of a potential's network; without, the network begins with random ones.
    potential : dict, optional
        What the checkpoint keeps of the potential, for a model file (:mod:`mlip_train.property.potential`).
    units : sequence of str, optional
        Of the targets, for the model file.
    conformers : sequence of ase.Atoms, optional
        Other geometries of the molecules, see :class:`mlip_train.property.conformers.Conformers`. Structures of the
        validation and the test part without one are left out.
    molecule_key : str
        Says which molecule a structure is of.
    start : dict of str to Tensor, optional
        State of a property network of the same targets and pooling.
    resume : bool
        Go on with the run in the folder.

    Raises
    ------
    FileExistsError
        If the folder holds a run and ``resume`` is not set.
    ValueError
        As :class:`~mlip_train.property.run.PropertyRun`.
    """
    if (output / "checkpoint.pt").exists() and not resume:
        raise FileExistsError(f"{output} holds a run; use --resume to go on, or another folder")
    structures = [atoms for some in sets for atoms in some]
    species = network.get("species") or sorted({int(z) for a in structures for z in a.numbers})
    reasons = reasons_against(structures, species)
    for k, reason in list(reasons.items())[:10]:
        print(f"mlip-property: structure {k} is left out: {reason}", file=sys.stderr)
    if len(reasons) > 10:
        print(f"mlip-property: {len(reasons)} structures are left out in all", file=sys.stderr)
    division = parts_of(OpenedSets(files, sets), settings, set(reasons))
    parts, notes = division.parts, list(division.notes)
    others = None
    if conformers is not None:
        used = sorted(k for part in parts.values() for k in part)
        found = Conformers([structures[k] for k in used], conformers, molecule_key)
        having = {k for n, k in enumerate(used) if found.by_structure[n]}
        for name in ("validation", "test"):
            lacking = [k for k in parts[name] if k not in having]
            if lacking:
                notes.append(f"{name}: {len(lacking)} structures without conformers are left out")
            parts[name] = [k for k in parts[name] if k in having]
        lacking = [k for k in parts["train"] if k not in having]
        if lacking:
            notes.append(f"train: {len(lacking)} structures have no conformers and do without")
    output.mkdir(parents=True, exist_ok=True)
    fine = sorted(k for part in parts.values() for k in part)
    place = {k: n for n, k in enumerate(fine)}
    if conformers is not None:
        others = Conformers([structures[k] for k in fine], conformers, molecule_key)
    build = Build(
        {**network, "species": list(species)}, list(settings.targets), settings.pooling, list(units)
    )
    used = [structures[k] for k in fine]
    run = PropertyRun(
        settings,
        build,
        used,
        {name: [place[k] for k in part] for name, part in parts.items()},
        output,
        weights,
        potential,
        others,
        start,
    )
    asked = getattr(run.network.features.network, "structure_inputs", [])
    check_structure_inputs(asked, used, files)
    for note in [*notes, *run.notes]:
        print(f"mlip-property: {note}", file=sys.stderr)
    if resume:
        run.resume()
    return run.run()
