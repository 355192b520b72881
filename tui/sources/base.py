"""What the app shows: the `Source` protocol and the rows it consists of.

A source is polled (`tick`) and never calls the app. The screens do not know which source they show.
"""

from dataclasses import dataclass
from typing import Any, Protocol

from orchestrator.core.events import UserCommandReceived
from tui.sources.player import Player
from tui.state.watch import Watch

__all__ = ["Entry", "Source", "Start"]


@dataclass(slots=True)
class Entry:
    """One question of an invocation; `report` and `watch` are None as long as there is none."""

    name: str
    question: str
    report: dict[str, Any] | None = None
    watch: Watch | None = None
    begun: bool = True


@dataclass(frozen=True, slots=True)
class Start:
    """What there is to tell before the first question has begun; times are in seconds since the start."""

    question: str
    seconds: float
    said: tuple[tuple[float, str], ...]
    """What was said, and when."""


class Source(Protocol):
    """What the app shows."""

    entries: list[Entry]
    current: int
    """The entry that goes on now, or that was opened last."""

    @property
    def notice(self) -> str:
        """What the whole invocation has to say, e.g. that servers are being started; empty: nothing."""

    @property
    def start(self) -> Start | None:
        """How far the start is, e.g. of servers; None once the first question has begun."""

    @property
    def closing(self) -> bool:
        """Whether the screen has to go."""

    @property
    def planned(self) -> int:
        """Questions in all, also those that have no entry yet."""

    @property
    def player(self) -> Player | None:
        """What moves the current entry, if it is a recording."""

    @property
    def steerable(self) -> bool:
        """Whether acts have an effect."""

    def open(self, index: int) -> Watch:
        """The run of an entry, which becomes the current one."""

    def tick(self, seconds: float) -> None:
        """Takes in what has happened in the last `seconds`."""

    def steer(self, act: UserCommandReceived) -> None:
        """Passes an act of the user on; only if `steerable`."""
