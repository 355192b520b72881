"""How much an unfinished trace's forced answer tells about its final one.

After arXiv 2602.03845 and the question that `auto` asks: if a probe names an answer, how often is that the final one? It is
told by the fraction of the trace that was written, and apart for probes that name the answer of the question's largest
group of finished traces, because only such a probe speaks for settling early.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec
import numpy as np
from scipy.stats import bootstrap

from bench.data.recorded import RecordedQuestion

__all__ = ["Probe", "ProbeRow", "probe_rows", "recorded_probes"]

_UNREADABLE = ("ERR", "", "None")
_DRAWS = 2000


class Probe(NamedTuple):
    """One probe of a trace whose end is known.

    `fraction` of the trace's tokens was written, 0..1. `named` and `final` are classes of equal answers, None without
    one. `leader` is the answer of most traces of the question.
    """

    question: str
    fraction: float
    named: str | None
    final: str | None
    leader: str | None
    tokens: int = 0
    prompt_tokens: int = 0
    cached_prompt_tokens: int = 0


class ProbeRow(msgspec.Struct, frozen=True, kw_only=True):
    """Probes at one part of the traces. Fractions are None where nothing was counted.

    `precision` is P(final = A | probe = A) over all answers A, with its 95 % interval by bootstrap over questions; `leader_precision`
    the same for probes that name the leader. `recall` is the fraction of traces with an answer whose probe names it.
    """

    part: str
    probes: int
    questions: int
    named: float | None
    precision: float | None
    precision_low: float | None
    precision_high: float | None
    leader_precision: float | None
    recall: float | None
    tokens_per_probe: float | None
    cached: float | None


def recorded_probes(questions: Iterable[RecordedQuestion]) -> list[Probe]:
    """The probes in a recording; what they cost was not recorded."""
    found = []
    for question in questions:
        leader = _leader(trace.answer for trace in question.traces)
        for trace in question.traces:
            for number, named in enumerate(trace.probes, start=1):
                at = number * (question.probe_tokens or 0)
                if 0 < at < trace.tokens:
                    answer = None if named in _UNREADABLE else named
                    found.append(
                        Probe(question.id, at / trace.tokens, answer, trace.answer, leader)
                    )
    return found


def probe_rows(probes: Sequence[Probe], parts: int = 5) -> list[ProbeRow]:
    """A row for each of so many equal parts of the traces, and one for all."""
    rows = [
        _row(
            f"{part / parts:.0%} to {(part + 1) / parts:.0%}",
            [each for each in probes if min(int(each.fraction * parts), parts - 1) == part],
        )
        for part in range(parts)
    ]
    return [*rows, _row("all", probes)]


def _row(part: str, probes: Sequence[Probe]) -> ProbeRow:
    named = [probe for probe in probes if probe.named is not None]
    right = [probe for probe in named if probe.named == probe.final]
    leading = [probe for probe in named if probe.named == probe.leader]
    answered = [probe for probe in probes if probe.final is not None]
    low, high = _interval(named)
    prompt = sum(probe.prompt_tokens for probe in probes)
    return ProbeRow(
        part=part,
        probes=len(probes),
        questions=len({probe.question for probe in probes}),
        named=_fraction(len(named), len(probes)),
        precision=_fraction(len(right), len(named)),
        precision_low=low,
        precision_high=high,
        leader_precision=_fraction(
            sum(probe.final == probe.leader for probe in leading), len(leading)
        ),
        recall=_fraction(len(right), len(answered)),
        tokens_per_probe=_fraction(sum(probe.tokens for probe in probes), len(probes))
        if prompt
        else None,
        cached=_fraction(sum(probe.cached_prompt_tokens for probe in probes), prompt),
    )


def _leader(answers: Iterable[str | None]) -> str | None:
    counts = Counter(answer for answer in answers if answer is not None)
    return counts.most_common(1)[0][0] if counts else None


def _fraction(part: float, whole: float) -> float | None:
    return round(part / whole, 4) if whole else None


def _interval(named: Sequence[Probe]) -> tuple[float | None, float | None]:
    """The 95 % percentile interval of the fraction that is right; None with fewer than two questions.

    Probes of one question are alike, so questions are drawn and not probes.
    """
    trials = Counter(probe.question for probe in named)
    hits = Counter(probe.question for probe in named if probe.named == probe.final)
    if len(trials) < 2:
        return None, None
    data = np.array([[hits[question], trials[question]] for question in trials]).T
    result = bootstrap(
        (data[0], data[1]),
        lambda right, all_, axis: right.sum(axis=axis) / all_.sum(axis=axis),
        paired=True,
        vectorized=True,
        n_resamples=_DRAWS,
        method="percentile",
        rng=np.random.default_rng(0),
    )
    interval = result.confidence_interval
    return round(float(interval.low), 4), round(float(interval.high), 4)
