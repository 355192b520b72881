"""AUROC and its company, by hand-made numbers."""

import math

import pytest

from judge_server.metrics import ScoredPairs, auroc, auroc_interval, auroc_within, tnr_at_fnr


def scored(*rows: tuple[str, bool, float]) -> ScoredPairs:
    return ScoredPairs.of([r[0] for r in rows], [r[1] for r in rows], [r[2] for r in rows])


def test_auroc_counts_the_pairs_in_order():
    pairs = scored(("a", True, 0.9), ("a", True, 0.4), ("a", False, 0.5), ("b", False, 0.1))
    assert auroc(pairs) == pytest.approx(3 / 4)


def test_within_a_question_only_its_own_pairs_compete():
    pairs = scored(
        ("a", True, 0.9), ("a", False, 0.8), ("b", True, 0.2), ("b", False, 0.1), ("c", True, 0.5)
    )
    assert auroc(pairs) == pytest.approx(4 / 6)
    assert auroc_within(pairs) == 1.0


def test_one_class_has_no_auroc():
    pairs = scored(("a", True, 0.9), ("a", True, 0.8))
    assert math.isnan(auroc(pairs))
    assert math.isnan(auroc_within(pairs))
    assert math.isnan(tnr_at_fnr(pairs))


def test_tnr_lets_a_fifth_of_the_same_answer_pairs_go():
    same = [("a", True, score) for score in (0.1, 0.6, 0.7, 0.8, 0.9)]
    different = [("a", False, score) for score in (0.05, 0.3, 0.5, 0.65)]
    pairs = scored(*same, *different)
    assert tnr_at_fnr(pairs, 0.2) == pytest.approx(3 / 4)
    assert tnr_at_fnr(pairs, 0.0) == pytest.approx(1 / 4)


def test_the_interval_holds_the_value_and_is_the_same_for_the_same_seed():
    rows = [(f"q{n}", n % 3 > 0, ((n * 37) % 100) / 100 + 0.2 * (n % 3 > 0)) for n in range(300)]
    pairs = scored(*rows)
    low, high = auroc_interval(pairs, seed=1, samples=200)
    assert low < auroc(pairs) < high
    assert (low, high) == auroc_interval(pairs, seed=1, samples=200)


def test_questions_are_drawn_whole():
    pairs = scored(("a", True, 0.9), ("a", False, 0.1), ("a", True, 0.8))
    assert auroc_interval(pairs, seed=0, samples=20) == (1.0, 1.0)
