"""A comparison as Markdown, CSV and JSON."""

import csv
import io
import json
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from bench.analysis.comparison import PolicyRow, compare_policies, frontier
from bench.analysis.diagnostics import findings
from bench.analysis.distributions import Distribution, distributions
from bench.analysis.oracle import oracle_row
from bench.analysis.sweeps import SettingSeries, setting_series
from bench.results.file_names import short_names
from bench.results.outcomes import Outcome, by_policy
from orchestrator.terminal.document import csv_cell, markdown_text

__all__ = ["Comparison", "as_csv", "as_json", "as_markdown", "build_comparison", "format_known"]


class Comparison(NamedTuple):
    """Everything that `compare` shows; `judge_price` is per judge token, in reasoner tokens."""

    judge_price: float
    rows: Sequence[PolicyRow]
    findings: Sequence[str]
    distributions: Sequence[Distribution]
    series: Sequence[SettingSeries]


def build_comparison(outcomes: Sequence[Outcome], *, judge_price: float) -> Comparison:
    """The comparison of all policies in `outcomes`."""
    rows = compare_policies(outcomes, judge_price=judge_price)
    groups = by_policy(outcomes)
    series = [
        each._replace(oracle=oracle_row(each, groups, judge_price=judge_price))
        for each in setting_series(rows)
    ]
    return Comparison(judge_price, rows, findings(rows), distributions(outcomes), series)


_HEAD = (
    "| policy | accuracy | 95 % interval | tokens/question | judge tokens | saved, net | in sequence | traces "
    "| equal-cost vote | above it, points | 95 % interval | p | verdict | in sequence, of that vote's "
    "| above the vote of equal tokens in sequence, points | above the vote of equal seconds, points |"
)

_SERIES_HEAD = (
    "| {} | accuracy | 95 % interval | tokens/question | judge tokens | saved before the judge's bill | saved, net "
    "| clusters | largest | above the equal-cost vote, points |"
)


def as_markdown(comparison: Comparison) -> str:
    """For every file the Pareto front, a table of all policies and one per swept setting; then the findings."""
    parts = []
    for file, name in short_names(row.file for row in comparison.rows).items():
        own = [row for row in comparison.rows if row.file == file]
        title = f"## {markdown_text(name)}, {own[0].questions} questions"
        parts.append("\n".join([title, "", *(_front_item(row) for row in frontier(own))]))
        parts.append("\n".join([_HEAD, "|---" * 16 + "|", *(_policy_line(row) for row in own)]))
        parts.extend(_series_table(each) for each in comparison.series if each.file == file)
    if comparison.findings:
        items = [f"- {markdown_text(each)}" for each in comparison.findings]
        parts.append("\n".join(["## Diagnostics", "", *items]))
    return "\n\n".join(parts) + "\n"


def as_csv(rows: Sequence[PolicyRow]) -> str:
    """A header and one line per row; unknown values are empty."""
    text = io.StringIO()
    names = [*PolicyRow.__struct_fields__, "verdict"]
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        values = {**msgspec.to_builtins(row), "verdict": row.verdict}
        writer.writerow({name: csv_cell(value) for name, value in values.items()})
    return text.getvalue()


def as_json(comparison: Comparison) -> str:
    """The whole comparison as one object; a series has the labels of its policies, whose rows are in `rows`."""
    rows = comparison.rows
    content = {
        "judge_price": comparison.judge_price,
        "rows": [{**msgspec.to_builtins(row), "verdict": row.verdict} for row in rows],
        "frontier": {
            file: [row.policy for row in frontier([row for row in rows if row.file == file])]
            for file in dict.fromkeys(row.file for row in rows)
        },
        "findings": list(comparison.findings),
        "distributions": [msgspec.to_builtins(each) for each in comparison.distributions],
        "series": [
            {
                "file": each.file,
                "policy": each.policy,
                "setting": each.setting,
                "values": each.values,
                "rows": [row.policy for row in each.rows],
                "hindsight": msgspec.to_builtins(each.oracle),
            }
            for each in comparison.series
        ],
    }
    return json.dumps(content, indent=2) + "\n"


def _front_item(row: PolicyRow) -> str:
    against = f"; {row.verdict} with the vote of equal cost" if row.verdict == "level" else ""
    if row.verdict in ("better", "worse"):
        against = f"; {row.verdict} than the vote of equal cost"
    return (
        f"- from {row.cost:,.0f} tokens: {markdown_text(row.policy)}, {row.accuracy:.1%}{against}"
    )


def _series_table(series: SettingSeries) -> str:
    rows = [*zip(series.values, series.rows, strict=True)]
    if series.oracle is not None:
        rows.append(("oracle: the best for each question", series.oracle))
    title = f"### {markdown_text(series.setting)} of {markdown_text(series.policy)}"
    head = _SERIES_HEAD.format(markdown_text(series.setting))
    return "\n".join([title, "", head, "|---" * 10 + "|", *(_value_line(*each) for each in rows)])


def _value_line(value: str, row: PolicyRow) -> str:
    return _markdown_row(
        markdown_text(value),
        f"{row.accuracy:.1%}",
        f"{row.accuracy_low:.1%} to {row.accuracy_high:.1%}",
        f"{row.tokens:,.0f}",
        f"{row.judge_tokens:,.0f}",
        format_known(row.saved_before_judge, ".1%"),
        format_known(row.saved, ".1%"),
        format_known(row.clusters, ".1f"),
        format_known(row.largest_cluster, ".0%"),
        _points(row.difference),
    )


def _policy_line(row: PolicyRow) -> str:
    return _markdown_row(
        markdown_text(row.policy),
        f"{row.accuracy:.1%}",
        f"{row.accuracy_low:.1%} to {row.accuracy_high:.1%}",
        f"{row.tokens:,.0f}",
        f"{row.judge_tokens:,.0f}",
        format_known(row.saved, ".1%"),
        format_known(row.sequential_tokens, ",.0f"),
        f"{row.traces:.1f}",
        format_known(row.rival_votes, ".1f", "cons@"),
        _points(row.difference),
        f"{_points(row.difference_low)} to {_points(row.difference_high)}"
        if row.difference is not None
        else "",
        format_known(row.p_value, ".2f"),
        row.verdict,
        format_known(row.sequence_ratio, ".2f"),
        _points(row.sequence_difference),
        _points(row.seconds_difference),
    )


def _markdown_row(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


def format_known(value: float | None, spec: str, prefix: str = "") -> str:
    """The value behind `prefix`, formatted by `spec`; empty for None."""
    return "" if value is None else prefix + format(value, spec)


def _points(value: float | None) -> str:
    return "" if value is None else f"{100 * value:+.1f}"
