"""A contestant as ``compare.py`` sees it: a process that evaluates when it is its turn, and sleeps otherwise."""

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

CLOCKS = ("wall", "cpu")


class ContestantError(RuntimeError):
    """A contestant has ended, or said something else than was agreed; the message has the end of its log."""


def environment_with(threads: int) -> dict[str, str]:
    """Return this process's environment with the number of threads for every library that counts them."""
    names = ("OMP", "MKL", "OPENBLAS")
    tensorflow = (
        "TF_INTRA_OP_PARALLELISM",
        "TF_INTER_OP_PARALLELISM",
    )  # and what DeePMD-kit reads:
    deepmd = ("DP_INTRA_OP_PARALLELISM", "DP_INTER_OP_PARALLELISM")
    counted = [f"{name}_NUM_THREADS" for name in names]
    counted += [f"{name}_THREADS" for name in tensorflow + deepmd]
    return {**os.environ, **dict.fromkeys(counted, str(threads)), "OMP_WAIT_POLICY": "passive"}


class Contestant:
    """A process that speaks the protocol of ``turns.py``.

    Parameters
    ----------
    command : list of str
        With the interpreter of its environment.
    threads : int
    log : Path
        Takes what it and its libraries print.
    """

    def __init__(self, command: Sequence[str], threads: int, log: Path):
        self.command, self.log = list(command), log
        with log.open("w") as stderr:
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                env=environment_with(threads),
            )

    def _hear(self, key: str) -> dict:
        """Return the next line, an object that has ``key``."""
        line = self.process.stdout.readline()
        try:
            said = json.loads(line)
        except json.JSONDecodeError:
            said = None
        if not isinstance(said, dict) or key not in said:
            self.close()
            end = "\n  ".join(self.log.read_text(errors="replace").splitlines()[-6:])
            what = f"got {line.strip()!r}" if line else "it ended"
            raise ContestantError(
                f"{' '.join(self.command)}: expected {key!r}, {what}; all output is in {self.log}\n  {end}"
            )
        return said

    def _ask(self, command: str, key: str) -> dict:
        try:
            print(command, file=self.process.stdin, flush=True)
        except BrokenPipeError:  # it ended: say why
            pass
        return self._hear(key)

    def about(self) -> dict:
        """Wait until it is warm; return what it evaluates."""
        return self._hear("about")["about"]

    def turn(self) -> dict[str, list[float]]:
        """Let it evaluate; return wall and processor time of each evaluation, ms."""
        said = self._ask("turn", "wall_ms")
        times = {clock: said.get(f"{clock}_ms") for clock in CLOCKS}
        for clock, values in times.items():
            if not values or not all(isinstance(t, (int, float)) and t > 0 for t in values):
                raise ContestantError(
                    f"{' '.join(self.command)}: expected positive times, got {values} for {clock}_ms"
                )
        return times

    def end(self) -> dict:
        """Let it end; return its peak memory, MB."""
        return self._ask("end", "peak_MB")

    def close(self) -> None:
        """Stop it, whatever it is doing."""
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()
