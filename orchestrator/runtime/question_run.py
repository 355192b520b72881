"""One question while it runs, as the loop, displays and callers share it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.core.events import Command, Event, UserCommandReceived
from orchestrator.questions import Question
from orchestrator.report.report import Report
from orchestrator.report.view import RunView
from orchestrator.settings import Settings

__all__ = ["QuestionRun"]


def _ignore(entry: Event | Command) -> None:
    pass


@dataclass(slots=True, kw_only=True, eq=False)
class QuestionRun:
    """What is asked, what is known of it so far, and how a user acts on it.

    The loop alone writes `view`. Displays read it and put commands into `user_commands`; the loop sets their time.
    """

    question: Question
    settings: Settings
    folder: Path | None = None
    """Receives the journal; a journal that is there already is continued. None: nothing is written."""
    view: RunView = field(default_factory=RunView)
    user_commands: asyncio.Queue[UserCommandReceived] = field(default_factory=asyncio.Queue)
    interrupted: asyncio.Event = field(default_factory=asyncio.Event)
    """Once set, the streams are closed and the traces that have finished vote."""
    listener: Callable[[Event | Command], None] = _ignore
    """Receives each new entry after it was recorded; it must not block."""
    exclusive: bool = True
    """No other question uses the servers meanwhile, so their counters belong to this one."""
    report: Report | None = None
    """The report (schema 1), once the question is over."""
