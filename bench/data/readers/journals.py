"""Journals of runs: the finished traces of every question in a run's folder.

A question is accepted only if none of its traces was pruned or stopped: such a trace has no known end, and leaving it
out would bias the recording towards short traces.
"""

from pathlib import Path

from bench.data.recorded import RecordedQuestion, RecordedTrace, Regeneration
from orchestrator.errors import DatasetError
from orchestrator.journal.archive import journal_at
from orchestrator.journal.journal import read_journal
from orchestrator.journal.run_dir import journal_folders
from orchestrator.report.view import RunView

__all__ = ["journals_of", "read_run"]


def journals_of(run_dir: Path) -> list[Path]:
    """The journals of a run's folder: one in each subfolder (hidden ones were set aside), or its own.

    Raises:
        DatasetError: there is none.
    """
    folders = journal_folders(run_dir, "[!.]*/") or journal_folders(run_dir, "")
    if not folders:
        raise DatasetError(f"{run_dir} has no journal; give the folder of a run.")
    return [journal_at(folder) for folder in folders]


def read_run(run_dir: Path) -> list[RecordedQuestion]:
    """The questions of a run in which every trace ran to its end (`--policy consensus`).

    Raises:
        DatasetError: there is no journal, a question is unfinished or ungraded, or traces were pruned or stopped.
    """
    return [_read_question(journal) for journal in journals_of(run_dir)]


def _read_question(journal: Path) -> RecordedQuestion:
    view = RunView.of(read_journal(journal))
    if view.run is None or view.run.gold is None or view.finished is None:
        raise DatasetError(f"{journal} is unfinished or has no gold answer; finish the run first.")
    whole = [trace for trace in view.traces.values() if trace.ending == "finished"]
    cut = [trace for trace in view.traces.values() if trace.ending in ("pruned", "stopped")]
    if cut or not whole:
        raise DatasetError(
            f"{journal} has {len(cut)} traces that were pruned or stopped; record whole ones with --policy consensus."
        )
    again = _regenerations(view)
    return RecordedQuestion(
        id=view.run.question_id,
        question=view.run.question,
        correct=frozenset(view.finished.correct_answers),
        traces=tuple(
            RecordedTrace(
                tokens=max(1, trace.tokens),
                answer=trace.answer,
                text=trace.text,
                confidences=tuple(trace.confidences) or None,
                reward=trace.reward,
                regeneration=again.get(trace.trace),
            )
            for trace in whole
        ),
    )


def _regenerations(view: RunView) -> dict[int, Regeneration]:
    """Those that ran to their end, by the trace that they belong to."""
    return {
        trace.of: Regeneration(tokens=max(1, trace.tokens), answer=trace.answer)
        for trace in view.regenerations.values()
        if trace.of is not None and trace.ending == "finished"
    }
