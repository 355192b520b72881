"""Which questions a judge's training never used."""

import json
from pathlib import Path

import pytest

from judge_server.data.splits import split_of
from judge_server.data.training_record import TrainingRecord, read_record
from orchestrator.errors import ConfigError

SETTINGS = {"seed": 4, "validation_share": 0.2, "test_share": 0.3, "epochs": 1}
QUESTIONS = [f"q{number}" for number in range(300)]


def record_in(folder: Path, **more: object) -> TrainingRecord:
    (folder / "training.json").write_text(json.dumps({"settings": SETTINGS, **more}))
    record = read_record(folder)
    assert record
    return record


def test_the_split_of_the_training_is_found_again(tmp_path: Path) -> None:
    record = record_in(tmp_path)
    assert [record.split(name) for name in QUESTIONS] == [
        split_of(name, validation=0.2, test=0.3, seed=4) for name in QUESTIONS
    ]


def test_a_list_of_test_questions_is_honoured_and_no_other_is_one(tmp_path: Path) -> None:
    record = record_in(tmp_path, test_questions=["q7", "q8"])
    splits = {name: record.split(name) for name in QUESTIONS}
    assert {name for name, split in splits.items() if split == "test"} == {"q7", "q8"}
    others = [name for name in QUESTIONS if name not in ("q7", "q8")]
    assert [splits[name] for name in others] == [
        split_of(name, validation=0.2, test=0.0, seed=4) for name in others
    ]


def test_a_model_without_a_record_was_not_trained_here(tmp_path: Path) -> None:
    assert read_record(tmp_path) is None


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"settings": {"seed": 0}}'])
def test_a_record_that_cannot_be_read_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "training.json").write_text(text)
    with pytest.raises(ConfigError, match="cannot be read as the record"):
        read_record(tmp_path)
