"""A comparison as Markdown, CSV and JSON."""

import csv
import io
import json
from collections.abc import Sequence

import msgspec

from bench.comparison import PolicyRow

__all__ = ["as_csv", "as_json", "as_markdown"]

_HEAD = (
    "| policy | accuracy | 95 % interval | tokens/question | judge tokens | saved, net | in sequence | traces "
    "| equal-cost vote | above it, points | 95 % interval | p |"
)


def as_markdown(rows: Sequence[PolicyRow], findings: Sequence[str]) -> str:
    """A table for every file, then the findings."""
    parts = []
    for file in dict.fromkeys(row.file for row in rows):
        lines = [_line(row) for row in rows if row.file == file]
        title = f"## {_plain(file)}, {rows[0].questions} questions"
        parts.append("\n".join([title, "", _HEAD, "|---" * 12 + "|", *lines]))
    if findings:
        parts.append("\n".join(["## Signatures", "", *(f"- {_plain(each)}" for each in findings)]))
    return "\n\n".join(parts) + "\n"


def as_csv(rows: Sequence[PolicyRow]) -> str:
    """One line per row under a line of names; what is unknown is empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, PolicyRow.__struct_fields__, lineterminator="\n")
    writer.writeheader()
    writer.writerows(msgspec.to_builtins(row) for row in rows)
    return text.getvalue()


def as_json(rows: Sequence[PolicyRow], findings: Sequence[str]) -> str:
    """The rows and the findings as one object."""
    content = {"rows": msgspec.to_builtins(list(rows)), "findings": list(findings)}
    return json.dumps(content, indent=2) + "\n"


def _line(row: PolicyRow) -> str:
    cells = [
        _plain(row.policy),
        f"{row.accuracy:.1%}",
        f"{row.accuracy_low:.1%} to {row.accuracy_high:.1%}",
        f"{row.tokens:,.0f}",
        f"{row.judge_tokens:,.0f}",
        _share(row.saved),
        "" if row.sequential_tokens is None else f"{row.sequential_tokens:,.0f}",
        f"{row.traces:.1f}",
        "" if row.rival_votes is None else f"cons@{row.rival_votes:.1f}",
        _points(row.difference),
        f"{_points(row.difference_low)} to {_points(row.difference_high)}"
        if row.difference is not None
        else "",
        "" if row.p_value is None else f"{row.p_value:.2f}",
    ]
    return "| " + " | ".join(cells) + " |"


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"


def _points(value: float | None) -> str:
    return "" if value is None else f"{100 * value:+.1f}"


def _plain(text: str) -> str:
    """Names come from files: they must not break the table."""
    return text.replace("|", "\\|").replace("\n", " ")
