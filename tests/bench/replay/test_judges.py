"""Judges of a replay: simulated and recorded."""

import itertools
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm

from bench.data.recorded import RecordedTrace
from bench.replay.judges import RecordedJudge, SimulatedJudge, read_scores
from orchestrator.errors import DatasetError


def test_recorded_verdicts_are_found_by_the_sampled_traces(tmp_path: Path) -> None:
    path = tmp_path / "scores.jsonl"
    path.write_text('{"question_id": "q", "traces": [7, 3], "p": 0.9}\n')
    judge = RecordedJudge(read_scores(path)["q"], sample=[3, 5, 7])
    assert judge.verdicts(0, [2]) == judge.verdicts(2, [0]) == (0.9,)
    assert judge.verdicts(0, [1]) is None
    assert judge.verdicts(0, [2, 1]) is None


def test_the_scores_of_a_judge_evaluation_are_verdicts(tmp_path: Path) -> None:
    path = tmp_path / "scores.jsonl"
    path.write_text(
        '{"question_id": "q", "traces": [0, 1], "same": true, "judges": {"words": {"score": 0.75}}}\n'
    )
    assert read_scores(path)["q"] == {frozenset((0, 1)): 0.75}


@pytest.mark.parametrize(
    "line",
    [
        "{}",
        "nonsense",
        '{"question_id": "q", "traces": [1], "p": 1}',
        '{"question_id": "q", "traces": [0, 1], "judges": {"a": {"score": 1}, "b": {"score": 1}}}',
        '{"question_id": "q", "traces": null, "judges": {"a": {"score": 1}}}',
    ],
)
def test_a_malformed_line_of_scores_is_refused(tmp_path: Path, line: str) -> None:
    path = tmp_path / "scores.jsonl"
    path.write_text(line + "\n")
    with pytest.raises(DatasetError, match="line 1"):
        read_scores(path)


def test_scores_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="Cannot read"):
        read_scores(tmp_path / "none")


def traces_of(answers: Sequence[str | None]) -> list[RecordedTrace]:
    return [RecordedTrace(tokens=1, answer=answer) for answer in answers]


def test_a_perfect_judge_knows_the_answers() -> None:
    judge = SimulatedJudge(
        "perfect", traces_of(["1", "1", "2", None, None]), np.random.default_rng(0)
    )
    assert judge.verdicts(0, [1, 2]) == (1.0, 0.0)
    assert judge.verdicts(3, [4]) == (0.0,)  # no answer equals no other


def test_a_simulated_judge_has_the_given_auroc() -> None:
    answers = ["1", "2"] * 60
    judge = SimulatedJudge(0.71, traces_of(answers), np.random.default_rng(1))
    pairs = [(i, j) for i in range(120) for j in range(i)]
    alike = np.array([judge.verdicts(i, [j]) for i, j in pairs if answers[i] == answers[j]])
    other = np.array([judge.verdicts(i, [j]) for i, j in pairs if answers[i] != answers[j]])
    assert (alike > other.T).mean() == pytest.approx(0.71, abs=0.02)
    assert judge.verdicts(3, [9]) == judge.verdicts(9, [3])


def test_a_verdict_is_the_posterior_of_the_score_that_was_drawn_for_the_pair() -> None:
    answers = ["1", None, "2", "1"]
    noise = np.random.default_rng(5).standard_normal((4, 4))
    judge = SimulatedJudge(0.71, traces_of(answers), np.random.default_rng(5))
    distance = math.sqrt(2.0) * float(norm.ppf(0.71))
    for one, other in itertools.combinations(range(4), 2):
        same = answers[one] == answers[other]
        score = float(noise[one, other]) + (0.5 if same else -0.5) * distance
        verdict = (1.0 / (1.0 + math.exp(-distance * score)),)
        assert judge.verdicts(one, [other]) == judge.verdicts(other, [one]) == verdict


def _errors(correlation: float) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """The log-odds of a judge of AUROC 0.8 on pairs that all differ, shape (members, traces)."""
    traces = [RecordedTrace(tokens=1, answer=str(number)) for number in range(120)]
    judge = SimulatedJudge(0.8, traces, np.random.default_rng(3), correlation)
    odds = np.array([judge.verdicts(member, range(60)) for member in range(60, 120)])
    return np.log(odds / (1.0 - odds))


@pytest.mark.parametrize("correlation", [0.0, 0.5, 1.0])
def test_correlated_errors_are_shared_by_the_pairs_of_a_trace_and_as_large_as_others(
    correlation: float,
) -> None:
    errors = _errors(correlation)
    assert errors.std() == pytest.approx(_errors(0.0).std(), rel=0.2)
    of_traces = errors.mean(axis=0).var() / errors.var()
    assert of_traces == pytest.approx(correlation / 2, abs=0.12)


def test_without_correlation_the_verdicts_are_those_of_independent_errors() -> None:
    traces = [RecordedTrace(tokens=1, answer="1")] * 4
    one, other = (
        SimulatedJudge(0.7, traces, np.random.default_rng(0), *more) for more in ((), (0.0,))
    )
    assert one.verdicts(0, [3]) == other.verdicts(3, [0])
