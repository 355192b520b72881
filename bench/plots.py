"""Pareto plots: accuracy against tokens, and against tokens in sequence, with 95 % intervals.

The plain votes (cons@n) are joined by a line: whatever lies above it does better than sampling less. The plot is
scaled to the means; intervals over few questions are far wider than what policies differ by, and may leave it.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, NullFormatter

from bench.comparison import PolicyRow

__all__ = ["AXES", "Axis", "draw_pareto", "scale", "votes_of"]


class Axis(NamedTuple):
    """What a plot has on its horizontal axis: a field of the rows, and its title."""

    field: Literal["cost", "sequential_tokens"]
    title: str


AXES = (
    Axis("cost", "tokens per question, the judge's at their price"),
    Axis("sequential_tokens", "tokens in sequence (latency)"),
)


_MARGIN = 2.0  # points of accuracy


def draw_pareto(rows: Sequence[PolicyRow], path: Path) -> None:
    """Writes the plots of one file's rows to `path`; its ending (.png, .svg) is the format."""
    figure = Figure(figsize=(13, 5.5), layout="constrained")
    for axis, axes in zip(AXES, figure.subplots(1, len(AXES)), strict=True):
        _draw(rows, axis, axes)
    figure.savefig(path, dpi=120, metadata={"Date": None} if path.suffix == ".svg" else None)


def votes_of(rows: Sequence[PolicyRow]) -> list[PolicyRow]:
    """The plain votes among the rows, the cheapest first."""
    return sorted((row for row in rows if row.policy.startswith("cons@")), key=lambda row: row.cost)


def scale(rows: Sequence[PolicyRow]) -> tuple[float, float]:
    """The vertical range that shows all means, in per cent."""
    shown = [100 * row.accuracy for row in rows]
    return min(shown) - _MARGIN, max(shown) + _MARGIN


def _draw(rows: Sequence[PolicyRow], axis: Axis, axes: Axes) -> None:
    votes = [row for row in votes_of(rows) if getattr(row, axis.field) is not None]
    others = [row for row in rows if row not in votes and getattr(row, axis.field) is not None]
    axes.plot(
        [getattr(row, axis.field) for row in votes],
        [100 * row.accuracy for row in votes],
        "o-",
        color="0.55",
        label="cons@n",
    )
    for row in votes:
        place = (getattr(row, axis.field), 100 * row.accuracy)
        axes.annotate(
            row.policy.removeprefix("cons@"),
            place,
            xytext=(4, -11),
            textcoords="offset points",
            fontsize=8,
            color="0.4",
        )
    for number, row in enumerate(others):
        axes.errorbar(
            [getattr(row, axis.field)],
            [100 * row.accuracy],
            yerr=[
                [100 * (row.accuracy - row.accuracy_low)],
                [100 * (row.accuracy_high - row.accuracy)],
            ],
            fmt="osD^v<>P"[number // 10 % 8],
            color=f"C{number % 10}",
            elinewidth=0.5,
            label=row.policy.replace("$", r"\$"),
        )
    axes.set_ylim(scale(rows))
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(axis.title)
    axes.set_ylabel("accuracy, %")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7)
