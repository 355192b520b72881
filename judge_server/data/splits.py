"""The split of each question into training, validation and test.

The rule: a question is in one split only (the lesson of arXiv 2510.08483 v2, where the AUROC of v1, 0.87 with
shared questions, fell to 0.7072 without).
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

__all__ = ["Fold", "Split", "assign_splits", "split_of"]

Split = Literal["train", "validation", "test"]


@dataclass(frozen=True, slots=True)
class Fold:
    """The `number`-th (from 0) of `of` folds, whose questions are for testing."""

    number: int
    of: int


def split_of(question_id: str, *, validation: float, test: float, seed: int) -> Split:
    """The split of a question; it depends on the question alone, so no other data can change it.

    `validation` and `test` are fractions of all questions, in 0..1.
    """
    digest = hashlib.sha256(f"{seed}:{question_id}".encode()).digest()
    place = int.from_bytes(digest[:8], "big") / 2**64
    if place < test:
        return "test"
    return "validation" if place < test + validation else "train"


def assign_splits(
    questions: Iterable[str], *, validation: float, test: float, seed: int, fold: Fold | None = None
) -> dict[str, Split]:
    """The split of each question, by its id.

    Without a fold the fractions decide. With one, the questions are dealt to the folds in the order of their
    hashes, so that the folds are of equal size; the rest is split by the fraction `validation`.
    """
    questions = list(dict.fromkeys(questions))
    shuffled = sorted(questions, key=lambda name: _sha256(f"{seed}:fold:{name}"))
    tested = set(shuffled[fold.number :: fold.of]) if fold else set()
    return {
        name: "test"
        if name in tested
        else split_of(name, validation=validation, test=0.0 if fold else test, seed=seed)
        for name in questions
    }


def _sha256(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
