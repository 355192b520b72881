"""A recorded run played again: at any speed, from any moment.

What is shown at a moment is the fold of all journal entries up to it. Going back folds again from the start, which
takes about a second for half a million entries.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import accumulate

from orchestrator.core.commands import Command
from orchestrator.core.events import Event
from orchestrator.report.view import RunView
from tui.state.watch import Watch

__all__ = ["SPEEDS", "Player"]

SPEEDS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)


class Player:
    """Moves `watch` through the entries of a journal; times are in seconds of the run."""

    def __init__(self, entries: Sequence[Event | Command], *, playing: bool = True) -> None:
        self.watch = Watch()
        self.playing = playing
        self.speed = 1.0
        self.now = 0.0
        self._entries = entries
        # a command has no time of its own: it belongs to the event before it
        times = (getattr(entry, "at", 0.0) for entry in entries)
        self._times = list(accumulate(times, max))
        self._done = 0

    @property
    def length(self) -> float:
        """The time of the last entry."""
        return self._times[-1] if self._times else 0.0

    @property
    def fraction(self) -> float:
        """The fraction of the run that has been played, 0..1."""
        return self.now / self.length if self.length else 1.0

    def advance(self, seconds: float) -> None:
        """Plays on for `seconds` of wall time, unless paused."""
        if self.playing:
            self._move_to(self.now + seconds * self.speed)
            if self.now >= self.length:
                self.playing = False

    def seek(self, moment: float) -> None:
        """Jumps to a moment, clamped to the length of the run."""
        self._move_to(moment)
        self.watch.invalidate_stats()

    def step(self, direction: int) -> None:
        """Jumps to the next (1) or the previous (-1) moment with an event, and pauses."""
        self.playing = False
        if direction < 0:
            index = bisect_left(self._times, self.now) - 1
        else:
            index = bisect_right(self._times, self.now)
        if index < len(self._times):
            self.seek(self._times[index] if index >= 0 else 0.0)

    def toggle(self) -> None:
        """Plays or pauses; at the end, plays from the start."""
        if not self.playing and self.now >= self.length:
            self.seek(0.0)
        self.playing = not self.playing

    def change_speed(self, direction: int) -> None:
        """Sets the next faster (1) or slower (-1) speed."""
        index = SPEEDS.index(self.speed) + direction
        self.speed = SPEEDS[min(len(SPEEDS) - 1, max(0, index))]

    def _move_to(self, moment: float) -> None:
        self.now = max(0.0, min(self.length, moment))
        target = bisect_right(self._times, self.now)
        if target < self._done:
            self.watch.restart(RunView())
            self._done = 0
        view = self.watch.view
        for index in range(self._done, target):
            view.apply(self._entries[index])
        self._done = target
