"""A recorded run fed through a fresh core: the same decisions, the same report, or where they differ."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from orchestrator.core.commands import Command
from orchestrator.core.engine import Engine
from orchestrator.core.events import DerivedEvent, Event, RunStarted
from orchestrator.errors import EventOutOfTurn
from orchestrator.journal.journal import read_journal
from orchestrator.report.report import Report, build_report
from orchestrator.report.view import RunView

__all__ = ["Replay", "decisions", "replay"]

_SHOWN_CHARACTERS = 300  # of an entry, which may hold a whole question


class Replay(NamedTuple):
    """What a journal gives: the report, and the first line where a fresh core decides otherwise."""

    report: Report
    difference: str | None


def replay(run_dir: Path) -> Replay:
    """The run in `run_dir` again, from its journal alone.

    Raises:
        JournalError: there is no journal, or a line of it cannot be read.
    """
    report = build_report(RunView.of(read_journal(run_dir)), run_dir=str(run_dir))
    return Replay(report, _first_difference(read_journal(run_dir), read_journal(run_dir)))


def decisions(entries: Iterable[Event | Command]) -> Iterator[Event | Command]:
    """All that a fresh core says and passes on when it is fed the outside events among `entries`."""
    engine: Engine | None = None
    for entry in entries:
        if not isinstance(entry, Event) or isinstance(entry, DerivedEvent):
            continue
        yield entry
        if isinstance(entry, RunStarted) and engine is None:
            engine = Engine(entry)
        if engine is not None:
            outcome = engine.feed(entry)
            yield from outcome.events
            yield from outcome.commands


def _first_difference(
    recorded: Iterator[Event | Command], fed: Iterable[Event | Command]
) -> str | None:
    """Where a fresh core that is `fed` the recorded entries gives others; both are read once, so that long runs fit."""
    line = 1  # the header
    again = decisions(fed)
    try:
        for now in again:
            line += 1
            then = next(recorded, None)
            if then is None:  # an interrupted writer may have lost what the core said at last
                return None
            if then != now:
                return f"Line {line} of the journal is {_shown(then)}, but a fresh core gives {_shown(now)}."
    except EventOutOfTurn as error:
        return f"The journal was changed or damaged: {error}"
    more = next(recorded, None)
    if more is not None:
        return f"The journal goes on with {_shown(more)}, which a fresh core does not give."
    return None


def _shown(entry: Event | Command) -> str:
    text = str(entry)
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…"
