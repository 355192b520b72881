"""Whole traces of the questions, recorded from the user's servers within a budget of tokens; resumable."""

import json
from collections.abc import Sequence
from pathlib import Path

from judge_server.check.bench import run_bench
from judge_server.check.request import CheckRequest
from judge_server.evaluation.scoring import say
from orchestrator.errors import ConfigError
from orchestrator.journal.run_dir import REPORT_FILE
from orchestrator.questions import Question, read_questions, to_jsonl

__all__ = ["record_traces"]

PILOT = 2
"""Questions that are recorded first, to tell the tokens of all others."""


def record_traces(request: CheckRequest) -> Path:
    """The folder of the recording; questions that it holds already are not asked again.

    With a budget only as many questions are recorded as it pays for, by the mean of those recorded so far.

    Raises:
        ConfigError: no questions, or a budget that the first questions have spent.
        DatasetError: the file of questions cannot be used.
        DeepPruneError: the recording failed.
    """
    if request.questions is None:
        raise ConfigError("There are no questions; give --questions FILE, or recorded --traces.")
    questions = read_questions(request.questions)
    folder = request.out / "recording"
    first = questions[:PILOT]
    say(
        f"Recording {request.traces} traces of {len(questions)} questions; {len(first)} questions first, to tell the "
        "tokens of all."
    )
    _record(request, first, folder)
    tokens = _tokens_of(folder)
    each = sum(tokens) / max(1, len(tokens))
    wanted = questions[: _affordable(request.budget, each, len(questions))]
    say(
        f"{each:,.0f} tokens a question: about {each * len(wanted):,.0f} for {len(wanted)} of {len(questions)} questions"
        f"{'' if request.budget is None else f', within the budget of {request.budget:,}'}."
    )
    _record(request, wanted, folder)
    say(f"Recorded {sum(_tokens_of(folder)):,} tokens in {folder}.")
    return folder / "consensus"


def _affordable(budget: int | None, each: float, questions: int) -> int:
    if budget is None:
        return questions
    if PILOT * each > budget:
        raise ConfigError(
            f"{PILOT} questions took {PILOT * each:,.0f} tokens, more than the budget; raise --budget, or lower "
            "--traces-per-question."
        )
    return min(questions, int(budget / each))


def _record(request: CheckRequest, questions: Sequence[Question], folder: Path) -> None:
    request.out.mkdir(parents=True, exist_ok=True)
    file = request.out / "questions.jsonl"
    file.write_text(to_jsonl(questions), encoding="utf-8")
    endpoints = (word for url in request.endpoints for word in ("--endpoint", url))
    run_bench(
        [
            "record",
            *endpoints,
            *("--questions", str(file), "--traces", str(request.traces), "--out", str(folder)),
            *request.record_flags,
        ]
    )


def _tokens_of(folder: Path) -> list[int]:
    """The generated tokens of every recorded question."""
    return [
        int(json.loads(report.read_bytes())["ledger"]["reasoner"]["generated_tokens"])
        for report in sorted(folder.glob(f"consensus/*/{REPORT_FILE}"))
    ]
