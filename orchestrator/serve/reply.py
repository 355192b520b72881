"""Replies in the form of OpenAI's API, with the exact bill of all traces, and the field `deepprune` beside it."""

import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from orchestrator.report.report import Report
from orchestrator.report.result import Result
from orchestrator.serve.final_answer import FinalAnswer, final_answer, winner
from orchestrator.serve.request import VoteRequest
from orchestrator.serve.run_pages import RUNS_PATH
from orchestrator.settings import ModelSettings

__all__ = [
    "Choice",
    "chat_completion",
    "choice_of",
    "chunk",
    "details",
    "headers",
    "text_completion",
    "usage",
]


class Choice(NamedTuple):
    """One independent run of the question."""

    result: Result
    answer: FinalAnswer


def choice_of(result: Result, request: VoteRequest, model: ModelSettings) -> Choice:
    """The reply of one run, whose model marks its thinking; without an answer its text says so in a sentence."""
    trace = winner(result)
    if trace is None:
        return Choice(result, FinalAnswer("", _no_answer(result.report), "stop", 0.0))
    return Choice(
        result, final_answer(trace, stops=request.stops, limit=request.limit, model=model)
    )


def _no_answer(report: Report) -> str:
    counts = report.traces
    return (
        f"No answer: of {counts.started} traces {counts.finished} finished, "
        f"and too few of them had an answer that can be read."
    )


def usage(choices: Sequence[Choice]) -> dict[str, Any]:
    """What was really generated and read by the reasoner for all traces of all choices; the judge's part beside."""
    bills = [choice.result.usage for choice in choices]
    prompt = sum(bill.reasoner.prompt_tokens for bill in bills)
    completion = sum(bill.reasoner.generated_tokens for bill in bills)
    cached = sum(bill.reasoner.cached_prompt_tokens for bill in bills)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": cached},
        "completion_tokens_details": {
            "reasoning_tokens": completion - sum(_answer_tokens(choice) for choice in choices)
        },
        "judge": {
            "prompt_tokens": sum(bill.judge.prompt_tokens for bill in bills),
            "completion_tokens": sum(bill.judge.completion_tokens for bill in bills),
        },
    }


def _answer_tokens(choice: Choice) -> int:
    """Tokens of the winning trace behind its thinking; the others are all reasoning."""
    trace = winner(choice.result)
    return 0 if trace is None else round(trace.tokens * (1.0 - choice.answer.reasoning_fraction))


def details(choice: Choice, run_id: str, notes: Sequence[str]) -> dict[str, Any]:
    """The field `deepprune` of a choice."""
    report = choice.result.report
    kept = choice.result.run_dir is not None
    return {
        "answer": report.answer,
        "votes": [
            {"answer": v.answer, "ballots": v.ballots, "weight": v.weight} for v in report.votes
        ],
        "margin": _margin(report),
        "policy": report.policy,
        "traces": {name: getattr(report.traces, name) for name in report.traces.__struct_fields__},
        "tokens": {
            name: getattr(report.ledger.reasoner.by_fate, name)
            for name in report.ledger.reasoner.by_fate.__struct_fields__
        },
        "source": report.ledger.reasoner.source,
        "saved": report.saved,
        "net_saved": report.net_saved,
        "seconds": report.seconds,
        "interrupted": report.interrupted,
        "run_id": run_id,
        "run_page": f"{RUNS_PATH}/{run_id}" if kept else None,
        "notes": list(notes),
    }


def _margin(report: Report) -> float | None:
    """By how much of the weight the answer leads the next one, 0..1; None without votes."""
    weights = sorted((vote.weight for vote in report.votes), reverse=True)
    total = sum(weights)
    if not total:
        return None
    second = weights[1] if len(weights) > 1 else 0.0
    return round((weights[0] - second) / total, 4)


def headers(found: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The facts of the first choice as headers; no text of a model is among them."""
    first = found[0]
    facts = {
        "Policy": first["policy"],
        "Votes": sum(vote["ballots"] for vote in first["votes"]),
        "Margin": first["margin"],
        "Saved": first["saved"],
        "Net-Saved": first["net_saved"],
        "Run-Id": first["run_id"],
    }
    return {f"X-DeepPrune-{name}": str(value) for name, value in facts.items() if value is not None}


def chat_completion(
    reply_id: str,
    model: str,
    choices: Sequence[Choice],
    found: Sequence[Mapping[str, Any]],
    *,
    reasoning: bool,
) -> dict[str, Any]:
    """The body of a chat reply; `deepprune` has the facts of the first choice, and those of all if there are several."""
    return {
        "id": reply_id,
        "object": "chat.completion",
        "created": int(time.time()),
        "model": model,
        "choices": [
            {
                "index": index,
                "message": {
                    "role": "assistant",
                    "content": choice.answer.content,
                    **_reasoning(choice.answer.reasoning if reasoning else ""),
                },
                "logprobs": None,
                "finish_reason": choice.answer.finish_reason,
            }
            for index, choice in enumerate(choices)
        ],
        "usage": usage(choices),
        "deepprune": _field(found),
    }


def text_completion(
    reply_id: str, model: str, choices: Sequence[Choice], found: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """The body of a reply to `POST /v1/completions`."""
    return {
        "id": reply_id,
        "object": "text_completion",
        "created": int(time.time()),
        "model": model,
        "choices": [
            {
                "index": index,
                "text": choice.answer.content,
                "logprobs": None,
                "finish_reason": choice.answer.finish_reason,
            }
            for index, choice in enumerate(choices)
        ],
        "usage": usage(choices),
        "deepprune": _field(found),
    }


def _field(found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return dict(found[0]) if len(found) == 1 else {**found[0], "choices": list(found)}


def _reasoning(text: str) -> dict[str, str]:
    """Reasoning under both names that clients read."""
    return {"reasoning_content": text, "reasoning": text} if text else {}


def chunk(
    reply_id: str,
    model: str,
    created: int,
    *,
    index: int = 0,
    role: str | None = None,
    content: str | None = None,
    reasoning: str = "",
    finish_reason: str | None = None,
    chat: bool = True,
) -> dict[str, Any]:
    """One event of a streamed reply."""
    choice: dict[str, Any] = {"index": index, "logprobs": None, "finish_reason": finish_reason}
    if chat:
        delta: dict[str, Any] = _reasoning(reasoning)
        if role is not None:
            delta["role"] = role
        if content is not None:
            delta["content"] = content
        choice["delta"] = delta
    else:
        choice["text"] = content or ""
    return {
        "id": reply_id,
        "object": "chat.completion.chunk" if chat else "text_completion",
        "created": created,
        "model": model,
        "choices": [choice],
    }
