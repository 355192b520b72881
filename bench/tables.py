"""Lines of policies as a table for people."""

from collections.abc import Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

__all__ = ["text_table"]


def text_table(lines: Sequence[dict[str, Any]]) -> Table:
    """One row per line; names come from files and are shown as plain text."""
    table = Table(box=None, pad_edge=False)
    table.add_column("file", overflow="fold")
    table.add_column("policy", overflow="fold")
    for name in ("accuracy", "95 % interval", "tokens", "in sequence", "judge tokens"):
        table.add_column(name, justify="right")
    for line in lines:
        sequential = line["sequential_tokens"]
        table.add_row(
            Text(line["file"]),
            Text(line["policy"]),
            f"{line['accuracy']:.1%}",
            f"{line['accuracy_low']:.1%} to {line['accuracy_high']:.1%}",
            f"{line['tokens_per_question']:,.0f}",
            "" if sequential is None else f"{sequential:,.0f}",
            f"{line['judge_tokens_per_question']:,.0f}",
        )
    return table
