"""The interactive figures of the HTML page; they show the same as the pictures of `bench.reports.plots`.

The rule: names come from files and are untrusted; plotly interprets a few tags in text, so every name is escaped.
"""

import math
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from bench.analysis.comparison import PolicyRow, frontier
from bench.analysis.distributions import Distribution
from bench.analysis.sweeps import SettingSeries
from bench.reports.plots import (
    FATE_COLOURS,
    GREY,
    PALETTE,
    Axis,
    colours,
    is_right_of_middle,
    log_range,
    log_ticks,
    scale,
    short_number,
)
from orchestrator.terminal.document import html_text

__all__ = [
    "cluster_figure",
    "difference_figure",
    "fate_figure",
    "length_figure",
    "pareto_figure",
    "series_figure",
]

_HOVER = (
    "<b>%{customdata[0]}</b><br>accuracy %{y:.1f} % (%{customdata[1]})<br>tokens, the judge's at their price: "
    "%{customdata[2]}<br>against the equal-cost vote: %{customdata[3]}<extra></extra>"
)


def pareto_figure(rows: Sequence[PolicyRow], axis: Axis) -> go.Figure:
    """Accuracy against cost or latency: the votes as a line, the Pareto front as steps, policies by name."""
    colour = colours(rows)
    known = [row for row in rows if getattr(row, axis.field) is not None]
    votes = sorted((row for row in known if row.is_vote), key=lambda row: row.cost)
    best = frontier(known, axis.field)
    figure = go.Figure()
    figure.add_trace(
        go.Scatter(
            **_points(votes, axis),
            mode="lines",
            name="cons@n",
            line={"color": GREY},
            hoverinfo="skip",
        )
    )
    figure.add_trace(
        go.Scatter(
            **_points([*best, *best[-1:]], axis, until=max(_values(known, axis))),
            mode="lines",
            name="best so far",
            line={"color": GREY, "dash": "dot", "shape": "hv"},
            hoverinfo="skip",
        )
    )
    everywhere = _values(known, axis)
    for number, row in enumerate(known):
        height = "bottom" if row.is_vote or number % 2 else "top"
        side = "left" if is_right_of_middle(getattr(row, axis.field), everywhere) else "right"
        figure.add_trace(
            go.Scatter(
                **_points([row], axis),
                mode="markers+text",
                text=[html_text(row.policy)],
                textposition=f"{height} {side}",
                cliponaxis=False,
                textfont={"color": colour[row.policy], "size": 11 if row.is_vote else 14},
                marker={
                    "color": colour[row.policy],
                    "size": 8 if row.is_vote else 13,
                    "line": {"width": 2 if row in best else 0, "color": GREY},
                },
                customdata=[_hover_data(row)],
                hovertemplate=_HOVER,
                name=html_text(row.policy),
                showlegend=False,
            )
        )
    figure.update_xaxes(title=axis.title + " (log scale)", **_log_axis(*log_range(everywhere)))
    figure.update_yaxes(title="accuracy, %", range=scale(rows))
    return _with_layout(figure, 470)


def _log_axis(low: float, high: float) -> dict[str, Any]:
    """The settings of a logarithmic axis between the two; plotly itself labels decades only."""
    ticks = log_ticks(low, high)
    return {
        "type": "log",
        "range": [math.log10(low), math.log10(high)],
        "tickvals": ticks,
        "ticktext": [short_number(tick) for tick in ticks],
    }


def _values(rows: Sequence[PolicyRow], axis: Axis) -> list[float]:
    return [getattr(row, axis.field) for row in rows]


def _points(rows: Sequence[PolicyRow], axis: Axis, until: float | None = None) -> dict[str, Any]:
    """The coordinates of the rows; the last one's x is `until`, if it is given."""
    x = _values(rows, axis)
    return {
        "x": x if until is None else [*x[:-1], until],
        "y": [100 * row.accuracy for row in rows],
    }


def _hover_data(row: PolicyRow) -> list[str]:
    verdict = row.verdict or "is a plain vote"
    if row.difference is not None:
        verdict += f", {100 * row.difference:+.1f} points"
    interval = f"{row.accuracy_low:.1%} to {row.accuracy_high:.1%}"
    return [html_text(row.policy), interval, f"{row.cost:,.0f}", verdict]


