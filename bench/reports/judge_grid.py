"""The table of the best policy by the judge's AUROC and the price of its tokens."""

from collections.abc import Sequence
from pathlib import PurePath

from rich.table import Table
from rich.text import Text

from bench.analysis.judge_grid import GridCell
from orchestrator.terminal.sanitize import sanitize

__all__ = ["grid_table"]


def grid_table(cells: Sequence[GridCell]) -> Table:
    """One row per AUROC and one column per price, of one file: the policy, and points above the vote of equal cost."""
    prices = list(dict.fromkeys(cell.price for cell in cells))
    table = Table(title=Text(sanitize(PurePath(cells[0].file).name)), box=None, pad_edge=False)
    table.add_column("AUROC", no_wrap=True)
    for price in prices:
        table.add_column(f"price {price:g}", overflow="fold")
    for auroc in dict.fromkeys(cell.auroc for cell in cells):
        row = {cell.price: cell for cell in cells if cell.auroc == auroc}
        table.add_row(auroc, *(_text(row[price]) for price in prices))
    return table


def _text(cell: GridCell) -> Text:
    if cell.policy is None or cell.difference is None:
        return Text("none can be compared")
    low, high = 100 * (cell.difference_low or 0.0), 100 * (cell.difference_high or 0.0)
    return Text(f"{sanitize(cell.policy)} {100 * cell.difference:+.1f} ({low:+.1f} to {high:+.1f})")
