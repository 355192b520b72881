import json
from typing import Any

import msgspec
import pytest

from orchestrator.report.report import Report, build_report, to_json_line
from orchestrator.report.summary import ServerCounts, summarise
from tests.support.story import Story


def report_of(told: Any) -> Report:
    return build_report(told.view(), run_dir="runs/x")


@pytest.fixture
def reports(story: type[Story], pruned_story: Any) -> list[Report]:
    """One pruned and right, one full vote and wrong, one without gold, one that nothing finished."""
    full = story(2, gold="7").start(0, 1).finish(0, 100).finish(1, 300).vote("42", a42=2).end("7")
    free = story(1).start(0).finish(0, 50).vote("42", a42=1).end()
    dead = story(2, gold="7").start(0).tokens(0, 9).stop(0, 10, "interrupted").vote(None)
    return [report_of(told) for told in (pruned_story, full, free, dead.end(interrupted=True))]


def summary_of(reports: list[Report]) -> dict[str, Any]:
    result = json.loads(to_json_line(summarise(reports)))
    assert set(result) == {"schema", "summary"}
    assert result["schema"] == 1
    summary: dict[str, Any] = result["summary"]
    return summary


def test_accuracy_is_over_the_graded_questions(reports: list[Report]) -> None:
    summary = summary_of(reports)
    assert (summary["questions"], summary["answered"], summary["graded"]) == (4, 3, 3)
    assert (summary["correct"], summary["accuracy"]) == (1, 0.3333)
    assert summary["interrupted"] == 1


def test_the_interval_is_wilsons(story: type[Story]) -> None:
    """8 of 10: 0.4902 to 0.9433 (Newcombe 1998)."""
    right = report_of(story(1, gold="42").start(0).finish(0, 5).vote("42", a42=1).end("42"))
    wrong = report_of(story(1, gold="42").start(0).finish(0, 5).vote("7", a7=1).end("42"))
    summary = summary_of([right] * 8 + [wrong] * 2)
    assert summary["accuracy"] == 0.8
    assert summary["accuracy_low"] == pytest.approx(0.4902, abs=1e-4)
    assert summary["accuracy_high"] == pytest.approx(0.9433, abs=1e-4)


def test_totals_are_sums(reports: list[Report]) -> None:
    summary = summary_of(reports)
    reasoner = summary["ledger"]["reasoner"]
    assert reasoner["generated_tokens"] == 200 + 400 + 50 + 10
    assert reasoner["by_fate"] == {
        "finished": 550,
        "pruned": 36,
        "stopped": 40,
        "failed": 34,
        "probes": 0,
        "regenerations": 0,
    }
    assert summary["traces"] == {
        "planned": 9,
        "started": 8,
        "finished": 4,
        "pruned": 1,
        "stopped": 2,
        "failed": 1,
        "not_started": 1,
        "unreadable": 0,
        "unreadable_cut": 0,
        "alike": 4,
    }
    assert summary["ledger"]["judge"]["calls"] == 2
    assert summary["ledger"]["judge"]["weighed_tokens"] == 41.0
    assert summary["seconds"] == pytest.approx(sum(report.seconds for report in reports))


def test_savings_are_over_the_totals_of_known_questions(reports: list[Report]) -> None:
    summary = summary_of(reports)
    cost = summary["ledger"]["counterfactual"]
    assert (cost["generated_tokens"], cost["questions"]) == (400 + 400 + 50, 3)
    assert cost["high"] is None
    assert summary["saved"] == pytest.approx(1 - 650 / 850, abs=1e-4)
    assert summary["net_saved"] == pytest.approx(1 - 691.4 / 850, abs=1e-4)
    assert summary["ledger"]["equal_cost_votes"] == pytest.approx((2.414 + 2 + 1) / 3, abs=1e-3)


def test_the_servers_count_is_unknown_if_one_report_lacks_it(reports: list[Report]) -> None:
    assert summary_of(reports)["ledger"]["reasoner"]["server_generated_tokens"] is None
    assert summary_of(reports[:1])["ledger"]["reasoner"]["server_generated_tokens"] == 200


def test_names_the_policy_if_there_is_one(reports: list[Report]) -> None:
    assert summary_of(reports)["policy"] == "deepprune"
    assert (
        summary_of([reports[0], msgspec.structs.replace(reports[1], policy="consensus")])["policy"]
        is None
    )


def test_no_questions_give_no_figures() -> None:
    summary = summary_of([])
    assert summary["questions"] == 0
    assert summary["accuracy"] is None
    assert summary["accuracy_low"] is None
    assert summary["saved"] is None
    assert summary["seconds"] == 0


def test_is_one_line_of_json(reports: list[Report]) -> None:
    assert "\n" not in to_json_line(summarise(reports))


def test_what_the_servers_counted_together_corrects_the_cached_tokens(
    reports: list[Report],
) -> None:
    """Side by side no question's bill has the tokens from the cache; the sums have them."""
    before = summary_of(reports)
    judge = before["ledger"]["judge"]
    counts = ServerCounts(
        generated=777,
        cached_prompt=before["ledger"]["reasoner"]["prompt_tokens"] + 5,
        judge_cached_prompt=judge["cached_prompt_tokens"] + 10,
    )
    after = json.loads(to_json_line(summarise(reports, counts, 1.5)))["summary"]
    bill = after["ledger"]["reasoner"]
    assert bill["server_generated_tokens"] == 777
    assert bill["cached_prompt_tokens"] == bill["prompt_tokens"]
    assert bill["weighed_reads"] == 0
    corrected = after["ledger"]["judge"]
    assert corrected["cached_prompt_tokens"] == judge["cached_prompt_tokens"] + 10
    price = reports[0].ledger.prices
    assert price is not None
    less = 10 * (price.judge_prompt_token - price.judge_cached_token)
    assert corrected["weighed_tokens"] == pytest.approx(judge["weighed_tokens"] - less)
    assert after["net_saved"] > before["net_saved"]
    assert after["saved"] == before["saved"]
    assert after["wall_seconds"] == 1.5


def test_a_count_below_what_the_answers_told_takes_nothing_away(reports: list[Report]) -> None:
    before = summary_of(reports)
    counts = ServerCounts(cached_prompt=0, judge_cached_prompt=0)
    assert json.loads(to_json_line(summarise(reports, counts)))["summary"] == before
