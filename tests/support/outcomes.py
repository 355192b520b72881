"""Outcomes of policies, written by hand."""

from collections.abc import Sequence
from typing import Any

from bench.results.outcomes import Outcome

__all__ = ["FOUR_VOTES", "ONE_VOTE", "outcome", "outcomes"]


def outcome(**values: Any) -> Outcome:
    """An outcome with plain values for everything that is not given."""
    plain: dict[str, Any] = {
        "file": "f",
        "policy": "cons@1",
        "question_id": "a",
        "resample": 0,
        "answer": "1",
        "correct": True,
        "tokens": 10,
        "cut_tokens": 0,
        "sequential_tokens": 10.0,
        "judge_tokens": 0,
        "seconds": 1.0,
        "traces": 4,
    }
    return Outcome(**{**plain, **values})


def outcomes(policy: str, correct: Sequence[int], tokens: int, **values: Any) -> list[Outcome]:
    """One outcome per question; `correct` has a 1 for each that is right."""
    return [
        outcome(
            policy=policy, question_id=str(number), correct=bool(right), tokens=tokens, **values
        )
        for number, right in enumerate(correct)
    ]


ONE_VOTE = outcomes("cons@1", [1, 0, 0, 0], 100)
FOUR_VOTES = outcomes("cons@4", [1, 1, 1, 0], 400)
