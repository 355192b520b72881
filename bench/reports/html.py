"""A comparison as one HTML page with interactive plots and tables, which needs no network.

The rule: names come from files and are untrusted; they enter the page as JSON data or escaped text, never as markup.
"""

from collections.abc import Callable, Iterator, Sequence

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from bench.analysis.comparison import PolicyRow, frontier
from bench.reports.html_figures import (
    cluster_figure,
    difference_figure,
    fate_figure,
    length_figure,
    pareto_figure,
    series_figure,
)
from bench.reports.plots import axes_of
from bench.reports.render import Comparison, format_known
from bench.results.file_names import short_names
from orchestrator.terminal.document import html_text

__all__ = ["build_page"]

_STYLE = """
:root { color-scheme: light dark; --ink: #222; --line: #ddd; --best: #e8f1e4; --ground: #fff }
@media (prefers-color-scheme: dark) { :root { --ink: #ddd; --line: #444; --best: #24331f; --ground: #16181c } }
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem;
  color: var(--ink); background: var(--ground) }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 13px; margin: 1rem 0 }
th, td { padding: .25rem .6rem; border-bottom: 1px solid var(--line); text-align: right }
th:first-child, td:first-child { text-align: left }
tr.best { background: var(--best) }
h2, h3, td:first-child { overflow-wrap: anywhere }
td:first-child { min-width: 15em }
td:not(:first-child) { white-space: nowrap }
.wide { overflow-x: auto }
"""

_THEME_SCRIPT = """
const dark = matchMedia("(prefers-color-scheme: dark)");
const applyTheme = () => document.querySelectorAll(".plotly-graph-div").forEach((plot) => {
  const [text, grid] = dark.matches ? ["#ddd", "#333"] : ["#222", "#eee"];
  Plotly.relayout(plot, {"font.color": text, "xaxis.gridcolor": grid, "yaxis.gridcolor": grid});
});
dark.addEventListener("change", applyTheme);
applyTheme();
"""

_POLICY_COLUMNS: tuple[tuple[str, Callable[[PolicyRow], str]], ...] = (
    ("accuracy", lambda row: f"{row.accuracy:.1%}"),
    ("95 %", lambda row: f"{row.accuracy_low:.1%} to {row.accuracy_high:.1%}"),
    ("tokens", lambda row: f"{row.tokens:,.0f}"),
    ("of them cut", lambda row: f"{row.cut_share:.0%}"),
    ("judge tokens", lambda row: f"{row.judge_tokens:,.0f}"),
    ("saved, net", lambda row: format_known(row.saved, ".1%")),
    ("in sequence", lambda row: format_known(row.sequential_tokens, ",.0f")),
    ("seconds", lambda row: f"{row.seconds:,.1f}"),
    ("traces", lambda row: f"{row.traces:.1f}"),
    ("equal-cost vote", lambda row: format_known(row.rival_votes, ".1f", "cons@")),
    ("points above it", lambda row: format_known(row.difference and 100 * row.difference, "+.1f")),
    ("p", lambda row: format_known(row.p_value, ".2f")),
    ("verdict", lambda row: row.verdict),
)

_FRONT_COLUMNS: tuple[tuple[str, Callable[[PolicyRow], str]], ...] = (
    ("from tokens per question", lambda row: f"{row.cost:,.0f}"),
    ("accuracy", lambda row: f"{row.accuracy:.1%}"),
    ("saved, net", lambda row: format_known(row.saved, ".1%")),
    ("latency, tokens in sequence", lambda row: format_known(row.sequential_tokens, ",.0f")),
    ("against the equal-cost vote", lambda row: row.verdict or "is a plain vote"),
)


def build_page(comparison: Comparison) -> str:
    """The whole page as HTML."""
    parts = [
        "<h1>Policies compared</h1>",
        f"<p>A judge token costs {comparison.judge_price:g} reasoner tokens. Intervals are 95 %, by paired bootstrap "
        "over questions. The equal-cost vote is the plain vote, cons@n, that costs as many tokens; a policy is called "
        "better or worse than it where the difference is significant (p &lt; 0.05). Savings are against the most "
        "expensive plain vote.</p>",
    ]
    for file, name in short_names(row.file for row in comparison.rows).items():
        parts.extend(_file_section(file, name, comparison))
    if comparison.findings:
        items = "".join(f"<li>{html_text(each)}</li>" for each in comparison.findings)
        parts.append(f"<h2>Diagnostics</h2><ul>{items}</ul>")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><title>DeepPrune benchmark</title>'
        f"<style>{_STYLE}</style><script>{get_plotlyjs()}</script></head><body>{''.join(parts)}"
        f"<script>{_THEME_SCRIPT}</script></body></html>\n"
    )


def _file_section(file: str, name: str, comparison: Comparison) -> Iterator[str]:
    rows = [row for row in comparison.rows if row.file == file]
    best = frontier(rows)
    yield f"<h2>{html_text(name)}</h2><p>{rows[0].questions} questions</p>"
    yield "<h3>The most accurate at each cost</h3>"
    yield _table(best, _FRONT_COLUMNS, ())
    for axis in axes_of(rows):
        yield _html(pareto_figure(rows, axis))
    if any(row.difference is not None for row in rows):
        yield "<h3>Against the vote of equal cost</h3>" + _html(difference_figure(rows))
    yield "<h3>All policies, the cheapest first</h3>" + _table(rows, _POLICY_COLUMNS, best)
    for series in (each for each in comparison.series if each.file == file):
        yield f"<h3>{html_text(series.setting)} of {html_text(series.policy)}</h3>"
        yield _html(series_figure(series))
        if series.oracle is not None:
            yield (
                "<p>An oracle that knows the best value for each question: "
                f"{series.oracle.accuracy:.1%} for {series.oracle.cost:,.0f} tokens, the judge's at their price.</p>"
            )
    found = [each for each in comparison.distributions if each.file == file]
    if found:
        yield "<h3>Where the tokens went</h3>" + _html(fate_figure(found))
        yield "<h3>How long traces were</h3>" + _html(length_figure(found))
    clustered = [each for each in found if each.clusters]
    if clustered:
        yield "<h3>Sizes of the judge's clusters</h3>" + _html(cluster_figure(clustered))


def _html(figure: go.Figure) -> str:
    text: str = figure.to_html(
        full_html=False,
        include_plotlyjs=False,
        config={"displaylogo": False, "responsive": True},
    )
    return text


def _table(
    rows: Sequence[PolicyRow],
    columns: Sequence[tuple[str, Callable[[PolicyRow], str]]],
    best: Sequence[PolicyRow],
) -> str:
    head = "".join(f"<th>{name}</th>" for name in ("policy", *(name for name, _ in columns)))
    lines = "".join(
        f"<tr{' class=best' if row in best else ''}><td>{html_text(row.policy)}</td>"
        + "".join(f"<td>{show(row)}</td>" for _, show in columns)
        + "</tr>"
        for row in rows
    )
    return f'<div class="wide"><table><tr>{head}</tr>{lines}</table></div>'
