"""Intervals over questions: each draw is what scikit-learn says of the drawn questions' pairs."""

import math

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score, roc_curve

from judge_server.evaluation.bootstrap import bootstrap, fraction_interval
from judge_server.metrics import ScoredPairs, auroc, auroc_within, by_question, tnr_at_fnr


def drawn(pairs: int = 400, questions: int = 12) -> ScoredPairs:
    """Pairs with scores of one decimal, so that there are many ties."""
    rng = np.random.default_rng(3)
    same = rng.random(pairs) < 0.7
    scores = np.clip(rng.normal(np.where(same, 0.6, 0.4), 0.3), 0.0, 1.0).round(1)
    names = np.array([f"q{n}" for n in rng.integers(questions, size=pairs)])
    return ScoredPairs(names, same, scores)


def test_a_draw_is_the_figure_of_the_drawn_questions() -> None:
    pairs = drawn()
    parts = by_question(pairs)
    rng = np.random.default_rng(7)
    aurocs, tnrs = [], []
    for _ in range(50):
        chosen = [parts[number] for number in rng.integers(len(parts), size=len(parts))]
        joined = ScoredPairs(
            np.concatenate([part.questions for part in chosen]),
            np.concatenate([part.same for part in chosen]),
            np.concatenate([part.scores for part in chosen]),
        )
        aurocs.append(roc_auc_score(joined.same, joined.scores))
        tnrs.append(tnr_at_fnr(joined))
    found = bootstrap(pairs, seed=7, samples=50)
    assert found.auroc == pytest.approx(np.quantile(aurocs, [0.025, 0.975]))
    assert found.tnr_at_fnr20 == pytest.approx(np.quantile(tnrs, [0.025, 0.975]))


def test_the_interval_holds_the_value_and_is_the_same_for_the_same_seed() -> None:
    pairs = drawn()
    found, again = (bootstrap(pairs, seed=1, samples=200) for _ in range(2))
    assert found.auroc.low < auroc(pairs) < found.auroc.high
    assert found.auroc_within.low < auroc_within(pairs) < found.auroc_within.high
    assert found[:3] == again[:3]
    assert found[:3] != bootstrap(pairs, seed=2, samples=200)[:3]


def test_questions_are_drawn_whole() -> None:
    pairs = ScoredPairs.of(["a"] * 3, [True, False, True], [0.9, 0.1, 0.8])
    found = bootstrap(pairs, seed=0, samples=20)
    assert found.auroc == found.auroc_within == (1.0, 1.0)


def test_the_band_of_the_roc_lies_around_the_curve_and_ends_in_its_corner() -> None:
    pairs = drawn()
    found = bootstrap(pairs, seed=0, samples=200)
    fpr, tpr, _ = roc_curve(pairs.same, pairs.scores)
    low, high = found.roc
    middle = np.interp(found.fpr[5:], fpr, tpr)
    assert np.all(low[5:] <= middle)
    assert np.all(middle <= high[5:])
    assert low[-1] == high[-1] == 1.0


def test_without_both_classes_there_is_no_interval() -> None:
    found = bootstrap(ScoredPairs.of(["a"], [True], [0.9]), seed=0, samples=5)
    assert all(math.isnan(end) for interval in found[:3] for end in interval)
    assert all(math.isnan(end) for end in bootstrap(ScoredPairs.of([], [], []), seed=0).auroc)


def test_the_interval_of_a_share_knows_that_the_pairs_of_a_question_hang_together() -> None:
    hits = np.array([True] * 50 + [False] * 50)
    together = np.array(["a"] * 50 + ["b"] * 50)
    apart = np.array([f"q{number}" for number in range(100)])
    assert fraction_interval(together, hits, seed=0) == (0.0, 1.0)
    low, high = fraction_interval(apart, hits, seed=0)
    assert 0.35 < low < 0.5 < high < 0.65
