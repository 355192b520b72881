"""`deepprune-judge analyze`: agreement, difficulty, lengths to the cut, pictures, and what cannot be measured."""

import json
from pathlib import Path
from typing import Any

import pytest

from judge_server.analysis.agreement import CutLength, QuestionAgreement, difficulty_of
from judge_server.cli.main import main

pytestmark = pytest.mark.slow  # loads a sentence encoder

LONG = "so maybe " * 40


def analyze(*words: object) -> int:
    return main(["analyze", *map(str, words)])


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def write(file: Path, answers: dict[str, list[str | None]], **fields: object) -> Path:
    """Traces of each question with these answers; every second one ends before the 25th reasoning word."""
    rows = [
        {
            "question_id": question,
            "question": f"What is {question}?",
            "text": f"{LONG} step {number}" if number % 2 else f"step {number}",
            "answer": answer,
            "model": "m",
            **fields,
        }
        for question, given in answers.items()
        for number, answer in enumerate(given)
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def question(right: int | None, traces: int) -> QuestionAgreement:
    return QuestionAgreement("q", "m", (traces,), right, (CutLength(1, 2, False),) * traces)


@pytest.mark.parametrize(
    ("right", "name"),
    [
        (8, "all right"),
        (7, "75 % to 99 % right"),
        (6, "75 % to 99 % right"),
        (5, "50 % to 75 % right"),
        (4, "50 % to 75 % right"),
        (2, "25 % to 50 % right"),
        (1, "less than 25 % right"),
        (0, "less than 25 % right"),
        (None, "gold answer unknown"),
    ],
)
def test_a_question_is_as_hard_as_its_traces_are_wrong(right: int | None, name: str) -> None:
    assert difficulty_of(question(right, 8)) == name


def test_all_pairs_of_a_question_are_counted_by_equal_answers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path / "t.jsonl", {"a": ["1", "1.0", "2", None], "b": ["3", "3"]}, gold="1")
    assert analyze("--traces", file, "--json") == 0
    model = lines(capsys)[0]
    assert (model["questions"], model["traces"], model["answered"]) == (2, 6, 5)
    assert (model["pairs"], model["same_share"]) == (4, 0.5)  # 1 of 3, and 1 of 1
    assert model["same_share_of_questions"] == [0, 0, 0, 1, 0, 0, 0, 0, 0, 1]
    assert model["all_alike"] == 1
    assert model["difficulties"] == [
        {"difficulty": "50 % to 75 % right", "questions": 1, "pairs": 3, "same_share": 0.3333},
        {"difficulty": "less than 25 % right", "questions": 1, "pairs": 1, "same_share": 1.0},
    ]


def test_the_classes_of_the_file_decide_where_every_answer_has_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path / "t.jsonl", {"a": ["x", "y", "z"]}, answer_class=7)
    assert analyze("--traces", file, "--json") == 0
    assert lines(capsys)[0]["same_share"] == 1.0


def test_lengths_are_of_the_traces_that_reach_the_cut(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path / "t.jsonl", {"a": ["1", "2", "1", "2"]})
    assert analyze("--traces", file, "--words", 3, "--json") == 0
    model = lines(capsys)[0]
    assert model["ended_before_checkpoint"] == 2
    assert model["cut_chars"]["median"] == len("so maybe so")
    assert 0 < model["cut_fraction"]["median"] < 0.1


def test_judges_are_measured_and_pictures_are_drawn(
    traces: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "analysis"
    assert analyze("--traces", traces, "--judge", "words", "--judge", "overlap", "--out", out) == 0
    shown = capsys.readouterr().out
    assert "| words |" in shown
    assert "100% to" not in shown
    assert {file.name for file in out.iterdir()} == {
        "report.md",
        *(f"{name}.{form}" for name in ("agreement", "lengths", "roc") for form in ("png", "svg")),
    }
    assert "![roc.svg](roc.svg)" in (out / "report.md").read_text()


def test_the_judges_at_hand_are_named_with_those_that_are_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("judge_server.analysis.analyze.find_spec", lambda name: None)
    file = write(tmp_path / "t.jsonl", {"a": ["1", "2", "1", "2"]})
    assert analyze("--traces", file) == 0
    shown = capsys.readouterr()
    assert "No sentence encoder is installed" in shown.out
    assert "No language model was asked" in shown.err
    assert "| words |" in shown.out


def test_traces_that_all_agree_give_tables_without_judges(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path / "t.jsonl", {"a": ["1", "1"]})
    out = tmp_path / "out"
    assert analyze("--traces", file, "--judge", "words", "--out", out) == 0
    shown = capsys.readouterr()
    assert "No judge was measured" in shown.err
    assert "gold answer unknown" in shown.out
    assert not (out / "roc.png").exists()


def test_traces_without_any_answer_are_refused_in_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path / "t.jsonl", {"a": [None, None]})
    assert analyze("--traces", file) == 2
    assert "holds no trace with an answer" in capsys.readouterr().err
