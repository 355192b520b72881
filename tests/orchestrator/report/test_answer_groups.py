"""Answers as groups: who gave them, who would probably, and whether the leader stays."""

import pytest

from orchestrator.core.events import LikelyAnswer, VoteCast, VoteCount, VoteWeighed
from orchestrator.core.voting import leader_posterior
from orchestrator.report.answer_groups import AnswerGroups, LikelyTrace, answer_groups
from tests.support.story import Story

AUTO = {"policy": {"name": "auto"}}


def groups_of(told: Story, *likely: tuple[int, str, float]) -> AnswerGroups:
    view = told.view()
    if likely:
        view.apply(
            VoteWeighed(
                at=9.0,
                leader="42",
                lead_share=0.5,
                worth=0.02,
                price=0.01,
                traces=2,
                action="wait",
                likely=tuple(LikelyAnswer(trace=t, answer=a, probability=p) for t, a, p in likely),
            )
        )
    return answer_groups(view)


def test_before_a_trace_ends_all_are_silent() -> None:
    seen = groups_of(Story(64, settings=AUTO).start(0, 1))
    assert (seen.groups, seen.silent, seen.leader_stays) == ((), (0, 1), None)


def test_a_running_trace_belongs_to_the_answer_that_it_is_likely_to_give() -> None:
    told = Story(64, settings=AUTO).start(0, 1, 2, 3).finish(0, 9, "42").finish(1, 9, "7")
    told.probed(2, 8, "7").probed(3, 8, "42")
    seen = groups_of(told, (2, "7", 0.75), (3, "42", 0.9))
    first, second = seen.groups
    assert (first.answer, first.finished, first.likely) == ("42", (0,), (LikelyTrace(3, 0.9),))
    assert (second.answer, second.finished, second.likely) == ("7", (1,), (LikelyTrace(2, 0.75),))
    assert (first.votes, second.votes) == (1.9, 1.75)
    assert seen.silent == ()


def test_a_probe_that_nothing_is_believed_of_has_no_vote() -> None:
    told = Story(64, settings=AUTO).start(0, 1, 2).finish(0, 9, "42")
    seen = groups_of(told.probed(1, 8, "7").probed(2, 8, None))
    assert [(group.answer, group.votes) for group in seen.groups] == [("42", 1.0), ("7", 0.0)]
    assert seen.groups[1].likely == (LikelyTrace(1, None),)
    assert seen.silent == (2,)


def test_what_was_stopped_stays_with_its_answer_and_what_failed_does_not() -> None:
    told = Story(64, settings=AUTO).start(0, 1, 2, 3).finish(0, 9, "42").finish(3, 9, None)
    told.probed(1, 8, "42").probed(2, 8, "42").stop(1, 9, "settled").fail(2, 9)
    seen = groups_of(told, (1, "42", 0.9))
    assert seen.groups[0].likely == (LikelyTrace(1, 0.9),)
    assert (seen.silent, seen.blank) == ((), (3,))


def test_likely_votes_make_the_leader_surer_and_those_of_a_rival_less_sure() -> None:
    told = Story(64, settings=AUTO).start(0, 1, 2, 3).finish(0, 9, "42").finish(1, 9, "42")
    alone = groups_of(told).leader_stays
    assert alone == leader_posterior([2])
    for likely, surer in (((2, "42", 1.0), True), ((2, "7", 1.0), False)):
        stays = groups_of(told, likely).leader_stays
        assert stays is not None
        assert alone is not None
        assert (stays > alone) is surer
    assert groups_of(told, (2, "42", 1.0)).leader_stays == leader_posterior([3])
    assert groups_of(told, (2, "7", 1.0)).leader_stays == leader_posterior([2, 1])


def test_a_rival_that_may_still_pass_the_leader_counts_as_far_as_it_is_believed() -> None:
    told = Story(64, settings=AUTO).start(0, 1, 2, 3).finish(0, 9, "42").finish(1, 9, "7")
    seen = groups_of(told, (2, "42", 0.8))
    ahead = leader_posterior([2, 1])
    assert ahead is not None
    # 42 gets the vote with 0.8, and else 7, which is then as far ahead
    assert seen.leader_stays == pytest.approx(0.8 * ahead + 0.2 * (1 - ahead))


def test_after_the_vote_an_answer_has_what_the_vote_has_counted() -> None:
    told = Story(64, settings=AUTO).start(0, 1).finish(0, 9, "42").probed(1, 8, "42")
    told.stop(1, 9, "settled")
    view = told.view()
    decision = VoteWeighed(
        at=9.0, leader="42", lead_share=0.5, worth=0.0, price=0.0, traces=0, action="stop"
    )
    vote = VoteCast(
        at=9.1, answer="42", votes=(VoteCount(answer="42", count=1, weight=1.9),), margin=1.0
    )
    view.apply(decision)
    view.apply(vote)
    (group,) = answer_groups(view).groups
    assert group.votes == pytest.approx(1.9)
    assert group.likely == (LikelyTrace(1, None),)


def test_other_weights_than_votes_are_not_taken_for_votes() -> None:
    settings = {"policy": {"name": "auto", "vote": "confidence"}}
    view = Story(64, settings=settings).start(0).finish(0, 9, "42").vote("42", a42=7).view()
    (group,) = answer_groups(view).groups
    assert group.votes == 1
