"""The pairs that a judge is trained on and those that choose its best epoch, from traces or from a file of pairs."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from judge_server.data.alpaca import read_pairs
from judge_server.data.labels import AnswerEquality
from judge_server.data.pairs import (
    DrawnPairs,
    Pair,
    PairRules,
    pairs_of_questions,
)
from judge_server.data.shown_pairs import balanced, both_orders, oversample_minority
from judge_server.data.splits import Fold, Split, assign_splits
from judge_server.data.traces import fingerprint, group_by_question, read_all_traces, source_files
from judge_server.data.truncation import Truncation, TruncationRules, find_token_ends
from judge_server.training.hard_pairs import hardest
from judge_server.training.settings import TrainSettings
from orchestrator.core.judging import JudgeSpec
from orchestrator.errors import ConfigError, DatasetError

__all__ = ["TrainingData", "TrainingSource", "pairs_of_epoch", "read_training_data"]


@dataclass(frozen=True, slots=True)
class TrainingSource:
    """Where the pairs come from: finished traces, or a file of pairs with or without one for validation.

    `tokenizer` is the folder of the tokenizer that counts tokens, where traces are cut by tokens.
    """

    traces: Sequence[Path] = ()
    pairs: Path | None = None
    validation_pairs: Path | None = None
    tokenizer: Path | None = None

    @property
    def files(self) -> list[Path]:
        """The files that are read; of a folder of runs, their journals."""
        given = [*self.traces, *(path for path in (self.pairs, self.validation_pairs) if path)]
        return [file for path in given for file in source_files(path)]


@dataclass(frozen=True, slots=True)
class TrainingData:
    """Pairs to train on, pairs that choose the best epoch (none: the last), and the questions kept for testing.

    `counts` says what became of the traces and pairs of the first, `undecided` how many pairs of both were left
    out because their answers could not be compared.
    """

    train: list[Pair]
    validation: list[Pair]
    test_questions: list[str]
    counts: dict[str, int]
    undecided: int = 0

    def epoch_pairs(self, settings: TrainSettings) -> list[Pair]:
        """The pairs of one epoch; see `pairs_of_epoch`."""
        return pairs_of_epoch(self.train, settings)

    def seen_questions(self) -> list[str]:
        """Sorted fingerprints of all questions that were trained on or that chose the best epoch."""
        pairs = (*self.train, *self.validation)
        asked = {(pair.question_id, pair.question) for pair in pairs}
        return sorted({fingerprint(name, text) for name, text in asked})

    def summary(self) -> dict[str, Any]:
        """Counts of the training and of the validation pairs."""
        return {
            "questions": len({pair.question_id for pair in self.train}),
            "models": sorted({pair.model for pair in self.train} - {""}),
            **self.counts,
            "validation_questions": len({pair.question_id for pair in self.validation}),
            "validation_pairs": len(self.validation),
            "undecided": self.undecided,
        }


def pairs_of_epoch(train: Sequence[Pair], settings: TrainSettings) -> list[Pair]:
    """The hardest training pairs, balanced, in both orders and with the rarer class repeated, as the settings say."""
    kept = train if settings.hard_share == 1 else hardest(train, settings.hard_share)
    if settings.same_per_different is not None:
        kept = balanced(kept, settings.same_per_different, seed=settings.seed)
    ordered = both_orders(kept) if settings.both_orders else kept
    return oversample_minority(ordered, settings.oversample)


def read_training_data(
    source: TrainingSource, spec: JudgeSpec, settings: TrainSettings, fold: Fold | None
) -> TrainingData:
    """The pairs of every split.

    Raises DatasetError if a file cannot be used, or if a split that needs both classes has one.
    """
    if source.pairs is not None:
        data = _from_pairs(source.pairs, source.validation_pairs, settings, fold)
    elif source.traces:
        data = _from_traces(source.traces, source.tokenizer, spec, settings, fold)
    else:
        raise DatasetError("There is nothing to train on; give --traces FILE or --pairs FILE.")
    _check_answers(data)
    _check_both_classes("training", data.train)
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
    files: Sequence[Path],
    tokenizer: Path | None,
    spec: JudgeSpec,
    settings: TrainSettings,
    fold: Fold | None,
) -> TrainingData:
    """Pairs of the traces, cut as the client cuts them online; labels as evaluation makes them."""
    truncation = Truncation.of_judge(spec)
    rules = PairRules(
        truncation=TruncationRules(
            truncation=truncation,
            token_ends=find_token_ends(truncation, tokenizer),
            max_segment_chars=spec.max_segment_chars,
            trust_answer_class=True,
        ),
        pairs_per_question=settings.pairs_per_question,
        keep_trivial=settings.keep_trivial,
        across_models=settings.across_models,
    )
    groups = group_by_question(read_all_traces(files))
    split = _splits(groups, settings, fold)

    def draw(wanted: Split) -> DrawnPairs:
        rows = [rows for name, rows in groups.items() if split[name] == wanted]
        with AnswerEquality() as equal:
            return pairs_of_questions(rows, rules, equal=equal, seed=settings.seed)

    train, validation = draw("train"), draw("validation")
    return TrainingData(
        train=train.pairs,
        validation=validation.pairs,
        test_questions=[name for name in groups if split[name] == "test"],
        counts=train.counts.as_dict(),
        undecided=train.counts.undecided + validation.counts.undecided,
    )


def _from_pairs(
    file: Path, validation_file: Path | None, settings: TrainSettings, fold: Fold | None
) -> TrainingData:
    """Pairs of the file, unchanged; with a file for validation, all of the first one is trained on."""
    pairs = list(read_pairs(file))
    split = _splits((pair.question_id for pair in pairs), settings, fold)
    test = [name for name, of in split.items() if of == "test"]
    if validation_file is None:
        train = [pair for pair in pairs if split[pair.question_id] == "train"]
        validation = [pair for pair in pairs if split[pair.question_id] == "validation"]
    else:
        train, validation = pairs, list(read_pairs(validation_file))
        _check_splits(test, split, validation)
    same = sum(pair.same for pair in train)
    return TrainingData(train, validation, test, {"pairs": len(train), "same": same})


def _check_splits(
    test: Sequence[str], questions: Iterable[str], validation: Iterable[Pair]
) -> None:
    """Raises ConfigError where files of pairs and settings disagree on a question's split."""
    if test:
        raise ConfigError(
            f"Question {test[0]} is in --pairs and is a test question by the training's test_share and seed; "
            "set both as they were when the pairs were made, with --set."
        )
    shared = {pair.question_id for pair in validation} & set(questions)
    if shared:
        raise ConfigError(
            f"Question {min(shared)} is in --pairs and in --validation-pairs; remove it from one of them."
        )


def _check_answers(data: TrainingData) -> None:
    traces = data.counts.get("traces", 0)
    if traces and data.counts["unanswered"] == traces:
        raise DatasetError(
            f"None of the {traces:,} training traces has an answer; give whole traces, or their answers in the field answer."
        )


def _check_both_classes(split: str, pairs: Sequence[Pair]) -> None:
    if len({pair.same for pair in pairs}) < 2:
        raise DatasetError(
            f"The {split} pairs ({len(pairs)}) are not of both classes; give traces of more questions, "
            "several of each, with answers."
        )
