"""The table of the pairs that a judge is asked at scale."""

from collections.abc import Sequence
from pathlib import PurePath

from rich.table import Table
from rich.text import Text

from bench.analysis.judge_scale import ScaleLine
from orchestrator.terminal.sanitize import sanitize

__all__ = ["scale_table"]


def scale_table(lines: Sequence[ScaleLine]) -> Table:
    """One row per file, AUROC and way to match; pairs are per question, factors those of the exhaustive rule's pairs."""
    table = Table(box=None, pad_edge=False)
    for name in ("file", "AUROC", "match"):
        table.add_column(name, overflow="fold")
    for name in (
        "exhaustive",
        "least",
        "asked",
        "fewer",
        "requests",
        "clusters",
        "moved",
        "accuracy",
        "tokens",
        "ms/trace",
    ):
        table.add_column(name, justify="right", no_wrap=True)
    for line in lines:
        each = line.questions
        table.add_row(
            Text(sanitize(PurePath(line.file).name)),
            str(line.auroc),
            line.match,
            f"{line.exhaustive / each:,.0f}",
            f"{line.least / each:,.0f}",
            f"{line.asked / each:,.0f}",
            f"{line.exhaustive / max(1, line.asked):.1f}x",
            f"{line.requests / each:,.0f}",
            f"{line.clusters:.1f}",
            f"{100 * line.moved:.0f} %",
            f"{100 * line.accuracy:.1f}",
            f"{line.tokens / 1000:,.0f} k",
            f"{line.cpu_ms_per_trace:.2f}",
        )
    return table
