"""What scores pairs, whichever way it does it, and how far it has come on stderr."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress

from judge_server.data.pairs import Pair

__all__ = ["Advance", "Score", "say", "shown_progress"]

Advance = Callable[[float], None]
"""Told the share of the work that is done, in 0..1."""

Score = Callable[[Sequence[Pair], Advance], list[float]]
"""p(identical), or another likeness in 0..1, for each pair in order; higher means rather the same answer."""

LINE_SECONDS = 10.0


def say(text: str) -> None:
    """A line for the user, on stderr."""
    print(text, file=sys.stderr, flush=True)


@contextmanager
def shown_progress(title: str) -> Iterator[Advance]:
    """A bar on a terminal; elsewhere a line every ten seconds."""
    console = Console(stderr=True, highlight=False, markup=False)
    if not console.is_terminal:
        yield _lines(title)
        return
    with Progress(console=console, transient=True) as bar:
        task = bar.add_task(escape(title), total=1.0)
        yield lambda done: bar.update(task, completed=done)


def _lines(title: str) -> Advance:
    shown = time.monotonic()

    def advance(done: float) -> None:
        nonlocal shown
        if time.monotonic() - shown >= LINE_SECONDS:
            shown = time.monotonic()
            say(f"{title}: {done:.0%}")

    return advance
