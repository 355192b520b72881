"""What is known of one trace, and of a cluster of traces, at one moment of a run."""

from array import array
from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

from orchestrator.core.events import CheckpointReached, TraceProbed
from orchestrator.core.growing_text import GrowingText

__all__ = ["ClusterView", "Ending", "TraceState", "TraceView"]

Ending = Literal["finished", "pruned", "stopped", "failed"]
"""How a trace ended: exactly one for each trace that was to be started, in a run that ended properly."""

TraceState = Literal[
    "queued",
    "running",
    "checkpoint",
    "paused",
    "finished",
    "pruned",
    "stopped",
    "failed",
    "unstarted",
]
"""`checkpoint` waits for the judge's verdict (its stream may be open); `paused` has one and may resume.

`unstarted` was stopped before a stream of it gave anything.
"""

_TAIL = 400


@dataclass(slots=True)
class TraceView:
    """One trace; token counts are totals of generated tokens."""

    trace: int
    tokens: int = 0
    of: int | None = None
    """For a regeneration: the trace whose beginning it goes on behind."""
    launched: bool = False
    """The policy wants it to run; until then it is only planned."""
    started: bool = False
    ending: Ending | None = None
    paused: bool = False
    waiting: bool = False
    """At its checkpoint, without a verdict yet."""
    asked: bool = False
    """A judge call about it is out."""
    pinned: bool = False
    """The user wants it never to be pruned."""
    checkpoint: CheckpointReached | None = None
    cluster: int | None = None
    similarity: float | None = None
    """The similarity that decided its cluster, 0..1."""
    answer: str | None = None
    raw_answer: str | None = None
    finish_reason: str | None = None
    reward: float | None = None
    """What the reward model gave it, 0..1; None where it was not asked, or gave none."""
    probed: TraceProbed | None = None
    """What it said when it was last asked for its answer while it ran; None if it never was."""
    reason: str | None = None
    """Why it was stopped, or what failed."""
    endpoint: str | None = None
    prompt_tokens: int = 0
    """Length of its prompt, in tokens."""
    started_at: float | None = None
    ended_at: float | None = None
    retries: int = 0
    """Streams opened anew after a fault."""
    confidences: "array[float]" = field(default_factory=lambda: array("d"), repr=False)
    """Of each of its tokens, in nats; empty where the run asks for none, or where texts are dropped."""
    _text: GrowingText = field(default_factory=GrowingText, repr=False)
    _segment: str | None = field(default=None, repr=False)

    @property
    def state(self) -> TraceState:
        """What the trace is doing; its ending once it has one."""
        if self.ending is not None:
            return self.fate or "unstarted"
        if self.waiting:
            return "checkpoint"
        if self.paused:
            return "paused"
        return "running" if self.started else "queued"

    @property
    def fate(self) -> Ending | None:
        """The ending that is counted; None for a trace that never started, so that a stop cost nothing.

        A trace that failed before its first token was tried, and counts. One that was cut off with its journal was
        stopped.
        """
        if not self.started and self.ending != "failed":
            return None
        return self.ending or "stopped"

    @property
    def text(self) -> str:
        """All text received so far (untrusted), joined now and kept joined."""
        return str(self._text)

    @property
    def tail(self) -> str:
        """The last 400 characters or so (untrusted), without joining all text."""
        return self._text.tail(_TAIL)

    @property
    def segment(self) -> str:
        """What the judge reads: the text up to the checkpoint; empty before it is reached."""
        if self._segment is None and self.checkpoint is not None:
            self._segment = self.text[: self.checkpoint.chars]
        return self._segment or ""

    @property
    def overshoot_tokens(self) -> int:
        """Tokens that a pruned trace generated past its checkpoint; 0 for any other trace."""
        if self.ending != "pruned" or self.checkpoint is None:
            return 0
        return max(0, self.tokens - self.checkpoint.tokens)

    def add_text(self, text: str) -> None:
        """Appends a chunk."""
        self._text.append(text)


@dataclass(slots=True)
class ClusterView:
    """Traces that the judge holds to end in the same answer; the founder represents them."""

    cluster: int
    representative: int
    members: list[int]
    answers: Counter[str] = field(default_factory=Counter)
    """Answers of the members that have finished."""
