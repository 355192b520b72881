"""The table of what probes told."""

from collections.abc import Sequence

from rich.table import Table

from bench.analysis.probe_reliability import ProbeRow

__all__ = ["probe_table"]


def probe_table(rows: Sequence[ProbeRow]) -> Table:
    """A row for each part of the traces; see `ProbeRow`."""
    table = Table(box=None, pad_edge=False)
    table.add_column("written", no_wrap=True)
    for name in (
        "probes",
        "readable",
        "precision",
        "95 % interval",
        "leader's",
        "recall",
        "tokens",
        "cached",
    ):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        interval = ""
        if row.precision_low is not None and row.precision_high is not None:
            interval = f"{row.precision_low:.1%} to {row.precision_high:.1%}"
        table.add_row(
            row.part,
            f"{row.probes:,}",
            _percent(row.named),
            _percent(row.precision),
            interval,
            _percent(row.leader_precision),
            _percent(row.recall),
            "" if row.tokens_per_probe is None else f"{row.tokens_per_probe:.1f}",
            _percent(row.cached),
        )
    return table


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"
