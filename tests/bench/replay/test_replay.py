"""Policies replayed over recorded questions, resampled."""

from typing import Any

import pytest

from bench.data.recorded import RecordedQuestion
from bench.replay.replay import ReplayPlan, replay_policy
from bench.results.outcomes import Outcome
from bench.specs.policy_spec import parse_policies
from orchestrator.errors import DatasetError
from tests.support.recordings import recorded

QUESTION = recorded(*[(10 + i, "1" if i % 3 else "2") for i in range(12)])

UNSURE = recorded(
    *[(40, "1", (9.0,) * 40)] * 8, *[(40, "2", (9.0,) * 10 + (2.0,) * 30)] * 6, question="sure?"
)


def replayed(policy: str, *questions: RecordedQuestion, **plan: Any) -> list[Outcome]:
    (spec,) = parse_policies([policy])
    return list(replay_policy(spec, questions or [QUESTION], ReplayPlan(**plan), file="f"))


# --- confidences ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "policy", ["deepconf-low", "deepconf-high", "deepconf-offline", "cons@4:vote=confidence"]
)
def test_a_policy_that_needs_confidences_refuses_a_recording_without_them(policy: str) -> None:
    sentence = r"f has no confidences \(question 'q'\), which .*run\.keep_confidences=true"
    with pytest.raises(DatasetError, match=sentence):
        replayed(policy, UNSURE, QUESTION)


def test_deepconf_stops_unsure_traces_and_saves_their_tokens() -> None:
    plain = replayed("cons", UNSURE, resamples=4)
    assert {outcome.tokens for outcome in plain} == {14 * 40}
    option = "warm_up=6,confidence_window=8,consensus_share=1"
    outcomes = replayed(f"deepconf-low:{option}", UNSURE, resamples=4)
    assert {outcome.answer for outcome in outcomes} == {"1"}
    assert all(outcome.tokens < 14 * 40 for outcome in outcomes)
    assert any(outcome.cut_tokens > 0 for outcome in outcomes)


def test_offline_deepconf_spends_all_tokens_and_votes_by_the_surest() -> None:
    outcomes = replayed("deepconf-offline:confidence_window=8", UNSURE, resamples=2)
    assert {(outcome.tokens, outcome.answer) for outcome in outcomes} == {(14 * 40, "1")}


# --- votes ----------------------------------------------------------------------------------------


def test_pass_at_k_needs_one_right_trace_and_a_vote_a_majority() -> None:
    divided = recorded((1, "1"), (2, "2"), (3, "2"))
    passed = replayed("pass@3", divided, resamples=5)
    voted = replayed("cons@3", divided, resamples=5)
    assert [outcome.correct for outcome in passed] == [True] * 5
    assert [outcome.correct for outcome in voted] == [False] * 5


@pytest.mark.parametrize("policy", ["pass@1", "pass1", "cons@1"])
def test_one_trace_alone_is_all_there_is_to_pay(policy: str) -> None:
    (outcome,) = replayed(policy, resamples=1)
    assert (outcome.traces, outcome.tokens) == (1, outcome.sequential_tokens)


@pytest.mark.parametrize("policy", ["auto", "deepprune", "random-k", "race"])
def test_the_same_seed_gives_the_same_outcomes(policy: str) -> None:
    assert replayed(policy, resamples=3) == replayed(policy, resamples=3)


def test_another_seed_gives_other_samples() -> None:
    assert replayed("cons@4", seed=1) != replayed("cons@4", seed=2)


def test_a_question_with_fewer_traces_is_replayed_with_those_it_has() -> None:
    (outcome,) = replayed("consensus", max_traces=128, resamples=1)
    assert outcome.traces == 12


def test_the_number_in_a_policys_name_exceeds_the_limit_for_the_others() -> None:
    (outcome,) = replayed("cons@5", max_traces=4, resamples=1)
    assert outcome.traces == 5


# --- checkpoints and the judge --------------------------------------------------------------------


def test_traces_without_text_have_their_checkpoint_at_tokens() -> None:
    long = recorded(*[(3000, "1")] * 4)
    (outcome,) = replayed("random-k:survivors=1", long, resamples=1)
    assert outcome.tokens == 3000 + 3 * 1500
    (outcome,) = replayed("random-k:survivors=1", long, resamples=1, checkpoint_tokens=100)
    assert outcome.tokens == 3000 + 3 * 100
    assert outcome.cut_tokens == 300


def test_traces_with_text_have_their_checkpoint_at_a_reasoning_word() -> None:
    worded = recorded(*[(100, "1", "so " * 50)] * 4)
    (outcome,) = replayed("random-k:survivors=1,checkpoint.words=10", worded, resamples=1)
    assert outcome.tokens == 100 + 3 * 20


def test_the_judges_tokens_and_clusters_are_in_the_outcome() -> None:
    long = recorded(*[(3000, "1")] * 4, (3000, "2"))
    (outcome,) = replayed("deepprune:survivors=1", long, resamples=1, judge_auroc="perfect")
    assert sorted(outcome.clusters) == [1, 4]
    assert outcome.judge_tokens >= 4 * 3000


# --- a budget over all questions ------------------------------------------------------------------


def test_with_a_budget_the_questions_together_take_about_so_many_tokens() -> None:
    """Their answers fall apart, so that more traces are worth something; without a budget they take more, or less."""
    questions = [
        recorded(*[(90 + i, str(i % 4)) for i in range(40)], question=f"q{n}") for n in range(20)
    ]
    without = sum(outcome.tokens for outcome in replayed("auto", *questions, resamples=1))
    for factor in (0.7, 1.4):
        budget = round(factor * without)
        outcomes = replayed(f"auto:budget={budget}", *questions, resamples=3)
        for resample in range(3):
            of_file = [outcome for outcome in outcomes if outcome.resample == resample]
            assert {outcome.question_id for outcome in of_file} == {q.id for q in questions}
            spent = sum(outcome.tokens for outcome in of_file)
            assert abs(spent / budget - 1) < abs(without / budget - 1)
