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
from bench.results.outcomes import Outcome, by_policy

__all__ = ["Comparison", "as_csv", "as_json", "as_markdown", "build_comparison", "maybe"]


class Comparison(NamedTuple):
    """All that `compare` shows; `judge_price` is per judge token, in reasoner tokens."""

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
        each._replace(hindsight=oracle_row(each, groups, judge_price=judge_price))
        for each in setting_series(rows)
    ]
    return Comparison(judge_price, rows, findings(rows), distributions(outcomes), series)


_HEAD = (
    "| policy | accuracy | 95 % interval | tokens/question | judge tokens | saved, net | in sequence | traces "
    "| equal-cost vote | above it, points | 95 % interval | p | verdict |"
)

_SERIES_HEAD = (
    "| {} | accuracy | 95 % interval | tokens/question | judge tokens | saved before the judge's bill | saved, net "
    "| clusters | largest | above the equal-cost vote, points |"
)


def as_markdown(comparison: Comparison) -> str:
    """For every file what to choose and a table of all policies; then swept settings and findings."""
    parts = []
    for file in dict.fromkeys(row.file for row in comparison.rows):
        own = [row for row in comparison.rows if row.file == file]
        title = f"## {_plain(file)}, {own[0].questions} questions"
        parts.append("\n".join([title, "", *(_choice(row) for row in frontier(own))]))
        parts.append("\n".join([_HEAD, "|---" * 13 + "|", *(_line(row) for row in own)]))
        parts.extend(_series(each) for each in comparison.series if each.file == file)
    if comparison.findings:
        items = [f"- {_plain(each)}" for each in comparison.findings]
        parts.append("\n".join(["## Signatures", "", *items]))
    return "\n\n".join(parts) + "\n"


def as_csv(rows: Sequence[PolicyRow]) -> str:
    """One line per row under a line of names; what is unknown is empty."""
    text = io.StringIO()
    names = [*PolicyRow.__struct_fields__, "verdict"]
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows({**msgspec.to_builtins(row), "verdict": row.verdict} for row in rows)
    return text.getvalue()


def as_json(comparison: Comparison) -> str:
    """The whole comparison as one object; swept settings name their policies, whose rows are in `rows`."""
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
                **each._asdict(),
                "rows": [row.policy for row in each.rows],
                "hindsight": msgspec.to_builtins(each.hindsight),
            }
            for each in comparison.series
        ],
    }
    return json.dumps(content, indent=2) + "\n"


def _choice(row: PolicyRow) -> str:
    against = f"; {row.verdict} with the vote of equal cost" if row.verdict == "level" else ""
    if row.verdict in ("better", "worse"):
        against = f"; {row.verdict} than the vote of equal cost"
    return f"- from {row.cost:,.0f} tokens: {_plain(row.policy)}, {row.accuracy:.1%}{against}"


def _series(series: SettingSeries) -> str:
    rows = [*zip(series.values, series.rows, strict=True)]
    if series.hindsight is not None:
        rows.append(("best for each question, in hindsight", series.hindsight))
    title = f"### {_plain(series.setting)} of {_plain(series.policy)}"
    head = _SERIES_HEAD.format(_plain(series.setting))
    return "\n".join([title, "", head, "|---" * 10 + "|", *(_point(*each) for each in rows)])


def _point(value: str, row: PolicyRow) -> str:
    return _row(
        _plain(value),
        f"{row.accuracy:.1%}",
        f"{row.accuracy_low:.1%} to {row.accuracy_high:.1%}",
        f"{row.tokens:,.0f}",
        f"{row.judge_tokens:,.0f}",
        maybe(row.saved_before_judge, ".1%"),
        maybe(row.saved, ".1%"),
        maybe(row.clusters, ".1f"),
        maybe(row.largest_cluster, ".0%"),
        _points(row.difference),
    )


def _line(row: PolicyRow) -> str:
    return _row(
        _plain(row.policy),
        f"{row.accuracy:.1%}",
        f"{row.accuracy_low:.1%} to {row.accuracy_high:.1%}",
        f"{row.tokens:,.0f}",
        f"{row.judge_tokens:,.0f}",
        maybe(row.saved, ".1%"),
        maybe(row.sequential_tokens, ",.0f"),
        f"{row.traces:.1f}",
        maybe(row.rival_votes, ".1f", "cons@"),
        _points(row.difference),
        f"{_points(row.difference_low)} to {_points(row.difference_high)}"
        if row.difference is not None
        else "",
        maybe(row.p_value, ".2f"),
        row.verdict,
    )


def _row(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


def maybe(value: float | None, form: str, head: str = "") -> str:
    """The value in this form, or nothing where it is unknown."""
    return "" if value is None else head + format(value, form)


def _points(value: float | None) -> str:
    return "" if value is None else f"{100 * value:+.1f}"


def _plain(text: str) -> str:
    """Names come from files: they must not break the table."""
    return text.replace("|", "\\|").replace("\n", " ")
