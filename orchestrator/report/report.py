"""The result of one question, schema 1: its answer, its votes and traces, and the ledger. Others script against it.

The same events give the same bytes (`tests/orchestrator/report/test_report.py`). Every key is always present; what is
not known is null. Keys may be added, never renamed or removed. Fractions are 0..1, times are in seconds, counts are
tokens unless the name says otherwise.
"""

import json
from collections import Counter
from pathlib import Path
from typing import Literal

import msgspec

from orchestrator.core.events import WarningKind
from orchestrator.errors import JournalError
from orchestrator.report.alike import alike_sentence, alike_traces
from orchestrator.report.ledger import Ledger, is_spent_known, ledger_of
from orchestrator.report.pricing import spent_tokens
from orchestrator.report.replicas import ReplicaTotals
from orchestrator.report.savings import of_run
from orchestrator.report.trace_view import ClusterView
from orchestrator.report.unreadable import Unreadable, unreadable_of
from orchestrator.report.view import RunView

__all__ = [
    "ClusterLine",
    "ReplicaLine",
    "Report",
    "TraceCounts",
    "VoteLine",
    "WarningLine",
    "build_report",
    "notices",
    "read_report",
    "to_json_line",
    "undecided_sentence",
]


class VoteLine(msgspec.Struct, frozen=True, kw_only=True):
    """The ballots for one class of equal answers."""

    answer: str
    ballots: int
    weight: float


class TraceCounts(msgspec.Struct, frozen=True, kw_only=True):
    """How many traces ended in which way.

    `planned` = `started` + `not_started`, and `started` = `finished` + `pruned` + `stopped` + `failed`. No answer could
    be read from `unreadable` of the finished ones, of which `unreadable_cut` had reached their token limit. `alike` traces have
    the same text; it is 0 unless all do.
    """

    planned: int
    started: int
    finished: int
    pruned: int
    stopped: int
    failed: int
    not_started: int = 0
    unreadable: int = 0
    unreadable_cut: int = 0
    alike: int = 0


class ClusterLine(msgspec.Struct, frozen=True, kw_only=True):
    """One cluster; `answers` counts those of its finished members, most frequent first."""

    id: int
    size: int
    representative: int
    answers: dict[str, int]


class ReplicaLine(msgspec.Struct, frozen=True, kw_only=True):
    """One of the reasoner's servers: the traces that had a stream there, and the tokens generated there.

    `tokens_per_second` is null for a server without streams, and counts only the time in which it had one. `faults` are streams
    that broke or were refused there; `seconds_out` is the time in which it got no streams because of them.
    """

    endpoint: str
    traces: int
    tokens: int
    tokens_per_second: float | None
    faults: int
    seconds_out: float


