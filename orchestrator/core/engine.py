"""The core of one question: facts in, decided facts and orders out.

The rule: synchronous and sans-io. Time is on the facts, randomness comes from the seed in the settings, so
the same facts always give the same decisions; a journal replayed through a fresh engine proves it.

The engine does what all policies share: it finds checkpoints, measures confidences, counts the traces that are
still open, asks for rewards where the vote wants them, honours an interrupt and the user's acts, and casts the vote when
nothing is left to wait for. The policy does the rest.

What the user wants of a trace goes before what the policy wants: `Wishes` amends its orders on the way out.
"""

from typing import NamedTuple

from orchestrator.core.confidence import Confidences
from orchestrator.core.events import (
    CheckpointReached,
    Fact,
    FinishRun,
    HoldLaunches,
    Order,
    ReleaseLaunches,
    RewardFailed,
    RunInterrupted,
    RunStarted,
    StartTrace,
    StopTrace,
    TokensArrived,
    TraceFailed,
    TraceFinished,
    TraceRewarded,
    TraceStopped,
    UserActed,
)
from orchestrator.core.overrides import Wishes
from orchestrator.core.policies import (
    Step,
    make_policy,
    needs_confidences,
    needs_rewards,
    voting_rule,
)
from orchestrator.core.segment import Cut, Segmenter
from orchestrator.core.voting import Ballot, BallotWeights, Rewards, best_of_n, weighted_majority
from orchestrator.settings import Settings

__all__ = ["Engine", "Outcome"]


class Outcome(NamedTuple):
    """What one fact led to: facts decided by the core, and orders for the shell, each in order."""

    facts: list[Fact]
    orders: list[Order]


class Engine:
    """Decides for one question; feed it every outside fact, beginning with its `RunStarted`."""

    def __init__(self, started: RunStarted) -> None:
        settings = Settings.model_validate(started.settings)
        self._checkpoint = settings.checkpoint
        self._min_ballots = settings.policy.min_ballots
        self._confidences = Confidences(settings.policy)
        self._measures_confidence = needs_confidences(settings)
        self._policy = make_policy(
            settings,
            resumable=bool(started.capabilities["resumable"]),
            confidences=self._confidences,
        )
        self._rewards = Rewards()
        self._needs_rewards = needs_rewards(settings)
        self._weights = BallotWeights(voting_rule(settings), self._confidences, self._rewards)
        self._segmenters: dict[int, Segmenter] = {}
        self._open: set[int] = set()
        self._answers: dict[int, str | None] = {}
        self._wishes = Wishes()
        self._closing = False  # no more decisions: what is open is being stopped
        self._interrupted = False  # nothing more is asked, and no reward waited for
        self._over = False

    def feed(self, fact: Fact) -> Outcome:
        """The decisions that follow from `fact`; facts that come after the vote change nothing."""
        outcome = Outcome([], [])
        if not self._over:
            self._digest(fact, outcome)
            self._close_if_done(fact.at, outcome)
        return outcome

    def _digest(self, fact: Fact, outcome: Outcome) -> None:
        match fact:
            case TokensArrived():
                self._take_tokens(fact, outcome)
            case RunStarted():
                self._follow(self._policy.start(), outcome)
            case RunInterrupted():
                self._interrupted = True
                self._stop_all("interrupted", outcome)
            case UserActed():
                self._obey(fact, outcome)
            case TraceFinished() | TraceStopped() | TraceFailed():
                self._end_trace(fact, outcome)
            case TraceRewarded() | RewardFailed():
                self._rewards.take(fact)
            case _:
                self._consult(fact, outcome)

    def _obey(self, fact: UserActed, outcome: Outcome) -> None:
        """What the user wants, as far as it can still be had."""
        match fact.act:
            case "tau":
                self._consult(fact, outcome)
            case "vote":
                self._stop_all("voted", outcome)
            case "hold":
                outcome.orders.append(HoldLaunches())
            case "release":
                outcome.orders.append(ReleaseLaunches())
            case _ if fact.trace in self._open and not self._closing:
                outcome.orders.extend(self._wishes.take(fact.act, fact.trace))

    def _stop_all(self, reason: str, outcome: Outcome) -> None:
        self._closing = True
        outcome.orders.extend(StopTrace(trace=trace, reason=reason) for trace in sorted(self._open))

    def _take_tokens(self, fact: TokensArrived, outcome: Outcome) -> None:
        if self._measures_confidence:
            self._confidences.take(fact)
        self._watch_for_checkpoint(fact, outcome)
        if self._policy.watches_tokens:
            self._consult(fact, outcome)

    def _watch_for_checkpoint(self, fact: TokensArrived, outcome: Outcome) -> None:
        if not self._policy.uses_checkpoints:
            return
        cut = self._segmenter(fact.trace).feed(fact.text, fact.tokens)
        if cut is not None:
            self._reach_checkpoint(fact, cut, complete=False, outcome=outcome)

    def _end_trace(
        self, fact: TraceFinished | TraceStopped | TraceFailed, outcome: Outcome
    ) -> None:
        self._open.discard(fact.trace)
        if isinstance(fact, TraceFinished):
            self._answers[fact.trace] = fact.answer
            if self._needs_rewards and not self._interrupted:
                outcome.orders.extend(self._rewards.ask(fact))
        self._consult(fact, outcome)
        if isinstance(fact, TraceFinished) and self._policy.uses_checkpoints:
            segmenter = self._segmenter(fact.trace)
            if segmenter.cut is None:
                self._reach_checkpoint(fact, segmenter.finish(), complete=True, outcome=outcome)

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
        self, fact: TokensArrived | TraceFinished, cut: Cut, *, complete: bool, outcome: Outcome
    ) -> None:
        reached = CheckpointReached(
            at=fact.at,
            trace=fact.trace,
            chars=cut.chars,
            words=cut.words,
            tokens=fact.tokens,
            complete=complete,
        )
        outcome.facts.append(reached)
        self._consult(reached, outcome)

    def _consult(self, fact: Fact, outcome: Outcome) -> None:
        if not self._closing:
            self._follow(self._policy.on(fact), outcome)

    def _follow(self, step: Step, outcome: Outcome) -> None:
        self._open.update(order.trace for order in step.orders if isinstance(order, StartTrace))
        outcome.facts.extend(step.facts)
        for decided in step.facts:
            self._weights.note(decided)
        for order in step.orders:
            outcome.orders.extend(self._wishes.amend(order))

    def _close_if_done(self, at: float, outcome: Outcome) -> None:
        if self._open or not (self._policy.at_rest or self._closing):
            return
        if self._rewards.awaited and not self._interrupted:
            return
        self._over = True
        chosen = set(self._policy.ballots(tuple(self._answers))) | self._wishes.kept
        ballots = [
            Ballot(answer, self._weights.of(trace))
            for trace, answer in self._answers.items()
            if trace in chosen
        ]
        vote = best_of_n if self._weights.best_alone_counts else weighted_majority
        outcome.facts.append(vote(ballots, min_ballots=self._min_ballots, at=at))
        outcome.orders.append(FinishRun())
