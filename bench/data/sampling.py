"""Samples of recorded traces for a replay, and the split of questions into two halves.

The rule: a sample depends on the seed, the question and the number of the resampling, never on the policy. So all
policies are replayed on the same traces in the same order, and their differences are paired.
"""

import hashlib
from typing import Literal

import numpy as np

from bench.data.recorded import RecordedQuestion

__all__ = ["Half", "half_of", "sample_traces", "traces_of_half"]

Half = Literal["tune", "report"]


def sample_traces(
    question: RecordedQuestion,
    traces: int,
    *,
    seed: int,
    resample: int,
    half: Half | Literal["all"] = "all",
) -> list[int]:
    """Numbers of `traces` recorded traces (or of all, if there are fewer), without replacement.

    With a `half`, only from that half of the question's traces: the two have no trace in common, whatever the seed.
    """
    rng = np.random.default_rng([seed, _fingerprint(question), resample])
    numbers = traces_of_half(question, half)
    sample: list[int] = rng.permutation(numbers)[:traces].tolist()
    return sample


def traces_of_half(question: RecordedQuestion, half: Half | Literal["all"]) -> list[int]:
    """The numbers of the traces in a half; which they are depends on the question alone."""
    everything = len(question.traces)
    if half == "all":
        return list(range(everything))
    drawn = np.random.default_rng(_fingerprint(question)).permutation(everything).tolist()
    cut = everything - everything // 2
    return sorted(drawn[:cut] if half == "tune" else drawn[cut:])


def half_of(question: RecordedQuestion) -> Half:
    """The half that the question belongs to, by a hash of its text: settings are tuned on one, reported on the other."""
    return "report" if _fingerprint(question) % 2 else "tune"


def _fingerprint(question: RecordedQuestion) -> int:
    return int.from_bytes(hashlib.sha256(question.question.encode()).digest(), "big")
