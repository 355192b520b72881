"""Where a recorded trace reaches its checkpoint: the prefix of its text that ends there, and its tokens."""

from typing import NamedTuple

from bench.data.recorded import RecordedTrace
from orchestrator.core.segment import Segmenter
from orchestrator.settings import CheckpointSettings

__all__ = ["Prefix", "checkpoint_prefix"]


class Prefix(NamedTuple):
    """All that a trace has written by its checkpoint; `tokens` counts it."""

    text: str
    tokens: int


def checkpoint_prefix(trace: RecordedTrace, settings: CheckpointSettings) -> Prefix | None:
    """The prefix at whose end the segmenter cuts, or None where the trace ends before.

    Tokens within a text are taken to be equally long. A trace without text can be cut at tokens only.
    """
    if settings.unit == "tokens":
        if trace.tokens <= settings.tokens:
            return None
        share = settings.tokens / trace.tokens
        text = trace.text or ""
        return Prefix(text[: round(len(text) * share)], settings.tokens)
    text = trace.text or ""
    segmenter = Segmenter(words=settings.words, word_list=settings.word_list)
    cut = segmenter.feed(text, trace.tokens)
    if cut is None:
        return None
    shown = cut.chars + 1  # the character after the last word shows that the word has ended
    tokens = max(1, round(trace.tokens * shown / len(text)))
    return Prefix(text[:shown], tokens) if tokens < trace.tokens else None
