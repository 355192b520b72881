"""Prefix consistency (arXiv 2605.07654): a finished trace is cut, continued once more, and weighs more if its answer comes back.

A regeneration is a stream of its own with a number behind those of the planned traces. It has no vote, and the policy
never hears of it: it is there to weigh the vote of the trace that it belongs to.
"""

from orchestrator.core.commands import StartTrace
from orchestrator.core.events import Event, RunStarted, TraceFailed, TraceFinished, TraceStopped

__all__ = ["Regenerations"]


class Regenerations:
    """The regenerations of one run, by the settings `policy.prefix_fraction` and `policy.prefix_weight`."""

    def __init__(self, started: RunStarted) -> None:
        policy = started.settings.policy
        self._planned = started.planned
        self._fraction = policy.prefix_fraction
        self._weight = policy.prefix_weight
        self._answers: dict[int, str] = {}
        self._consistent: set[int] = set()

    def ask(self, finished: TraceFinished) -> list[StartTrace]:
        """The command that regenerates a trace; none for a trace without an answer, or one too short to be cut."""
        kept = int(self._fraction * finished.tokens)
        if finished.answer is None or not kept:
            return []
        self._answers[finished.trace] = finished.answer
        number = self._planned + finished.trace
        return [StartTrace(trace=number, of=finished.trace, prefix_tokens=kept)]

    def concerns(self, event: Event) -> bool:
        """Whether the event is one of a regeneration."""
        number = getattr(event, "trace", None)
        return number is not None and number >= self._planned

    def take(self, event: Event) -> int | None:
        """Takes in an event of a regeneration; its number if that ended it."""
        match event:
            case TraceFinished(trace=number, answer=answer):
                trace = number - self._planned
                if answer == self._answers[trace]:
                    self._consistent.add(trace)
                return number
            case TraceStopped(trace=number) | TraceFailed(trace=number):
                return number
            case _:
                return None

    def weight_of(self, trace: int) -> float:
        """What the vote of a trace weighs: 1 unless its regeneration came to the same answer."""
        return self._weight if trace in self._consistent else 1.0
