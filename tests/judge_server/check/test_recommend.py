"""Whether a judge pays, which tau, and what is said about it."""

from pathlib import Path

from judge_server.check.recommend import recommend
from judge_server.check.sweep import PolicyFigures


def row(policy: str, accuracy: float, tokens: float, judge: float = 0.0) -> PolicyFigures:
    tau = float(policy.rpartition("tau=")[2]) if "tau=" in policy else None
    return PolicyFigures(
        policy=policy,
        tau=tau,
        accuracy=accuracy,
        accuracy_low=accuracy,
        accuracy_high=accuracy,
        tokens=tokens,
        judge_tokens=judge,
        cost=tokens + judge,
        saved=1 - (tokens + judge) / 1000,
        saved_before_judge=1 - tokens / 1000,
        clusters=None,
        largest_cluster=None,
        difference=None,
        verdict="",
    )


VOTE, AUTO = row("cons@16", 0.90, 1000), row("auto", 0.90, 300)


def test_a_judge_pays_where_it_costs_less_than_auto_at_its_accuracy() -> None:
    found = recommend(
        [VOTE, AUTO, row("deepprune:tau=0.5", 0.90, 150, 100)],
        price=1.0,
        judge_file=Path("out/judge.yaml"),
    )
    assert (found.pays, found.policy, found.tau, found.break_even) == (
        True,
        "deepprune:tau=0.5",
        0.5,
        1.5,
    )
    assert found.sentences[-1] == "Use --policy deepprune --set policy.tau=0.5."
    assert any("out/judge.yaml" in sentence for sentence in found.sentences)


def test_a_judge_that_costs_more_than_auto_does_not_pay_and_its_price_is_named() -> None:
    found = recommend(
        [VOTE, AUTO, row("deepprune:tau=0.5", 0.90, 150, 300)], price=1.0, judge_file=None
    )
    assert (found.pays, found.policy, found.break_even) == (False, "auto", 0.5)
    assert found.sentences[-1] == "Use --policy auto."


def test_the_cheapest_tau_that_loses_at_most_three_points_is_recommended() -> None:
    rows = [
        row("deepprune:tau=0.25", 0.80, 100),
        row("deepprune:tau=0.5", 0.88, 500),
        row("deepprune:tau=0.75", 0.90, 800),
    ]
    assert recommend([VOTE, AUTO, *rows], price=1.0, judge_file=None).tau == 0.5


def test_a_judge_with_which_every_policy_loses_accuracy_does_not_pay() -> None:
    found = recommend([VOTE, AUTO, row("deepprune:tau=0.5", 0.5, 100)], price=1.0, judge_file=None)
    assert (found.pays, found.tau, found.break_even) == (False, None, None)
    assert "loses more than 3 points" in found.sentences[0]
    assert "No tau keeps deepprune within 3 points" in found.sentences[1]


def test_a_judge_as_evidence_of_auto_can_be_the_one_that_pays() -> None:
    found = recommend(
        [VOTE, AUTO, row("auto:use_judge=true", 0.90, 200, 10)], price=1.0, judge_file=None
    )
    assert found.pays
    assert found.sentences[-1] == "Use --policy auto --set policy.use_judge=true."
