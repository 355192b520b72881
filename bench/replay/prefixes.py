"""The prefix of a recorded trace that ends at its checkpoint."""

from typing import NamedTuple

from bench.data.recorded import RecordedTrace
from orchestrator.core.segment import Segmenter
from orchestrator.settings import CheckpointSettings

__all__ = ["Prefix", "checkpoint_prefix"]


class Prefix(NamedTuple):
    """What a trace has generated when it reaches its checkpoint; `tokens` is the length."""

    text: str
    tokens: int


def checkpoint_prefix(trace: RecordedTrace, settings: CheckpointSettings) -> Prefix | None:
    """The prefix at whose end the segmenter finds the checkpoint; None if the trace ends before.

    The tokens of a text are assumed to be equally long. Without a text the checkpoint can only be at tokens.
    """
    if settings.unit == "tokens":
        if trace.tokens <= settings.tokens:
            return None
        fraction = settings.tokens / trace.tokens
        text = trace.text or ""
        return Prefix(text[: round(len(text) * fraction)], settings.tokens)
    text = trace.text or ""
    segmenter = Segmenter(words=settings.words, word_list=settings.word_list)
    cut = segmenter.feed(text, trace.tokens)
    if cut is None:
        return None
    chars = cut.chars + 1  # the next character tells the segmenter that the word has ended
    tokens = max(1, round(trace.tokens * chars / len(text)))
    return Prefix(text[:chars], tokens) if tokens < trace.tokens else None
