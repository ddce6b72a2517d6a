"""Settings that fit a set of structures, and a recipe that says why each was chosen."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mlip_train.inspection.survey import Survey

ENOUGH_NEIGHBORS = 30.0  # of an atom within the cutoff; molecules have fewer at any
LARGEST_BATCH, SMALLEST_BATCH = 192, 72  # atoms
STEPS = 20_000  # of a first serious run
FORCES_OF_A_SMALL_SET, FORCES_OF_A_LARGE_SET = 100_000, 3_000_000  # components


@dataclass(frozen=True)
class Proposal:
    """What a recipe for a set says; :func:`propose` has the reasons."""

    name: str
    cutoff: float  # Å
    n_features: int
    n_layers: int
    batch_atoms: int
    epochs: int
    n_validation: int
    n_test: int
    split: str  # a sentence about the parts
    split_by: str
    reference_energies: str
    weights: dict[str, float]
    kinds: tuple[str, ...]
    neighbors: float  # within the cutoff
    n_steps: int  # of an epoch


def propose(found: Survey, name: str) -> Proposal:
    """Choose settings for a set.

    - The cutoff is the shortest of 4 to 6 Å with 30 neighbours of an atom, and 5 Å for molecules, which never have
      so many.
    - The network grows with the number of force components: they are what it learns from.
    - A batch has 72 to 192 atoms, and at least the largest structure: small structures share a step.
    - Epochs make some 20,000 steps.
    - One structure in ten is for the test and one in twenty for validation, unless the data say.
    """
    n_structures, n_atoms = len(found.sizes), int(found.sizes.sum())
    is_molecular = found.n_periodic[0] > 0.5 * n_structures
    enough = [c for c, n in found.neighbors.items() if n >= ENOUGH_NEIGHBORS]
    cutoff = 5.0 if is_molecular else min(enough, default=6.0)
    components = 3 * n_atoms * found.n_labels["forces"] // max(n_structures, 1)
    if components < FORCES_OF_A_SMALL_SET and len(found.elements) <= 4:
        n_features, n_layers = 48, 2
    elif components < FORCES_OF_A_LARGE_SET and len(found.elements) <= 20:
        n_features, n_layers = 64, 3
    else:
        n_features, n_layers = 128, 3
    batch = min(max(n_atoms // 200, SMALLEST_BATCH), LARGEST_BATCH)
    batch = max(batch, int(found.sizes.max()))
    words = {word.lower()[:3] for word in found.splits}
    n_validation = max(1, min(200, n_structures // 20))
    n_test = max(1, min(1000, n_structures // 10))
    split = "drawn at random, as many as these"
    if len(words & {"tra", "val", "dev", "tes"}) > 1:
        kept = [part for part, start in (("validation", "val"), ("test", "tes")) if start in words]
        split = (
            f"the data say which structures are for {' and '.join(kept) or 'training'} (split=...)"
        )
    split_by = next(iter(found.keys), "")
    n_steps = max(
        1, math.ceil((n_atoms - (n_validation + n_test) * n_atoms / n_structures) / batch)
    )
    has_all_isolated = all(e.isolated is not None for e in found.elements)
    weights = {"energy": 0.1 if found.n_labels["energy"] else 0.0}
    if found.n_labels["forces"]:
        weights["conservative"] = 1.0
    else:
        weights["energy"] = 1.0
    if found.n_labels["stress"] and found.n_periodic[3]:
        weights["stress"] = 0.1
    weights["match"] = 1.0
    return Proposal(
        name=name,
        cutoff=cutoff,
        n_features=n_features,
        n_layers=n_layers,
        batch_atoms=batch,
        epochs=max(10, min(2000, round(STEPS / n_steps))),
        n_validation=n_validation,
        n_test=n_test,
        split=split,
        split_by=split_by,
        reference_energies="isolated_atoms" if has_all_isolated else "fit",
        weights=weights,
        kinds=tuple(k.name for k in found.kinds if k.name),
        neighbors=found.neighbors[cutoff],
        n_steps=n_steps,
    )


def recipe_text(chosen: Proposal, data: str) -> str:
    """Return a recipe as YAML with the reason of each choice beside it.

    Parameters
    ----------
    chosen : Proposal
    data : str
        The files, for the command in its first lines.
    """
    weights = ", ".join(f"{name}: {value}" for name, value in chosen.weights.items())
    has_forces = "conservative" in chosen.weights
    of_weights = (
        "conservative: derivative of the energy against the forces of the data; match: direct forces against these"
        if has_forces
        else "the data have no forces; match: direct forces against the derivative of the energy"
    )
    kinds = (
        "# config_type_weights: {"
        + f"{_quoted(chosen.kinds[0])}: 2.0"
        + "}   # a factor on the loss of such structures; there are: "
        + ", ".join(chosen.kinds[:12])
        + "\n"
        if chosen.kinds
        else ""
    )
    by = (
        f"# split_by: {chosen.split_by}   # keeps structures with the same {chosen.split_by}= in one part\n"
        if chosen.split_by
        else ""
    )
    return f"""# A recipe for {data}, made by mlip-train init. docs/training.md has all settings.
#
#     mlip-train {chosen.name}.yaml --data {data} -o run
#     mlip-export run/checkpoint.pt -o model.pt
name: {chosen.name}
network:
  name: painn                 # for small sets and small machines
  cutoff: {chosen.cutoff:<19g} # Å; an atom has {chosen.neighbors:.0f} neighbours within it
  n_features: {chosen.n_features:<15} # more for larger sets and more elements
  n_layers: {chosen.n_layers}
  non_conservative_layer: {chosen.n_layers - 1}   # the head of the cheap direct forces leaves before the last layer
n_validation: {chosen.n_validation:<15} # {chosen.split}
n_test: {chosen.n_test}
{by}split_seed: 1
# As many structures in a step as have so many atoms together, at least the largest: {chosen.n_steps} steps an epoch.
batch_atoms: {chosen.batch_atoms}
optimizer: muon               # or adamw
reference_energies: {chosen.reference_energies:<9} # fit, isolated_atoms, or energies in eV, {{H: -13.6, O: -430.2}}
{kinds}average_decay: 0.999
stages:
  - name: both_forces
    epochs: {chosen.epochs:<19} # about {chosen.epochs * chosen.n_steps} steps
    # budget_minutes: 60      # ends the stage earlier; the learning rate then falls within this time
    learning_rate: 0.001
    # {of_weights}
    weights: {{{weights}}}
metadata:
  licence: ""                 # of the data and so of the model; they go into the model file
  source: ""
  citation: ""
"""


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
