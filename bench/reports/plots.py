"""Pictures of a comparison: Pareto plots, differences to the equal-cost vote, distributions and swept settings.

In a Pareto plot a line joins the plain votes (cons@n): a policy above it does better than sampling fewer traces. The
rows of the Pareto front are marked. Intervals of accuracy over few questions are far wider than the differences between
policies, so the paired differences have a picture of their own.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from matplotlib.ticker import EngFormatter, FixedLocator, LogLocator, MaxNLocator, NullLocator
from matplotlib.transforms import Bbox

from bench.analysis.comparison import PolicyRow, frontier
from bench.analysis.distributions import Distribution
from bench.analysis.sweeps import SettingSeries
from orchestrator.terminal.document import plot_text

__all__ = [
    "FATE_COLOURS",
    "GREY",
    "PALETTE",
    "Axis",
    "axes_of",
    "colours",
    "draw_differences",
    "draw_distributions",
    "draw_pareto",
    "draw_series",
    "is_right_of_middle",
    "log_range",
    "log_ticks",
    "scale",
    "short_number",
]


class Axis(NamedTuple):
    """The horizontal axis of a plot: a field of the rows, and its title."""

    field: Literal["cost", "sequential_tokens", "seconds"]
    title: str


_COST = Axis("cost", "tokens per question, the judge's at their price")
_LATENCY = Axis("sequential_tokens", "latency: tokens in sequence")
_SECONDS = Axis("seconds", "latency: seconds per question")

PALETTE = (
    "#4477aa",
    "#ee6677",
    "#228833",
    "#aa3377",
    "#bb8800",
    "#33a0c0",
    "#dd5500",
    "#7755cc",
)
"""Distinct for colour-blind readers, and readable on white and on black."""

FATE_COLOURS = {
    "finished": "#228833",
    "pruned": "#ee6677",
    "stopped": "#bb8800",
    "failed": "#7755cc",
}

GREY = "#888888"
_MARGIN = 2.0  # points of accuracy
_MARKERS = "osD^v<>P"
_OFFSETS = (0, 12, -12, 24, -24, 36, -36, 48, -48)  # points up or down, the nearest first


def axes_of(rows: Sequence[PolicyRow]) -> tuple[Axis, Axis]:
    """Cost, and latency in tokens where all rows have it (a replay), else in seconds (a live run)."""
    counted = all(row.sequential_tokens is not None for row in rows)
    return _COST, _LATENCY if counted else _SECONDS


def colours(rows: Sequence[PolicyRow]) -> dict[str, str]:
    """A colour for every policy, the same in all pictures; votes are grey."""
    others = dict.fromkeys(row.policy for row in rows if not row.is_vote)
    found = {row.policy: GREY for row in rows if row.is_vote}
    return found | {name: PALETTE[n % len(PALETTE)] for n, name in enumerate(others)}


def scale(rows: Sequence[PolicyRow]) -> tuple[float, float]:
    """The vertical range that contains all means, in per cent."""
    shown = [100 * row.accuracy for row in rows]
    return min(shown) - _MARGIN, max(shown) + _MARGIN


short_number = EngFormatter(sep="").format_eng
"""A number with the letter of its thousands: 1500 is 1.5k."""


def log_range(values: Sequence[float]) -> tuple[float, float]:
    """The ends of a logarithmic axis that contains the values, with room beside them."""
    low, high = min(values), max(values)
    margin = max((high / low) ** 0.12, 1.1)
    return low / margin, high * margin


def log_ticks(low: float, high: float) -> list[float]:
    """Round numbers on a logarithmic axis: at least two of them, also where it is shorter than a decade."""
    if high / low > 1e3:
        found = LogLocator().tick_values(low, high)
    elif high / low > 5:
        found = LogLocator(subs=(1.0, 2.0, 5.0)).tick_values(low, high)
    else:
        found = MaxNLocator(4).tick_values(low, high)
    return [float(tick) for tick in found if low <= tick <= high]


def draw_pareto(rows: Sequence[PolicyRow]) -> Figure:
    """Accuracy against cost, and against latency; the rows are of one file."""
    figure = Figure(figsize=(13, 5.5), layout="constrained")
    for axis, axes in zip(axes_of(rows), figure.subplots(1, 2), strict=True):
        _draw_rows(rows, axis, axes)
        _style_pareto(rows, axis, axes)
    _place_labels(figure)
    return figure


def _draw_rows(rows: Sequence[PolicyRow], axis: Axis, axes: Axes) -> None:
    """The votes as a line, the Pareto front as steps, and a labelled marker for every row."""
    colour = colours(rows)
    everywhere = _coordinates(rows, axis)[0]
    votes = sorted((row for row in rows if row.is_vote), key=lambda row: row.cost)
    axes.plot(*_coordinates(votes, axis), "-", color=GREY, label="plain votes, cons@n")
    best = frontier(rows, axis.field)
    x, y = _coordinates([*best, *best[-1:]], axis)
    axes.plot(
        [*x[:-1], max(everywhere)],
        y,
        drawstyle="steps-post",
        color="black",
        linestyle=":",
        label="best so far (Pareto front)",
    )
    for number, row in enumerate([*votes, *(row for row in rows if not row.is_vote)]):
        point = (getattr(row, axis.field), 100 * row.accuracy)
        axes.plot(
            *point,
            marker="o" if row.is_vote else _MARKERS[(number - len(votes)) % len(_MARKERS)],
            markersize=6 if row.is_vote else 9,
            color=colour[row.policy],
            markeredgecolor="black" if row in best else colour[row.policy],
            linestyle="",
        )
        below = row.is_vote or number % 2
        axes.annotate(
            plot_text(row.policy),
            point,
            xytext=(0, -15 if below else 9),
            ha="right" if is_right_of_middle(point[0], everywhere) else "left",
            textcoords="offset points",
            fontsize=8 if row.is_vote else 9,
            color=colour[row.policy],
            weight="normal" if row.is_vote else "bold",
        )


def _place_labels(figure: Figure) -> None:
    """Moves labels that would overlap up or down, to the nearest free place."""
    renderer = FigureCanvasAgg(figure).get_renderer()  # type: ignore[no-untyped-call]
    figure.draw_without_rendering()
    for axes in figure.axes:
        placed: list[Bbox] = []
        for label in axes.texts:
            if not isinstance(label, Annotation):
                continue
            x, first = label.xyann
            for offset in _OFFSETS:
                label.xyann = (x, first + offset)
                box = label.get_window_extent(renderer)
                if not any(box.overlaps(other) for other in placed):
                    break
            placed.append(box)


def _style_pareto(rows: Sequence[PolicyRow], axis: Axis, axes: Axes) -> None:
    axes.set_ylim(scale(rows))
    _style_log_axis(axes, *log_range(_coordinates(rows, axis)[0]))
    axes.set_xlabel(axis.title + " (log scale)")
    axes.set_ylabel("accuracy, %")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, loc="lower right")


def _style_log_axis(axes: Axes, low: float, high: float) -> None:
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.xaxis.set_major_locator(FixedLocator(log_ticks(low, high)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))


def is_right_of_middle(x: float, all_x: Sequence[float]) -> bool:
    """Whether the middle of a logarithmic axis is left of `x`, so that its name has more room to the left."""
    return x * x > min(all_x) * max(all_x)


def _coordinates(rows: Sequence[PolicyRow], axis: Axis) -> tuple[list[float], list[float]]:
    return [getattr(row, axis.field) for row in rows], [100 * row.accuracy for row in rows]


def draw_differences(rows: Sequence[PolicyRow]) -> Figure:
    """Points of accuracy above the equal-cost vote, paired by question; rows without such a vote are left out."""
    shown = [row for row in rows if row.difference is not None]
    colour = colours(rows)
    figure = Figure(figsize=(9, 1.6 + 0.4 * len(shown)), layout="constrained")
    axes = figure.subplots()
    for height, row in enumerate(reversed(shown)):
        middle, low, high = (
            100 * (value or 0.0)
            for value in (row.difference, row.difference_low, row.difference_high)
        )
        axes.errorbar(
            middle,
            height,
            xerr=[[middle - low], [high - middle]],
            fmt="o",
            capsize=4,
            color=colour[row.policy],
        )
    axes.set_yticks(
        range(len(shown)),
        [f"{plot_text(row.policy)} ({row.verdict})" for row in reversed(shown)],
    )
    axes.set_ylim(-0.7, len(shown) - 0.3)
    axes.axvline(0.0, color=GREY)
    axes.set_xlabel("points of accuracy above the vote of equal cost, 95 % interval")
    axes.grid(axis="x", alpha=0.3)
    return figure


def draw_distributions(found: Sequence[Distribution]) -> Figure:
    """A row per policy: traces by length and fate, and the judge's clusters by size."""
    columns = 2 if any(each.clusters for each in found) else 1
    figure = Figure(figsize=(5.5 * columns, 1 + 1.9 * len(found)), layout="constrained")
    grid = figure.subplots(len(found), columns, squeeze=False)
    for each, axes in zip(found, grid, strict=True):
        _draw_lengths(each, axes[0])
        for right in axes[1:]:
            _draw_clusters(each, right)
    grid[-1][0].set_xlabel("tokens when the trace ended (log scale)")
    with_clusters = [axes for each, axes in zip(found, grid, strict=True) if each.clusters]
    if with_clusters:
        with_clusters[-1][1].set_xlabel("traces in a cluster")
    return figure


