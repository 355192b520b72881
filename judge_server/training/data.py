"""The pairs that a judge learns from and those that choose its best epoch, from traces or from a file of pairs.

The rule: a question belongs to one side only, and which one depends on its id, the seed and the fold alone.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from judge_server.data.alpaca import read_pairs
from judge_server.data.labels import AnswerEquality
from judge_server.data.pairs import Pair, PairCounts, both_orders, make_pairs, oversample_minority
from judge_server.data.splits import Fold, Split, assign_splits
from judge_server.data.traces import fingerprint, group_by_question, read_traces, source_files
from judge_server.data.truncation import PairRules, token_ends
from judge_server.training.settings import TrainSettings
from orchestrator.core.judging import JudgeSpec
from orchestrator.errors import ConfigError, DatasetError

__all__ = ["TrainingData", "TrainingSource", "read_training_data"]


@dataclass(frozen=True, slots=True)
class TrainingSource:
    """Where the pairs come from: finished traces, or a file of pairs with perhaps one more for validation.

    `tokenizer` is the folder of the one that counts tokens where traces are cut by tokens.
    """

    traces: Path | None = None
    pairs: Path | None = None
    validation_pairs: Path | None = None
    tokenizer: Path | None = None

    @property
    def files(self) -> list[Path]:
        """The files that are read; of a folder of runs, their journals."""
        given = [path for path in (self.traces, self.pairs, self.validation_pairs) if path]
        return [file for path in given for file in source_files(path)]


@dataclass(frozen=True, slots=True)
class TrainingData:
    """Pairs to learn from, pairs that choose the best epoch (none: the last), and the questions kept for testing.

    `counts` tells what became of the traces and pairs of the first, `undecided` how many pairs of both were left
    out because no check could tell whether their answers are equal.
    """

    learned: list[Pair]
    validation: list[Pair]
    test_questions: list[str]
    counts: dict[str, int]
    undecided: int = 0

    def shown(self, settings: TrainSettings) -> list[Pair]:
        """The pairs of one epoch: in both orders if wanted, the rarer class as often as the settings say."""
        ordered = both_orders(self.learned) if settings.both_orders else self.learned
        return oversample_minority(ordered, settings.oversample)

    def seen_questions(self) -> list[str]:
        """Fingerprints of all questions that moved the weights, by learning or by choosing; in order."""
        pairs = (*self.learned, *self.validation)
        asked = {(pair.question_id, pair.question) for pair in pairs}
        return sorted({fingerprint(name, text) for name, text in asked})

    def summary(self) -> dict[str, Any]:
        """Counts of what is learned and of what chooses."""
        return {
            "questions": len({pair.question_id for pair in self.learned}),
            "models": sorted({pair.model for pair in self.learned} - {""}),
            **self.counts,
            "validation_questions": len({pair.question_id for pair in self.validation}),
            "validation_pairs": len(self.validation),
            "undecided": self.undecided,
        }


def read_training_data(
    source: TrainingSource, spec: JudgeSpec, settings: TrainSettings, fold: Fold | None
) -> TrainingData:
    """The pairs of every side.

    Raises DatasetError if a file cannot be used, or if a side that needs both classes has one.
    """
    if source.pairs is not None:
        data = _from_pairs(source.pairs, source.validation_pairs, settings, fold)
    elif source.traces is not None:
        data = _from_traces(source.traces, source.tokenizer, spec, settings, fold)
    else:
        raise DatasetError("There is nothing to learn from; give --traces FILE or --pairs FILE.")
    _check_both_classes("training", data.learned)
    if settings.validation_share > 0 or source.validation_pairs is not None:
        _check_both_classes("validation", data.validation)
    return data


def _splits(
    questions: Iterable[str], settings: TrainSettings, fold: Fold | None
) -> dict[str, Split]:
    return assign_splits(
        questions,
        validation=settings.validation_share,
        test=settings.test_share,
        seed=settings.seed,
        fold=fold,
    )


def _from_traces(
    file: Path, tokenizer: Path | None, spec: JudgeSpec, settings: TrainSettings, fold: Fold | None
) -> TrainingData:
    """Pairs of the traces, cut as the judge will see them online; labels as evaluation makes them."""
    rules = PairRules(
        words=spec.segment_words,
        tokens=spec.segment_tokens,
        token_ends=token_ends(tokenizer) if spec.segment_tokens and tokenizer else None,
        max_segment_chars=spec.max_segment_chars,
        pairs_per_question=settings.pairs_per_question,
        keep_trivial=settings.keep_trivial,
        trust_answer_class=True,
    )
    groups = group_by_question(read_traces(file))
    side = _splits(groups, settings, fold)

    def of_side(wanted: Split) -> tuple[list[Pair], PairCounts]:
        rows = [rows for name, rows in groups.items() if side[name] == wanted]
        with AnswerEquality() as equal:
            return make_pairs(rows, rules, equal=equal, seed=settings.seed)

    learned, counts = of_side("train")
    validation, others = of_side("validation")
    test = [name for name in groups if side[name] == "test"]
    undecided = counts.undecided + others.undecided
    return TrainingData(learned, validation, test, counts.as_dict(), undecided)


def _from_pairs(
    file: Path, validation_file: Path | None, settings: TrainSettings, fold: Fold | None
) -> TrainingData:
    """Pairs as they stand in the file; with a file for validation, all of the first one is learned."""
    pairs = list(read_pairs(file))
    side = _splits((pair.question_id for pair in pairs), settings, fold)
    test = [name for name, of in side.items() if of == "test"]
    if validation_file is None:
        learned = [pair for pair in pairs if side[pair.question_id] == "train"]
        validation = [pair for pair in pairs if side[pair.question_id] == "validation"]
    else:
        learned, validation = pairs, list(read_pairs(validation_file))
        _check_sides(test, side, validation)
    same = sum(pair.same for pair in learned)
    return TrainingData(learned, validation, test, {"pairs": len(learned), "same": same})


def _check_sides(test: Sequence[str], side: Iterable[str], validation: Iterable[Pair]) -> None:
    """Raises ConfigError where files of pairs and settings do not agree on a question's side."""
    if test:
        raise ConfigError(
            f"Question {test[0]} is in --pairs and is a test question by the training's test_share and seed; "
            "give it those that the pairs were made with, by --set."
        )
    shared = {pair.question_id for pair in validation} & set(side)
    if shared:
        raise ConfigError(
            f"Question {min(shared)} is in --pairs and in --validation-pairs; it must be in one of them."
        )


def _check_both_classes(split: str, pairs: Sequence[Pair]) -> None:
    if len({pair.same for pair in pairs}) < 2:
        raise DatasetError(
            f"The {split} pairs ({len(pairs)}) are not of both classes; give traces of more questions, "
            "several of each, with answers."
        )
