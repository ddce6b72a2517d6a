"""Results of an acceleration, kept step by step: what is done is not done again after an interruption."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

FILE = "journal.json"


class Journal:
    """The steps that are done, their results, and the time that they took.

    Parameters
    ----------
    folder : Path
        It is made if it does not exist.
    request : dict
        What the folder is for, in plain values.
    minutes : float
        Allowed in all, over all interruptions.
    say : callable
        Is given lines of progress.

    Raises
    ------
    ValueError
        If the folder has the journal of another request.
    """

    def __init__(
        self,
        folder: Path,
        request: dict[str, Any],
        minutes: float,
        say: Callable[[str], None] = print,
    ):
        self.folder, self.minutes, self._say = Path(folder), minutes, say
        self._path = self.folder / FILE
        self._began = time.monotonic()
        self._state: dict[str, Any] = {"request": request, "seconds": 0.0, "steps": {}}
        if self._path.exists():
            self._state = json.loads(self._path.read_text())
            self._check_same(request)
            count = len(self._state["steps"])
            self.say(f"going on in {self.folder}: {count} steps are done")
        else:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._save()
        self._before = self._state["seconds"]

    def once(self, name: str, action: Callable[[], Any]) -> Any:
        """Return the result of a step: of ``action()``, or of the run before if the step was done in it.

        Parameters
        ----------
        name : str
            Unique in the folder.
        action : callable
            Returns what JSON can hold. It is called again if it was interrupted, and should go on from its own files.
        """
        steps = self._state["steps"]
        if name not in steps:
            result = json.loads(json.dumps(action()))  # as it will be read
            steps[name] = result
            self._state["seconds"] = 60.0 * self.minutes_used
            self._save()
        return steps[name]

    def __contains__(self, name: str) -> bool:
        """Return whether a step is done."""
        return name in self._state["steps"]

    @property
    def minutes_used(self) -> float:
        """Of all runs in this folder; a step that was interrupted does not count."""
        return (self._before + time.monotonic() - self._began) / 60.0

    @property
    def minutes_left(self) -> float:
        """Until no new round begins; not negative."""
        return max(0.0, self.minutes - self.minutes_used)

    def say(self, text: str) -> None:
        """Print a line with the time that is left."""
        used = getattr(self, "_before", 0.0) / 60.0 + (time.monotonic() - self._began) / 60.0
        self._say(f"[{max(0.0, self.minutes - used):5.1f} min left] {text}")

    def _save(self) -> None:
        draft = self._path.with_suffix(".partial")
        draft.write_text(json.dumps(self._state, indent=1))
        os.replace(draft, self._path)

    def _check_same(self, request: dict[str, Any]) -> None:
        before = self._state["request"]
        others = [name for name, value in request.items() if before.get(name) != value]
        if others:
            raise ValueError(
                f"{self.folder} has an acceleration with another {' and another '.join(others)}; choose another "
                "folder with -o, or give what was given before"
            )
