"""``mlip-doctor``: report what is installed, whether it fits together, and what to do."""

from __future__ import annotations

import argparse
import sys

from mlip_engines.commands.parser import command_parser
from mlip_engines.doctor import examine


def argument_parser() -> argparse.ArgumentParser:
    """Return the parser of ``mlip-doctor``."""
    return command_parser(
        "mlip-doctor",
        description="Report what is installed, whether it fits together, and what to do where it does not. Each line "
        "is one finding: 'ok', a 'note' about something optional, or 'wrong', for which the exit status is 1.",
        example="mlip-doctor",
    )


def main(arguments: list[str] | None = None) -> int:
    """Run ``mlip-doctor``; returns 1 if anything is wrong."""
    argument_parser().parse_args(arguments)
    findings = examine()
    width = max(len(finding.subject) for finding in findings)
    for finding in findings:
        print(f"{finding.status:5}  {finding.subject:{width}}  {finding.message}")
    n_wrong = sum(finding.status == "wrong" for finding in findings)
    print("\neverything fits" if n_wrong == 0 else f"\n{n_wrong} to put right, see above")
    return 1 if n_wrong else 0


if __name__ == "__main__":
    sys.exit(main())
