"""`auto` where running traces can be asked for their answers, or a judge compares them with finished ones.

As `auto` by votes (`orchestrator/core/policies/auto.py`), but a running trace counts for what it is believed to say. Once a trace has
finished, every other one is asked; if enough of them would say the same, the vote is settled and they are stopped, though they
never ended: that cuts the stragglers of easy questions. What is stopped so keeps its weight in the vote, as far as it is
believed.

What the next step is worth (`orchestrator/core/policies/next_step.py`) is compared with its price. If nothing is worth its price,
all is stopped. More is launched only when everything that was asked has been answered.

*Probes* cost tens of tokens. They are asked for at every finish, and again whenever a trace has written a further eighth of
what finished ones have, as long as knowing all running traces for nothing would be worth more than asking. *The judge* is
asked about a running trace that no probe speaks for, as long as that knowledge would be worth more than the tokens that it
reads.

What is left to pay of a running trace is taken as half of what it has written, in units of finished traces: side by
side that is half a trace, and a straggler costs more the longer it runs.
"""

from itertools import count
from statistics import fmean

from orchestrator.core.agreement import FOLLOWED, Count
from orchestrator.core.belief import outcomes_of
from orchestrator.core.commands import Command
from orchestrator.core.events import (
    CheckpointReached,
    Event,
    JudgeFailed,
    LikelyAnswer,
    PairsJudged,
    ProbeFailed,
    TokensArrived,
    TraceFailed,
    TraceFinished,
    TraceProbed,
    VoteWeighed,
)
from orchestrator.core.evidence import Evidence, Likelihood
from orchestrator.core.policies.asking import JudgeQuestions, Probes
from orchestrator.core.policies.auto import EFFORT_PRICES, RUNNING_COST
from orchestrator.core.policies.base import Step, Tally
from orchestrator.core.policies.next_step import (
    HORIZON,
    NextStep,
    Situation,
    best_step,
    worth_of_knowing,
)
from orchestrator.settings import AutoSettings, PriceSettings

__all__ = ["AutoByEvidence"]

_SPARE = {"low": 1, "medium": 2, "high": 3}
"""Traces started beyond those that would settle the vote if all agreed, by effort."""


