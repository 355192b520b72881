"""The permutation test: it finds what a judge knows, and is not fooled by pairs that share a trace."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from judge_server.data.pairs import Origin, Pair
from judge_server.evaluation.chance import chance_p_value
from judge_server.metrics import ScoredPairs


def judged(
    score: Callable[[Origin, Origin], float], *, seed: int, questions: int = 6, traces: int = 12
) -> tuple[list[Pair], ScoredPairs]:
    """All pairs of traces with random answers, and their scores."""
    rng = np.random.default_rng(seed)
    pairs, scores = [], []
    for question in range(questions):
        answers = rng.choice(3, size=traces, p=[0.8, 0.1, 0.1])  # most agree, as real traces do
        origins = [Origin("m", n, int(answer)) for n, answer in enumerate(answers)]
        for n, one in enumerate(origins):
            for two in origins[:n]:
                same = one.answer == two.answer
                pairs.append(Pair(f"q{question}", "?", "", "", same, "m", (one, two)))
                scores.append(score(one, two))
    names, labels = [pair.question_id for pair in pairs], [pair.same for pair in pairs]
    return pairs, ScoredPairs.of(names, labels, scores)


def test_a_judge_that_knows_something_is_told_from_chance() -> None:
    rng = np.random.default_rng(0)
    pairs, scored = judged(lambda one, two: rng.normal(float(one.answer == two.answer), 2), seed=1)
    assert chance_p_value(pairs, scored, seed=0, permutations=500) < 0.02


def extreme(p_values: list[float]) -> float:
    """The fraction below 0.05 or above 0.95: a tenth of correct p-values."""
    found = np.array(p_values)
    return float(np.mean((found < 0.05) | (found > 0.95)))


def by_trace(seed: int) -> tuple[list[Pair], ScoredPairs]:
    """Scores that follow the traces and not their answers: every pair of a good trace has a high one."""
    quality = np.random.default_rng(100 + seed).normal(size=12)
    return judged(
        lambda one, two: float(quality[one.trace] + quality[two.trace]), seed=seed, questions=3
    )


def test_scores_that_follow_the_traces_and_not_their_answers_are_chance() -> None:
    found = [chance_p_value(*by_trace(seed), seed=seed, permutations=200) for seed in range(60)]
    assert 0.35 < np.mean(found) < 0.65
    assert extreme(found) <= 0.2


def test_permuting_the_labels_of_dependent_pairs_finds_what_is_not_there() -> None:
    """Where traces are unknown; the reason why otherwise answers are permuted and not labels."""
    found = []
    for seed in range(60):
        pairs, scored = by_trace(seed)
        unknown = [Pair(pair.question_id, "?", "", "", pair.same) for pair in pairs]
        found.append(chance_p_value(unknown, scored, seed=seed, permutations=200))
    assert extreme(found) > 0.2


def test_models_keep_their_own_answers() -> None:
    """Two models that never agree: to know the models is not to know the answers."""
    origins = [Origin(model, n, n % 2 + 2 * (model == "b")) for model in "ab" for n in range(8)]
    pairs = [
        Pair("q", "?", "", "", one.answer == two.answer, "m", (one, two))
        for n, one in enumerate(origins)
        for two in origins[:n]
    ]
    scores = [float(one.model == two.model) for n, one in enumerate(origins) for two in origins[:n]]
    scored = ScoredPairs.of(["q"] * len(pairs), [pair.same for pair in pairs], scores)
    assert chance_p_value(pairs, scored, seed=0, permutations=200) == 1.0


def test_without_both_classes_there_is_no_p_value() -> None:
    pairs = [Pair("q", "?", "", "", same=True)] * 3
    assert math.isnan(
        chance_p_value(pairs, ScoredPairs.of(["q"] * 3, [True] * 3, [1, 2, 3]), seed=0)
    )


@pytest.mark.parametrize("score", [0.0, 0.5])
def test_equal_scores_are_chance(score: float) -> None:
    pairs, scored = judged(lambda one, two: score, seed=3)
    assert chance_p_value(pairs, scored, seed=0, permutations=50) == 1.0
