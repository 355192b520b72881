"""The published files of prefix consistency, and what a policy makes of them."""

import json
from pathlib import Path
from typing import Any

import pytest

from bench.data.readers import read_recorded
from bench.data.recorded import Regeneration
from bench.replay.replay import ReplayPlan, replay_policy
from bench.specs.policy_spec import parse_policies
from orchestrator.errors import DatasetError

LINE = {
    "dataset": "aime2025",
    "model_name": "m",
    "problem_num": 3,
    "gold_answer": "70",
    "all_answers": [["70", 100, 80, 20], ["7", 90], ["7", 80], ["PARSE_FAILED", 60], ["1", 0]],
    "regen_answers": [[["70", 25]], [["8", 20], ["7", 5]], [["PARSE_FAILED", 30]], [], []],
}


def written(folder: Path, *lines: dict[str, Any]) -> Path:
    path = folder / "published.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def test_traces_have_their_first_regeneration(tmp_path: Path) -> None:
    (question,) = read_recorded(written(tmp_path, LINE))
    assert (question.id, question.correct) == ("aime2025-3", frozenset({"70"}))
    assert [(trace.tokens, trace.answer, trace.regeneration) for trace in question.traces] == [
        (100, "70", Regeneration(tokens=25, answer="70")),
        (90, "7", Regeneration(tokens=20, answer="8")),
        (80, "7", Regeneration(tokens=30, answer=None)),
        (60, None, None),
    ]
    assert question.has_regenerations


def test_a_consistent_answer_outvotes_two_that_do_not_come_back(tmp_path: Path) -> None:
    questions = read_recorded(written(tmp_path, LINE))
    results = {}
    for spec in parse_policies(["prefix-consistency@4", "cons@4"]):
        (results[spec.label],) = replay_policy(
            spec, questions, ReplayPlan(resamples=1), file="published"
        )
    weighed, plain = results["prefix-consistency@4"], results["cons@4"]
    assert (plain.answer, plain.correct, plain.tokens) == ("7", False, 330)
    assert (weighed.answer, weighed.correct) == ("70", True)  # 8 against 1 + 1
    assert weighed.tokens == 330 + 25 + 20 + 30
    assert weighed.traces == plain.traces == 4
    assert weighed.lengths == plain.lengths


def test_files_without_regenerations_are_for_other_policies(tmp_path: Path) -> None:
    line = {key: value for key, value in LINE.items() if key != "regen_answers"}
    questions = read_recorded(written(tmp_path, line))
    (spec,) = parse_policies(["prefix-consistency"])
    with pytest.raises(DatasetError, match="has no regenerations"):
        list(replay_policy(spec, questions, ReplayPlan(resamples=1), file="published"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"all_answers": [["70"]]}, "without its tokens"),
        ({"all_answers": [None, []]}, "no trace with tokens"),
        ({"all_answers": 3}, "not a question with all_answers"),
    ],
)
def test_lines_that_cannot_be_read_are_named(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(DatasetError, match=f"line 2 .*{message}"):
        read_recorded(written(tmp_path, LINE, {**LINE, **change}))
