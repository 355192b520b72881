"""Policies that run one trace after another until the vote is settled; their latency is the sum of the lengths."""

from abc import ABC, abstractmethod

from orchestrator.core.events import Event
from orchestrator.core.policies.base import Step, Tally
from orchestrator.settings import PolicySettings

__all__ = ["OneByOne"]


class OneByOne(ABC):
    """Launches the next trace only while the vote may still change."""

    uses_checkpoints = False
    watches_tokens = False
    at_rest = True

    def __init__(self, settings: PolicySettings) -> None:
        self._min_ballots = settings.min_ballots
        self._tally = Tally(settings.traces)

    def start(self) -> Step:
        """Starts the first trace."""
        return Step([], self._tally.launch(1))

    def on(self, event: Event) -> Step:
        """Starts one more trace after every end, unless the vote is settled."""
        if not self._tally.ended(event) or self._is_settled():
            return Step([], [])
        return Step([], self._tally.launch(1))

    def voters(self, finished: tuple[int, ...]) -> list[int]:
        """Every finished trace votes."""
        return list(finished)

    def _is_settled(self) -> bool:
        votes = self._tally.vote_counts
        return bool(votes) and sum(votes) >= self._min_ballots and self.settles(votes)

    @abstractmethod
    def settles(self, votes: tuple[int, ...]) -> bool:
        """Whether these counts (largest first, at least one) end the run."""
