"""A threshold for a wanted rate of wrong merges, and what the failure signatures say."""

import numpy as np
import pytest

from judge_server.evaluation.advice import advise, findings
from judge_server.evaluation.figures import figures_of
from judge_server.metrics import ScoredPairs, swap_effect, threshold_result


def pairs_of(rows: list[tuple[bool, float]], questions: int = 10) -> ScoredPairs:
    names = [f"q{n % questions}" for n in range(len(rows))]
    return ScoredPairs.of(names, [same for same, _ in rows], [score for _, score in rows])


def found_in(pairs: ScoredPairs, tau: float = 0.5, swapped: list[float] | None = None) -> str:
    turned = None if swapped is None else swap_effect(pairs, np.array(swapped), tau)
    return " ".join(findings(figures_of(pairs, seed=0), threshold_result(pairs, tau), turned, 0.05))


def test_the_laxest_threshold_that_keeps_the_promise_is_advised() -> None:
    pairs = pairs_of([(True, 0.9)] * 95 + [(False, 0.9)] * 5 + [(True, 0.7), (False, 0.7)] * 10)
    advice = advise(pairs, 0.05, seed=0)
    assert advice
    assert 0.7 <= advice.tau < 0.9
    assert advice.wrong == pytest.approx(0.05)
    assert advice.merged == pytest.approx(100 / 120)
    assert advice.fpr == pytest.approx(5 / 15)
    assert advice.interval.low <= 0.05 <= advice.interval.high


def test_a_laxer_threshold_merges_more() -> None:
    pairs = pairs_of([(True, 0.9)] * 95 + [(False, 0.9)] * 5 + [(True, 0.7), (False, 0.7)] * 10)
    advice = advise(pairs, 0.15, seed=0)
    assert advice
    assert advice.merged == 1.0
    assert threshold_result(pairs, advice.tau).merged == 1.0


def test_a_promise_that_no_threshold_keeps_gets_no_advice() -> None:
    assert advise(pairs_of([(True, 0.9), (False, 0.9)] * 50), 0.05, seed=0) is None


def test_a_few_lucky_merges_are_no_advice() -> None:
    lucky = pairs_of([(True, 0.99)] * 5 + [(True, 0.5), (False, 0.5)] * 50)
    assert advise(lucky, 0.05, seed=0) is None


def test_scores_of_zero_are_never_merged() -> None:
    assert advise(pairs_of([(True, 0.0)] * 100), 0.05, seed=0) is None


def test_a_threshold_that_fits_the_noise_is_found_out_on_unseen_questions() -> None:
    rng = np.random.default_rng(11)
    noise = [(bool(rng.random() < 0.9), float(rng.random())) for _ in range(600)]
    advice = advise(pairs_of(noise, questions=60), 0.05, seed=0)
    assert advice
    assert advice.wrong <= 0.05 < advice.wrong_unseen


def test_a_good_judge_gets_no_warning() -> None:
    good = [(True, 0.98)] * 160 + [(False, 0.02)] * 40
    assert found_in(pairs_of(good), swapped=[score for _, score in good]) == ""


def test_a_judge_that_knows_nothing_is_told() -> None:
    rng = np.random.default_rng(0)
    assert "better than chance" in found_in(
        pairs_of([(bool(rng.random() < 0.8), float(rng.random())) for _ in range(300)])
    )


def test_one_big_cluster_is_foreseen() -> None:
    assert "over-predicts equality" in found_in(pairs_of([(True, 0.9)] * 80 + [(False, 0.8)] * 20))


def test_singletons_are_foreseen() -> None:
    found = found_in(pairs_of([(True, 0.3)] * 80 + [(False, 0.1)] * 20))
    assert "singletons" in found
    assert "out of distribution" in found


def test_a_timid_judge_is_told_from_diverse_answers() -> None:
    timid = [(True, 0.9)] * 30 + [(True, 0.3)] * 50 + [(False, 0.1)] * 20
    assert "too conservative" in found_in(pairs_of(timid))
    diverse = [(True, 0.9)] * 20 + [(False, 0.1)] * 80
    found = found_in(pairs_of(diverse))
    assert "answers are diverse" in found
    assert "conservative" not in found


def test_wrong_merges_beyond_the_wanted_rate_are_told() -> None:
    assert "merges are wrong" in found_in(
        pairs_of([(True, 0.9)] * 60 + [(False, 0.8)] * 10 + [(False, 0.1)] * 30)
    )


def test_questions_told_apart_instead_of_traces_are_told() -> None:
    easy = [("easy", True, 0.9)] * 50 + [("easy", False, 0.9)] * 2
    hard = [("hard", True, 0.2)] * 10 + [("hard", False, 0.2)] * 50
    rows = easy + hard
    pairs = ScoredPairs.of([r[0] for r in rows], [r[1] for r in rows], [r[2] for r in rows])
    assert "tells questions apart" in found_in(pairs)


def test_a_judge_that_minds_the_order_is_told() -> None:
    rows = [(True, 0.9)] * 80 + [(False, 0.1)] * 20
    assert "read first" in found_in(pairs_of(rows), swapped=[0.2] * 100)