class AutoByEvidence:
    """Asks, launches, waits or stops, whichever the next votes are worth.

    Args:
        settings: of the policy.
        prices: what tokens of the reasoner and of the judge cost.
        probes: running traces can be asked.
        judge: there is a judge, which is to be asked.
    """

    at_rest = True

    def __init__(
        self, settings: AutoSettings, prices: PriceSettings, *, probes: bool, judge: bool
    ) -> None:
        price = settings.trace_price
        self._price = EFFORT_PRICES[settings.effort] if price is None else price
        self._settings = settings
        self._tally = Tally(settings.traces)
        self._evidence = Evidence(settings)
        self._probes = Probes(prices)
        self._judge = JudgeQuestions(prices)
        self._written: dict[int, int] = {}  # tokens of the running traces, as far as they were seen
        self._lengths: list[int] = []  # of the finished traces, in tokens
        self._firsts: dict[str, int] = {}  # the first trace of each answer
        self._without_end: set[int] = set()  # traces that run or were stopped by order
        self._settled = False
        self.watches_tokens = probes
        self.uses_checkpoints = judge

    def start(self) -> Step:
        """Starts what would settle the vote if the first said what the others would say, and a few to spare."""
        agreeing = next(n for n in count(1) if self._would_settle(n))
        traces = max(agreeing, self._settings.min_ballots) + _SPARE[self._settings.effort]
        return Step([], self._launch(traces))

    def on(self, event: Event) -> Step:
        """Takes the event in; then settles the vote, asks, launches, or waits."""
        ended = self._tally.ended(event)
        match event:
            case TokensArrived(trace=trace, tokens=tokens):
                self._written[trace] = tokens
                return Step([], self._ask_again(trace))
            case TraceFinished():
                self._finish(event)
            case TraceFailed(trace=trace):
                self._without_end.discard(trace)
            case TraceProbed(trace=trace, asked_at=asked_at, answer=answer):
                self._probes.take(event)
                self._evidence.probe(trace, asked_at, answer)
                self._written[trace] = max(asked_at, self._written.get(trace, 0))
            case ProbeFailed():
                self._probes.take(event)
            case PairsJudged(trace=trace):
                self._judge.take(event)
                for member, probability in zip(event.members, event.probabilities, strict=True):
                    self._evidence.judge(trace, member, probability)
            case JudgeFailed():
                self._judge.take(event)
            case CheckpointReached(trace=trace, tokens=tokens):
                self._judge.add_segment(trace, tokens)
            case _ if not ended:
                return Step([], [])
            case _:
                pass
        if self._settled or not (ended or self._tally.answers):
            return Step([], [])
        return self._decide(event, ended=ended)

    def voters(self, finished: tuple[int, ...]) -> list[int]:
        """Every finished trace votes."""
        return list(finished)

    def estimated_votes(self) -> dict[str, float]:
        """The votes that traces without an end are believed to give to answers with votes."""
        answers, counted = self._votes()
        evidence = self._likelihoods(self._without_end, answers)
        votes = dict.fromkeys(answers, 0.0)
        for trace, own in evidence.items():
            others = [each for other, each in evidence.items() if other != trace]
            for answer, chance in zip(answers, _outcomes(own, counted, others), strict=True):
                votes[answer] += chance
        return votes

    def _launch(self, traces: int) -> list[Command]:
        before = self._tally.launched
        commands = self._tally.launch(traces)
        self._without_end.update(range(before, self._tally.launched))
        return commands

    def _would_settle(self, agreeing: int) -> bool:
        """Whether nothing is worth its price once one trace has ended and the others would say the same."""
        if self.watches_tokens:
            probed = Likelihood((self._evidence.probe_hit,), self._evidence.probe_false_alarm)
            seen = Situation(
                ("",),
                Count((1,), 1, 1),
                (probed,) * (agreeing - 1),
                self._tally.planned,
                RUNNING_COST,
                late=False,
            )
        else:
            votes = Count.of((agreeing,), 0)
            seen = Situation(("",), votes, (), self._tally.planned, RUNNING_COST, late=False)
        return best_step(seen, self._price).action == "stop"

    def _finish(self, event: TraceFinished) -> None:
        self._without_end.discard(event.trace)
        self._evidence.finish(event.trace, event.answer)
        self._lengths.append(max(1, event.tokens))
        self._written.pop(event.trace, None)
        if event.answer is not None:
            self._firsts.setdefault(event.answer, event.trace)

    def _decide(self, event: Event, *, ended: bool) -> Step:
        situation = self._situation()
        step = best_step(situation, self._price)
        missing = self._settings.min_ballots - sum(self._tally.vote_counts) if self._lengths else 0
        if step.action == "stop" and missing <= 0:
            self._settled = True
            return Step([self._account(event.at, situation, step)], self._tally.stop_all("settled"))
        asked = self._ask(event, situation, ended=ended)
        if asked or self._probes.out or self._judge.out or self._awaits_segment(event):
            return Step([], asked)
        more = step.traces if step.action == "launch" else missing - self._tally.running
        commands = self._launch(more)
        step = step._replace(action="launch" if commands else "wait")
        return Step([self._account(event.at, situation, step)], commands)

    def _awaits_segment(self, event: Event) -> bool:
        """Whether a trace has just finished whose segment the judge will be able to read at the next event."""
        if not self.uses_checkpoints or not isinstance(event, TraceFinished):
            return False
        return not self._judge.can_read(event.trace)

    def _votes(self) -> tuple[tuple[str, ...], Count]:
        """The answers that are followed, most votes first, and the count of all votes."""
        counts = self._tally.votes
        ranked = sorted(counts, key=lambda answer: -counts[answer])  # stable: first given first
        ordered = tuple(counts[answer] for answer in ranked)
        return tuple(ranked[:FOLLOWED]), Count.of(ordered, self._tally.blanks)

    def _likelihoods(
        self, traces: set[int] | tuple[int, ...], answers: tuple[str, ...]
    ) -> dict[int, Likelihood]:
        """The evidence on those of the traces of which something is known."""
        evidence = {trace: self._evidence.likelihood(trace, answers) for trace in sorted(traces)}
        return {trace: each for trace, each in evidence.items() if not each.tells_nothing}

    def _situation(self) -> Situation:
        answers, counted = self._votes()
        known = self._likelihoods(self._tally.open, answers)
        silent = self._tally.running - len(known)
        telling = sorted(known.values(), key=_force)
        return Situation(
            answers,
            counted,
            (Likelihood((1.0,) * len(answers), 1.0),) * silent + tuple(telling),
            self._tally.left,
            self._running_cost(),
            late=self.watches_tokens,
        )

    def _running_cost(self) -> float:
        written = [self._written[trace] for trace in self._tally.open if trace in self._written]
        if not written or not self._lengths:
            return RUNNING_COST
        return RUNNING_COST * fmean(written) / fmean(self._lengths)

    def _ask(self, event: Event, situation: Situation, *, ended: bool) -> list[Command]:
        """The questions that are worth their price now: probes after a finish, then the judge."""
        if not self._firsts or not self._tally.running:
            return []
        worth = worth_of_knowing(situation)
        if ended and self.watches_tokens:
            running = [trace for trace in self._tally.open if trace in self._written]
            if worth > self._cost(len(running) * self._probes.cost):
                return [*self._probes.ask(running)]
        if self.uses_checkpoints and not self._probes.out:
            return [*self._ask_judge(situation, worth)]
        return []

    def _ask_judge(self, situation: Situation, worth: float) -> list[Command]:
        known = self._likelihoods(self._tally.open, situation.answers)
        unknown = [trace for trace in self._tally.open if trace not in known]
        finished = [self._firsts[answer] for answer in situation.answers]
        questions = self._judge.open(unknown, finished)
        if worth <= self._cost(self._judge.cost(questions)):
            return []
        return [*self._judge.ask(questions)]

    def _ask_again(self, trace: int) -> list[Command]:
        """Another probe of a trace that has written enough since the last, if it is worth its price."""
        if self._settled or not self._firsts:
            return []
        every = self._settings.probe_every * fmean(self._lengths)
        if not self._probes.is_due(trace, self._written[trace], every):
            return []
        if worth_of_knowing(self._situation()) <= self._cost(self._probes.cost):
            return []
        return [*self._probes.ask([trace])]

    def _cost(self, tokens: float) -> float:
        """The price of so many generated tokens."""
        return self._price * tokens / fmean(self._lengths)

    def _account(self, at: float, situation: Situation, step: NextStep) -> VoteWeighed:
        """What was decided, and on what, for those who watch."""
        likely = []
        known = self._likelihoods(self._tally.open, situation.answers)
        for trace, own in known.items():
            others = [each for other, each in known.items() if other != trace]
            chances = _outcomes(own, situation.counted, others)
            chance, answer = max(zip(chances, situation.answers, strict=True))
            likely.append(LikelyAnswer(trace=trace, answer=answer, probability=round(chance, 6)))
        return VoteWeighed(
            at=at,
            leader=situation.leader,
            lead_share=round(situation.lead_share, 6),
            worth=round(step.worth, 6),
            price=round(step.price, 6),
            traces=step.traces,
            action=step.action,
            likely=tuple(likely),
        )


def _force(evidence: Likelihood) -> float:
    """How much the evidence moves what is believed of a trace: the largest ratio to another answer."""
    return max(each / evidence.other for each in evidence.of)


def _outcomes(own: Likelihood, count: Count, others: list[Likelihood]) -> tuple[float, ...]:
    """The chances of a trace's followed answers; of the others' evidence as much as is counted."""
    return outcomes_of(own, count, tuple(others[: HORIZON - 1]))
