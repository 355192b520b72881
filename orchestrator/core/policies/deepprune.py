"""`deepprune`: the paper's policy, live (arXiv 2510.08483, online greedy clustering).

All N traces run to their checkpoint and wait there. Each is compared with the clusters so far and joins
the most similar one or opens its own. When all are assigned, min(size, K2) traces of the largest cluster
run to their end and vote; all others are pruned. If no two traces were alike, K3 random ones finish.

What the paper leaves open and how it is read here:

- Which K2 traces finish: those that have already ended (they cost nothing more), then by arrival.
- Equal sizes: the older cluster. K3 is drawn from the run's seed.
- A trace without a verdict (the judge failed) is never pruned: it runs on, finishes, and has a ballot.
- On a server that cannot resume, nothing can wait: traces write on, up to K2 of each cluster stay alive,
  and the losers are stopped when the clusters are known.
"""

from collections.abc import Iterable

import numpy as np

from orchestrator.core.cluster import Clustering, Join, Open, Reject
from orchestrator.core.commands import AskJudge, PauseTrace, ResumeTrace, StartTrace, StopTrace
from orchestrator.core.events import (
    CheckpointReached,
    ClusterOpened,
    Event,
    JudgeFailed,
    PairsJudged,
    TraceFailed,
    TraceFinished,
    TraceJoined,
    TraceStopped,
    TraceUnjudged,
    UserCommandReceived,
)
from orchestrator.core.policies.base import Step
from orchestrator.settings import DeepPruneSettings

__all__ = ["DeepPrune"]


class DeepPrune:
    """Assigns every trace to a cluster, then lets the largest cluster's survivors finish."""

    uses_checkpoints = True
    watches_tokens = False

    def __init__(
        self, settings: DeepPruneSettings, *, resumable: bool, pause: bool, seed: int
    ) -> None:
        self._settings = settings
        self._resumable = resumable
        self._pause = pause
        self._seed = seed
        self._clustering = Clustering(
            planned=settings.traces,
            tau=settings.tau,
            max_clusters=settings.max_clusters,
            sample_members=settings.sample_members,
            when_full=settings.when_full,
            bounds=settings.bounds,
            lookahead=settings.lookahead,
            seed=seed,
            match=settings.match,
            certainty=settings.certainty,
        )
        self._unsettled = set(range(settings.traces))
        self._finished: set[int] = set()
        self._ended: set[int] = set()
        self._condemned: set[int] = set()  # ordered to stop; the event may still be on its way
        self._unjudged: set[int] = set()
        self._survivors: list[int] | None = None

    @property
    def at_rest(self) -> bool:
        """The survivors are chosen."""
        return self._survivors is not None

    def start(self) -> Step:
        """Starts all planned traces."""
        return Step([], [StartTrace(trace=trace) for trace in range(self._settings.traces)])

    def on(self, event: Event) -> Step:
        """Takes the event in, assigns what can be assigned, asks what must be asked, and concludes."""
        step = Step([], [])
        if not self._take_in(event, step):
            return step
        self._assign(event.at, step)
        for trace, members in self._clustering.comparisons():
            step.commands.append(AskJudge(trace=trace, members=members))
        if self._survivors is None and not self._unsettled:
            self._conclude(step)
        return step

    def voters(self, finished: tuple[int, ...]) -> list[int]:
        """The survivors and the unjudged; every finished trace if the run ended before the clusters.

        Where clusters weigh the ballots, every finished trace speaks for its own cluster.
        """
        if self._survivors is None or self._settings.vote == "cluster-size":
            return list(finished)
        return [t for t in finished if t in self._survivors or t in self._unjudged]

    def _take_in(self, event: Event, step: Step) -> bool:
        """Whether the event can change anything."""
        match event:
            case PairsJudged():
                self._clustering.judged(event.trace, event.members, event.probabilities)
            case CheckpointReached():
                self._clustering.arrive(event.trace)
                if self._pause and not event.complete:
                    step.commands.append(PauseTrace(trace=event.trace))
            case JudgeFailed():
                self._let_run(event, step)
            case UserCommandReceived(tau=float(tau)):
                self._clustering.tau = tau
            case TraceFinished():
                self._ended.add(event.trace)
                self._finished.add(event.trace)
            case TraceStopped() | TraceFailed():
                self._ended.add(event.trace)
                self._clustering.give_up(event.trace)
                self._unsettled.discard(event.trace)
            case _:
                return False
        return True

    def _let_run(self, event: JudgeFailed, step: Step) -> None:
        """A trace that was not assigned meanwhile goes on without a verdict."""
        if event.trace not in self._unsettled:
            return
        self._clustering.give_up(event.trace)
        self._unsettled.discard(event.trace)
        self._unjudged.add(event.trace)
        step.events.append(TraceUnjudged(at=event.at, trace=event.trace))
        if event.trace not in self._ended:
            step.commands.append(ResumeTrace(trace=event.trace))

    def _assign(self, at: float, step: Step) -> None:
        for decision in self._clustering.decide():
            self._unsettled.discard(decision.trace)
            match decision:
                case Open(trace, cluster, similarity):
                    opened = ClusterOpened(
                        at=at, trace=trace, cluster=cluster, similarity=similarity
                    )
                    step.events.append(opened)
                case Join(trace, cluster, similarity):
                    joined = TraceJoined(at=at, trace=trace, cluster=cluster, similarity=similarity)
                    step.events.append(joined)
            self._hold_back(decision, step)

    def _hold_back(self, decision: Join | Open | Reject, step: Step) -> None:
        """Stops an assigned trace's generation, as far as it may still be needed and still runs."""
        if decision.trace in self._ended:
            return
        if isinstance(decision, Reject):
            self._prune(decision.trace, step)
        elif self._resumable and not self._pause:
            step.commands.append(PauseTrace(trace=decision.trace))
        elif not self._resumable and self._has_survivors_enough(decision.cluster, decision.trace):
            self._prune(decision.trace, step)

    def _prune(self, trace: int, step: Step) -> None:
        self._condemned.add(trace)
        step.commands.append(StopTrace(trace=trace, reason="pruned"))

    def _has_survivors_enough(self, cluster: int, newcomer: int) -> bool:
        others = [t for t in self._clustering.clusters[cluster] if t != newcomer]
        return len(self._usable(others)) >= self._settings.survivors

    def _conclude(self, step: Step) -> None:
        """Chooses the survivors; resumes them and prunes the rest."""
        self._survivors = self._choose_survivors()
        decided = self._ended | self._unjudged | self._condemned
        for trace in sorted(set(range(self._settings.traces)) - decided):
            if trace in self._survivors:
                step.commands.append(ResumeTrace(trace=trace))
            else:
                self._prune(trace, step)

    def _choose_survivors(self) -> list[int]:
        clusters = self._clustering.clusters
        if not clusters:
            return []
        largest = max(clusters, key=len)
        if len(largest) == 1 and len(clusters) > 1:
            founders = [trace for (trace,) in clusters]
            drawn = np.random.default_rng([self._seed, len(founders)]).permutation(founders)
            return self._usable(drawn.tolist())[: self._settings.singleton_survivors]
        usable = self._usable(largest)
        already_finished = [trace for trace in usable if trace in self._finished]
        unfinished = [trace for trace in usable if trace not in self._finished]
        return (already_finished + unfinished)[: self._settings.survivors]

    def _usable(self, traces: Iterable[int]) -> list[int]:
        """Those of `traces` that have finished or still can."""
        gone = (self._ended | self._condemned) - self._finished
        return [trace for trace in traces if trace not in gone]
