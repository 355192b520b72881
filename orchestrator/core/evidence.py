"""What is known of the final answers of traces that still run: probes, a judge's verdicts, and how far to trust both.

Evidence on a trace is a likelihood: for every answer that has votes, and for "another", how probable what was observed
is if the trace ends so. Likelihoods count up to a common factor, so a trace of which nothing is known has ones.

*A probe* that names an answer with votes is nearly always final. How much it counts is the ratio of two chances: that a
probe names the answer in which the trace ends (`hit`), and that it names some other one with votes (`false_alarm`). A probe
that names no such answer counts nothing: models differ far more in how early they can say their final answer than in
how often they are wrong about it once they can, and silence taken for dissent would keep easy questions running.

*A verdict* p(identical) with a finished trace counts as the odds p / (1 - p), to the power of a trust in 0..1. Several
verdicts on the same trace and answer count as their mean: the judge reads the same segment each time, so its errors
are not independent.

Both reliabilities begin with what the settings say and are updated within the run by every probed or judged trace that
ends. They are computed from the set of observations, so the order of events does not matter. Nothing here is ever
surer than one observation of the best kind allows for a trace, whatever is repeated.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from statistics import fmean
from typing import NamedTuple

from orchestrator.settings import AutoSettings

__all__ = ["Evidence", "Likelihood"]

_TRUSTS = (0.0, 0.25, 0.5, 0.75, 1.0)
_MOST_SURE = 0.99
"""No single verdict counts as more than these odds, however sure the judge says that it is."""


class Likelihood(NamedTuple):
    """How probable what is known of a trace is, up to a common factor: for each of some answers, and for another one."""

    of: tuple[float, ...]
    other: float

    @property
    def tells_nothing(self) -> bool:
        """Whether every answer is as probable as it was without evidence."""
        return all(each == self.other for each in self.of)


class _Probe(NamedTuple):
    asked_at: int
    answer: str | None


class Evidence:
    """The observations of one question so far."""

    def __init__(self, settings: AutoSettings) -> None:
        weight = settings.reliability_weight
        self._hits = settings.probe_hit * weight
        self._misses = weight - self._hits
        self._false_alarms = settings.probe_false_alarm * weight
        self._correct_rejections = weight - self._false_alarms
        self._probes: dict[int, _Probe] = {}
        self._verdicts: dict[frozenset[int], float] = {}
        self._finals: dict[int, str | None] = {}

    def finish(self, trace: int, answer: str | None) -> None:
        """A trace ended by itself; None for one without an answer."""
        self._finals[trace] = answer

    def probe(self, trace: int, asked_at: int, answer: str | None) -> None:
        """A trace was asked after `asked_at` tokens; the latest of its probes counts."""
        known = self._probes.get(trace)
        if known is None or asked_at >= known.asked_at:
            self._probes[trace] = _Probe(asked_at, answer)

    def judge(self, trace: int, member: int, probability: float) -> None:
        """A verdict, p(identical), on two traces."""
        self._verdicts[frozenset((trace, member))] = probability

    def likelihood(self, trace: int, answers: Sequence[str]) -> Likelihood:
        """What is known of a running trace, for answers that have votes."""
        by_probe = self._by_probe(trace, answers)
        by_judge = self._by_judge(trace, answers)
        return Likelihood(
            tuple(one * other for one, other in zip(by_probe.of, by_judge.of, strict=True)),
            by_probe.other * by_judge.other,
        )

    @property
    def probe_hit(self) -> float:
        """The chance that a probe names the answer in which its trace will end."""
        named = [probe.answer == final for probe, final in self._ended_probes()]
        return (self._hits + sum(named)) / (self._hits + self._misses + len(named))

    @property
    def probe_false_alarm(self) -> float:
        """The chance that a probe names one certain other answer with votes.

        Chances of a probe of a trace that ended are all such answers.
        """
        voted = {answer for answer in self._finals.values() if answer is not None}
        chances = alarms = 0
        for probe, final in self._ended_probes():
            others = voted - {final}
            chances += len(others)
            alarms += probe.answer in others
        prior = self._false_alarms + self._correct_rejections
        return (self._false_alarms + alarms) / (prior + chances)

    @property
    def trust(self) -> float:
        """How far the judge's odds count, 0..1: the mean over a grid, after the pairs of which both traces have ended."""
        logs = [0.0] * len(_TRUSTS)
        for pair, probability in self._verdicts.items():
            one, other = sorted(pair)
            if one in self._finals and other in self._finals:
                final = self._finals[one]
                alike = final is not None and final == self._finals[other]
                odds = _log_odds(probability) * (1 if alike else -1)
                for number, trust in enumerate(_TRUSTS):
                    logs[number] -= math.log1p(math.exp(-trust * odds))
        top = max(logs)
        weights = [math.exp(log - top) for log in logs]
        return math.fsum(map(float.__mul__, weights, _TRUSTS)) / math.fsum(weights)

    def _ended_probes(self) -> list[tuple[_Probe, str | None]]:
        return [
            (probe, self._finals[trace])
            for trace, probe in sorted(self._probes.items())
            if trace in self._finals
        ]

    def _by_probe(self, trace: int, answers: Sequence[str]) -> Likelihood:
        probe = self._probes.get(trace)
        if probe is None or probe.answer not in answers:
            return Likelihood((1.0,) * len(answers), 1.0)
        hit, false_alarm = self.probe_hit, self.probe_false_alarm
        return Likelihood(
            tuple(hit if answer == probe.answer else false_alarm for answer in answers), false_alarm
        )

    def _by_judge(self, trace: int, answers: Sequence[str]) -> Likelihood:
        """Each answer against all others: the verdicts on finished traces that gave it."""
        said: defaultdict[str, list[float]] = defaultdict(list)
        for pair, probability in self._verdicts.items():
            if trace in pair:
                (member,) = pair - {trace}
                final = self._finals.get(member)
                if final is not None:
                    said[final].append(_log_odds(probability))
        if not said:
            return Likelihood((1.0,) * len(answers), 1.0)
        trust = self.trust
        return Likelihood(
            tuple(math.exp(trust * fmean(said[a])) if a in said else 1.0 for a in answers), 1.0
        )


def _log_odds(probability: float) -> float:
    bounded = min(_MOST_SURE, max(1.0 - _MOST_SURE, probability))
    return math.log(bounded / (1.0 - bounded))
