"""Lines of policies as a table for people.

Runs side by side as a Markdown table: `python -m bench.reports.tables NAME=RUN ...` reads each run's summary.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from orchestrator.errors import DatasetError, DeepPruneError
from orchestrator.session.output import SUMMARY_FILE

__all__ = [
    "row",
    "text_table",
]


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


HEAD = (
    "| run | questions | accuracy | 95 % interval | tokens/question | judge calls | pairs | "
    "judge tokens computed + cached | saved | net saved | equal-cost vote |\n" + "|---" * 11 + "|"
)


def row(name: str, summary: dict[str, Any]) -> str:
    """One run's line; token counts are per question."""
    ledger, count = summary["ledger"], summary["questions"]
    judge = ledger["judge"]
    computed = judge["prompt_tokens"] - judge["cached_prompt_tokens"] + judge["completion_tokens"]
    cells = [
        name,
        str(count),
        f"{summary['accuracy']:.3f}",
        f"{summary['accuracy_low']:.3f} to {summary['accuracy_high']:.3f}",
        f"{ledger['reasoner']['generated_tokens'] / count:,.0f}",
        f"{judge['calls'] / count:,.1f}",
        f"{judge['pairs'] / count:,.1f}",
        f"{computed / count:,.0f} + {judge['cached_prompt_tokens'] / count:,.0f}",
        f"{summary['saved']:.1%}",
        f"{summary['net_saved']:.1%}",
        f"{ledger['equal_cost_votes']:.1f}",
    ]
    return "| " + " | ".join(cells) + " |"


def main(argv: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m bench.reports.tables", description=__doc__)
    parser.add_argument("runs", nargs="+", metavar="NAME=RUN", help="a name and a run's folder")
    arguments = parser.parse_args(argv)
    try:
        rows = [_read_row(text) for text in arguments.runs]
    except DeepPruneError as error:
        print(f"table: {error}", file=sys.stderr)
        return error.exit_code
    print(HEAD, *rows, sep="\n")
    return 0


def _read_row(text: str) -> str:
    name, _, folder = text.partition("=")
    path = Path(folder) / SUMMARY_FILE
    try:
        summary = json.loads(path.read_text(encoding="utf-8"))["summary"]
    except (OSError, ValueError) as error:
        raise DatasetError(
            f"{path} cannot be read ({error}); give NAME=RUN, a finished run."
        ) from error
    if summary["accuracy"] is None:
        raise DatasetError(f"{path} has no accuracy; give the questions their answers.")
    return row(name, summary)


if __name__ == "__main__":
    sys.exit(main())
