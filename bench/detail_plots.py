"""Pictures of what lies behind the means: lengths of traces by fate, sizes of clusters, and swept settings."""

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from bench.distributions import Distribution
from bench.plots import FATE_COLOURS, GREY, PALETTE
from bench.swept import Series

__all__ = ["draw_distributions", "draw_series"]


def draw_distributions(found: Sequence[Distribution]) -> Figure:
    """A line per policy: traces by length and fate, and the judge's clusters by size."""
    figure = Figure(figsize=(11, 1 + 1.9 * len(found)), layout="constrained")
    grid = figure.subplots(len(found), 2, squeeze=False)
    for each, (left, right) in zip(found, grid, strict=True):
        below = [0] * (len(each.edges) - 1)
        for fate, counts in each.traces.items():
            left.stairs(
                [low + own for low, own in zip(below, counts, strict=True)],
                each.edges,
                baseline=below,
                fill=True,
                color=FATE_COLOURS[fate],
                label=fate,
            )
            below = [low + own for low, own in zip(below, counts, strict=True)]
        left.set_xscale("log")
        left.xaxis.set_major_formatter(EngFormatter(sep=""))
        left.set_title(each.policy.replace("$", ""), fontsize=10, loc="left")
        left.set_ylabel("traces")
        left.legend(fontsize=7)
        if each.clusters:
            right.bar(list(each.clusters), list(each.clusters.values()), color=PALETTE[0])
            right.set_ylabel("clusters")
        else:
            right.set_axis_off()
    grid[-1][0].set_xlabel("tokens when the trace ended (log scale)")
    with_clusters = [axes for each, (_, axes) in zip(found, grid, strict=True) if each.clusters]
    if with_clusters:
        with_clusters[-1].set_xlabel("traces in a cluster")
    return figure


def draw_series(series: Series) -> Figure:
    """Accuracy with its interval, and what is saved, along one setting."""
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    places = range(len(series.values))
    accuracy = [100 * row.accuracy for row in series.rows]
    left.plot(places, accuracy, "o-", color=PALETTE[0])
    left.fill_between(
        places,
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
    right.set_ylabel("saved against the dearest vote, %")
    right.legend(fontsize=8)
    for axes in (left, right):
        axes.set_xticks(places, series.values)
        axes.set_xlabel(f"{series.setting} of {series.policy}".replace("$", ""))
        axes.grid(alpha=0.3)
    return figure
