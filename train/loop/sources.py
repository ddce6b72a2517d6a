"""The files that a run is made from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mlip_engines.readers import check_units
from mlip_train.data.fingerprint import file_hash
from mlip_train.data.sets import DataFiles
from mlip_train.recipe import Recipe


@dataclass(frozen=True)
class Sources:
    """Labelled structures and, where a recipe asks for them, another run and structures without labels."""

    data: DataFiles
    start: str | Path | None = None  # a checkpoint or a model file
    unlabelled: str | Path | None = None
    replay: str | None = None  # labelled structures of the run to start from, named in the recipe
    empirical: str | Path | None = None  # checkpoint of an empirical potential

    def check(self, recipe: Recipe) -> None:
        """Refuse files that do not fit a recipe.

        Raises
        ------
        ValueError
            If a file is missing that a stage asks for, there is one that none asks for, or units are given that no
            file needs.
        """
        stages = [stage.name for stage in recipe.stages if stage.unlabelled_steps > 0.0]
        if stages and self.unlabelled is None:
            raise ValueError(
                f"stages {stages} use structures without labels; name a file with --unlabelled"
            )
        if self.unlabelled is not None and not stages:
            raise ValueError(
                f"no stage of this recipe uses structures without labels, got --unlabelled {self.unlabelled}; give a "
                "stage unlabelled_steps, or leave it out"
            )
        self.data.check()
        others = [self.unlabelled] if stages else []
        others += [self.replay] if self.replay is not None else []
        check_units(self.data.units, *self.data.paths(), *others)
        if self.empirical is not None and not recipe.network.get("empirical"):
            raise ValueError(
                f"the network of this recipe is no hybrid, got --empirical {self.empirical}; add empirical: true to "
                "its network, or leave it out"
            )
        if self.empirical is not None and self.start is not None:
            raise ValueError(
                f"expected one of --from and --empirical, got {self.start} and {self.empirical}: the run to start from "
                "has a potential already"
            )
        if not recipe.network and self.start is None:
            raise ValueError(
                f"the recipe {recipe.name} has no network of its own; name a run to start from with --from"
            )

    def hashes(self) -> dict[str, str]:
        """Return the sha256 of the data and of each other file, for the record."""
        files = {
            "start": self.start,
            "unlabelled": self.unlabelled,
            "replay": self.replay,
            "empirical": self.empirical,
        }
        return {
            "data_sha256": self.data.hash(),
            **{
                f"{name}_sha256": file_hash(file)
                for name, file in files.items()
                if file is not None
            },
        }
