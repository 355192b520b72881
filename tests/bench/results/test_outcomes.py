"""Outcomes on disk, and their summary line."""

from pathlib import Path

import pytest

from bench.results.intervals import interval_of_mean
from bench.results.outcomes import per_question, policy_line, read_outcomes, write_outcomes
from orchestrator.errors import DatasetError, JournalError
from tests.support.outcomes import outcome


def test_the_summary_line_has_means_over_questions_and_their_interval() -> None:
    right = outcome(question_id="a", judge_tokens=2)
    wrong = outcome(question_id="b", correct=False, tokens=30, judge_tokens=2)
    assert policy_line([right, wrong, right, wrong]) == {
        "file": "f",
        "policy": "cons@1",
        "accuracy": 0.5,
        "accuracy_low": 0.0,
        "accuracy_high": 1.0,
        "tokens_per_question": 20.0,
        "sequential_tokens": 10.0,
        "judge_tokens_per_question": 2.0,
        "questions": 2,
        "resamples": 2,
    }


def test_an_unknown_latency_stays_unknown() -> None:
    assert policy_line([outcome(sequential_tokens=None)])["sequential_tokens"] is None


def test_every_question_has_the_same_weight_however_often_it_was_replayed() -> None:
    outcomes = [
        outcome(question_id="a"),
        outcome(question_id="b"),
        outcome(question_id="a", correct=False),
    ]
    assert per_question(outcomes, lambda each: float(each.correct)) == [0.5, 1.0]


def test_the_interval_is_that_of_the_mean_over_questions() -> None:
    interval = interval_of_mean([0.0, 1.0] * 50)
    assert interval.mean == 0.5
    assert 0.37 < interval.low < 0.43 < 0.57 < interval.high < 0.63


def test_equal_values_have_an_interval_without_width() -> None:
    assert interval_of_mean([1.0, 1.0]) == (1.0, 1.0, 1.0)


def test_outcomes_are_read_as_they_were_written(tmp_path: Path) -> None:
    outcomes = [outcome(clusters=(2, 1)), outcome(question_id="b", answer=None)]
    write_outcomes(tmp_path / "sub" / "o.jsonl", outcomes)
    assert read_outcomes(tmp_path / "sub") == outcomes


def test_a_path_without_outcomes_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text("{}\n")
    with pytest.raises(DatasetError, match="line 1 is not an outcome"):
        read_outcomes(tmp_path / "bad.jsonl")
    with pytest.raises(DatasetError, match="Cannot read"):
        read_outcomes(tmp_path / "none.jsonl")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="has no outcomes"):
        read_outcomes(tmp_path / "empty")


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError, match="Cannot write"):
        write_outcomes(tmp_path / "file" / "o.jsonl", [outcome()])
