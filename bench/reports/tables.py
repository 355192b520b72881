"""Tables of measured policies for the terminal, and of whole runs as Markdown."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from bench.results.file_names import short_names
from orchestrator.errors import DatasetError
from orchestrator.journal.run_dir import SUMMARY_FILE
from orchestrator.terminal.document import markdown_text
from orchestrator.terminal.sanitize import sanitize

__all__ = ["policy_table", "run_table"]

_RUN_COLUMNS = (
    "run",
    "questions",
    "accuracy",
    "95 % interval",
    "tokens/question",
    "judge calls",
    "pairs",
    "judge tokens computed + cached",
    "saved",
    "net saved",
    "equal-cost vote",
)


def policy_table(lines: Sequence[Mapping[str, Any]]) -> Table:
    """One row per `policy_line`; names come from files and are shown as plain text."""
    table = Table(box=None, pad_edge=False)
    table.add_column("file", overflow="fold")
    table.add_column("policy", overflow="fold")
    for name in ("accuracy", "95 % interval", "tokens", "in sequence", "judge tokens"):
        table.add_column(name, justify="right")
    names = short_names(line["file"] for line in lines)
    for line in lines:
        sequential = line["sequential_tokens"]
        table.add_row(
            Text(sanitize(names[line["file"]])),
            Text(sanitize(line["policy"])),
            f"{line['accuracy']:.1%}",
            f"{line['accuracy_low']:.1%} to {line['accuracy_high']:.1%}",
            f"{line['tokens_per_question']:,.0f}",
            "" if sequential is None else f"{sequential:,.0f}",
            f"{line['judge_tokens_per_question']:,.0f}",
        )
    return table


def run_table(runs: Sequence[tuple[str, Path]]) -> str:
    """One Markdown row per name and folder of a finished run; token counts are per question.

    Raises:
        DatasetError: a folder has no summary, or its questions have no answers to be measured by.
    """
    rows = [_run_cells(name, _read_summary(folder)) for name, folder in runs]
    head = [_markdown_row(_RUN_COLUMNS), "|---" * len(_RUN_COLUMNS) + "|"]
    return "\n".join([*head, *map(_markdown_row, rows)])


def _read_summary(folder: Path) -> dict[str, Any]:
    path = folder / SUMMARY_FILE
    try:
        summary: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["summary"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DatasetError(
            f"Cannot read {path} ({error}); give the folder of a finished run as NAME=RUN."
        ) from error
    if summary["accuracy"] is None:
        raise DatasetError(f"{path} has no accuracy; run questions that have answers.")
    return summary


def _run_cells(name: str, summary: Mapping[str, Any]) -> list[str]:
    ledger, count = summary["ledger"], summary["questions"]
    judge = ledger["judge"]
    computed = judge["prompt_tokens"] - judge["cached_prompt_tokens"] + judge["completion_tokens"]
    return [
        markdown_text(name),
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


def _markdown_row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
