"""`random-k`: `deepprune` with dice in the judge's place, the control that shows what a judge is worth.

All N traces run to their checkpoint; K2 of them, drawn at random, run on to their end and vote, all others are
pruned there. The prefixes cost what they cost `deepprune`; whatever it does better is the judge's merit.
"""

import numpy as np

from orchestrator.config import PolicySettings
from orchestrator.core.facts import CheckpointReached, Fact, StartTrace, StopTrace
from orchestrator.core.policies.policy import Step

__all__ = ["RandomK"]


class RandomK:
    """Draws `settings.survivors` traces beforehand, from the run's seed."""

    uses_checkpoints = True
    watches_tokens = False
    at_rest = True

    def __init__(self, settings: PolicySettings, *, seed: int) -> None:
        self._planned = settings.traces
        drawn = np.random.default_rng([seed, settings.traces]).permutation(settings.traces)
        self._survivors = set(drawn[: settings.survivors].tolist())

    def start(self) -> Step:
        """Starts all planned traces."""
        return Step([], [StartTrace(trace=trace) for trace in range(self._planned)])

    def on(self, fact: Fact) -> Step:
        """Prunes a trace that reaches its checkpoint and was not drawn."""
        match fact:
            case CheckpointReached(trace=trace, complete=False) if trace not in self._survivors:
                return Step([], [StopTrace(trace=trace, reason="pruned")])
            case _:
                return Step([], [])

    def ballots(self, finished: tuple[int, ...]) -> list[int]:
        """The finished traces that were drawn; those that ended before the checkpoint undrawn have none."""
        return [trace for trace in finished if trace in self._survivors]
