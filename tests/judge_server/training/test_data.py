"""What a judge is trained on: the split of each question, and the files of the pairs."""

import json
from pathlib import Path

import pytest

from judge_server.data.alpaca import record_of
from judge_server.data.pairs import Pair
from judge_server.data.splits import Fold
from judge_server.data.traces import fingerprint
from judge_server.data.truncation import Truncation, find_token_ends
from judge_server.training.data import TrainingSource, read_training_data
from judge_server.training.settings import TrainSettings
from orchestrator.core.judging import JudgeSpec
from orchestrator.errors import ConfigError, DatasetError

SETTINGS = TrainSettings(validation_share=0.2, test_share=0.3)


def questions_of(pairs: list[Pair]) -> set[str]:
    return {pair.question_id for pair in pairs}


def test_no_question_is_in_two_splits(traces: Path, spec: JudgeSpec) -> None:
    for fold in (None, Fold(0, 4)):
        data = read_training_data(TrainingSource(traces=[traces]), spec, SETTINGS, fold)
        train, validation = questions_of(data.train), questions_of(data.validation)
        assert train
        assert validation
        assert not train & validation
        assert not (train | validation) & set(data.test_questions)
        assert set(data.seen_questions()) == {
            fingerprint(f"q{n}", f"How many are {n}?")
            for n in range(40)
            if f"q{n}" in train | validation
        }


def test_segments_end_after_the_tokens_that_the_judge_asks_for(
    traces: Path, spec: JudgeSpec, folder: Path
) -> None:
    cut = spec.model_copy(update={"segment_tokens": 9, "max_segment_chars": 10_000})
    source = TrainingSource(traces=[traces], tokenizer=folder)
    ends = find_token_ends(Truncation.of_judge(cut), folder)
    assert ends
    pairs = read_training_data(source, cut, SETTINGS, None).train
    assert {len(ends(pair.new)) for pair in pairs} == {9}


@pytest.fixture
def pairs(spec: JudgeSpec) -> list[Pair]:
    return [
        Pair(f"q{n // 4}", "How many?", f"so {n}", f"maybe {n}", same=n % 2 == 0, model="m")
        for n in range(160)
    ]


def write_pairs(path: Path, pairs: list[Pair], spec: JudgeSpec) -> Path:
    records = [record_of(pair, spec) for pair in pairs]
    lines = ",\n".join(
        json.dumps({name: getattr(record, name) for name in record.__struct_fields__})
        for record in records
    )
    path.write_text(f"[\n{lines}\n]\n")
    return path


def test_a_file_of_pairs_is_split_by_question(
    tmp_path: Path, pairs: list[Pair], spec: JudgeSpec
) -> None:
    source = TrainingSource(pairs=write_pairs(tmp_path / "pairs.json", pairs, spec))
    data = read_training_data(source, spec, SETTINGS, None)
    tested = set(data.test_questions)
    assert sorted(data.train + data.validation, key=str) == sorted(
        (pair for pair in pairs if pair.question_id not in tested), key=str
    )
    assert data.counts == {
        "pairs": len(data.train),
        "same": sum(pair.same for pair in data.train),
    }


def test_with_pairs_for_validation_all_of_the_first_file_is_learned(
    tmp_path: Path, pairs: list[Pair], spec: JudgeSpec
) -> None:
    source = TrainingSource(
        pairs=write_pairs(tmp_path / "train.json", pairs[:80], spec),
        validation_pairs=write_pairs(tmp_path / "validation.json", pairs[80:], spec),
    )
    settings = TrainSettings(test_share=0.0)
    data = read_training_data(source, spec, settings, None)
    assert data.train == pairs[:80]
    assert data.validation == pairs[80:]


def test_a_question_in_both_files_is_named(
    tmp_path: Path, pairs: list[Pair], spec: JudgeSpec
) -> None:
    file = write_pairs(tmp_path / "train.json", pairs, spec)
    source = TrainingSource(pairs=file, validation_pairs=file)
    with pytest.raises(ConfigError, match=r"Question q0 is in --pairs and in --validation-pairs"):
        read_training_data(source, spec, TrainSettings(test_share=0.0), None)


def test_pairs_that_were_split_otherwise_than_the_training_says_are_refused(
    tmp_path: Path, pairs: list[Pair], spec: JudgeSpec
) -> None:
    file = write_pairs(tmp_path / "train.json", pairs, spec)
    source = TrainingSource(pairs=file, validation_pairs=file)
    with pytest.raises(ConfigError, match=r"is a test question by the training's test_share"):
        read_training_data(source, spec, SETTINGS, None)


def test_without_validation_questions_none_are_asked_for(traces: Path, spec: JudgeSpec) -> None:
    settings = TrainSettings(validation_share=0.0)
    assert (
        read_training_data(TrainingSource(traces=[traces]), spec, settings, None).validation == []
    )


def test_pairs_of_one_class_are_refused(tmp_path: Path, pairs: list[Pair], spec: JudgeSpec) -> None:
    same = [pair for pair in pairs if pair.same]
    source = TrainingSource(pairs=write_pairs(tmp_path / "pairs.json", same, spec))
    with pytest.raises(DatasetError, match=r"The training pairs .* are not of both classes"):
        read_training_data(source, spec, SETTINGS, None)


def answered_traces(file: Path, answers: dict[str, int | None]) -> Path:
    """Four questions with a trace of each answer, and the answer's class where there is one."""
    with file.open("w") as lines:
        for question in range(4):
            for answer, answer_class in answers.items():
                row: dict[str, object] = {
                    "question_id": f"q{question}",
                    "question": f"{question}?",
                    "answer": answer,
                }
                row |= {} if answer_class is None else {"answer_class": answer_class}
                lines.write(json.dumps(row | {"text": "so it goes " * 30}) + "\n")
    return file


@pytest.mark.parametrize(
    ("answers", "same"),
    [
        ({r"\frac{1}{2}": None, "0.5": None, r"\frac{1}{3}": None}, 4),
        ({r"\frac{1}{2}": 1, "0.5": 2, "2^{-1}": 3, "1/2": 3}, 4),
    ],
)
def test_labels_are_by_mathematics_unless_the_traces_name_classes(
    tmp_path: Path, spec: JudgeSpec, answers: dict[str, int | None], same: int
) -> None:
    file = answered_traces(tmp_path / "traces.jsonl", answers)
    settings = TrainSettings(validation_share=0.0, test_share=0.0)
    train = read_training_data(TrainingSource(traces=[file]), spec, settings, None).train
    assert sum(pair.same for pair in train) == same
