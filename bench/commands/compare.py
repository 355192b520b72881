"""Compare policies from kept outcomes: tables, Pareto plots, and each policy against the vote of equal cost.

deepprune-bench compare sweeps/aime --out reports/aime
"""

import argparse
from pathlib import Path

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of this command."""
    parser.add_argument(
        "outcomes", type=Path, nargs="+", help="what --out of run or sweep has made"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument(
        "--judge-price",
        type=float,
        default=1.0,
        metavar="P",
        help="cost of a judge token in reasoner tokens: judge parameters / reasoner parameters",
    )


def run(arguments: argparse.Namespace) -> None:
    """Writes table.md, table.csv, table.json, pareto-N.png, pareto-N.svg and page.html; prints the table."""
    from bench.comparison import compare_policies
    from bench.outcomes import read_outcomes
    from bench.page import build_page
    from bench.plots import draw_pareto
    from bench.signatures import findings
    from bench.written import as_csv, as_json, as_markdown
    from orchestrator.errors import ConfigError
    from orchestrator.journal import write_run_file

    outcomes = [outcome for path in arguments.outcomes for outcome in read_outcomes(path)]
    rows = compare_policies(outcomes, judge_price=arguments.judge_price)
    found = findings(rows)
    try:
        arguments.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"{arguments.out} cannot be made ({error}); give another --out."
        ) from error
    write_run_file(arguments.out, "table.md", as_markdown(rows, found))
    write_run_file(arguments.out, "table.csv", as_csv(rows))
    write_run_file(arguments.out, "table.json", as_json(rows, found))
    write_run_file(arguments.out, "page.html", build_page(rows, found))
    for number, file in enumerate(dict.fromkeys(row.file for row in rows), start=1):
        for ending in ("png", "svg"):
            own = [row for row in rows if row.file == file]
            draw_pareto(own, arguments.out / f"pareto-{number}.{ending}")
    print(as_markdown(rows, found), end="")
