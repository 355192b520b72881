"""What a run looks like now: a pure fold over its events, which every display and report reads.

The rule: `apply` is the only way in, and the same entries always give the same view. Of the commands only `AskJudge` and
`StartTrace` leave a trace, so that a display can tell who is before the judge and who waits for a stream. A fold must
stay cheap (a dictionary lookup and a few additions), since one process carries thousands of streams.
"""

from collections.abc import Callable, Iterable
from typing import Any, ClassVar, Self

import msgspec

from orchestrator.core.commands import AskJudge, Command, StartTrace
from orchestrator.core.events import (
    CheckpointReached,
    ClusterOpened,
    Event,
    JudgeFailed,
    PairsJudged,
    ProbeFailed,
    ReplicaDown,
    ReplicaUp,
    RewardFailed,
    RunFinished,
    RunInterrupted,
    RunResumed,
    RunStarted,
    TokensArrived,
    TraceFailed,
    TraceFinished,
    TraceJoined,
    TracePaused,
    TraceProbed,
    TraceResumed,
    TraceRewarded,
    TraceStarted,
    TraceStopped,
    TraceUnjudged,
    TraceWarned,
    UserCommandReceived,
    VoteCast,
    VoteWeighed,
)
from orchestrator.report.run_state import RunState
from orchestrator.report.totals import WarningTotals
from orchestrator.report.trace_view import ClusterView, Ending, TraceView
from orchestrator.settings import DeepPruneSettings

__all__ = ["TICK_SECONDS", "RunView"]

TICK_SECONDS = 0.25


