"""How many tokens a stream has generated, by what can be believed of it.

A server may send usage with every event, token ids, both, or neither. They are compared: what contradicts itself or the
ids is not believed, and a warning says so. Zeros are what some servers write before they know better.
"""

from typing import NamedTuple

from orchestrator.client.usage import Usage
from orchestrator.core.events import WarningKind

__all__ = ["StreamWarning", "TokenCounter"]

_MOST_HIDDEN = 64
"""Tokens beyond the ids that there may be for each event; more is no token count."""

_MOST_EVENTS_PER_TOKEN = 8


class StreamWarning(NamedTuple):
    """Something odd about a stream, as a sentence for the user."""

    kind: WarningKind
    message: str


class TokenCounter:
    """Counts the tokens of one stream.

    `has_ids`: token ids came. `ids_missing`: some tokens came without theirs, so the stream cannot be continued exactly.
    `is_continuous`: a credible usage came with every event that had text.
    """

    def __init__(self) -> None:
        self.generated = 0
        self.ids = 0
        self.ids_missing = False
        self.warnings: list[StreamWarning] = []
        self._usage = 0
        """The last credible count of the server."""
        self._believed = True
        self._texts_with_usage = 0
        self._texts_without_usage = 0
        self._since_usage = 0
        """Tokens by ids or by events with text, since the last credible usage."""
        self._counted = 0
        """The same since the start."""
        self._events = 0
        self._repeated = False
        self._without_ids = 0
        """Events that added tokens without ids."""

    @property
    def has_ids(self) -> bool:
        """Whether the server sends token ids."""
        return self.ids > 0

    @property
    def has_usage(self) -> bool:
        """Whether the server has counted the tokens, be it at the end alone."""
        return self._usage > 0 and self._believed

    @property
    def is_continuous(self) -> bool:
        """Whether each event with text had a usage that counts it."""
        return self._texts_with_usage > 0 and self._texts_without_usage == 0

    def repeats(self, *, ids: int, usage: Usage | None) -> bool:
        """Whether an event with so many ids is there for the second time: the exact count of its usage has not grown."""
        if not ids or usage is None or not self._believed or self.ids_missing:
            return False
        repeated = 0 < self.ids == self._usage == usage.completion
        if repeated and not self._repeated:
            self._repeated = True
            self.warnings.append(
                StreamWarning("usage", "The server sent an event twice; it is taken once.")
            )
        return repeated

    def add(self, *, has_text: bool, ids: int, usage: Usage | None, ended: bool) -> None:
        """Takes in one event; `ended` if it has a finish reason, behind which nothing is continued."""
        before = self._usage
        self._events += 1
        told = self._credible(usage)
        if has_text or ids:
            self._texts_with_usage += told is not None
            self._texts_without_usage += told is None
        new = ids or int(has_text)
        self._counted += new
        self._since_usage = 0 if told is not None else self._since_usage + new
        self.ids += ids
        if not ids and (has_text or (told or 0) > before) and not ended:
            self._without_ids += 1
        if self.has_ids and self._without_ids:
            self._miss_ids()
        if told is not None:
            self._compare(told, ended=ended)
        if self.has_ids and not self.ids_missing:
            self.generated = self.ids
        elif self._usage and self._believed:
            self.generated = self._usage + self._since_usage
        else:
            self.generated = max(self.generated, self._counted)

    def add_exact(self, total: int, *, events: int) -> bool:
        """Takes in events with token ids, each with a usage that agrees with all ids so far; then there are `total`.

        That is what nearly all events of vLLM are, so it is cheaper than `add`, which takes in all others: False says
        that these are others, and were not taken in.
        """
        if self._usage > total or not self._believed or self._without_ids or self.ids_missing:
            return False
        self._events += events
        self._texts_with_usage += events
        self._counted += total - self.ids
        self._usage = self.ids = self.generated = total
        self._since_usage = 0
        return True

    def is_beyond(self, limit: int, chars: int) -> bool:
        """Whether more than `limit` tokens were generated, as `chars` characters of text.

        Events are no tokens where a gateway sends the text character by character.
        """
        if self.has_ids or (self._usage and self._believed):
            return self.generated > limit
        if self._counted <= limit:
            return False
        return chars >= 2 * self._counted or self._counted > _MOST_EVENTS_PER_TOKEN * limit

    def _credible(self, usage: Usage | None) -> int | None:
        """What the usage says; None if it says nothing, zero, or what cannot be."""
        if usage is None or usage.completion_tokens is None or not self._believed:
            return None
        told = usage.completion
        if told is None or told < self._usage:
            self._doubt(f"{self._usage} tokens were followed by {_shown(usage.completion_tokens)}")
            return None
        if told:
            self._usage = told
        return told or None

    def _compare(self, told: int, *, ended: bool) -> None:
        """Compares a usage with the ids that came."""
        if not self.has_ids or told == self.ids:
            return
        if self.ids < told <= self.ids + _MOST_HIDDEN * self._events:
            self._miss_ids(ended=ended)  # some servers send no event at all for tokens without text
        elif not self.ids_missing:
            self._doubt(f"it counts {told} tokens and sent {self.ids}")

    def _miss_ids(self, *, ended: bool = False) -> None:
        """Nothing is said where the trace has ended, because nothing is continued."""
        warn = not (self.ids_missing or ended)
        self.ids_missing = True
        if warn:
            self.warnings.append(
                StreamWarning(
                    "token_ids",
                    "The server left out the ids of some tokens, so this trace cannot be paused or continued exactly.",
                )
            )

    def _doubt(self, reason: str) -> None:
        self._believed = False
        self.warnings.append(
            StreamWarning(
                "usage",
                f"The server's usage contradicts its stream ({reason}), so tokens are counted by "
                f"{'their ids' if self.has_ids else 'the events of the stream'}.",
            )
        )


def _shown(count: object) -> str:
    return f"{count}"[:20]
