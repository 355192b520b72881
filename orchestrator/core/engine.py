"""The core of one question: events in, decided events and commands out.

The rule: synchronous and sans-io. Time is on the events, randomness comes from the seed in the settings, so
the same events always give the same decisions; a journal replayed through a fresh engine proves it.

The engine does what all policies share: it finds checkpoints, measures confidences, counts the traces that are
still open, asks for rewards and regenerations where the vote wants them, honours an interrupt and the user's acts, and casts the vote when
nothing is left to wait for. The policy does the rest.

What the user wants of a trace goes before what the policy wants: `UserOverrides` amends its commands on the way out.
"""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NamedTuple

from orchestrator.core.commands import (
    Command,
    FinishRun,
    HoldLaunches,
    ReleaseLaunches,
    StartTrace,
    StopTrace,
)
from orchestrator.core.confidence import Confidences
from orchestrator.core.events import (
    CheckpointReached,
    Event,
    ReplicaDown,
    ReplicaUp,
    RewardFailed,
    RunInterrupted,
    RunStarted,
    TokensArrived,
    TraceFailed,
    TraceFinished,
    TraceRewarded,
    TraceStopped,
    TraceWarned,
    UserCommandReceived,
)
from orchestrator.core.overrides import UserOverrides
from orchestrator.core.policies import (
    EstimatesVotes,
    Policy,
    Step,
    make_policy,
    needs_confidences,
    needs_regenerations,
    needs_rewards,
    voting_rule,
)
from orchestrator.core.regenerations import Regenerations
from orchestrator.core.segment import Cut, Segmenter
from orchestrator.core.transitions import Transitions
from orchestrator.core.voting import Rewards, Vote, VoteWeights, best_of_n, weighted_majority

__all__ = ["Engine", "Outcome"]


class Outcome(NamedTuple):
    """What one event led to: events decided by the core, and commands for the shell, each in order."""

    events: list[Event]
    commands: list[Command]


