"""Scores of pairs by judges that never saw their questions, in a folder: what a cross-validation writes.

`cross-validation.json` says how the judges were trained and `scores.jsonl` has a line for each pair. The texts of the
traces are not in it: a pair is known by its question, its models and the numbers of its traces.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from judge_server.data.pairs import Origin, Pair
from judge_server.data.truncation import Truncation
from judge_server.model_folder import read_json_object, replace_file
from orchestrator.errors import ConfigError

__all__ = [
    "CROSS_VALIDATION_FILE",
    "FoldScores",
    "PairScore",
    "ScoreFolder",
    "cut_of",
    "read_record",
    "read_scores",
    "scores_of_folds",
]

CROSS_VALIDATION_FILE = "cross-validation.json"
SCORES_FILE = "scores.jsonl"

_Key = tuple[str, tuple[str, int], tuple[str, int]]
"""A pair in its order: the question's id, and model and number of each trace."""
DIGITS = 6
"""Of a written score."""


@dataclass(frozen=True, slots=True)
class FoldScores:
    """One fold: its pairs with their scores, in order, and in the other order where that was wanted."""

    fold: int
    pairs: Sequence[Pair]
    scores: Sequence[float]
    swapped: Sequence[float] | None = None
    figures: dict[str, Any] = field(default_factory=dict)


class PairScore(msgspec.Struct, frozen=True):
    """A line of the scores: model and number of each trace in the order that was asked first."""

    fold: int
    question: str
    new: tuple[str, int]
    member: tuple[str, int]
    same: bool
    score: float
    swapped: float | None = None


class ScoreFolder:
    """The folder of one cross-validation; `record` is everything that decides the scores."""

    def __init__(self, folder: Path, record: dict[str, Any]) -> None:
        self._folder = folder
        self._record = record
        self._figures: list[dict[str, Any]] = []

    def begin(self) -> int:
        """Makes the folder, or finds the folds that are done; returns their number.

        Raises ConfigError where the folder holds another cross-validation or other files, or cannot be made.
        """
        if not (self._folder / CROSS_VALIDATION_FILE).exists():
            self._make()
            return 0
        found = read_record(self._folder)
        if {name: found.get(name) for name in self._record} != json.loads(json.dumps(self._record)):
            raise ConfigError(
                f"{self._folder} holds a cross-validation with other settings or data; name a new folder with --out."
            )
        self._figures = found["fold_figures"]
        lines = [line for line in read_scores(self._folder) if line.fold < len(self._figures)]
        self._write_scores(lines)
        return len(self._figures)

    def add(self, found: FoldScores) -> None:
        """Writes a fold; it counts once the record names it."""
        swapped: Sequence[float | None] = found.swapped or [None] * len(found.pairs)
        lines = [
            _line(found.fold, pair, score, other)
            for pair, score, other in zip(found.pairs, found.scores, swapped, strict=True)
        ]
        self._write_scores([*read_scores(self._folder), *lines])
        self._figures.append(found.figures)
        self._write_record()

    def _make(self) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            is_used = any(self._folder.iterdir())
        except OSError as error:
            raise ConfigError(
                f"{self._folder} cannot be written ({error.strerror}); name another folder with --out."
            ) from None
        if is_used:
            raise ConfigError(f"{self._folder} is not empty; name a new folder with --out.")
        self._write_scores([])
        self._write_record()

    def _write_scores(self, lines: Sequence[PairScore]) -> None:
        text = b"".join(msgspec.json.encode(line) + b"\n" for line in lines)
        replace_file(self._folder / SCORES_FILE, text)

    def _write_record(self) -> None:
        record = {**self._record, "fold_figures": self._figures}
        text = json.dumps(record, indent=2) + "\n"
        replace_file(self._folder / CROSS_VALIDATION_FILE, text.encode())


def read_record(folder: Path) -> dict[str, Any]:
    """How the judges of a cross-validation were trained. Raises ConfigError if that cannot be read."""
    file = folder / CROSS_VALIDATION_FILE
    try:
        record = read_json_object(file)
        if not isinstance(record["fold_figures"], list):
            raise TypeError("fold_figures is not a list")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"{file} cannot be read as the record of a cross-validation ({error!r}); make it again."
        ) from None
    return record


def read_scores(folder: Path) -> list[PairScore]:
    """The scores of all folds. Raises ConfigError if they cannot be read."""
    file = folder / SCORES_FILE
    decoder = msgspec.json.Decoder(PairScore)
    try:
        return [decoder.decode(line) for line in file.read_bytes().splitlines()]
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{file} cannot be read ({error}); make it again.") from None


def cut_of(record: Mapping[str, Any], folder: Path) -> Truncation:
    """Where the scored traces are cut. Raises ConfigError if the record does not say it."""
    cut = record.get("cut")
    try:
        return msgspec.convert(cut, Truncation)
    except msgspec.ValidationError as error:
        raise ConfigError(
            f"{folder / CROSS_VALIDATION_FILE} does not say where traces are cut ({error}); make it again."
        ) from None


def scores_of_folds(
    folder: Path,
    scores: Sequence[PairScore],
    pairs: Sequence[Pair],
    on_progress: Callable[[float], None],
) -> list[float]:
    """The score of each pair in its order.

    Raises ConfigError for a pair that was not scored, or not in this order.
    """
    known: dict[_Key, float] = {}
    for line in scores:
        known[line.question, line.new, line.member] = line.score
        if line.swapped is not None:
            known[line.question, line.member, line.new] = line.swapped
    found = []
    for pair in pairs:
        score = None if pair.origins is None else known.get(_key(pair.question_id, *pair.origins))
        if score is None:
            raise ConfigError(
                f"{folder} has no score for a pair of question {pair.question_id}; give the same --traces, --pairs-per-question, "
                "--keep-trivial and --seed as its cross-validation, and for the other order of each pair its --both-orders."
            )
        found.append(score)
    on_progress(1.0)
    return found


def _key(question: str, new: Origin, member: Origin) -> _Key:
    return question, (new.model, new.trace), (member.model, member.trace)


def _line(fold: int, pair: Pair, score: float, swapped: float | None) -> PairScore:
    if pair.origins is None:
        raise ValueError("only pairs of traces have a place in a file of scores")
    new, member = pair.origins
    return PairScore(
        fold,
        pair.question_id,
        (new.model, new.trace),
        (member.model, member.trace),
        pair.same,
        round(score, DIGITS),
        None if swapped is None else round(swapped, DIGITS),
    )
