"""A recorded run fed through a fresh core: the same decisions, the same report, or where they differ."""

from collections.abc import Iterable, Iterator, Sequence
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
    entries = list(read_journal(run_dir))
    report = build_report(RunView.of(entries), run_dir=str(run_dir))
    return Replay(report, _first_difference(entries))


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


def _first_difference(entries: Sequence[Event | Command]) -> str | None:
    try:
        again = list(decisions(entries))
    except EventOutOfTurn as error:
        return f"The journal was changed or damaged: {error}"
    for number, (then, now) in enumerate(zip(entries, again, strict=False), start=1):
        if then != now:
            line = number + 1  # behind the header
            return f"Line {line} of the journal is {_shown(then)}, but a fresh core gives {_shown(now)}."
    # an interrupted writer may have lost what the core said after the last outside event
    if len(entries) > len(again):
        return f"The journal goes on with {_shown(entries[len(again)])}, which a fresh core does not give."
    return None


def _shown(entry: Event | Command) -> str:
    text = str(entry)
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…"
