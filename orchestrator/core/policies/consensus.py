"""`consensus`: N traces run to their end and vote (cons@N). With N = 1 it is `pass1`."""

from orchestrator.core.facts import Fact, StartTrace
from orchestrator.core.policies.policy import Step

__all__ = ["Consensus"]


class Consensus:
    """Starts every trace at once and lets all of them finish."""

    uses_checkpoints = False
    watches_tokens = False
    at_rest = True

    def __init__(self, planned: int) -> None:
        self._planned = planned

    def start(self) -> Step:
        """Starts all planned traces."""
        return Step([], [StartTrace(trace=trace) for trace in range(self._planned)])

    def on(self, fact: Fact) -> Step:
        """Nothing: the engine ends the run when no trace is open."""
        return Step([], [])

    def ballots(self, finished: tuple[int, ...]) -> list[int]:
        """Every finished trace has a ballot."""
        return list(finished)
