"""A recorded run fed through a fresh core: the same decisions, the same report, or it says where not.

`python -m orchestrator.replay RUN` prints the report made from the journal alone; `--summary` prints it for
people. Exit 1 if the core decides otherwise than recorded, or if the report differs from `report.json`.
"""

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from orchestrator.core.engine import Engine
from orchestrator.core.facts import Decided, Fact, Order, RunStarted
from orchestrator.errors import DeepPruneError
from orchestrator.journal import JOURNAL_FILE, REPORT_FILE, read_journal
from orchestrator.render import render_report
from orchestrator.report import build_report, read_report, to_json_line
from orchestrator.view import RunView

__all__ = ["Replay", "decisions", "replay"]


class Replay(NamedTuple):
    """What a journal gives: the report, and the first line where a fresh core decides otherwise."""

    report: dict[str, Any]
    difference: str | None


def replay(run_dir: Path) -> Replay:
    """The run in `run_dir` again, from its journal alone.

    Raises:
        JournalError: there is no journal, or a line of it cannot be read.
    """
    entries = list(read_journal(run_dir / JOURNAL_FILE))
    report = build_report(RunView.of(entries), run_dir=str(run_dir))
    return Replay(report, _first_difference(entries))


def decisions(entries: Iterable[Fact | Order]) -> Iterator[Fact | Order]:
    """All that a fresh core says and passes on when it is fed the outside facts among `entries`."""
    engine: Engine | None = None
    for entry in entries:
        if not isinstance(entry, Fact) or isinstance(entry, Decided):
            continue
        yield entry
        if isinstance(entry, RunStarted):
            engine = Engine(entry)
        if engine is not None:
            outcome = engine.feed(entry)
            yield from outcome.facts
            yield from outcome.orders


def _first_difference(entries: Sequence[Fact | Order]) -> str | None:
    again = list(decisions(entries))
    for number, (then, now) in enumerate(zip(entries, again, strict=False), start=1):
        if then != now:
            return f"Line {number} of the journal is {then}, but a fresh core gives {now}."
    # an interrupted writer may have lost what the core said after the last outside fact
    if len(entries) > len(again):
        return f"The journal goes on with {entries[len(again)]}, which a fresh core does not give."
    return None


def main(argv: Sequence[str] | None = None) -> int:
    """The command; see the head of this module."""
    parser = argparse.ArgumentParser(prog="python -m orchestrator.replay", description=__doc__)
    parser.add_argument("run", type=Path, help="a run's folder")
    parser.add_argument("--summary", action="store_true", help="for people instead of JSON")
    arguments = parser.parse_args(argv)
    try:
        again = replay(arguments.run)
        recorded = read_report(arguments.run / REPORT_FILE)
    except DeepPruneError as error:
        print(f"replay: {error}", file=sys.stderr)
        return error.exit_code
    print(render_report(again.report) if arguments.summary else to_json_line(again.report))
    problem = again.difference or _report_difference(recorded, again.report)
    if problem is not None:
        print(f"replay: {problem}", file=sys.stderr)
        return 1
    return 0


def _report_difference(then: dict[str, Any] | None, now: dict[str, Any]) -> str | None:
    """The first key whose value differs; the folder may have been moved."""
    for key in then or {}:
        if key != "run_dir" and then is not None and then[key] != now.get(key):
            return f"report.json has {key} = {then[key]}, but the journal gives {now.get(key)}."
    return None


if __name__ == "__main__":
    sys.exit(main())
