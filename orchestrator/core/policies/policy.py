"""What the engine expects of a policy."""

from typing import NamedTuple, Protocol

from orchestrator.core.facts import Fact, Order

__all__ = ["Policy", "Step"]


class Step(NamedTuple):
    """A policy's answer to one fact: facts that it decided, and orders, each in order."""

    facts: list[Fact]
    orders: list[Order]


class Policy(Protocol):
    """A state machine; the engine calls `start` once and then `on` for every fact.

    `TokensArrived` comes only to a policy that watches tokens, once their confidences are measured.
    """

    @property
    def uses_checkpoints(self) -> bool:
        """Whether the engine shall look for checkpoints."""

    @property
    def watches_tokens(self) -> bool:
        """Whether the policy decides on tokens as they arrive."""

    @property
    def at_rest(self) -> bool:
        """Whether the run is over once no trace is open; False while verdicts are still awaited."""

    def start(self) -> Step:
        """The first orders of a run."""

    def on(self, fact: Fact) -> Step:
        """What follows from a fact."""

    def ballots(self, finished: tuple[int, ...]) -> list[int]:
        """The traces whose answers are counted, a part of `finished` (in order of finishing)."""
