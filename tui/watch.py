"""One question's run as the screens see it: the view, its digest, and the figures of the bill.

The rule: it only reads. The figures cost milliseconds (a survival estimate), so they are made anew at most
twice a second, and are the report's own.
"""

import time
from collections.abc import Callable

from orchestrator.view import TICK_SECONDS, RunView
from tui.digest import Digest
from tui.figures import Figures, figures_of

__all__ = ["Watch"]

_FIGURES_SECONDS = 0.5


class Watch:
    """What a display reads of one run; `restart` puts an empty view in place when a replay is wound back."""

    def __init__(
        self, view: RunView | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self.restart(view or RunView())

    def restart(self, view: RunView) -> None:
        """Begins again with `view`."""
        self.view = view
        self.digest = Digest(view)
        self._figures: Figures | None = None
        self._figured_at = (-1, 0.0)

    def update(self) -> None:
        """Reads what has happened since the last call."""
        self.digest.update()

    @property
    def figures(self) -> Figures:
        """The figures, at most half a second old."""
        changes, at = self._figured_at
        now = self._clock()
        stale = self.view.changes != changes and now - at >= _FIGURES_SECONDS
        if self._figures is None or stale or (self.view.finished and self.view.changes != changes):
            self._figures = figures_of(self.view, self.rate)
            self._figured_at = (self.view.changes, now)
        return self._figures

    def forget_figures(self) -> None:
        """Makes the next look at the figures exact, after a jump."""
        self._figures = None

    @property
    def rate(self) -> float | None:
        """Generated tokens per second over the last two seconds; None before anything came."""
        ticks = self.view.tokens_per_tick
        recent = ticks[-9:-1] if len(ticks) > 4 else ticks
        return sum(recent) / (len(recent) * TICK_SECONDS) if recent else None
