"""Samples of recorded traces for a replay, and the split of questions into two halves.

The rule: a sample depends on the seed, the question and the number of the resampling, never on the policy. So all
policies are replayed on the same traces in the same order, and their differences are paired.
"""

import hashlib
from typing import Literal

import numpy as np

from bench.data.recorded import RecordedQuestion

__all__ = ["Half", "half_of", "sample_traces"]

Half = Literal["tune", "report"]


def sample_traces(
    question: RecordedQuestion, traces: int, *, seed: int, resample: int
) -> list[int]:
    """Numbers of `traces` recorded traces (or of all, if there are fewer), without replacement."""
    rng = np.random.default_rng([seed, _fingerprint(question), resample])
    sample: list[int] = rng.permutation(len(question.traces))[:traces].tolist()
    return sample


def half_of(question: RecordedQuestion) -> Half:
    """The half that the question belongs to, by a hash of its text: settings are tuned on one, reported on the other."""
    return "report" if _fingerprint(question) % 2 else "tune"


def _fingerprint(question: RecordedQuestion) -> int:
    return int.from_bytes(hashlib.sha256(question.question.encode()).digest(), "big")
