"""`mars`: a pool of traces is probed at checkpoints and stopped once the leader is safe from switches (arXiv 2606.12935).

Reimplements the public code (Wenbo11/MARS), method "sc-mars" with a calibrated gamma. The first traces, the warm-up, run
to their end. On their probes a logistic model learns how probable it is that a trace will still change its answer, from five
features: position, confidence of the probe, number of changes so far, length of the streak without one, and trend of the confidence;
Platt scaling calibrates it. Then the other traces run side by side. At every checkpoint all traces vote with their newest
answer. The leader is safe if, for every other answer and for one that nobody has given, its margin is larger than what
switches are expected to cost it at worst: twice a vote of the leader, one of anybody else, minus one of that answer. `gamma`, in
1/2..1, scales that cost; it is the smallest for which the warm-up alone would have stopped with its own majority.

Where recordings have no confidences, those two features are zero. Unlike in the public simulation, the warm-up is on the
bill: it has to be generated to learn from.
"""

import math
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.data.recorded import NO_ANSWER, RecordedQuestion, RecordedTrace
from bench.replay.player import ReplayResult
from bench.replay.server import ServerModel

__all__ = ["Seen", "SwitchModel", "is_safe", "play_mars"]

_CHECKPOINT_TOKENS = 2048
_WARM_UP = 16
_INVERSE_PENALTY = 50.0
"""0.01 times the squared coefficients, as in the public code."""
_GAMMAS = tuple(round(1.0 - 0.05 * step, 2) for step in range(11))
_UCB = 1.0

Features = tuple[float, float, float, float, float]


class Seen(NamedTuple):
    """What is known of a trace at a checkpoint; `switch` is the chance that it changes its answer, 0 once it has ended."""

    answer: str
    switch: float


class SwitchModel:
    """The chance that a probed trace will end in another answer."""

    def __init__(self, features: Sequence[Features], switched: Sequence[bool]) -> None:
        self._rate = sum(switched) / len(switched) if switched else 1.0
        self._weights: NDArray[np.float64] | None = None
        if 0.0 < self._rate < 1.0:
            # a second that no other policy needs
            from sklearn.linear_model import LogisticRegression

            matrix = np.array(features)
            self._mean, scale = matrix.mean(axis=0), np.maximum(matrix.std(axis=0), 1e-10)
            standard, labels = (matrix - self._mean) / scale, np.array(switched)
            model = LogisticRegression(C=_INVERSE_PENALTY).fit(standard, labels)
            logits = model.decision_function(standard)[:, np.newaxis]
            platt = LogisticRegression(C=np.inf).fit(logits, labels)
            slope, offset = float(platt.coef_[0, 0]), float(platt.intercept_[0])
            self._weights = slope * model.coef_[0] / scale
            self._offset = offset + slope * float(model.intercept_[0])

    def chance(self, features: Features) -> float:
        """For one trace at one checkpoint."""
        if self._weights is None:
            return self._rate
        logit = self._offset + float(self._weights @ (np.array(features) - self._mean))
        return 0.5 * (1.0 + math.tanh(logit / 2.0))


def is_safe(seen: Sequence[Seen], gamma: float) -> bool:
    """Whether the leader of these traces is safe against the worst switches that are to be expected."""
    votes = Counter(each.answer for each in seen)
    if not votes:
        return False
    leader, most = max(votes.items(), key=lambda item: item[1])
    for rival in (None, *(answer for answer in votes if answer != leader)):
        margin = most - (0 if rival is None else votes[rival])
        cost = sum(each.switch * _cost(each.answer, leader, rival, gamma) for each in seen)
        if margin <= cost:
            return False
    return True


def _cost(answer: str, leader: str, rival: str | None, gamma: float) -> float:
    """What a switch of a trace with this answer costs the leader's margin at worst."""
    if answer == leader:
        return 2.0 * gamma
    return -1.0 if answer == rival else gamma


def play_mars(
    question: RecordedQuestion, traces: Sequence[RecordedTrace], server: ServerModel
) -> ReplayResult:
    """One run over `traces`: the warm-up first, then all others at once.

    Raises:
        DatasetError: the question was recorded without probes.
    """
    recorded_every = question.probe_interval("mars")
    stride = max(1, round(_CHECKPOINT_TOKENS / recorded_every))
    every = stride * recorded_every
    warm_up, pool = traces[:_WARM_UP], traces[_WARM_UP:]
    model = _learn(warm_up, stride)
    gamma, reference = _calibrate(warm_up, stride, model)
    votes: Counter[str] = Counter()
    stop = _last_checkpoint(pool, every)
    for checkpoint in range(1, stop + 1):
        seen = [_seen(trace, checkpoint, stride, every, model) for trace in traces]
        known = [each for each in seen if each is not None]
        leaders = Counter(each.answer for each in known)
        early = (
            checkpoint == 1
            and leaders.most_common(1)[:1] != []
            and (leaders.most_common(1)[0][0] != reference)
        )
        if not early and is_safe(known, gamma):
            votes, stop = leaders, checkpoint
            break
    else:
        votes = Counter(trace.answer for trace in traces if trace.answer is not None)
        stop = 0
    return _result(warm_up, pool, votes, stop * every if stop else None, every, server)


