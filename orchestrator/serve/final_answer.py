"""The text that a client gets: what the winning trace says after its thinking, whole and readable."""

from typing import NamedTuple

from orchestrator.report.result import Result, TraceResult
from orchestrator.settings import ModelSettings

__all__ = ["FinalAnswer", "final_answer", "winner"]

_THINKING_OPEN, _THINKING_CLOSE = "<think>", "</think>"  # of a model without a preset


class FinalAnswer(NamedTuple):
    """The end of a trace.

    Attributes:
        reasoning: what comes before the answer; empty for a model that does not think apart.
        content: the answer's text, up to a stop text or the limit.
        finish_reason: "stop", or "length" where the limit cut it.
        reasoning_fraction: the fraction of the trace's text that is reasoning, 0..1.
    """

    reasoning: str
    content: str
    finish_reason: str
    reasoning_fraction: float


def winner(result: Result) -> TraceResult | None:
    """The shortest trace that finished with the winning answer; None without an answer."""
    votes = [
        trace
        for trace in result.traces
        if trace.fate == "finished" and trace.answer is not None and trace.answer == result.answer
    ]
    return min(votes, key=lambda trace: (trace.tokens, trace.number), default=None)


def final_answer(
    trace: TraceResult,
    *,
    stops: tuple[str, ...] = (),
    limit: int | None = None,
    model: ModelSettings | None = None,
) -> FinalAnswer:
    """The final answer of a trace; `stops` and `limit` (tokens) hold for it and not for the thinking before.

    The tokens of the answer are taken in proportion to its characters. `model` says how thinking is marked.
    """
    opens = (model and model.thinking_open) or _THINKING_OPEN
    closes = (model and model.thinking_close) or _THINKING_CLOSE
    before, mark, after = trace.text.rpartition(closes.strip())
    reasoning, content = (before, after) if mark else ("", trace.text)
    reasoning = reasoning.strip().removeprefix(opens.strip()).strip()
    content = content.strip()
    fraction = 1.0 - len(after) / len(trace.text) if mark else 0.0
    ends = [at for stop in stops if (at := content.find(stop)) >= 0]
    if ends:
        content = content[: min(ends)].rstrip()
    reason = "stop"
    tokens_per_character = trace.tokens / max(1, len(trace.text))
    if limit is not None and len(content) * tokens_per_character > limit:
        content = content[: int(limit / tokens_per_character)]
        reason = "length"
    return FinalAnswer(reasoning, content, reason, fraction)
