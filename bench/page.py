"""A comparison as one self-contained HTML page: interactive plots and the table, no network.

The rule: names come from files and are untrusted; they enter the page as JSON data or escaped text, never as markup.
"""

from collections.abc import Callable, Sequence
from html import escape

import plotly.graph_objects as go

from bench.comparison import PolicyRow
from bench.plots import AXES, Axis, scale, votes_of

__all__ = ["build_page"]

_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem; color: #222 }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 13px }
th, td { padding: .25rem .6rem; border-bottom: 1px solid #ddd; text-align: right }
th:first-child, td:first-child { text-align: left }
.wide { overflow-x: auto }
"""

_COLUMNS: tuple[tuple[str, Callable[[PolicyRow], str]], ...] = (
    ("accuracy", lambda row: f"{row.accuracy:.1%}"),
    ("95 %", lambda row: f"{row.accuracy_low:.1%} to {row.accuracy_high:.1%}"),
    ("tokens", lambda row: f"{row.tokens:,.0f}"),
    ("of them cut", lambda row: f"{row.cut_share:.0%}"),
    ("judge tokens", lambda row: f"{row.judge_tokens:,.0f}"),
    ("saved, net", lambda row: _maybe(row.saved, ".1%")),
    ("in sequence", lambda row: _maybe(row.sequential_tokens, ",.0f")),
    ("traces", lambda row: f"{row.traces:.1f}"),
    ("equal-cost vote", lambda row: _maybe(row.rival_votes, ".1f")),
    ("above it", lambda row: _maybe(row.difference, "+.1%")),
    ("p", lambda row: _maybe(row.p_value, ".2f")),
)


def build_page(rows: Sequence[PolicyRow], findings: Sequence[str]) -> str:
    """The whole page as HTML."""
    parts = ["<h1>Policies compared</h1>"]
    script = True
    for file in dict.fromkeys(row.file for row in rows):
        own = [row for row in rows if row.file == file]
        parts.append(f"<h2>{escape(file)}</h2>")
        for axis in AXES:
            figure = _figure(own, axis)
            parts.append(figure.to_html(full_html=False, include_plotlyjs=script))
            script = False
        parts.append(_table(own))
    if findings:
        items = "".join(f"<li>{escape(each)}</li>" for each in findings)
        parts.append(f"<h2>Signatures</h2><ul>{items}</ul>")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>DeepPrune benchmark</title>'
        f"<style>{_STYLE}</style></head><body>{''.join(parts)}</body></html>\n"
    )


def _figure(rows: Sequence[PolicyRow], axis: Axis) -> go.Figure:
    votes = votes_of(rows)
    figure = go.Figure()
    figure.add_trace(_points(votes, axis, "cons@n", "lines+markers"))
    for row in rows:
        if row not in votes:
            figure.add_trace(_points([row], axis, escape(row.policy), "markers"))
    figure.update_layout(template="plotly_white", height=480, margin={"t": 20})
    figure.update_xaxes(type="log", title=axis.title)
    figure.update_yaxes(title="accuracy, %", range=scale(rows))
    return figure


def _points(rows: Sequence[PolicyRow], axis: Axis, name: str, mode: str) -> go.Scatter:
    vote = mode != "markers"
    return go.Scatter(
        x=[getattr(row, axis.field) for row in rows],
        y=[100 * row.accuracy for row in rows],
        error_y={
            "array": [100 * (row.accuracy_high - row.accuracy) for row in rows],
            "arrayminus": [100 * (row.accuracy - row.accuracy_low) for row in rows],
            "thickness": 0.7,
            "visible": not vote,
        },
        text=[escape(row.policy) for row in rows],
        hovertemplate="%{text}<br>%{x:,.0f} tokens<br>%{y:.1f} %<extra></extra>",
        mode=mode,
        name=name,
        line={"color": "#999"} if vote else None,
    )


def _table(rows: Sequence[PolicyRow]) -> str:
    head = "".join(f"<th>{name}</th>" for name in ("policy", *(name for name, _ in _COLUMNS)))
    lines = "".join(
        f"<tr><td>{escape(row.policy)}</td>"
        + "".join(f"<td>{show(row)}</td>" for _, show in _COLUMNS)
        + "</tr>"
        for row in rows
    )
    return f'<div class="wide"><table><tr>{head}</tr>{lines}</table></div>'


def _maybe(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)