def _result(
    warm_up: Sequence[RecordedTrace],
    pool: Sequence[RecordedTrace],
    votes: Counter[str],
    stopped_at: int | None,
    every: int,
    server: ServerModel,
) -> ReplayResult:
    """The outcome; `stopped_at` is the number of tokens at which the pool was stopped, None if it was not."""
    written = [
        trace.tokens if stopped_at is None else min(trace.tokens, stopped_at) for trace in pool
    ]
    probes = sum(
        math.ceil(tokens / every) - 1 for tokens in (*written, *(t.tokens for t in warm_up))
    )
    finished = [
        *warm_up,
        *(trace for trace, tokens in zip(pool, written, strict=True) if tokens == trace.tokens),
    ]
    stopped = tuple(
        tokens for trace, tokens in zip(pool, written, strict=True) if tokens < trace.tokens
    )
    first, second = max(trace.tokens for trace in warm_up), max(written, default=0)
    lengths = {"finished": tuple(trace.tokens for trace in finished)}
    return ReplayResult(
        answer=votes.most_common(1)[0][0] if votes else None,
        tokens=sum(trace.tokens for trace in warm_up) + sum(written) + probes * server.probe_tokens,
        sequential_tokens=float(first + second),
        judge_tokens=0,
        seconds=first * server.step(len(warm_up)) + second * server.step(len(pool)),
        started=len(warm_up) + len(pool),
        finished=tuple(trace.answer for trace in finished),
        finished_tokens=sum(lengths["finished"]),
        lengths={**lengths, **({"stopped": stopped} if stopped else {})},
        probe_tokens=probes * server.probe_tokens,
    )


def _last_checkpoint(pool: Sequence[RecordedTrace], every: int) -> int:
    return max((trace.tokens // every for trace in pool), default=0)


def _seen(
    trace: RecordedTrace, checkpoint: int, stride: int, every: int, model: SwitchModel
) -> Seen | None:
    """What a trace says at a checkpoint; None if no answer could be read."""
    if trace.tokens <= checkpoint * every:
        return None if trace.answer is None else Seen(trace.answer, 0.0)
    answers = _answers(trace, stride)[:checkpoint]
    if not answers or answers[-1] == NO_ANSWER:
        return None
    return Seen(answers[-1], model.chance(_features(answers)))


def _answers(trace: RecordedTrace, stride: int) -> tuple[str, ...]:
    """What the trace said at each checkpoint before its end."""
    return trace.probes[stride - 1 :: stride]


def _features(answers: Sequence[str]) -> Features:
    """Position, confidence, changes, streak and trend after the last of these probes; recordings have no confidences."""
    changes = sum(one != other for one, other in pairwise(answers))
    streak = 1
    while streak < len(answers) and answers[-streak - 1] == answers[-1]:
        streak += 1
    return (float(len(answers)), 0.0, float(changes), float(streak), 0.0)


def _learn(warm_up: Sequence[RecordedTrace], stride: int) -> SwitchModel:
    features, switched = [], []
    for trace in warm_up:
        answers = _answers(trace, stride)
        if trace.answer is not None:
            for number in range(1, len(answers) + 1):
                features.append(_features(answers[:number]))
                switched.append(answers[number - 1] != trace.answer)
    return SwitchModel(features, switched)


class _Calibration(NamedTuple):
    gamma: float
    reference: str | None
    """The majority of the warm-up's final answers."""


def _calibrate(warm_up: Sequence[RecordedTrace], stride: int, model: SwitchModel) -> _Calibration:
    """The smallest gamma, from 1 down, with which the warm-up alone stops with the answer that gamma 1 gives it."""
    votes = Counter(trace.answer for trace in warm_up if trace.answer is not None)
    if not votes:
        return _Calibration(1.0, None)
    reference = votes.most_common(1)[0][0]
    stops = [_warm_up_stop(warm_up, stride, model, gamma, reference) for gamma in _GAMMAS]
    stable = _GAMMAS[0]
    for gamma, stop in zip(_GAMMAS, stops, strict=True):
        if stop.answer != stops[0].answer:
            break
        stable = gamma
    return _Calibration(min(1.0, stable + _UCB / math.sqrt(max(1, stops[0].voters))), reference)


class _Stop(NamedTuple):
    answer: str
    voters: int


def _warm_up_stop(
    warm_up: Sequence[RecordedTrace],
    stride: int,
    model: SwitchModel,
    gamma: float,
    reference: str,
) -> _Stop:
    """Where the warm-up would have stopped, every trace with its newest probe; at its end with its majority."""
    said = [_answers(trace, stride) for trace in warm_up]
    for checkpoint in range(1, max(map(len, said), default=0) + 1):
        seen = []
        for trace, answers in zip(warm_up, said, strict=True):
            if checkpoint <= len(answers):
                if answers[checkpoint - 1] != NO_ANSWER:
                    chance = model.chance(_features(answers[:checkpoint]))
                    seen.append(Seen(answers[checkpoint - 1], chance))
            elif trace.answer is not None:
                seen.append(Seen(trace.answer, 0.0))
        if is_safe(seen, gamma):
            return _Stop(Counter(each.answer for each in seen).most_common(1)[0][0], len(seen))
    return _Stop(reference, len(warm_up))
