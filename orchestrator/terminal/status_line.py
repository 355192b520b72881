"""The state of a live run on stderr: about one line a second, or one line that is rewritten on a terminal.

It is polled and reads only the view, so its cost does not grow with the number of streams. It prints no colour
and no text from a model, and a broken stderr never ends a run.
"""

import os
import shutil
from collections.abc import Callable
from typing import TextIO

from orchestrator.report.savings import saved_so_far
from orchestrator.report.view import RunView
from orchestrator.terminal.numbers import format_rate
from orchestrator.terminal.safe_stream import Trusted
from orchestrator.terminal.sanitize import sanitize

__all__ = ["StatusPrinter", "status_line"]

_CLEAR = "\r\x1b[K"


class StatusPrinter:
    """Prints the state of a run; `show` may be called at any rate.

    Args:
        stream: usually stderr. Lines are rewritten in place if it is a terminal that can do so.
        clock: seconds from any fixed moment, e.g. `time.monotonic`.
        quiet: prints nothing at all.
        interval: the least time between two lines, in seconds.
    """

    def __init__(
        self,
        stream: TextIO,
        clock: Callable[[], float],
        *,
        quiet: bool = False,
        interval: float = 1.0,
    ) -> None:
        self._stream = stream
        self._clock = clock
        self._quiet = quiet
        self._interval = interval
        self._rewrites = stream.isatty() and os.environ.get("TERM", "") not in ("", "dumb")
        self._next = float("-inf")
        self._seen: tuple[object, int] | None = None
        self._rate = _Rate()
        self._dirty = False

    def show(self, view: RunView, *, question: int = 1, questions: int = 1) -> None:
        """Prints the state if it has changed and the last line is old enough.

        With several `questions` the line has the number of this one.
        """
        now = self._clock()
        seen = (view, view.changes)
        if self._quiet or now < self._next or seen == self._seen:
            return
        self._next = now + self._interval
        self._seen = seen
        line = status_line(view, self._rate.update(view))
        self._put(f"question {question}/{questions} · {line}" if questions > 1 else line)

    def close(self) -> None:
        """Erases the rewritten line."""
        if self._dirty:
            self._dirty = False
            self._write(_CLEAR)

    def _put(self, line: str) -> None:
        if self._rewrites:
            self._dirty = True
            self._write(_CLEAR + sanitize(line)[: max(1, _columns(self._stream) - 1)])
        else:
            self._write(sanitize(line) + "\n")

    def _write(self, text: str) -> None:
        try:
            self._stream.write(Trusted(text))
            self._stream.flush()
        except (OSError, ValueError):  # a closed pipe or file
            self._quiet = True


def _columns(stream: TextIO) -> int:
    """The width of the stream's own terminal: stdout may be piped while stderr is not."""
    try:
        columns = os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError):
        columns = 0
    return columns or shutil.get_terminal_size().columns


class _Rate:
    """Generated tokens per second of the run's own time, between two updates."""

    def __init__(self) -> None:
        self._view: RunView | None = None
        self._elapsed = 0.0
        self._tokens = 0

    def update(self, view: RunView) -> float | None:
        """The rate since the last update of this run, or since its start; None if no time has passed."""
        if view is not self._view:
            self._view, self._elapsed, self._tokens = view, 0.0, 0
        seconds = view.elapsed - self._elapsed
        tokens = view.generated_tokens - self._tokens
        self._elapsed, self._tokens = view.elapsed, view.generated_tokens
        return tokens / seconds if seconds > 0 else None


def status_line(view: RunView, rate: float | None = None) -> str:
    """The run's state in one line without control characters; `rate` is in tokens per second."""
    return " · ".join([f"{view.elapsed:.1f} s", _traces(view), *_work(view, rate)])


def _traces(view: RunView) -> str:
    """Traces by state; rare states only where there are some."""
    counts = view.counts()
    parts = [f"{counts['running']} running"]
    if counts["checkpoint"]:
        parts.append(f"{counts['checkpoint']} at checkpoint")
    parts += [f"{counts[state]} {state}" for state in ("paused", "pruned", "finished")]
    parts += [f"{counts[state]} {state}" for state in ("stopped", "failed") if counts[state]]
    return ", ".join(parts)


def _work(view: RunView, rate: float | None) -> list[str]:
    saved = saved_so_far(view)
    clusters = len(view.clusters)
    parts = [f"{view.generated_tokens:,} tokens"]
    if rate is not None:
        parts[0] += f", {format_rate(rate)}/s"
    if clusters:
        parts.append(f"{clusters} cluster{'s' if clusters != 1 else ''}")
    if view.judge.calls or view.judge.failures:
        parts.append(f"{view.judge.calls:,} judge calls")
    if view.judge.pruning_off_since is not None:
        parts.append(f"pruning off from t={view.judge.pruning_off_since:.1f} s")
    parts += _servers(view)
    parts.append("saved –" if saved is None else f"saved {saved:.0%}")
    return parts


def _servers(view: RunView) -> list[str]:
    """How many of the reasoner's servers work; nothing where all do."""
    servers = view.replicas.rows.values()
    up = sum(server.out_since is None for server in servers)
    return [] if up == len(servers) else [f"{up} of {len(servers)} servers up"]
