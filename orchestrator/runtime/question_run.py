"""One question while it runs, as the loop, displays and callers share it."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from uuid import NAMESPACE_URL, uuid4, uuid5

from orchestrator.core.commands import Command, StartTrace
from orchestrator.core.engine import Engine
from orchestrator.core.events import (
    Event,
    RunInterrupted,
    TraceFailed,
    TraceFinished,
    TraceStopped,
    UserCommandReceived,
)
from orchestrator.core.policies import Policy
from orchestrator.errors import DeepPruneError, JournalError, QuestionRefused, ServersAway
from orchestrator.journal.archive import compress_journal, is_compressed
from orchestrator.questions import Question
from orchestrator.report.report import Report
from orchestrator.report.view import RunView
from orchestrator.settings import Settings
from orchestrator.terminal.sanitize import sanitize

__all__ = ["QuestionRun"]


def _ignore(entry: Event | Command) -> None:
    pass


def _ignore_text(text: str) -> None:
    pass


def _do_nothing() -> None:
    pass


_OPENED: dict[type, int] = {StartTrace: 1, TraceFinished: -1, TraceStopped: -1, TraceFailed: -1}


@dataclass(slots=True, kw_only=True, eq=False)
class QuestionRun:
    """What is asked, what is known of it so far, and how a user acts on it.

    The loop alone writes `view`. Displays read it and put commands into `user_commands`; the loop sets their time.
    """

    question: Question
    settings: Settings
    policy: Policy | None = None
    """Decides instead of the policy that the settings name."""
    folder: Path | None = None
    """Receives the journal; a journal that is there already is continued. None: nothing is written."""
    view: RunView = field(default_factory=RunView)
    user_commands: asyncio.Queue[UserCommandReceived] = field(default_factory=asyncio.Queue)
    interrupted: asyncio.Event = field(default_factory=asyncio.Event)
    """Once set, the streams are closed and the traces that have finished vote."""
    streaming: bool = False
    """Traces may have streams, so that an interrupt ends them in order; before, there is nothing to end."""
    listener: Callable[[Event | Command], None] = _ignore
    """Receives each new entry after it was recorded; it must not block."""
    freed: Callable[[], None] = _do_nothing
    """Called whenever a trace has ended, so that there is room for another one."""
    note: Callable[[str], None] = _ignore_text
    """Receives sentences about what happens outside the events."""
    away: ServersAway | None = None
    """Why the run broke off; its journal is kept as it is, to be continued."""
    refused: str | None = None
    """Why the server refused every stream of this question."""
    exclusive: bool = True
    """No other question uses the servers meanwhile, so their counters belong to this one."""
    report: Report | None = None
    """The report (schema 1), once the question is over."""
    open_traces: int | None = None
    """Traces that were started and have not ended; None before the first ones are started."""
    session: str = field(init=False)
    """Names the question to routers between here and the servers; the same whenever it is continued from its folder."""

    def __post_init__(self) -> None:
        place = None if self.folder is None else self.folder.resolve().as_uri()
        self.session = (uuid4() if place is None else uuid5(NAMESPACE_URL, place)).hex[:16]

    def take(self, entry: Event | Command) -> None:
        """Folds an entry of the run that is recorded."""
        self.view.apply(entry)
        change = _OPENED.get(type(entry), 0)
        if change:
            self.open_traces = (self.open_traces or 0) + change
            if change < 0:
                self.freed()

    async def compress_journal(self) -> None:
        """Compresses the journal, which is closed, if the run is over; where the disk has no room, it stays as it is."""
        folder = self.folder
        if folder is None or self.view.finished is None or is_compressed(folder):
            return
        try:
            await asyncio.to_thread(compress_journal, folder)
        except JournalError as error:
            self.note(f"The journal stays uncompressed. {error}")

    def break_off(
        self, error: ServersAway, engine: Engine | None, started: Iterable[int], at: float
    ) -> None:
        """Shows what an end now would give: the vote of what has finished. The journal has nothing of it.

        Args:
            error: why the run cannot go on.
            engine: decides; it is used up by this.
            started: the traces that were started.
            at: the time.
        """
        self.away = error
        if engine is None:
            return
        ends: list[Event] = [RunInterrupted(at=at)]
        ends += [
            TraceFailed(
                at=at,
                trace=number,
                boundary="server",
                message=str(error),
                tokens=self.view.traces[number].tokens,
            )
            for number in started
            if self.view.traces[number].ending is None
        ]
        for event in ends:
            for entry in (event, *engine.feed(event).events):
                self.view.apply(entry)
                self.listener(entry)

    def raise_if_refused(self) -> None:
        """Raises QuestionRefused if the server cannot take this question."""
        reason = self.refused or (self.view.run and self.view.run.refusal)
        if reason:
            raise QuestionRefused(reason, 400)

    def raise_if_all_failed(self) -> None:
        """A question all of whose traces failed is a failed run, not a question without an answer.

        Raises:
            DeepPruneError: there are traces, and every one of them failed.
        """
        traces = self.view.traces.values()
        if traces and all(trace.ending == "failed" for trace in traces):
            last = max(traces, key=lambda trace: trace.ended_at or 0.0)
            raise DeepPruneError(
                f"All {len(traces)} traces failed, the last one with: {sanitize(last.reason or '')}; "
                "see the server's log, then run again."
            )
