"""Compare policies from outcomes on disk: tables, Pareto plots, and each policy against the vote of equal cost.

deepprune-bench compare sweeps/aime --out reports/aime
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.cli.argtypes import non_negative

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from bench.reports.render import Comparison

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of this command."""
    parser.add_argument(
        "outcomes", type=Path, nargs="+", help="files or folders that --out of run or sweep wrote"
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder of the pages and pictures"
    )
    parser.add_argument(
        "--judge-price",
        type=non_negative,
        default=1.0,
        metavar="P",
        help="cost of a judge token in reasoner tokens: judge parameters / reasoner parameters",
    )


def run(arguments: argparse.Namespace) -> None:
    """Writes table.md, table.csv, table.json, page.html and pictures (PNG, SVG); prints the table."""
    from bench.reports.html import build_page
    from bench.reports.render import as_csv, as_json, as_markdown, build_comparison
    from bench.results.outcomes import read_outcomes
    from orchestrator.errors import ConfigError
    from orchestrator.journal.run_dir import write_run_file

    outcomes = [outcome for path in arguments.outcomes for outcome in read_outcomes(path)]
    comparison = build_comparison(outcomes, judge_price=arguments.judge_price)
    try:
        arguments.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"Cannot make the folder {arguments.out} ({error}); give another --out."
        ) from error
    markdown = as_markdown(comparison)
    write_run_file(arguments.out, "table.md", markdown)
    write_run_file(arguments.out, "table.csv", as_csv(comparison.rows))
    write_run_file(arguments.out, "table.json", as_json(comparison))
    write_run_file(arguments.out, "page.html", build_page(comparison))
    for name, figure in _pictures(comparison):
        for ending in ("png", "svg"):
            metadata = {"Date": None} if ending == "svg" else None
            figure.savefig(arguments.out / f"{name}.{ending}", dpi=120, metadata=metadata)
    print(markdown, end="")


def _pictures(comparison: "Comparison") -> "Iterator[tuple[str, Figure]]":
    """The pictures by name; recordings and swept settings are numbered in the order of the table."""
    from bench.reports.plots import draw_differences, draw_distributions, draw_pareto, draw_series

    files = dict.fromkeys(row.file for row in comparison.rows)
    for number, file in enumerate(files, start=1):
        rows = [row for row in comparison.rows if row.file == file]
        yield f"pareto-{number}", draw_pareto(rows)
        if any(row.difference is not None for row in rows):
            yield f"difference-{number}", draw_differences(rows)
        found = [each for each in comparison.distributions if each.file == file]
        if found:
            yield f"distributions-{number}", draw_distributions(found)
    for number, series in enumerate(comparison.series, start=1):
        yield f"sweep-{number}", draw_series(series)