class RunView(RunState):
    """One question's run, folded from its events. Read its attributes; change it by `apply` alone.

    With `keep_text=False` the traces' texts are dropped: enough for reports and progress lines, not for
    segments.
    """

    def __init__(self, *, keep_text: bool = True) -> None:
        super().__init__()
        self._keep_text = keep_text

    @classmethod
    def of(cls, entries: Iterable[Event | Command], *, keep_text: bool = True) -> Self:
        """The view after all of a recorded run's entries."""
        view = cls(keep_text=keep_text)
        for entry in entries:
            view.apply(entry)
        return view

    def apply(self, event: Event | Command) -> None:
        """Takes one event or command in."""
        fold = self._FOLDS.get(type(event))
        if fold is not None:
            self.changes += 1
            self.elapsed = max(self.elapsed, event.at)  # type: ignore[union-attr]  # commands have no fold
            fold(self, event)
            if type(event) is not TokensArrived:
                self.events.append(event)  # type: ignore[arg-type]
                self.replicas.apply(event)
            elif event.prompt_tokens is not None:
                self.events.append(_without_text(event))
        elif type(event) is AskJudge:
            self._trace(event.trace).asked = True
        elif type(event) is StartTrace:
            if event.of is not None:
                self.regenerations[event.trace] = TraceView(event.trace, of=event.of)
            self._trace(event.trace).launched = True

    def _count(self, trace: TraceView, tokens: int) -> None:
        new = tokens - trace.tokens
        trace.tokens = tokens
        self._generate(new)

    def _generate(self, new: int) -> None:
        self.generated_tokens += new
        ticks = self.tokens_per_tick
        missing = int(self.elapsed / TICK_SECONDS) + 1 - len(ticks)
        if missing > 0:
            ticks.extend([0] * missing)
        ticks[-1] += new

    def _end(self, event: TraceFinished | TraceStopped | TraceFailed, ending: Ending) -> TraceView:
        trace = self._trace(event.trace)
        trace.ending = ending
        trace.ended_at = event.at
        self._count(trace, event.tokens)
        return trace

    def _run_started(self, event: RunStarted) -> None:
        self.run = event
        policy = event.settings.policy
        if event.capabilities.judge is not None and isinstance(policy, DeepPruneSettings):
            self.tau = policy.tau
        for number in range(event.planned):
            self._trace(number)

    def _run_resumed(self, event: RunResumed) -> None:
        self.resumed += 1
        self._cached_before = self.cached_prompt_tokens
        self._judge_cached_before = self.judge.cached_prompt_tokens
        if self.run is not None:
            self.run = msgspec.structs.replace(self.run, capabilities=event.capabilities)

    def _trace_started(self, event: TraceStarted) -> None:
        trace = self._trace(event.trace)
        trace.launched = trace.started = True
        trace.started_at = event.at
        trace.endpoint = event.endpoint
        trace.prompt_tokens = event.prompt_tokens
        self._prompt(event)

    def _prompt(self, event: TraceStarted | TraceResumed) -> None:
        again = event.trace in self.regenerations
        self._prompts.opened(
            event.trace, event.prompt_tokens, event.cached_prompt_tokens, further=again
        )
        self._count_prompts()

    def _count_prompts(self) -> None:
        self.prompt_tokens = self._prompts.prompt + self.probes.prompt_tokens
        self.cached_prompt_tokens = self._prompts.cached + self.probes.cached_prompt_tokens

    def _trace_warned(self, event: TraceWarned) -> None:
        totals = self.warnings.setdefault(event.warning, WarningTotals())
        totals.traces.add(event.trace)
        totals.message = event.message

    def _tokens_arrived(self, event: TokensArrived) -> None:
        trace = self._trace(event.trace)
        self._count(trace, event.tokens)
        if event.prompt_tokens is not None:
            trace.prompt_tokens = trace.prompt_tokens or event.prompt_tokens
            self._prompts.told(event.trace, event.prompt_tokens, event.cached_prompt_tokens or 0)
            self._count_prompts()
            self.replicas.apply(event)
        if self._keep_text:
            trace.add_text(event.text)
            trace.confidences.extend(event.confidences)

    def _checkpoint_reached(self, event: CheckpointReached) -> None:
        trace = self._trace(event.trace)
        trace.checkpoint = event
        trace.waiting = True

    def _trace_paused(self, event: TracePaused) -> None:
        trace = self._trace(event.trace)
        trace.paused = True
        self._count(trace, event.tokens)

    def _trace_resumed(self, event: TraceResumed) -> None:
        trace = self._trace(event.trace)
        trace.paused = False
        trace.endpoint = event.endpoint
        if event.attempt > 0:
            trace.retries += 1
        self._prompt(event)

    def _trace_finished(self, event: TraceFinished) -> None:
        trace = self._end(event, "finished")
        trace.answer = event.answer
        trace.raw_answer = event.raw_answer
        trace.finish_reason = event.finish_reason
        self.undecided += event.undecided
        self._tally(trace)

    def _trace_stopped(self, event: TraceStopped) -> None:
        ending: Ending = "pruned" if event.reason == "pruned" else "stopped"
        self._end(event, ending).reason = event.reason

    def _trace_failed(self, event: TraceFailed) -> None:
        self._end(event, "failed").reason = f"{event.boundary}: {event.message}"

    def _pairs_judged(self, event: PairsJudged) -> None:
        self._trace(event.trace).asked = False
        judge = self.judge
        judge.calls += 1
        judge.requests += event.requests
        judge.pairs += len(event.members)
        judge.prompt_tokens += event.prompt_tokens
        judge.cached_prompt_tokens += event.cached_prompt_tokens
        judge.completion_tokens += event.completion_tokens
        judge.seconds += event.seconds
        judge.pruning_off_since = None

    def _judge_failed(self, event: JudgeFailed) -> None:
        self._trace(event.trace).asked = False
        self.judge.failures += 1
        if self.judge.pruning_off_since is None:
            self.judge.pruning_off_since = event.at

    def _server_changed(self, _event: ReplicaDown | ReplicaUp) -> None:
        """Only the servers' own rows change."""

    def _trace_rewarded(self, event: TraceRewarded) -> None:
        self._trace(event.trace).reward = event.reward
        self.rewards.traces += 1
        self.rewards.prompt_tokens += event.prompt_tokens
        self.rewards.seconds += event.seconds

    def _reward_failed(self, event: RewardFailed) -> None:
        self.rewards.failures += 1
        self.rewards.last_failure = event.message

    def _trace_probed(self, event: TraceProbed) -> None:
        trace = self._trace(event.trace)
        trace.probed = event
        probes = self.probes
        probes.probes += 1
        probes.tokens += event.tokens
        probes.prompt_tokens += event.prompt_tokens
        probes.cached_prompt_tokens += event.cached_prompt_tokens
        probes.seconds += event.seconds
        self._count_prompts()
        self._generate(event.tokens)

    def _probe_failed(self, _event: ProbeFailed) -> None:
        self.probes.failures += 1

    def _vote_weighed(self, event: VoteWeighed) -> None:
        self.weighed = event

    def _cluster_opened(self, event: ClusterOpened) -> None:
        self.clusters[event.cluster] = ClusterView(event.cluster, event.trace, [])
        self._place(event)

    def _place(self, event: ClusterOpened | TraceJoined) -> None:
        trace = self._trace(event.trace)
        trace.waiting = False
        trace.cluster = event.cluster
        trace.similarity = event.similarity
        self.clusters[event.cluster].members.append(event.trace)
        self._tally(trace)

    def _tally(self, trace: TraceView) -> None:
        """Counts the answer of a trace that is both finished and placed, whichever came last."""
        if trace.ending == "finished" and trace.cluster is not None and trace.answer is not None:
            self.clusters[trace.cluster].answers[trace.answer] += 1

    def _trace_unjudged(self, event: TraceUnjudged) -> None:
        self._trace(event.trace).waiting = False

    def _vote_cast(self, event: VoteCast) -> None:
        self.vote = event

    def _run_interrupted(self, _event: RunInterrupted) -> None:
        self.interrupted = True

    def _user_commanded(self, event: UserCommandReceived) -> None:
        match event.command:
            case "tau":
                self.tau = event.tau
            case "hold" | "release":
                self.held = event.command == "hold"
            case "pin" | "finish" | "unpin" if event.trace in self.traces:
                self.traces[event.trace].pinned = event.command != "unpin"
            case _:
                pass

    def _run_finished(self, event: RunFinished) -> None:
        self.finished = event
        self.undecided += event.undecided
        self.interrupted = self.interrupted or event.interrupted
        if (
            event.cached_prompt_tokens is not None
        ):  # the server saw what aborted streams did not tell
            cached = self._cached_before + event.cached_prompt_tokens
            self.cached_prompt_tokens = min(cached, self.prompt_tokens)
        if event.judge_cached_prompt_tokens is not None:
            cached = self._judge_cached_before + event.judge_cached_prompt_tokens
            self.judge.cached_prompt_tokens = min(cached, self.judge.prompt_tokens)

    _FOLDS: ClassVar[dict[type, Callable[[Any, Any], None]]] = {
        RunStarted: _run_started,
        RunResumed: _run_resumed,
        TraceStarted: _trace_started,
        TokensArrived: _tokens_arrived,
        TracePaused: _trace_paused,
        TraceResumed: _trace_resumed,
        TraceWarned: _trace_warned,
        TraceFinished: _trace_finished,
        TraceStopped: _trace_stopped,
        TraceFailed: _trace_failed,
        PairsJudged: _pairs_judged,
        JudgeFailed: _judge_failed,
        TraceRewarded: _trace_rewarded,
        RewardFailed: _reward_failed,
        TraceProbed: _trace_probed,
        ProbeFailed: _probe_failed,
        VoteWeighed: _vote_weighed,
        ReplicaDown: _server_changed,
        ReplicaUp: _server_changed,
        RunInterrupted: _run_interrupted,
        UserCommandReceived: _user_commanded,
        RunFinished: _run_finished,
        CheckpointReached: _checkpoint_reached,
        ClusterOpened: _cluster_opened,
        TraceJoined: _place,
        TraceUnjudged: _trace_unjudged,
        VoteCast: _vote_cast,
    }


def _without_text(event: TokensArrived) -> TokensArrived:
    return TokensArrived(
        at=event.at,
        trace=event.trace,
        text="",
        tokens=event.tokens,
        prompt_tokens=event.prompt_tokens,
        cached_prompt_tokens=event.cached_prompt_tokens,
    )
