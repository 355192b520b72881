"""The judge: its pace, the time of a call, and the distribution of p(identical) around tau."""

from textual.strip import Strip

from orchestrator.report.view import RunView
from orchestrator.terminal.numbers import format_rate
from tui.drawing.cells import Part, level, line
from tui.panels.base import Frame, title
from tui.state.watch import BINS

__all__ = ["draw_judge"]

_TALLEST = 12


def draw_judge(frame: Frame) -> list[Strip]:
    """A line of numbers over a histogram of verdicts; a bar at tau separates pairs that join from those that do not."""
    judge, palette = frame.watch.view.judge, frame.palette
    head = title(frame, "judge", aside=_health(frame.watch.view))
    if not judge.calls and not judge.failures:
        idle = "this policy uses no judge" if _tau(frame) is None else "no verdict yet"
        return [head, line(frame.width, [(f" {idle}", palette.dim)])]
    rows = min(_TALLEST, frame.height - 3)
    return [head, _pace(frame), *_histogram(frame, rows)]


def _health(view: RunView) -> str:
    if view.judge.pruning_off_since is not None:
        return f"pruning off since {view.judge.pruning_off_since:.0f} s"
    return f"{view.judge.failures} failed" if view.judge.failures else ""


def _pace(frame: Frame) -> Strip:
    judge, palette, pace = (
        frame.watch.view.judge,
        frame.palette,
        frame.watch.digest.pairs_per_second(),
    )
    parts: list[Part] = [(f" {judge.pairs:,}", palette.text), (" pairs", palette.dim)]
    if pace is not None and frame.watch.view.vote is None:
        parts += [(f"  {format_rate(pace)}/s", palette.text)]
    if judge.calls:
        parts += [
            (f"  {judge.seconds / judge.calls * 1000:,.0f} ms", palette.text),
            (" a call", palette.dim),
        ]
    similar = sum(frame.watch.digest.histogram[int((_tau(frame) or 0.0) * BINS) :])
    if judge.pairs and frame.width >= 46:
        parts += [(f"  {similar / judge.pairs:.0%}", palette.text), (" over tau", palette.dim)]
    return line(frame.width, parts)


def _histogram(frame: Frame, rows: int) -> list[Strip]:
    """The bars, top row first, and the axis; empty where there is no room for a row."""
    if rows < 1:
        return []
    width = max(10, min(BINS, frame.width - 2))
    bins = _rebin(frame.watch.digest.histogram, width)
    most = max(bins) or 1
    tau = _tau(frame)
    at = None if tau is None else min(width - 1, int(tau * width))
    lines = [_row(frame, bins, most, rows, row, at) for row in range(rows - 1, -1, -1)]
    return [*lines, _axis(frame, width, tau, at)]


def _row(frame: Frame, bins: list[int], most: int, rows: int, row: int, at: int | None) -> Strip:
    """The cells of one row; heights are square roots, so that rare verdicts are visible beside frequent ones."""
    palette = frame.palette
    parts: list[Part] = [(" ", palette.dim)]
    for index, count in enumerate(bins):
        height = (count / most) ** 0.5 * rows - row
        cell = level(height) if height > 0 else " "
        if cell == " " and index == at:
            parts.append(("│", palette.warn))
        else:
            parts.append((cell, palette.accent if at is None or index >= at else palette.dim))
    return line(frame.width, parts)


def _axis(frame: Frame, width: int, tau: float | None, at: int | None) -> Strip:
    palette = frame.palette
    if tau is None or at is None:
        return line(frame.width, [(" 0" + "─" * (width - 2) + "1", palette.faint)])
    label = f"tau {tau:.2f}"
    start = max(2, min(width - len(label) - 2, at - len(label) // 2))
    return line(
        frame.width,
        [
            (" 0" + "─" * (start - 2) + " ", palette.faint),
            (label, palette.warn),
            (" " + "─" * (width - start - len(label) - 2) + "1", palette.faint),
        ],
    )


def _rebin(bins: list[int], width: int) -> list[int]:
    wide = [0] * width
    for index, count in enumerate(bins):
        wide[index * width // len(bins)] += count
    return wide


def _tau(frame: Frame) -> float | None:
    return frame.watch.view.tau
