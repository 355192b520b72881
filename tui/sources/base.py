"""What the app shows: the `Source` protocol and the rows it consists of.

A source is polled (`tick`) and never calls the app. The screens do not know which source they show.
"""

from dataclasses import dataclass
from typing import Protocol

from orchestrator.core.events import UserCommandReceived
from orchestrator.report.report import Report
from tui.sources.player import Player
from tui.state.watch import Watch

__all__ = ["Entry", "Source", "Start"]


@dataclass(slots=True)
class Entry:
    """One question of a session; `report` and `watch` are None as long as there is none."""

    name: str
    question: str
    report: Report | None = None
    watch: Watch | None = None
    started: bool = True


@dataclass(frozen=True, slots=True)
class Start:
    """What is shown before the first question starts; times are in seconds since the session started."""

    question: str
    seconds: float
    messages: tuple[tuple[float, str], ...]
    """Notices with their times."""


class Source(Protocol):
    """What the app shows."""

    entries: list[Entry]
    current: int
    """The first entry that is running, or the one that was opened last."""

    @property
    def notice(self) -> str:
        """The latest notice of the session, e.g. that servers are being started; may be empty."""

    @property
    def start(self) -> Start | None:
        """What has happened so far before the first question; None once that has started."""

    @property
    def closing(self) -> bool:
        """Whether the screen has to close."""

    @property
    def planned(self) -> int:
        """The number of questions, including those that have no entry yet."""

    @property
    def listed(self) -> bool:
        """Whether the table of questions comes first, and each of them from there."""

    @property
    def player(self) -> Player | None:
        """The player of the current entry, if it is a recording."""

    @property
    def steerable(self) -> bool:
        """Whether user commands have an effect."""

    def open(self, index: int) -> Watch:
        """Makes an entry the current one and returns its run."""

    def tick(self, seconds: float) -> None:
        """Reads what has happened in the last `seconds`."""

    def steer(self, command: UserCommandReceived) -> None:
        """Sends a command of the user to the run; only if `steerable`."""
