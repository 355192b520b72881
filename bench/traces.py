"""The finished traces of recorded runs as a traces file: `python -m bench.traces RUN [RUN ...] --out FILE`.

One JSON object a line, in the form that `judge_server` and `nano.measure` read.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from orchestrator.errors import DatasetError, DeepPruneError
from orchestrator.journal import JOURNAL_FILE, read_journal
from orchestrator.view import RunView

__all__ = ["finished_traces", "journals_of"]


def journals_of(run_dir: Path) -> list[Path]:
    """The journals of a run's folder: its subfolders' (several questions), or its own.

    Raises:
        DatasetError: there is none.
    """
    journals = sorted(run_dir.glob(f"*/{JOURNAL_FILE}")) or list(run_dir.glob(JOURNAL_FILE))
    if not journals:
        raise DatasetError(f"{run_dir} holds no journal; give the folder of a run.")
    return journals


def finished_traces(journal: Path) -> Iterator[dict[str, Any]]:
    """One row per finished trace of a question, in order of their numbers."""
    view = RunView()
    for entry in read_journal(journal):
        view.apply(entry)
    if view.run is None:
        return
    for number, trace in sorted(view.traces.items()):
        if trace.ending == "finished":
            yield {
                "question_id": view.run.question_id,
                "question": view.run.question,
                "gold": view.run.gold,
                "model": view.run.capabilities["model"],
                "run": journal.parent.name,
                "trace": number,
                "text": trace.text,
                "answer": trace.answer,
                "finish_reason": trace.finish_reason,
                "tokens": trace.tokens,
                **({"confidences": trace.confidences.tolist()} if trace.confidences else {}),
            }


def main(argv: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m bench.traces", description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folders of runs")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args(argv)
    try:
        journals = [journal for run in arguments.runs for journal in journals_of(run)]
        with arguments.out.open("w", encoding="utf-8") as file:
            for journal in journals:
                for row in finished_traces(journal):
                    file.write(json.dumps(row) + "\n")
    except DeepPruneError as error:
        print(f"traces: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
