"""Small recordings for the benchmark's tests: lengths and answers, written out by hand."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.data.recorded import RecordedQuestion, RecordedTrace
from bench.replay.judges import Judge
from bench.replay.player import ReplayInputs, ReplayResult, Sink, play
from bench.replay.prefixes import Prefix
from bench.replay.server import ServerModel
from orchestrator.core.events import (
    Event,
    RunFinished,
    RunStarted,
    TokensArrived,
    TraceFinished,
    TraceStopped,
)
from orchestrator.journal.journal import JournalWriter
from orchestrator.settings import Settings
from tests.support.capabilities import capabilities

__all__ = ["INSTANT", "Perfect", "played", "probe_matrix", "probed", "record_run", "recorded"]

INSTANT = ServerModel(
    first_token_seconds=0.0, step_seconds=1.0, step_seconds_per_stream=0.0, judge_seconds=0.0
)
"""One second per token: seconds, steps and tokens are the same figure."""


class Perfect:
    """A judge that sees the answers."""

    def __init__(self, traces: Sequence[RecordedTrace]) -> None:
        self._traces = traces

    def verdicts(self, trace: int, members: Sequence[int]) -> tuple[float, ...]:
        """1.0 for equal answers, else 0.0."""
        answer = self._traces[trace].answer
        return tuple(float(answer == self._traces[member].answer) for member in members)


def recorded(
    *traces: tuple[int, str | None] | tuple[int, str | None, str | tuple[float, ...]],
    correct: Sequence[str] = ("1",),
    question: str = "What is 1?",
    probe_tokens: int | None = None,
) -> RecordedQuestion:
    """A question of `(tokens, answer)` pairs; text may follow as a third part, or the tokens' confidences."""
    return RecordedQuestion(
        id="q",
        question=question,
        correct=frozenset(correct),
        traces=tuple(
            RecordedTrace(
                tokens=tokens,
                answer=answer,
                text=more[0] if more and isinstance(more[0], str) else None,
                confidences=more[0] if more and isinstance(more[0], tuple) else None,
            )
            for tokens, answer, *more in traces
        ),
        probe_tokens=probe_tokens,
    )


def probed(
    *traces: tuple[int, str | None, Sequence[str]], probe_tokens: int | None
) -> RecordedQuestion:
    """A question of `(tokens, answer, probed answers)`."""
    return RecordedQuestion(
        id="q",
        question="?",
        correct=frozenset({"1"}),
        traces=tuple(
            RecordedTrace(tokens=tokens, answer=answer, probes=tuple(probes))
            for tokens, answer, probes in traces
        ),
        probe_tokens=probe_tokens,
    )


def played(
    question: RecordedQuestion,
    *,
    server: ServerModel = INSTANT,
    judge: Judge | None = None,
    checkpoints: Sequence[Prefix | None] | None = None,
    sink: Sink | None = None,
    report_every: int | None = None,
    **policy: Any,
) -> ReplayResult:
    """The question's traces, in the order given, under the policy `name=...`."""
    settings = Settings.model_validate({"policy": {"traces": len(question.traces), **policy}})
    inputs = ReplayInputs(
        question=question,
        traces=question.traces,
        checkpoints=checkpoints or [None] * len(question.traces),
        judge=judge or Perfect(question.traces),
        report_every=report_every,
    )
    return play(inputs, settings, server, sink=sink)


def probe_matrix(
    path: Path, *questions: tuple[str, Sequence[tuple[Sequence[str], int, str | int]]]
) -> Path:
    """A probe matrix file of `(gold, [(probes, tokens, final), ...])`."""
    rows = [
        {
            "question": f"Question {i}?",
            "gold_answer": gold,
            "probe_freq": 500,
            "each_branch": list(map(list, branches)),
        }
        for i, (gold, branches) in enumerate(questions)
    ]
    path.write_text(json.dumps(rows), encoding="utf-8")
    return path


def record_run(
    folder: Path,
    question_id: str,
    answers: Sequence[str | None],
    *,
    gold: str = "4",
    finish: bool = True,
    confidences: tuple[float, ...] = (),
) -> None:
    """A recorded question whose traces gave `answers` ("stopped" for one that was cut)."""
    folder.mkdir(parents=True)
    started = RunStarted(
        at=0.0,
        question_id=question_id,
        question="2+2?",
        gold=gold,
        planned=len(answers),
        settings=Settings(),
        capabilities=capabilities(),
    )
    with JournalWriter.create(folder) as journal:
        journal.write(started)
        for trace, answer in enumerate(answers):
            journal.write(
                TokensArrived(
                    at=1.0, trace=trace, text=f"so {answer}", tokens=10, confidences=confidences
                )
            )
            if answer == "stopped":
                event: Event = TraceStopped(at=2.0, trace=trace, reason="pruned", tokens=10)
            else:
                event = TraceFinished(
                    at=2.0 + trace,
                    trace=trace,
                    answer=answer,
                    raw_answer=answer,
                    finish_reason="stop",
                    tokens=10 + trace,
                )
            journal.write(event)
        if finish:
            journal.write(
                RunFinished(
                    at=9.0,
                    correct_answers=("4",),
                    server_generated_tokens=None,
                    interrupted=False,
                )
            )
