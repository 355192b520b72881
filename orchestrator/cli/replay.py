"""`deepprune-replay`: a recorded run fed through a fresh core, and its report from the journal alone.

Exit 1 if the core decides otherwise than recorded, or if the report differs from `report.json`.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.cli.program import run_program

if TYPE_CHECKING:
    from orchestrator.report.report import Report

__all__ = ["main"]

_PROGRAM = "deepprune-replay"


def main(argv: Sequence[str] | None = None) -> int:
    """The command; see the head of this module."""
    return run_program(_PROGRAM, argv, _prepare)


def _prepare(words: list[str]) -> Callable[[], int]:
    parser = argparse.ArgumentParser(prog=_PROGRAM, description=__doc__)
    parser.add_argument("run", type=Path, help="a run's folder")
    parser.add_argument("--summary", action="store_true", help="for people instead of JSON")
    arguments = parser.parse_args(words)
    return lambda: _replay(arguments.run, summary=arguments.summary)


def _replay(run: Path, *, summary: bool) -> int:
    import msgspec

    from orchestrator.journal.replay import replay
    from orchestrator.journal.run_dir import REPORT_FILE
    from orchestrator.report.report import read_report, to_json_line
    from orchestrator.terminal.render import render_report
    from orchestrator.terminal.safe_stream import write_line
    from orchestrator.terminal.sanitize import sanitize

    again = replay(run)
    path = run / REPORT_FILE
    recorded = {} if read_report(path) is None else msgspec.json.decode(path.read_bytes())
    write_line(render_report(again.report) if summary else to_json_line(again.report), sys.stdout)
    problem = again.difference or _report_difference(recorded, again.report)
    if problem is not None:
        write_line(f"{_PROGRAM}: {sanitize(problem)}", sys.stderr)
        return 1
    return 0


def _report_difference(recorded: Any, replayed: "Report") -> str | None:
    """The first recorded value that differs; the folder may have been moved, and an older report has fewer fields."""
    import msgspec

    again = dict(_leaves(msgspec.to_builtins(replayed)))
    for path, value in _leaves(recorded):
        if path != "run_dir" and value != again.get(path):
            return f"report.json has {path} = {value}, but the journal gives {again.get(path)}."
    return None


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value of a report by its dotted path, with the length of each list."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list | tuple):
        yield f"{path}.length", len(value)
        for number, inner in enumerate(value):
            yield from _leaves(inner, f"{path}.{number}")
    else:
        yield path, value


if __name__ == "__main__":
    sys.exit(main())