class WarningLine(msgspec.Struct, frozen=True, kw_only=True):
    """Something odd: its kind, how many traces it is about, and the last message.

    "wait": a server was away or asked to wait. "usage": counts that contradict what was sent; they are not on the bill.
    "token_ids": ids were left out, so those traces were not continued. "limit": a server went beyond the token limit, and its
    streams were closed. "answers": comparisons of answers gave no verdict.
    """

    warning: WarningKind
    traces: int
    message: str


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The whole report. `interrupted` is also true for a journal that breaks off.

    `resumed` counts how often the run was killed and went on; what a server had generated but the journal had
    not received is on no bill. `undecided_comparisons` of answers gave no verdict and count as different.
    `unreadable_ending` is how one of the traces ends from which no answer could be read (untrusted text). `error` says why
    there is nothing to vote on: the server cannot take this question, or every trace failed (untrusted text). `failure` is why
    the last trace that failed did so (untrusted text).
    """

    schema: Literal[1]
    question_id: str
    answer: str | None
    correct: bool | None
    votes: list[VoteLine]
    policy: str
    traces: TraceCounts
    clusters: list[ClusterLine]
    ledger: Ledger
    saved: float | None
    net_saved: float | None
    seconds: float
    run_dir: str | None
    interrupted: bool
    resumed: int = 0
    warnings: list[WarningLine] = []
    replicas: list[ReplicaLine] = []
    undecided_comparisons: int = 0
    unreadable_ending: str | None = None
    error: str | None = None
    failure: str | None = None


def build_report(view: RunView, *, run_dir: str | None) -> Report:
    """The report of a run, finished or not.

    Raises:
        JournalError: the events do not begin with a `RunStarted`.
    """
    if view.run is None:
        raise JournalError("This journal holds no run: it broke off before its first line.")
    cost = of_run(view)
    unreadable = unreadable_of(view)
    without = cost.tokens if is_spent_known(view) else None
    return Report(
        schema=1,
        question_id=view.run.question_id,
        answer=view.answer,
        correct=_correct(view),
        votes=[VoteLine(answer=v.answer, ballots=v.count, weight=v.weight) for v in view.votes],
        policy=view.run.settings.policy.name,
        traces=_traces(view, unreadable),
        clusters=[_cluster(view.clusters[number]) for number in sorted(view.clusters)],
        ledger=ledger_of(view, view.run.capabilities.reasoner, cost),
        saved=_saved(view.generated_tokens, without),
        net_saved=_saved(spent_tokens(view), without),
        seconds=round(view.elapsed, 3),
        run_dir=run_dir,
        interrupted=view.interrupted or view.finished is None,
        resumed=view.resumed,
        error=_error(view),
        failure=_failure(view),
        warnings=[
            WarningLine(warning=kind, traces=len(totals.traces), message=totals.message)
            for kind, totals in sorted(view.warnings.items())
        ],
        replicas=[_replica(row, view.elapsed) for row in view.replicas.rows.values()],
        undecided_comparisons=view.undecided,
        unreadable_ending=unreadable.ending,
    )


def notices(report: Report) -> list[str]:
    """What a user should know about the quality of the answer, in sentences with untrusted text in them."""
    counts = report.traces
    unreadable = Unreadable(
        traces=counts.unreadable,
        cut=counts.unreadable_cut,
        finished=counts.finished,
        ending=report.unreadable_ending,
    )
    told = [" ".join(unreadable.sentences())] if counts.unreadable else []
    if report.failure is not None and report.error is None:
        told.append(
            f"{counts.failed:,} of {counts.started:,} traces failed; the last reason: {report.failure}"
        )
    if counts.alike:
        told.append(alike_sentence(counts.alike))
    told += [line.message for line in report.warnings]
    if report.undecided_comparisons:
        told.append(undecided_sentence(report.undecided_comparisons))
    return told


def undecided_sentence(comparisons: int) -> str:
    """Says how many comparisons of answers gave no verdict."""
    compared = "comparison" if comparisons == 1 else "comparisons"
    return f"{comparisons:,} {compared} of answers gave no verdict."


def read_report(path: Path) -> Report | None:
    """A report that was written to a file; None if there is no such file.

    Raises:
        JournalError: the file holds no report.
    """
    if not path.exists():
        return None
    if not path.is_file():  # a pipe or a device, which may never end
        raise JournalError(f"{path} is no file; restore the report or delete it.")
    try:
        return msgspec.json.decode(path.read_bytes(), type=Report)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise JournalError(
            f"{path} is not a report that this version can read ({error}); restore it or delete it."
        ) from error


def _error(view: RunView) -> str | None:
    """Why there is nothing to vote on: the server cannot take the question, or every trace failed."""
    if view.traces and all(trace.ending == "failed" for trace in view.traces.values()):
        return _failure(view)
    return None if view.run is None else view.run.refusal


def _failure(view: RunView) -> str | None:
    """Why the last trace that failed did so; None where none has."""
    failed = [trace for trace in view.traces.values() if trace.ending == "failed"]
    return max(failed, key=lambda trace: trace.ended_at or 0.0).reason if failed else None


def to_json_line(result: msgspec.Struct) -> str:
    """A report or summary as one line of ASCII, so that text of a model cannot reach the terminal raw."""
    return json.dumps(msgspec.to_builtins(result), ensure_ascii=True, allow_nan=False)


def _correct(view: RunView) -> bool | None:
    """Whether the vote equals the gold answer; None without a gold answer or before it was checked."""
    if view.run is None or view.run.gold is None or view.finished is None:
        return None
    return view.answer in view.finished.correct_answers


def _traces(view: RunView, unreadable: Unreadable) -> TraceCounts:
    fates = Counter(trace.fate for trace in view.traces.values())
    return TraceCounts(
        planned=view.planned,
        started=len(view.traces) - fates[None],
        finished=fates["finished"],
        pruned=fates["pruned"],
        stopped=fates["stopped"],
        failed=fates["failed"],
        not_started=fates[None],
        unreadable=unreadable.traces,
        unreadable_cut=unreadable.cut,
        alike=alike_traces(view),
    )


def _cluster(cluster: ClusterView) -> ClusterLine:
    answers = sorted(cluster.answers.items(), key=lambda item: (-item[1], item[0]))
    return ClusterLine(
        id=cluster.cluster,
        size=len(cluster.members),
        representative=cluster.representative,
        answers=dict(answers),
    )


def _replica(row: ReplicaTotals, now: float) -> ReplicaLine:
    pace = row.pace(now)
    return ReplicaLine(
        endpoint=row.endpoint,
        traces=len(row.traces),
        tokens=row.tokens,
        tokens_per_second=None if pace is None else round(pace, 1),
        faults=row.faults,
        seconds_out=round(row.seconds_out(now), 3),
    )


def _saved(spent: float, without: float | None) -> float | None:
    """The fraction of cons@N's tokens that was not spent; negative when more were."""
    return None if not without else round(1 - spent / without, 4)
