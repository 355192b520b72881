"""The pairs that a judge learns from and those that choose its best epoch, from traces or from a file of pairs.

The rule: a question belongs to one side only, and which one depends on its id, the seed and the fold alone.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from judge_server.pairs import (
    Pair,
    PairCounts,
    PairRules,
    Split,
    both_orders,
    make_pairs,
    oversample_minority,
    same_text,
    split_of,
)
from judge_server.settings import TrainSettings
from judge_server.traces import group_by_question, read_traces
from orchestrator.core.judging import JudgeSpec
from orchestrator.errors import DatasetError

__all__ = ["Fold", "Source", "TrainingData", "read_training_data", "sides"]


@dataclass(frozen=True, slots=True)
class Fold:
    """The `number`-th (from 0) of `of` folds, whose questions are for testing."""

    number: int
    of: int


@dataclass(frozen=True, slots=True)
class Source:
    """Where the pairs come from: finished traces, or a file of pairs with perhaps one more for validation."""

    traces: Path | None = None
    pairs: Path | None = None
    validation_pairs: Path | None = None

    @property
    def files(self) -> list[Path]:
        """The files that were given."""
        return [
            file for file in (self.traces, self.pairs, self.validation_pairs) if file is not None
        ]


@dataclass(frozen=True, slots=True)
class TrainingData:
    """Pairs to learn from, pairs that choose the best epoch (none: the last), and the questions kept for testing."""

    learned: list[Pair]
    validation: list[Pair]
    test_questions: list[str]
    counts: dict[str, int]

    def shown(self, settings: TrainSettings) -> list[Pair]:
        """The pairs of one epoch: in both orders if wanted, the rarer class as often as the settings say."""
        ordered = both_orders(self.learned) if settings.both_orders else self.learned
        return oversample_minority(ordered, settings.oversample)

    def summary(self) -> dict[str, Any]:
        """Counts of what is learned and of what chooses."""
        return {
            "questions": len({pair.question_id for pair in self.learned}),
            "models": sorted({pair.model for pair in self.learned} - {""}),
            **self.counts,
            "validation_questions": len({pair.question_id for pair in self.validation}),
            "validation_pairs": len(self.validation),
        }


def read_training_data(
    source: Source, spec: JudgeSpec, settings: TrainSettings, fold: Fold | None
) -> TrainingData:
    """The pairs of every side.

    Raises DatasetError if a file cannot be used, or if a side that needs both classes has one.
    """
    if source.pairs is not None:
        data = _from_pairs(source.pairs, source.validation_pairs, settings, fold)
    elif source.traces is not None:
        data = _from_traces(source.traces, spec, settings, fold)
    else:
        raise DatasetError("There is nothing to learn from; give --traces FILE or --pairs FILE.")
    _check_both_classes("training", data.learned)
    if settings.validation_share > 0 or source.validation_pairs is not None:
        _check_both_classes("validation", data.validation)
    return data


def sides(questions: Iterable[str], settings: TrainSettings, fold: Fold | None) -> dict[str, Split]:
    """Which side each question is on.

    Without a fold the shares of the settings decide. With one, the questions are dealt to the folds in the
    order of their hashes, so that the folds are of equal size; the rest is split by the validation share.
    """
    questions = list(dict.fromkeys(questions))
    shuffled = sorted(questions, key=lambda name: _digest(f"{settings.seed}:fold:{name}"))
    test = set(shuffled[fold.number :: fold.of]) if fold else set()
    return {
        name: "test"
        if name in test
        else split_of(
            name,
            validation=settings.validation_share,
            test=0.0 if fold else settings.test_share,
            seed=settings.seed,
        )
        for name in questions
    }


def _from_traces(
    file: Path, spec: JudgeSpec, settings: TrainSettings, fold: Fold | None
) -> TrainingData:
    """Pairs of the traces, cut as the judge will see them online."""
    rules = PairRules(
        words=spec.segment_words,
        pairs_per_question=settings.pairs_per_question,
        keep_trivial=settings.keep_trivial,
    )
    groups = group_by_question(read_traces(file))
    side = sides(groups, settings, fold)

    def of_side(wanted: Split) -> tuple[list[Pair], PairCounts]:
        rows = [rows for name, rows in groups.items() if side[name] == wanted]
        return make_pairs(rows, rules, equal=same_text, rng=Random(settings.seed))

    learned, counts = of_side("train")
    test = [name for name in groups if side[name] == "test"]
    return TrainingData(learned, of_side("validation")[0], test, counts.as_dict())


def _from_pairs(
    file: Path, validation_file: Path | None, settings: TrainSettings, fold: Fold | None
) -> TrainingData:
    """Pairs as they stand in the file; with a file for validation, all of the first one is learned."""
    from judge_server.alpaca import read_pairs

    pairs = list(read_pairs(file))
    test: list[str] = []
    if validation_file is not None:
        learned, validation = pairs, list(read_pairs(validation_file))
    else:
        side = sides((pair.question_id for pair in pairs), settings, fold)
        learned = [pair for pair in pairs if side[pair.question_id] == "train"]
        validation = [pair for pair in pairs if side[pair.question_id] == "validation"]
        test = [name for name, of in side.items() if of == "test"]
    same = sum(pair.same for pair in learned)
    return TrainingData(learned, validation, test, {"pairs": len(learned), "same": same})


def _check_both_classes(split: str, pairs: Sequence[Pair]) -> None:
    if len({pair.same for pair in pairs}) < 2:
        raise DatasetError(
            f"The {split} pairs ({len(pairs)}) are not of both classes; give traces of more questions, "
            "several of each, with answers."
        )


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
