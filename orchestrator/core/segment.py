"""Where a trace's checkpoint lies: after the k-th reasoning word, or after k tokens.

The rule: the segment depends on the trace's text alone, never on how the stream was cut into chunks.
A word counts when it is whole (not inside a longer word, in any case) and something after it shows that
it has ended; so a word at the very end of the text so far waits for the next chunk.

Source: arXiv 2510.08483 truncates at the first 25 reasoning words ("wait", "thus", "since" are named; the
full list is not public, so it is a setting) or at 500 tokens.
"""

import functools
import re
from collections.abc import Iterable
from typing import NamedTuple

from orchestrator.settings import DEFAULT_REASONING_WORDS

__all__ = ["Cut", "Segmenter"]


class Cut(NamedTuple):
    """A fixed segment: the first `chars` characters of the trace hold `words` reasoning words."""

    chars: int
    words: int


class Segmenter:
    """Watches one trace's text arrive and tells, once, where its segment ends.

    With `words` the segment ends right after the `words`-th reasoning word. With `tokens` it ends with the
    first chunk by which at least that many tokens have arrived (a token boundary is known only there).
    """

    def __init__(
        self,
        *,
        words: int | None = None,
        tokens: int | None = None,
        word_list: Iterable[str] = DEFAULT_REASONING_WORDS,
    ) -> None:
        if (words is None) == (tokens is None):
            raise ValueError("give either words or tokens")
        self._words = words
        self._tokens = tokens
        self._pattern = _whole_words(frozenset(word_list))
        self._seen_words = 0
        self._seen_chars = 0
        self._tail = ""  # the last, perhaps unfinished, word with what stood before it
        self._cut: Cut | None = None

    @property
    def cut(self) -> Cut | None:
        """The segment, once it is fixed."""
        return self._cut

    def feed(self, text: str, tokens: int) -> Cut | None:
        """The cut if this chunk fixed it, else None. `tokens` is the trace's total including this chunk."""
        if self._cut is not None:
            return None
        self._count(text)
        if self._cut is None and self._tokens is not None and tokens >= self._tokens:
            self._cut = Cut(self._seen_chars, self._seen_words)
        return self._cut

    def finish(self) -> Cut:
        """The segment of a trace that has ended: where it was cut, else all of it."""
        if self._cut is None:
            self._count("\n")  # ends a word at the very end
            self._seen_chars -= 1
        if self._cut is None:
            self._cut = Cut(self._seen_chars, self._seen_words)
        return self._cut

    def _count(self, text: str) -> None:
        """Counts the reasoning words that are now known to have ended."""
        window = self._tail + text
        start = self._seen_chars - len(self._tail)
        self._seen_chars += len(text)
        settled = _settled_length(window)
        for match in self._pattern.finditer(window, 0, settled):
            self._seen_words += 1
            if self._seen_words == self._words:
                self._cut = Cut(start + match.end(), self._seen_words)
                return
        self._tail = window[settled:]


@functools.cache
def _whole_words(word_list: frozenset[str]) -> re.Pattern[str]:
    """Matches any of the words, whole and in any case; kept, because all traces of a run have the same."""
    words = sorted(word_list)
    if not words:
        raise ValueError("the list of reasoning words is empty")
    for word in words:
        if not re.fullmatch(r"\w+", word):
            raise ValueError(f"{word!r} is not a single word")
    return re.compile(r"(?<!\w)(?:" + "|".join(words) + r")(?!\w)", re.IGNORECASE)


def _settled_length(window: str) -> int:
    """How much of `window` no later text can change: all before its last run of word characters."""
    end = len(window)
    while end and (window[end - 1].isalnum() or window[end - 1] == "_"):
        end -= 1
    return end
