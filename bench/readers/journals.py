"""Our own runs: the finished traces of every question in a run's folder.

The rule: a question counts only if nothing was cut. A trace that was pruned or stopped has no known end, and a
replay that left it out would show short traces only.
"""

from pathlib import Path

from bench.recorded import RecordedQuestion, RecordedTrace
from bench.traces import journals_of
from orchestrator.errors import DatasetError
from orchestrator.journal import read_journal
from orchestrator.view import RunView

__all__ = ["read_run"]


def read_run(run_dir: Path) -> list[RecordedQuestion]:
    """The questions of a run in which every trace ran to its end (`--policy consensus`).

    Raises:
        DatasetError: there is no journal, a question is unfinished or ungraded, or traces were cut.
    """
    return [_read_question(journal) for journal in journals_of(run_dir)]


def _read_question(journal: Path) -> RecordedQuestion:
    view = RunView()
    for entry in read_journal(journal):
        view.apply(entry)
    if view.run is None or view.run.gold is None or view.finished is None:
        raise DatasetError(f"{journal} is unfinished or has no gold answer; finish the run first.")
    whole = [trace for trace in view.traces.values() if trace.ending == "finished"]
    cut = [trace for trace in view.traces.values() if trace.ending in ("pruned", "stopped")]
    if cut or not whole:
        raise DatasetError(
            f"{journal} has {len(cut)} traces that were cut; record whole ones with --policy consensus."
        )
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
            )
            for trace in whole
        ),
    )
