"""The figures of a judge, by hand-made numbers and beside scikit-learn's."""

import math

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import precision_score, recall_score

from judge_server.metrics import (
    ScoredPairs,
    auroc,
    auroc_within,
    by_question,
    expected_calibration_error,
    reliability,
    swap_effect,
    threshold_result,
    tnr_at_fnr,
)


def scored(*rows: tuple[str, bool, float]) -> ScoredPairs:
    return ScoredPairs.of([r[0] for r in rows], [r[1] for r in rows], [r[2] for r in rows])


def drawn(pairs: int, *, seed: int = 0) -> ScoredPairs:
    """Pairs of 20 questions whose scores say something of their labels."""
    rng = np.random.default_rng(seed)
    same = rng.random(pairs) < 0.7
    scores = np.clip(rng.normal(np.where(same, 0.6, 0.4), 0.2), 0.0, 1.0)
    return ScoredPairs(np.array([f"q{n % 20}" for n in range(pairs)]), same, scores)


def test_auroc_counts_the_pairs_in_order() -> None:
    pairs = scored(("a", True, 0.9), ("a", True, 0.4), ("a", False, 0.5), ("b", False, 0.1))
    assert auroc(pairs) == pytest.approx(3 / 4)


def test_within_a_question_only_its_own_pairs_compete() -> None:
    pairs = scored(
        ("a", True, 0.9), ("a", False, 0.8), ("b", True, 0.2), ("b", False, 0.1), ("c", True, 0.5)
    )
    assert auroc(pairs) == pytest.approx(4 / 6)
    assert auroc_within(pairs) == 1.0


def test_every_question_counts_the_same_within() -> None:
    pairs = scored(
        ("a", True, 0.9), ("a", True, 0.7), ("a", False, 0.8), ("b", True, 0.2), ("b", False, 0.3)
    )
    assert auroc_within(pairs) == pytest.approx((1 / 2 + 0) / 2)


def test_one_class_has_no_auroc() -> None:
    pairs = scored(("a", True, 0.9), ("a", True, 0.8))
    assert math.isnan(auroc(pairs))
    assert math.isnan(auroc_within(pairs))
    assert math.isnan(tnr_at_fnr(pairs))


def test_tnr_lets_a_fifth_of_the_same_answer_pairs_go() -> None:
    same = [("a", True, score) for score in (0.1, 0.6, 0.7, 0.8, 0.9)]
    different = [("a", False, score) for score in (0.05, 0.3, 0.5, 0.65)]
    pairs = scored(*same, *different)
    assert tnr_at_fnr(pairs, 0.2) == pytest.approx(3 / 4)
    assert tnr_at_fnr(pairs, 0.0) == pytest.approx(1 / 4)


def test_at_tau_a_pair_is_merged_above_it_and_not_on_it() -> None:
    pairs = scored(
        ("a", True, 0.9), ("a", True, 0.5), ("a", False, 0.6), ("a", False, 0.4), ("a", False, 0.1)
    )
    found = threshold_result(pairs, 0.5)
    assert (found.tpr, found.tnr) == (1 / 2, 2 / 3)
    assert (found.precision, found.merged) == (1 / 2, 2 / 5)


def test_at_tau_agrees_with_scikit_learn() -> None:
    pairs = drawn(500)
    found, merged = threshold_result(pairs, 0.55), pairs.scores > 0.55
    assert found.tpr == pytest.approx(recall_score(pairs.same, merged))
    assert found.tnr == pytest.approx(recall_score(~pairs.same, ~merged))
    assert found.precision == pytest.approx(precision_score(pairs.same, merged))


def test_where_nothing_is_merged_there_is_no_precision() -> None:
    assert math.isnan(threshold_result(scored(("a", True, 0.2), ("a", False, 0.1)), 0.5).precision)


def test_ece_weighs_the_gap_of_each_bin_by_its_pairs() -> None:
    pairs = scored(
        ("a", True, 0.9), ("a", False, 0.9), ("a", True, 1.0), ("a", True, 0.2), ("a", False, 0.2)
    )
    # two bins: three pairs of mean 2.8 / 3 with 2 / 3 the same, and two of mean 0.2 with 1 / 2
    assert expected_calibration_error(pairs, 2) == pytest.approx(
        3 / 5 * (2.8 / 3 - 2 / 3) + 2 / 5 * (0.5 - 0.2)
    )


def test_probabilities_that_mean_what_they_say_have_no_calibration_error() -> None:
    rows = [("a", number < 3, 0.3) for number in range(10)]
    assert expected_calibration_error(scored(*rows)) == pytest.approx(0.0, abs=1e-12)


def test_the_reliability_bins_are_those_of_scikit_learn() -> None:
    pairs = drawn(500)
    shares, scores = calibration_curve(pairs.same, pairs.scores, n_bins=15)
    bins = reliability(pairs)
    assert [part.same_share for part in bins] == pytest.approx(shares)
    assert [part.mean_score for part in bins] == pytest.approx(scores)
    assert sum(part.pairs for part in bins) == 500


def test_scores_at_the_ends_and_on_the_edges_have_a_bin() -> None:
    bins = reliability(scored(("a", True, 0.0), ("a", True, 0.5), ("a", True, 1.0)), 2)
    assert [(part.low, part.high, part.pairs) for part in bins] == [(0.0, 0.5, 1), (0.5, 1.0, 2)]


def test_a_judge_that_minds_the_order_is_found_out() -> None:
    pairs = scored(("a", True, 0.9), ("a", False, 0.6), ("a", True, 0.7))
    found = swap_effect(pairs, np.array([0.9, 0.4, 0.3]), 0.5)
    assert found.mean_difference == pytest.approx(0.6 / 3)
    assert found.flips == pytest.approx(2 / 3)
    assert (found.auroc, found.auroc_swapped) == (1.0, 0.5)
    assert found.mean_score_swapped == pytest.approx(1.6 / 3)


def test_the_pairs_of_a_question_are_together() -> None:
    parts = by_question(scored(("b", True, 0.1), ("a", True, 0.2), ("b", False, 0.3)))
    assert [(set(part.questions), list(part.scores)) for part in parts] == [
        ({"a"}, [0.2]),
        ({"b"}, [0.1, 0.3]),
    ]
