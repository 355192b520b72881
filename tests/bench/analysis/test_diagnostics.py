"""Known problems of policies, and the advice against each."""

from collections.abc import Sequence

import pytest

from bench.analysis.comparison import compare_policies
from bench.analysis.diagnostics import findings
from bench.results.outcomes import Outcome
from tests.support.outcomes import FOUR_VOTES, ONE_VOTE, outcomes

GOOD = [1, 1, 1, 0]
BAD = [1, 0, 0, 0]


def found(*groups: Sequence[Outcome]) -> list[str]:
    flat = [outcome for group in groups for outcome in group]
    return findings(compare_policies(flat, judge_price=1.0))


def test_a_policy_without_a_problem_has_no_finding() -> None:
    assert found(ONE_VOTE, FOUR_VOTES, outcomes("good", GOOD, 150, clusters=(3, 1))) == []


@pytest.mark.parametrize(
    ("policy", "text"),
    [
        (
            outcomes("worse", BAD, 150, clusters=(3, 1)),
            "lost: worse (50.0 below cons@4). Raise tau",
        ),
        (
            outcomes("dear", GOOD, 150, judge_tokens=200, clusters=(3, 1)),
            "counted: dear (12%). The judge is too",
        ),
        (
            outcomes("single", GOOD, 150, clusters=(1, 1, 1, 1)),
            "cluster: single (4 clusters of 4 traces). The judge",
        ),
        (
            outcomes("one", GOOD, 150, clusters=(4,)),
            "one cluster: one (100%). If answers differ",
        ),
    ],
)
def test_every_problem_is_recognised_by_its_figure(policy: list[Outcome], text: str) -> None:
    assert text in found(ONE_VOTE, FOUR_VOTES, policy)[0]


def test_the_advice_against_lost_points_depends_on_the_policy() -> None:
    auto, esc = found(
        ONE_VOTE, FOUR_VOTES, outcomes("auto@32", BAD, 150), outcomes("esc", BAD, 160)
    )
    assert "auto@32 (50.0 below cons@4). Raise --effort." in auto
    assert "esc (50.0 below cons@4). Allow more traces" in esc


def test_policies_with_the_same_problem_are_in_one_finding() -> None:
    one_cluster = [outcomes(f"d:tau={tau}", GOOD, 150, clusters=(4,)) for tau in ("0.1", "0.2")]
    (text,) = found(ONE_VOTE, FOUR_VOTES, *one_cluster)
    assert "d:tau=0.1 (100%), d:tau=0.2 (100%)" in text


def test_with_several_files_every_finding_names_its_file() -> None:
    one = outcomes("one", GOOD, 150, clusters=(4,))
    other = outcomes("one", GOOD, 150, clusters=(4,), file="g")
    texts = found(ONE_VOTE, FOUR_VOTES, one, other)
    assert [text.partition(":")[0] for text in texts] == ["f", "g"]


def test_without_a_vote_no_lost_points_are_found() -> None:
    assert found(outcomes("worse", [0], 10)) == []