def _draw_clusters(distribution: Distribution, axes: Axes) -> None:
    if not distribution.clusters:
        axes.set_axis_off()
        return
    axes.bar(list(distribution.clusters), list(distribution.clusters.values()), color=PALETTE[0])
    axes.set_ylabel("clusters")


def _draw_lengths(distribution: Distribution, axes: Axes) -> None:
    """Stacked histograms of the traces' lengths, one per fate."""
    below = [0] * (len(distribution.edges) - 1)
    for fate, counts in distribution.traces.items():
        axes.stairs(
            [low + own for low, own in zip(below, counts, strict=True)],
            distribution.edges,
            baseline=below,
            fill=True,
            color=FATE_COLOURS[fate],
            label=fate,
        )
        below = [low + own for low, own in zip(below, counts, strict=True)]
    _style_log_axis(axes, distribution.edges[0], distribution.edges[-1])
    axes.set_title(plot_text(distribution.policy), fontsize=10, loc="left")
    axes.set_ylabel("traces")
    axes.legend(fontsize=7)


def draw_series(series: SettingSeries) -> Figure:
    """Accuracy with its interval, and the saving, for the values of one setting."""
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    positions = range(len(series.values))
    accuracy = [100 * row.accuracy for row in series.rows]
    left.plot(positions, accuracy, "o-", color=PALETTE[0])
    left.fill_between(
        positions,
        [100 * row.accuracy_low for row in series.rows],
        [100 * row.accuracy_high for row in series.rows],
        color=PALETTE[0],
        alpha=0.15,
        label="95 % interval",
    )
    left.set_ylabel("accuracy, %")
    left.legend(fontsize=8)
    for field, name, colour in (
        ("saved_before_judge", "before the judge's bill", PALETTE[2]),
        ("saved", "net", PALETTE[1]),
    ):
        points = [(n, getattr(row, field)) for n, row in enumerate(series.rows)]
        known = [(n, 100 * value) for n, value in points if value is not None]
        right.plot([n for n, _ in known], [y for _, y in known], "o-", color=colour, label=name)
    right.axhline(0.0, color=GREY, linewidth=0.7)
    right.set_ylabel("saved against the most expensive vote, %")
    right.legend(fontsize=8)
    for axes in (left, right):
        axes.set_xticks(positions, [plot_text(value) for value in series.values])
        axes.set_xlabel(plot_text(f"{series.setting} of {series.policy}"))
        axes.grid(alpha=0.3)
    return figure
