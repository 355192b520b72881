"""What is known of a run at one moment, and what follows from it; `orchestrator/report/view.py` keeps it up to date."""

from collections import Counter

from orchestrator.core.events import (
    Event,
    RunFinished,
    RunStarted,
    VoteCast,
    VoteCount,
    VoteWeighed,
    WarningKind,
)
from orchestrator.report.replicas import Replicas
from orchestrator.report.totals import (
    JudgeTotals,
    ProbeTotals,
    PromptTotals,
    RewardTotals,
    WarningTotals,
)
from orchestrator.report.trace_view import ClusterView, TraceState, TraceView

__all__ = ["RunState"]


class RunState:
    """One question's run: its traces, clusters, costs and vote so far. Only its fold, `RunView`, changes it."""

    def __init__(self) -> None:
        self.changes = 0
        """Events folded so far: a display repaints when this has moved."""
        self.elapsed = 0.0
        """Seconds from the start to the latest event."""
        self.events: list[Event] = []
        """Every event but the streamed text, in order; of that only what a server told late about a prompt."""
        self.tokens_per_tick: list[int] = []
        """Tokens generated in each `TICK_SECONDS` of the run's time."""
        self.run: RunStarted | None = None
        self.tau: float | None = None
        """The similarity above which a trace joins a cluster; None for policies that ask no judge."""
        self.traces: dict[int, TraceView] = {}
        self.regenerations: dict[int, TraceView] = {}
        """Of finished traces, by number; each names its trace in `of` and has no vote (`orchestrator/core/regenerations.py`)."""
        self.clusters: dict[int, ClusterView] = {}
        self.judge = JudgeTotals()
        self.rewards = RewardTotals()
        self.probes = ProbeTotals()
        self.weighed: VoteWeighed | None = None
        """The latest account of what further traces are worth; None for policies that give none."""
        self.generated_tokens = 0
        self.prompt_tokens = 0
        """Prompt tokens read by the servers, over all streams; the cached ones included."""
        self.cached_prompt_tokens = 0
        self.replicas = Replicas(self._tokens_of)
        """What each of the reasoner's servers has done."""
        self.warnings: dict[WarningKind, WarningTotals] = {}
        """What was odd about the servers, by kind."""
        self.undecided = 0
        """Comparisons of answers that gave no verdict; they count as different."""
        self.vote: VoteCast | None = None
        self.finished: RunFinished | None = None
        self.interrupted = False
        self.resumed = 0
        """How often the run broke off and went on."""
        self.held = False
        """The user lets no further trace be launched."""
        self._prompts = PromptTotals()
        self._cached_before = 0
        """Cached prompt tokens that were told before the last process took over; `_judge_cached_before` likewise."""
        self._judge_cached_before = 0

    @property
    def planned(self) -> int:
        """N, the traces planned; 0 before the run has started."""
        return self.run.planned if self.run is not None else 0

    @property
    def makes_clusters(self) -> bool:
        """Whether the policy clusters traces."""
        clusters = self.run is not None and self.run.settings.policy.makes_clusters
        return clusters or bool(self.clusters)

    @property
    def has_judge(self) -> bool:
        """Whether the run has a judge."""
        found = self.run is not None and self.run.capabilities.judge is not None
        return found or bool(self.judge.calls or self.judge.failures)

    @property
    def launched(self) -> list[TraceView]:
        """The traces that were to be started so far, in order; a policy may never launch all that are planned."""
        return [trace for trace in self.traces.values() if trace.launched or trace.ending]

    @property
    def question(self) -> str:
        """The question; empty before the run has started."""
        return self.run.question if self.run is not None else ""

    @property
    def answer(self) -> str | None:
        """What the vote decided."""
        return self.vote.answer if self.vote is not None else None

    @property
    def votes(self) -> tuple[VoteCount, ...]:
        """The tally, largest first; empty before the vote."""
        return self.vote.votes if self.vote is not None else ()

    @property
    def token_limit(self) -> int | None:
        """The most tokens that one trace can generate, None if it is not known."""
        if self.run is None:
            return None
        limits = [self.run.settings.sampling.max_tokens]
        context = self.run.capabilities.reasoner.max_model_len
        if context is not None:
            prompt = max((trace.prompt_tokens for trace in self.traces.values()), default=0)
            limits.append(context - prompt)
        return min((limit for limit in limits if limit), default=None)

    @property
    def further_reads(self) -> tuple[int, int]:
        """Prompt tokens that probes and continued traces read: computed, and from the cache.

        Servers that tell no cached tokens of a closed stream are corrected by their counters at the end of the run.
        """
        read = self.probes.prompt_tokens + self._prompts.further_prompt
        cached = self.probes.cached_prompt_tokens + self._prompts.further_cached
        computed = min(read - cached, self.prompt_tokens - self.cached_prompt_tokens)
        return computed, read - computed

    def counts(self) -> Counter[TraceState]:
        """How many traces are in each state."""
        return Counter(trace.state for trace in self.traces.values())

    def segment(self, trace: int) -> str:
        """The segment of a trace that has reached its checkpoint (untrusted text)."""
        return self.traces[trace].segment

    def _tokens_of(self, number: int) -> int:
        return self._trace(number).tokens

    def _trace(self, number: int) -> TraceView:
        trace = self.traces.get(number) or self.regenerations.get(number)
        if trace is None:
            trace = self.traces[number] = TraceView(number)
        return trace
