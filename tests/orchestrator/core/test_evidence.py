"""What is known of running traces, by hand, and what never happens whatever is observed."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.evidence import Evidence, Likelihood
from orchestrator.settings import AutoSettings

HIT, FALSE_ALARM = 0.7, 0.05


def evidence(**settings: Any) -> Evidence:
    return Evidence(AutoSettings.model_validate(settings))


def test_a_trace_of_which_nothing_is_known_may_end_in_any_answer() -> None:
    told = evidence().likelihood(0, ("1", "2"))
    assert told == Likelihood((1.0, 1.0), 1.0)
    assert told.tells_nothing


def test_a_probe_that_names_an_answer_with_votes_speaks_for_it_and_against_all_others() -> None:
    known = evidence()
    known.probe(0, 100, "2")
    told = known.likelihood(0, ("1", "2"))
    assert told.of == pytest.approx((FALSE_ALARM, HIT))
    assert told.other == pytest.approx(FALSE_ALARM)
    assert not told.tells_nothing


@pytest.mark.parametrize("answer", [None, "3"])
def test_a_probe_that_names_no_answer_with_votes_says_nothing(answer: str | None) -> None:
    known = evidence()
    known.probe(0, 100, answer)
    assert known.likelihood(0, ("1", "2")).tells_nothing


def test_the_probe_after_most_tokens_counts_whatever_came_last() -> None:
    known = evidence()
    known.probe(0, 200, "2")
    known.probe(0, 100, "1")
    assert known.likelihood(0, ("1", "2")).of[1] == pytest.approx(HIT)


def test_probes_of_ended_traces_move_the_reliabilities_by_their_weight() -> None:
    known = evidence(reliability_weight=10)
    for trace, (probed, final) in enumerate([("1", "1"), ("2", "1"), ("1", "2"), (None, "1")]):
        known.probe(trace, 10, probed)
        known.finish(trace, final)
    assert known.probe_hit == pytest.approx((7 + 1) / (10 + 4))
    # each of the four could have named the one other answer; two did
    assert known.probe_false_alarm == pytest.approx((0.5 + 2) / (10 + 4))


def test_a_verdict_counts_as_its_odds_to_the_power_of_the_trust() -> None:
    known = evidence()
    known.finish(1, "7")
    known.judge(0, 1, 0.9)
    told = known.likelihood(0, ("7", "8"))
    assert known.trust == 0.5
    assert told.of == pytest.approx((math.sqrt(9.0), 1.0))
    assert told.other == 1.0


def test_verdicts_on_the_same_answer_count_as_their_mean_not_as_their_sum() -> None:
    known = evidence()
    for member, verdict in ((1, 0.9), (2, 0.5)):
        known.finish(member, "7")
        known.judge(member, 0, verdict)  # in either order
    assert known.likelihood(0, ("7",)).of == pytest.approx((9.0 ** (0.5 * 0.5),))


def test_verdicts_on_traces_without_a_vote_say_nothing() -> None:
    known = evidence()
    known.judge(0, 1, 0.9)  # 1 still runs
    known.finish(2, None)
    known.judge(0, 2, 0.9)
    assert known.likelihood(0, ("7",)).tells_nothing


def test_a_judge_that_proves_right_is_trusted_more_and_one_that_errs_less() -> None:
    def trust(*pairs: tuple[float, bool]) -> float:
        known = evidence()
        for number, (verdict, alike) in enumerate(pairs):
            known.judge(2 * number, 2 * number + 1, verdict)
            known.finish(2 * number, "1")
            known.finish(2 * number + 1, "1" if alike else None)
        return known.trust

    assert trust() == 0.5
    assert trust((0.9, True)) > 0.5 > trust((0.9, False))
    assert trust((0.1, False)) > 0.5 > trust((0.1, True))
    assert trust(*[(0.99, False)] * 20) < 0.02
    assert trust(*[(0.5, False)] * 9) == pytest.approx(0.5)


ANSWERS = st.sampled_from(["1", "2", "3", None])
OBSERVATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("probe"), st.integers(0, 4), st.integers(1, 3), ANSWERS),
        st.tuples(st.just("judge"), st.integers(0, 4), st.integers(5, 8), st.floats(0.0, 1.0)),
    ),
    max_size=12,
)
FINALS = st.dictionaries(st.integers(0, 8), ANSWERS, max_size=9)


def observed(
    observations: list[tuple[str, int, int, Any]], finals: dict[int, str | None]
) -> Evidence:
    known = evidence()
    for kind, trace, second, value in observations:
        if kind == "probe":
            known.probe(trace, second, value)
        else:
            known.judge(trace, second, value)
    for trace, final in finals.items():
        known.finish(trace, final)
    return known


def once_each(observations: list[tuple[str, int, int, Any]]) -> list[tuple[str, int, int, Any]]:
    """A trace is probed once at a length, and a pair judged once."""
    return list({each[:3]: each for each in observations}.values())


@given(OBSERVATIONS, FINALS, st.randoms(use_true_random=False))
def test_the_order_of_events_does_not_matter(
    observations: list[tuple[str, int, int, Any]], finals: dict[int, str | None], rng: Any
) -> None:
    unique = once_each(observations)
    shuffled, later = list(unique), list(finals.items())
    rng.shuffle(shuffled)
    rng.shuffle(later)
    one, other = observed(unique, finals), observed(shuffled, dict(later))
    for trace in range(5):
        told, again = (each.likelihood(trace, ("1", "2", "3")) for each in (one, other))
        assert told.of == pytest.approx(again.of)
        assert told.other == pytest.approx(again.other)


@given(OBSERVATIONS, FINALS)
def test_nothing_is_surer_than_one_probe_and_one_verdict_of_the_best_kind(
    observations: list[tuple[str, int, int, Any]], finals: dict[int, str | None]
) -> None:
    known = observed(observations, finals)
    most = max(known.probe_hit / known.probe_false_alarm, 1.0) * 99.0**known.trust
    for trace in range(5):
        told = known.likelihood(trace, ("1", "2", "3"))
        values = (*told.of, told.other)
        assert max(values) / min(values) <= most * 99.0**known.trust * (1 + 1e-9)
