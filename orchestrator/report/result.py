"""The result of one question for programs: the report with types, and the texts of the traces."""

from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.report.ledger import JudgeBill, ReasonerBill
from orchestrator.report.report import Report, VoteLine, build_report, to_json_line
from orchestrator.report.trace_view import Ending, TraceView
from orchestrator.report.view import RunView

__all__ = ["Result", "TraceResult", "Usage"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceResult:
    """One trace that was started.

    Attributes:
        number: counted from 0 in the order in which the traces were planned.
        text: all text received, up to the end or to where it was stopped.
        answer: the class of equal answers that it voted for; None without an answer.
        tokens: generated tokens.
        fate: how it ended.
        finish_reason: the server's word for how the model ended the trace; None if it was stopped or failed.
        reason: why it was stopped, or what failed.
    """

    number: int
    text: str = field(repr=False)
    answer: str | None
    tokens: int
    fate: Ending
    finish_reason: str | None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """The bills of the reasoner and of the judge, in tokens."""

    reasoner: ReasonerBill
    judge: JudgeBill


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a question was answered, and what that has cost.

    Attributes:
        question_id: the id of the question.
        question: its text.
        answer: what the vote decided; None with fewer votes than `min_ballots`.
        correct: whether the answer equals the gold answer; None without one.
        votes: the classes of equal answers, the winner first.
        traces: the traces that were started.
        usage: the bills of the reasoner and the judge.
        saved: the fraction of the tokens of a plain vote over all planned traces that was not generated; None if unknown.
        net_saved: the same after the judge's bill, by the prices in the settings.
        report: the whole report (schema 1).
        run_dir: the folder that holds the journal and the report; None if nothing was written.
    """

    question_id: str
    question: str
    answer: str | None
    correct: bool | None
    votes: tuple[VoteLine, ...]
    traces: tuple[TraceResult, ...] = field(repr=False)
    usage: Usage = field(repr=False)
    saved: float | None
    net_saved: float | None
    report: Report = field(repr=False)
    run_dir: Path | None

    @classmethod
    def of(cls, view: RunView, run_dir: Path | None) -> "Result":
        """The result of a run that is over.

        Raises:
            JournalError: the run has not started.
        """
        report = build_report(view, run_dir=None if run_dir is None else str(run_dir))
        return cls(
            question_id=report.question_id,
            question=view.question,
            answer=report.answer,
            correct=report.correct,
            votes=tuple(report.votes),
            traces=tuple(_trace(trace, trace.fate) for trace in view.traces.values() if trace.fate),
            usage=Usage(reasoner=report.ledger.reasoner, judge=report.ledger.judge),
            saved=report.saved,
            net_saved=report.net_saved,
            report=report,
            run_dir=run_dir,
        )

    def to_json(self) -> str:
        """The report as one line of JSON, as `--json` prints it."""
        return to_json_line(self.report)


def _trace(trace: TraceView, fate: Ending) -> TraceResult:
    return TraceResult(
        number=trace.trace,
        text=trace.text,
        answer=trace.answer,
        tokens=trace.tokens,
        fate=fate,
        finish_reason=trace.finish_reason,
        reason=trace.reason,
    )