def difference_figure(rows: Sequence[PolicyRow]) -> go.Figure:
    """Points above the vote of equal cost with their paired intervals, one line per policy."""
    shown = [row for row in rows if row.difference is not None][::-1]
    colour = colours(rows)
    middle = [100 * (row.difference or 0.0) for row in shown]
    high = [100 * (row.difference_high or 0.0) for row in shown]
    low = [100 * (row.difference_low or 0.0) for row in shown]
    figure = go.Figure(
        go.Scatter(
            x=middle,
            y=[f"{html_text(row.policy)} ({row.verdict})" for row in shown],
            error_x={
                "array": [up - own for up, own in zip(high, middle, strict=True)],
                "arrayminus": [own - down for down, own in zip(low, middle, strict=True)],
                "color": GREY,
            },
            mode="markers",
            marker={"color": [colour[row.policy] for row in shown], "size": 12},
            hovertemplate="%{y}<br>%{x:+.1f} points<extra></extra>",
        )
    )
    figure.add_vline(x=0, line_color=GREY)
    figure.update_xaxes(title="points of accuracy above the vote of equal cost, 95 % interval")
    return _with_layout(figure, 130 + 38 * len(shown))


def fate_figure(found: Sequence[Distribution]) -> go.Figure:
    """Mean tokens per question by the fate of the traces that wrote them."""
    figure = go.Figure()
    names = [html_text(each.policy) for each in found]
    for fate, colour in FATE_COLOURS.items():
        tokens = [each.tokens.get(fate, 0.0) for each in found]
        if any(tokens):
            figure.add_trace(
                go.Bar(y=names, x=tokens, name=fate, orientation="h", marker_color=colour)
            )
    figure.update_layout(barmode="stack", legend_traceorder="normal")
    figure.update_yaxes(autorange="reversed")
    figure.update_xaxes(title="reasoner's tokens per question")
    return _with_layout(figure, 130 + 34 * len(found))


def length_figure(found: Sequence[Distribution]) -> go.Figure:
    """Traces by their length and fate; a menu selects the policy."""
    figure = go.Figure()
    owners = []
    for number, each in enumerate(found):
        middles = [
            (low * high) ** 0.5 for low, high in zip(each.edges, each.edges[1:], strict=False)
        ]
        widths = [high - low for low, high in zip(each.edges, each.edges[1:], strict=False)]
        for fate, counts in each.traces.items():
            owners.append(number)
            figure.add_trace(
                go.Bar(
                    x=middles,
                    y=counts,
                    width=widths,
                    name=fate,
                    marker_color=FATE_COLOURS[fate],
                    visible=number == 0,
                )
            )
    figure.update_layout(barmode="stack", updatemenus=[_menu(found, owners)])
    ends = (found[0].edges[0], found[0].edges[-1])
    figure.update_xaxes(title="tokens when the trace ended (log scale)", **_log_axis(*ends))
    figure.update_yaxes(title="traces")
    return _with_layout(figure, 380)


def cluster_figure(found: Sequence[Distribution]) -> go.Figure:
    """The judge's clusters by size; a menu selects the policy."""
    figure = go.Figure(
        [
            go.Bar(
                x=list(each.clusters),
                y=list(each.clusters.values()),
                name=html_text(each.policy),
                marker_color=PALETTE[0],
                visible=number == 0,
            )
            for number, each in enumerate(found)
        ]
    )
    figure.update_layout(updatemenus=[_menu(found, list(range(len(found))))])
    figure.update_xaxes(title="traces in a cluster")
    figure.update_yaxes(title="clusters")
    return _with_layout(figure, 340)


def _menu(found: Sequence[Distribution], owners: Sequence[int]) -> dict[str, Any]:
    """A menu of the policies; `owners` has the number of the policy that each plotly trace belongs to."""
    buttons = [
        {
            "label": html_text(each.policy),
            "method": "update",
            "args": [{"visible": [owner == number for owner in owners]}],
        }
        for number, each in enumerate(found)
    ]
    return {"buttons": buttons, "x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom"}


def series_figure(series: SettingSeries) -> go.Figure:
    """Accuracy, and the saving with and without the judge's tokens, for the values of one setting."""
    names = [html_text(value) for value in series.values]
    figure = go.Figure()
    for title, field, colour in (
        ("accuracy", "accuracy", PALETTE[0]),
        ("saved before the judge's bill", "saved_before_judge", PALETTE[2]),
        ("saved, net", "saved", PALETTE[1]),
    ):
        values = [getattr(row, field) for row in series.rows]
        shown = [None if value is None else 100 * value for value in values]
        figure.add_trace(
            go.Scatter(x=names, y=shown, name=title, line={"color": colour}, mode="lines+markers")
        )
    figure.update_xaxes(type="category", title=html_text(series.setting))
    figure.update_yaxes(title="%")
    return _with_layout(figure, 360)


def _with_layout(figure: go.Figure, height: int) -> go.Figure:
    """The figure on a transparent background, which fits the page's light and dark themes."""
    clear = "rgba(0,0,0,0)"
    figure.update_layout(
        template="plotly_white",
        height=height,
        margin={"t": 50, "r": 20},
        paper_bgcolor=clear,
        plot_bgcolor=clear,
        legend={"orientation": "h", "y": 1.12, "x": 0.5, "xanchor": "center"},
    )
    return figure
