"""What the ballot of a finished trace weighs, by the voting rule.

The rule: a weight is read when the vote is cast, so it counts all that was known by then.
"""

from orchestrator.config import VotingRule
from orchestrator.core.confidence import Confidences
from orchestrator.core.facts import ClusterOpened, Fact, TraceJoined
from orchestrator.core.rewards import Rewards

__all__ = ["BallotWeights"]


class BallotWeights:
    """The weights under one rule; `note` has to see the facts that the policy decides.

    `majority`: every ballot weighs 1. `confidence`: as much as the trace is confident (arXiv 2508.15260, section
    3.2). `cluster-size`: as many as the trace's cluster has members, each of which would have voted so if the
    judge is right; a trace in no cluster stands for itself. `reward`, `best-of-n`: the trace's reward.
    """

    def __init__(self, rule: VotingRule, confidences: Confidences, rewards: Rewards) -> None:
        self._rule = rule
        self._confidences = confidences
        self._rewards = rewards
        self._clusters: dict[int, int] = {}  # cluster of each trace
        self._sizes: list[int] = []

    def note(self, fact: Fact) -> None:
        """Keeps who belongs to which cluster."""
        match fact:
            case ClusterOpened(trace=trace):
                self._clusters[trace] = len(self._sizes)
                self._sizes.append(1)
            case TraceJoined(trace=trace, cluster=cluster):
                self._clusters[trace] = cluster
                self._sizes[cluster] += 1
            case _:
                pass

    def of(self, trace: int) -> float:
        """The weight of the trace's ballot."""
        match self._rule:
            case "majority":
                return 1.0
            case "confidence":
                return self._confidences.of(trace)
            case "cluster-size":
                cluster = self._clusters.get(trace)
                return 1.0 if cluster is None else float(self._sizes[cluster])
            case _:  # "reward", "best-of-n"
                return self._rewards.of(trace)

    @property
    def best_alone_counts(self) -> bool:
        """Whether an answer weighs as much as its best ballot, not as all of them; never without a reward."""
        return self._rule == "best-of-n" and self._rewards.known
