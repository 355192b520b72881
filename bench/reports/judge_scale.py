"""The table of the pairs that a judge is asked at scale."""

from collections.abc import Sequence
from pathlib import PurePath

from rich.table import Table
from rich.text import Text

from bench.analysis.judge_scale import ScaleLine
from orchestrator.terminal.sanitize import sanitize

__all__ = ["scale_table"]

_COLUMNS = ("asked", "fewer", "requests", "clusters", "moved", "right", "tokens", "ms/trace")


def scale_table(lines: Sequence[ScaleLine]) -> Table:
    """One row per way to match on one file with one judge; pairs are per question, factors those of the exhaustive rule's."""
    first = lines[0]
    table = Table(
        title=Text(
            f"{sanitize(PurePath(first.file).name)}, AUROC {first.auroc}, N = {first.traces}: the exhaustive rule asks "
            f"{first.exhaustive / first.questions:,.0f} pairs; at least {first.least / first.questions:,.0f} prove it"
        ),
        box=None,
        pad_edge=False,
    )
    table.add_column("match", no_wrap=True)
    for name in _COLUMNS:
        table.add_column(name, justify="right")
    for line in lines:
        table.add_row(
            line.match,
            f"{line.asked / line.questions:,.0f}",
            f"{line.exhaustive / max(1, line.asked):.1f}x",
            f"{line.requests / line.questions:,.0f}",
            f"{line.clusters:.1f}",
            f"{100 * line.moved:.0f} %",
            f"{100 * line.accuracy:.0f} %",
            f"{line.tokens / 1000:,.0f} k",
            f"{line.cpu_ms_per_trace:.2f}",
        )
    return table
