import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.choices import gold_letter, labels_of, options_of, with_options
from orchestrator.errors import DatasetError
from orchestrator.questions import read_questions, to_jsonl


@pytest.mark.parametrize(
    "columns",
    [
        {"options": ["3", "4"]},
        {"choices": [3, 4]},
        {"choices": {"A": "3", "B": "4"}},
        {"choices": {"text": ["3", "4"], "label": ["A", "B"]}},
        {"choices": [{"label": "A", "text": "3"}, {"label": "B", "text": "4"}]},
        {"options": '["3", "4"]'},
        {"options": "['3', '4']"},
        {"opa": "3", "opb": "4"},
        {"options": ["A. 3", "B. 4"]},
        {"options": ["(A) 3", "(B) 4"]},
        {"A": "3", "B": "4"},
        {"option_a": "3", "option_b": "4"},
        {"choice1": "3", "choice2": "4", "choice3": ""},
    ],
)
def test_options_are_read_in_every_form_that_datasets_use(columns: dict[str, Any]) -> None:
    assert options_of({"question": "2+2?", **columns}) == ("3", "4")


@pytest.mark.parametrize(
    "columns", [{}, {"options": None}, {"options": ""}, {"options": []}, {"A": "3"}]
)
def test_a_record_without_options_has_none(columns: dict[str, Any]) -> None:
    assert options_of({"question": "2+2?", **columns}) == ()


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("3, 4", "neither a list nor JSON"),
        ("[__import__('os')]", "neither a list nor JSON"),
        ("[" * 5000, "nested too deeply"),
        (7, "must be a list"),
        (["3"], "holds 1 options"),
        ([str(n) for n in range(11)], "holds 11 options"),
        (["3", ""], "none of them empty"),
        (["3", None], "texts or numbers"),
        ({"B": "4", "A": "3"}, "in order"),
    ],
)
def test_options_in_another_form_are_refused_and_never_dropped(
    value: object, reason: str, tmp_path: Path
) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text(json.dumps({"question": "2+2?", "options": value}))
    with pytest.raises(DatasetError, match=reason):
        read_questions(path)


@pytest.mark.parametrize(
    ("gold", "letter"),
    [("B", "B"), ("(b)", "B"), ("4", "B"), ("1", "B"), ("seven", "seven"), (None, None)],
)
def test_the_right_answer_becomes_a_letter_where_it_names_an_option(
    gold: str | None, letter: str | None
) -> None:
    assert gold_letter(gold, ("3", "4")) == letter


def test_a_question_lists_its_options_once(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text(json.dumps({"question": "2+2?", "options": ["3", "4"], "answer": 1}))
    (question,) = read_questions(path)
    assert question.question == "2+2?\n\n(A) 3\n(B) 4"
    assert question.gold == "B"
    path.write_text(to_jsonl([question]))
    assert read_questions(path) == [question]
    assert with_options(question.question, question.options) == question.question


@pytest.mark.parametrize(
    ("choices", "key", "letter"),
    [
        ({"text": ["x", "y", "z"], "label": ["1", "2", "3"]}, "3", "C"),
        ({"text": ["x", "y", "z"], "label": ["A", "B", "C"]}, "B", "B"),
        ([{"label": "1", "text": "x"}, {"label": "2", "text": "y"}], 1, "A"),
        (["x", "y", "z"], 1, "B"),
    ],
)
def test_a_right_answer_is_named_by_the_label_of_its_option(
    choices: object, key: object, letter: str, tmp_path: Path
) -> None:
    """As ARC has it, whose labels are letters in some questions and numbers in others."""
    file = tmp_path / "arc.jsonl"
    file.write_text(json.dumps({"question": "Which?", "choices": choices, "answerKey": key}))
    assert read_questions(file)[0].gold == letter


@pytest.mark.parametrize("write", [json.dumps, repr])
@pytest.mark.parametrize("beside", [{}, {"options": []}])
def test_labels_count_also_in_a_csv_field_and_beside_an_empty_column(
    write: Callable[[object], str], beside: dict[str, object], tmp_path: Path
) -> None:
    choices = {"text": ["x", "y", "z"], "label": ["1", "2", "3"]}
    for shown in (choices, write(choices)):
        columns = {**beside, "choices": shown}
        assert options_of(columns) == ("x", "y", "z")
        assert gold_letter("1", ("x", "y", "z"), labels_of(columns)) == "A"
    file = tmp_path / "arc.csv"
    with file.open("w", newline="") as opened:
        csv.writer(opened).writerows(
            [["question", "choices", "answerKey"], ["Which?", write(choices), "1"]]
        )
    assert read_questions(file)[0].gold == "A"