class Engine:
    """Decides for one question; feed it every outside event, beginning with its `RunStarted`.

    Args:
        started: the first event.
        policy: decides instead of the one that the settings name.
    """

    def __init__(self, started: RunStarted, policy: Policy | None = None) -> None:
        settings = started.settings
        self._checkpoint = settings.checkpoint
        self._min_ballots = settings.policy.min_ballots
        self._confidences = Confidences(settings.policy)
        self._measures_confidence = needs_confidences(settings)
        self._policy = policy or make_policy(
            settings,
            resumable=started.capabilities.reasoner.resumable,
            confidences=self._confidences,
            probes=started.capabilities.reasoner.probes,
            judge=started.capabilities.judge is not None,
        )
        self._rewards = Rewards()
        self._needs_rewards = needs_rewards(settings)
        self._regenerations = Regenerations(started)
        self._regenerates = needs_regenerations(settings)
        self._weights = VoteWeights(
            voting_rule(settings), self._confidences, self._rewards, self._regenerations
        )
        self._segmenters: dict[int, Segmenter] = {}
        self._open: set[int] = set()
        self._answers: dict[int, str | None] = {}
        self._overrides = UserOverrides()
        self._closing = False  # no more decisions: what is open is being stopped
        self._interrupted = False  # nothing more is asked, and no reward waited for
        self._over = False
        self._transitions = Transitions()

    @property
    def probing(self) -> int:
        """Probes that have neither been answered nor failed; the run may be over without them."""
        return self._transitions.probing

    def feed(self, event: Event) -> Outcome:
        """The decisions that follow from `event`; events that come after the vote change nothing.

        Raises:
            EventOutOfTurn: the event cannot come in the state that its trace is in.
        """
        self._transitions.note_event(event)
        outcome = Outcome([], [])
        if not self._over:
            self._dispatch(event, outcome)
            self._close_if_done(event.at, outcome)
        for command in outcome.commands:
            self._transitions.note_command(command)
        return outcome

    def _dispatch(self, event: Event, outcome: Outcome) -> None:
        if self._regenerates and self._regenerations.concerns(event):
            self._take_regeneration(event, outcome)
            return
        handler = self._HANDLERS.get(type(event))
        if handler is None:
            self._ask_policy(event, outcome)
        else:
            handler(self, event, outcome)

    def _start(self, event: RunStarted, outcome: Outcome) -> None:
        if event.refusal is None:
            self._apply_step(self._policy.start(), outcome)
        else:
            self._closing = True

    def _interrupt(self, _event: RunInterrupted, outcome: Outcome) -> None:
        self._interrupted = True
        self._stop_all("interrupted", outcome)

    def _take_reward(self, event: TraceRewarded | RewardFailed, _outcome: Outcome) -> None:
        self._rewards.take(event)

    def _pass_over(self, _event: Event, _outcome: Outcome) -> None:
        """What servers are like decides nothing about the traces."""

    def _take_regeneration(self, event: Event, outcome: Outcome) -> None:
        """What becomes of a regeneration concerns the weights of the votes, and the user, alone."""
        if isinstance(event, UserCommandReceived):
            self._apply_user_command(event, outcome)
            return
        ended = self._regenerations.take(event)
        if ended is not None:
            self._open.discard(ended)

    def _apply_user_command(self, event: UserCommandReceived, outcome: Outcome) -> None:
        """What the user wants, as far as it can still be had."""
        match event.command:
            case "tau":
                self._ask_policy(event, outcome)
            case "vote":
                self._stop_all("voted", outcome)
            case "hold":
                outcome.commands.append(HoldLaunches())
            case "release":
                outcome.commands.append(ReleaseLaunches())
            case _ if event.trace in self._open and not self._closing:
                outcome.commands.extend(self._overrides.take(event.command, event.trace))

    def _stop_all(self, reason: str, outcome: Outcome) -> None:
        self._closing = True
        outcome.commands.extend(
            StopTrace(trace=trace, reason=reason) for trace in sorted(self._open)
        )

    def _take_tokens(self, event: TokensArrived, outcome: Outcome) -> None:
        if self._measures_confidence:
            self._confidences.take(event)
        self._watch_for_checkpoint(event, outcome)
        if self._policy.watches_tokens:
            self._ask_policy(event, outcome)

    def _watch_for_checkpoint(self, event: TokensArrived, outcome: Outcome) -> None:
        if not self._policy.uses_checkpoints:
            return
        cut = self._segmenter(event.trace).feed(event.text, event.tokens)
        if cut is not None:
            self._reach_checkpoint(event, cut, complete=False, outcome=outcome)

    def _end_trace(
        self, event: TraceFinished | TraceStopped | TraceFailed, outcome: Outcome
    ) -> None:
        self._open.discard(event.trace)
        if isinstance(event, TraceFinished):
            self._answers[event.trace] = event.answer
            if self._needs_rewards and not self._interrupted:
                outcome.commands.extend(self._rewards.ask(event))
            if self._regenerates and not self._closing:
                regenerations = self._regenerations.ask(event)
                self._open.update(command.trace for command in regenerations)
                outcome.commands.extend(regenerations)
        self._ask_policy(event, outcome)
        if isinstance(event, TraceFinished) and self._policy.uses_checkpoints:
            segmenter = self._segmenter(event.trace)
            if segmenter.cut is None:
                self._reach_checkpoint(event, segmenter.finish(), complete=True, outcome=outcome)

    def _segmenter(self, trace: int) -> Segmenter:
        segmenter = self._segmenters.get(trace)
        if segmenter is None:
            settings = self._checkpoint
            segmenter = self._segmenters[trace] = Segmenter(
                words=settings.words if settings.unit == "words" else None,
                tokens=settings.tokens if settings.unit == "tokens" else None,
                word_list=settings.word_list,
            )
        return segmenter

    def _reach_checkpoint(
        self, event: TokensArrived | TraceFinished, cut: Cut, *, complete: bool, outcome: Outcome
    ) -> None:
        reached = CheckpointReached(
            at=event.at,
            trace=event.trace,
            chars=cut.chars,
            words=cut.words,
            tokens=event.tokens,
            complete=complete,
        )
        outcome.events.append(reached)
        self._ask_policy(reached, outcome)

    def _ask_policy(self, event: Event, outcome: Outcome) -> None:
        if not self._closing:
            self._apply_step(self._policy.on(event), outcome)

    def _apply_step(self, step: Step, outcome: Outcome) -> None:
        for decided in step.events:
            outcome.events.append(decided)
            self._weights.note(decided)
        for command in step.commands:
            if isinstance(command, StartTrace):
                self._open.add(command.trace)
        outcome.commands.extend(self._overrides.amend(step.commands))

    def _close_if_done(self, at: float, outcome: Outcome) -> None:
        if self._open or not (self._policy.at_rest or self._closing):
            return
        if self._rewards.awaited and not self._interrupted:
            return
        self._over = True
        chosen = set(self._policy.voters(tuple(self._answers))) | self._overrides.kept
        ballots = [
            Vote(answer, self._weights.of(trace))
            for trace, answer in self._answers.items()
            if trace in chosen
        ]
        floor = self._min_ballots
        outcome.events.append(
            best_of_n(ballots, min_ballots=floor, at=at)
            if self._weights.best_alone_counts
            else weighted_majority(
                ballots, min_ballots=floor, at=at, estimated=self._estimated_votes()
            )
        )
        outcome.commands.append(FinishRun())

    def _estimated_votes(self) -> Mapping[str, float]:
        """What traces without an end are believed to say, where all votes weigh the same."""
        policy = self._policy
        if isinstance(policy, EstimatesVotes) and self._weights.all_equal:
            return policy.estimated_votes()
        return {}

    _HANDLERS: ClassVar[Mapping[type, Callable[[Any, Any, Outcome], None]]] = {
        TokensArrived: _take_tokens,
        RunStarted: _start,
        RunInterrupted: _interrupt,
        UserCommandReceived: _apply_user_command,
        TraceFinished: _end_trace,
        TraceStopped: _end_trace,
        TraceFailed: _end_trace,
        TraceRewarded: _take_reward,
        RewardFailed: _take_reward,
        ReplicaDown: _pass_over,
        ReplicaUp: _pass_over,
        TraceWarned: _pass_over,
    }
    """By the type of an event; every other one is for the policy alone."""
