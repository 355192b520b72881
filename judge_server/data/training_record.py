"""The questions that a judge's training never used, from the record beside its weights.

Where the record lists its test questions, those and no others are test questions; otherwise a question's split
follows from its id, as it did in training. Questions that training used are recognised by their text, under any id.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from judge_server.data.splits import Split, split_of
from judge_server.data.traces import fingerprint
from judge_server.model_folder import RECORD_FILE, read_json_object
from orchestrator.errors import ConfigError

__all__ = ["TrainingRecord", "read_record"]


@dataclass(frozen=True)
class TrainingRecord:
    """What evaluation needs to know of a judge's training.

    `listed_test` is None where the split follows from the ids alone. `seen` are the fingerprints of the questions
    that were trained on or that chose the best epoch; empty where the record has none.
    """

    judge: dict[str, Any] | None
    seed: int
    validation_share: float
    test_share: float
    listed_test: frozenset[str] | None
    seen: frozenset[str] = frozenset()

    def has_seen(self, question_id: str, question: str) -> bool:
        """Whether the training is known to have used a question of this text."""
        return fingerprint(question_id, question) in self.seen

    def split(self, question_id: str) -> Split:
        """The split that training assigned to the question, or would have assigned."""
        if self.listed_test is not None and question_id in self.listed_test:
            return "test"
        return split_of(
            question_id,
            validation=self.validation_share,
            test=self.test_share if self.listed_test is None else 0.0,
            seed=self.seed,
        )


def read_record(folder: Path) -> TrainingRecord | None:
    """The record of a judge that `deepprune-judge train` wrote; None for any other model.

    Raises ConfigError for a record that cannot be read.
    """
    file = folder / RECORD_FILE
    if not file.is_file():
        return None
    try:
        record = read_json_object(file)
        settings, listed = record["settings"], record.get("test_questions")
        return TrainingRecord(
            judge=record.get("judge"),
            seed=settings["seed"],
            validation_share=settings["validation_share"],
            test_share=settings["test_share"],
            listed_test=None if listed is None else frozenset(listed),
            seen=frozenset(record.get("seen_questions", ())),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"{file} cannot be read as the record of a training ({error!r}); correct it, or move it away and "
            "add --split all."
        ) from None
