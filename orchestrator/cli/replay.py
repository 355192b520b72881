"""`deepprune-replay`: a recorded run fed through a fresh core, and its report from the journal alone.

Exit 1 if the core decides otherwise than recorded, or if the report differs from `report.json`.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from orchestrator.errors import DeepPruneError
from orchestrator.journal.replay import replay
from orchestrator.journal.run_dir import REPORT_FILE
from orchestrator.report.report import Report, read_report, to_json_line
from orchestrator.terminal.render import render_report

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """The command; see the head of this module."""
    parser = argparse.ArgumentParser(prog="deepprune-replay", description=__doc__)
    parser.add_argument("run", type=Path, help="a run's folder")
    parser.add_argument("--summary", action="store_true", help="for people instead of JSON")
    arguments = parser.parse_args(argv)
    try:
        again = replay(arguments.run)
        recorded = read_report(arguments.run / REPORT_FILE)
    except DeepPruneError as error:
        print(f"deepprune-replay: {error}", file=sys.stderr)
        return error.exit_code
    print(render_report(again.report) if arguments.summary else to_json_line(again.report))
    problem = again.difference or _report_difference(recorded, again.report)
    if problem is not None:
        print(f"deepprune-replay: {problem}", file=sys.stderr)
        return 1
    return 0


def _report_difference(recorded: Report | None, replayed: Report) -> str | None:
    """The first key whose value differs; the folder may have been moved."""
    then, now = msgspec.to_builtins(recorded or replayed), msgspec.to_builtins(replayed)
    for key in then:
        if key != "run_dir" and then[key] != now[key]:
            return f"report.json has {key} = {then[key]}, but the journal gives {now[key]}."
    return None


if __name__ == "__main__":
    sys.exit(main())
