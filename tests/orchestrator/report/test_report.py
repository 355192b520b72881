import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator.core.events import TraceWarned
from orchestrator.errors import JournalError
from orchestrator.report.report import build_report, notices, read_report, to_json_line
from orchestrator.report.view import RunView
from tests.support.story import Story

ADDED = {
    "error",
    "failure",
    "interrupted",
    "replicas",
    "resumed",
    "warnings",
    "undecided_comparisons",
    "unreadable_ending",
}
ADDED_TO_TRACES = {"not_started", "unreadable", "unreadable_cut", "alike"}
ADDED_TO_JUDGE = {"requests", "failures", "pruning_off_since", "weighed_tokens"}


def report_of(told: Any) -> dict[str, Any]:
    """The report as others read it: as JSON."""
    report: dict[str, Any] = json.loads(to_json_line(build_report(told.view(), run_dir="runs/x")))
    return report


def test_has_every_key_of_schema_1_whatever_happened(story: type[Story], pruned_story: Any) -> None:
    for report in (report_of(story(2)), report_of(pruned_story)):
        assert set(report) - ADDED == {
            "schema",
            "question_id",
            "answer",
            "correct",
            "votes",
            "policy",
            "traces",
            "clusters",
            "ledger",
            "saved",
            "net_saved",
            "seconds",
            "run_dir",
        }
        fates = {"finished", "pruned", "stopped", "failed"}
        assert set(report["traces"]) - ADDED_TO_TRACES == {"planned", "started"} | fates
        ledger = report["ledger"]
        assert set(ledger) == {
            "reasoner",
            "judge",
            "counterfactual",
            "equal_cost_votes",
            "prices",
        }
        assert set(ledger["reasoner"]) == {
            "generated_tokens",
            "prompt_tokens",
            "cached_prompt_tokens",
            "by_fate",
            "overshoot_tokens",
            "source",
            "server_generated_tokens",
            "moved_traces",
            "reread_tokens",
            "by_source",
            "cancellation",
            "weighed_reads",
        }
        assert set(ledger["reasoner"]["by_fate"]) == fates | {"probes", "regenerations"}
        assert set(ledger["judge"]) - ADDED_TO_JUDGE == {
            "calls",
            "pairs",
            "prompt_tokens",
            "cached_prompt_tokens",
            "completion_tokens",
            "seconds",
        }
        assert set(ledger["counterfactual"]) == {
            "policy",
            "generated_tokens",
            "low",
            "high",
            "method",
        }


def test_a_written_report_is_read_as_it_was(tmp_path: Path, pruned_story: Any) -> None:
    report = build_report(pruned_story.view(), run_dir="runs/x")
    file = tmp_path / "report.json"
    file.write_text(to_json_line(report))
    assert read_report(file) == report
    assert read_report(tmp_path / "none.json") is None


def test_a_report_of_an_earlier_version_without_a_key_is_read(
    tmp_path: Path, pruned_story: Any
) -> None:
    plain = report_of(pruned_story)
    del plain["resumed"]
    (tmp_path / "report.json").write_text(json.dumps({**plain, "of_a_later_version": 1}))
    assert read_report(tmp_path / "report.json") == build_report(
        pruned_story.view(), run_dir="runs/x"
    )


def test_what_was_odd_about_the_servers_is_said_once_for_each_kind(
    story: type[Story],
) -> None:
    told = story(3).start(0, 1, 2)
    for trace, message in ((0, "one"), (2, "two"), (2, "three")):
        told._add(TraceWarned, trace=trace, warning="usage", message=message)
    told._add(TraceWarned, trace=1, warning="limit", message="long")
    assert report_of(told)["warnings"] == [
        {"warning": "limit", "traces": 1, "message": "long"},
        {"warning": "usage", "traces": 2, "message": "three"},
    ]


def test_started_traces_are_those_with_a_fate(story: type[Story]) -> None:
    told = story(7).start(0, 1, 2).finish(0, 9).stop(1, 4).stop(2, 3, "interrupted")
    told.stop(3, 0, "voted").stop(4, 0)  # ended before a stream of theirs was opened
    told.fail(5, 0)  # refused by the server; trace 6 was never to be started
    traces = report_of(told)["traces"]
    assert traces == {
        "planned": 7,
        "started": 4,
        "finished": 1,
        "pruned": 1,
        "stopped": 1,
        "failed": 1,
        "not_started": 3,
        "unreadable": 0,
        "unreadable_cut": 0,
        "alike": 0,
    }


def test_traces_cut_off_with_their_journal_were_stopped(story: type[Story]) -> None:
    traces = report_of(story(3).start(0, 1).finish(0, 9))["traces"]
    assert (traces["started"], traces["stopped"], traces["not_started"]) == (2, 1, 1)


@pytest.mark.parametrize(
    "content", [b"{", b"{}", b"\xff", b"[]", b"null", b'{"x":' + b"[" * 90_000]
)
def test_a_file_that_is_no_report_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "report.json").write_bytes(content)
    with pytest.raises(JournalError, match=r"report\.json is not a report"):
        read_report(tmp_path / "report.json")


def test_the_same_events_give_the_same_bytes(pruned_story: Any) -> None:
    lines = [to_json_line(build_report(pruned_story.view(), run_dir="runs/x")) for _ in range(2)]
    assert lines[0] == lines[1]


def test_a_pruned_run_in_full(pruned_story: Any) -> None:
    report = report_of(pruned_story)
    assert report["schema"] == 1
    assert (report["question_id"], report["answer"], report["correct"]) == ("q1", "42", True)
    assert report["votes"] == [{"answer": "42", "ballots": 1, "weight": 1.0}]
    assert report["policy"] == "deepprune"
    assert report["traces"] == {
        "planned": 4,
        "started": 4,
        "finished": 1,
        "pruned": 1,
        "stopped": 1,
        "failed": 1,
        "not_started": 0,
        "unreadable": 0,
        "unreadable_cut": 0,
        "alike": 4,
    }
    assert report["clusters"] == [
        {"id": 0, "size": 2, "representative": 0, "answers": {"42": 1}},
        {"id": 1, "size": 1, "representative": 2, "answers": {}},
    ]
    assert report["ledger"]["reasoner"] == {
        "generated_tokens": 200,
        "prompt_tokens": 130,
        "cached_prompt_tokens": 112,
        "by_fate": {
            "finished": 100,
            "pruned": 36,
            "stopped": 30,
            "failed": 34,
            "probes": 0,
            "regenerations": 0,
        },
        "overshoot_tokens": 6,
        "source": "server_usage",
        "server_generated_tokens": 200,
        "moved_traces": 0,
        "reread_tokens": 0,
        "by_source": {"server_usage": 200, "tokenizer": 0, "chunks": 0},
        "cancellation": "unknown",
        "weighed_reads": 0.4,  # 2 of the 50 tokens of a resumed stream were not in the cache
    }
    assert report["ledger"]["counterfactual"] == {
        "policy": "cons@4",
        "generated_tokens": 400,
        "low": 200,
        "high": None,
        "method": "kaplan-meier",
    }
    assert report["run_dir"] == "runs/x"
    assert report["interrupted"] is False


def test_the_judge_is_weighed_by_the_stated_price(pruned_story: Any) -> None:
    report = report_of(pruned_story)
    # (200 - 120 computed prompt tokens + 2 written) at half a reasoner token each
    assert report["ledger"]["judge"]["weighed_tokens"] == 41.0
    assert report["saved"] == 0.5
    assert report["net_saved"] == pytest.approx(1 - 241.4 / 400, abs=1e-4)
    assert report["ledger"]["equal_cost_votes"] == pytest.approx(2.414)


def test_cached_judge_tokens_have_their_own_price(story: type[Story]) -> None:
    prices = {"prices": {"judge_token": 1.0, "judge_prompt_token": 1.0, "judge_cached_token": 0.1}}
    told = story(2, settings=prices).judged(1, 0)
    assert report_of(told)["ledger"]["judge"]["weighed_tokens"] == 41 + 6


def test_judge_tokens_that_are_read_may_cost_less_than_those_that_are_written(
    story: type[Story],
) -> None:
    prices = {"prices": {"judge_token": 2.0, "judge_prompt_token": 0.5}}
    told = story(2, settings=prices).judged(1, 0)
    assert report_of(told)["ledger"]["judge"]["weighed_tokens"] == 40 * 0.5 + 1 * 2.0


def test_a_judge_reads_for_the_same_fraction_of_a_written_token_as_the_reasoner(
    story: type[Story],
) -> None:
    told = story(2, settings={"prices": {"judge_token": 0.5, "prompt_token": 0.1}}).judged(1, 0)
    report = report_of(told)
    assert report["ledger"]["judge"]["weighed_tokens"] == 40 * 0.05 + 1 * 0.5
    assert report["ledger"]["prices"] == {
        "prompt_token": 0.1,
        "cached_prompt_token": 0.0,
        "judge_token": 0.5,
        "judge_prompt_token": 0.05,
        "judge_cached_token": 0.0,
        "source": "settings",
    }


def test_what_probes_and_continued_traces_read_is_part_of_the_net_cost(
    story: type[Story],
) -> None:
    told = story(2).start(0, 1).probed(1, 40).pause(1, 50).resume(1)
    told.finish(0, 100).finish(1, 100).vote("42", a42=2)
    report = report_of(told)
    reasoner = report["ledger"]["reasoner"]
    assert reasoner["weighed_reads"] == pytest.approx((20 + 50 - 48) * 0.2)
    spent = reasoner["generated_tokens"] + reasoner["weighed_reads"]
    assert report["net_saved"] == pytest.approx(1 - spent / 200, abs=1e-4)
    assert report["ledger"]["prices"]["source"] == "defaults"


def test_the_servers_counter_bounds_what_was_read_without_the_cache(story: type[Story]) -> None:
    told = story(1).start(0, prompt=20, cached=20).pause(0, 50).resume(0, prompt=70, cached=0)
    told.finish(0, 60).vote("42", a42=1).end(cached=85)
    assert report_of(told)["ledger"]["reasoner"]["weighed_reads"] == pytest.approx(5 * 0.2)


def test_a_full_vote_saves_nothing(story: type[Story]) -> None:
    told = story(2).start(0, 1).finish(0, 10).finish(1, 30).vote("42", a42=2).end()
    report = report_of(told)
    assert (report["saved"], report["net_saved"]) == (0.0, 0.0)
    assert report["ledger"]["equal_cost_votes"] == 2.0
    assert report["ledger"]["counterfactual"]["method"] == "observed"


def test_savings_are_unknown_when_no_trace_finished(story: type[Story]) -> None:
    report = report_of(story(2).start(0).stop(0, 10, "interrupted").end(interrupted=True))
    assert (report["saved"], report["net_saved"]) == (None, None)
    assert report["ledger"]["equal_cost_votes"] is None
    assert report["ledger"]["counterfactual"]["generated_tokens"] is None
    assert report["ledger"]["counterfactual"]["low"] == 10
    assert report["interrupted"] is True


@pytest.mark.parametrize(
    ("gold", "answer", "correct", "expected"),
    [
        ("42", "42", ("42", "42.0"), True),
        ("42", "7", ("42",), False),
        ("42", None, ("42",), False),
        ("42", "7", (), False),
        (None, "42", (), None),
    ],
)
def test_correct_only_against_a_gold_answer(
    story: type[Story],
    gold: str | None,
    answer: str | None,
    correct: tuple[str, ...],
    expected: bool | None,
) -> None:
    told = story(1, gold=gold).vote(answer).end(*correct)
    assert report_of(told)["correct"] is expected


def test_a_journal_that_breaks_off_still_gives_a_bill(story: type[Story]) -> None:
    told = story(3, gold="42").start(0, 1).tokens(0, 10).finish(1, 20)
    report = report_of(told)
    assert report["interrupted"] is True
    assert report["correct"] is None
    assert report["traces"]["stopped"] == 1
    assert report["ledger"]["reasoner"]["by_fate"]["stopped"] == 10
    assert sum(report["ledger"]["reasoner"]["by_fate"].values()) == 30


@pytest.mark.parametrize(
    ("can", "source"),
    [
        ({"continuous_usage": True}, "server_usage"),
        ({"continuous_usage": False}, "tokenizer"),
        ({"continuous_usage": False, "token_ids": False}, "chunks"),
    ],
)
def test_says_how_tokens_were_counted(story: type[Story], can: dict[str, Any], source: str) -> None:
    assert report_of(story(1, **can))["ledger"]["reasoner"]["source"] == source


def test_a_usage_at_the_end_counts_only_the_traces_that_reached_it(story: type[Story]) -> None:
    chat: dict[str, Any] = {
        "api": "chat",
        "continuous_usage": False,
        "token_ids": False,
        "final_usage": True,
    }
    told = story(3, **chat).start(0, 1).finish(0, 20)
    bill = report_of(told)["ledger"]["reasoner"]
    assert (bill["source"], bill["by_source"]["server_usage"]) == ("server_usage", 20)
    bill = report_of(told.tokens(1, 7))["ledger"]["reasoner"]
    assert bill["source"] == "chunks"
    assert bill["by_source"] == {"server_usage": 20, "tokenizer": 0, "chunks": 7}


def test_nothing_is_saved_by_closing_streams_that_go_on(story: type[Story]) -> None:
    told = story(2, stops_when_closed=False).start(0, 1).tokens(1, 7).finish(0, 20)
    assert report_of(told)["saved"] is not None  # nothing was closed yet
    report = report_of(told.stop(1, 7))
    assert report["ledger"]["reasoner"]["cancellation"] == "failed"
    assert report["ledger"]["counterfactual"]["generated_tokens"] == 40
    assert [report["saved"], report["net_saved"]] == [None, None]
    assert report["ledger"]["equal_cost_votes"] is None


def test_says_since_when_pruning_is_off(story: type[Story]) -> None:
    judge = report_of(story(2).judge_failed(1))["ledger"]["judge"]
    assert (judge["failures"], judge["pruning_off_since"]) == (1, 0.1)


def test_a_journal_without_a_run_is_an_error() -> None:
    with pytest.raises(JournalError):
        build_report(RunView(), run_dir="runs/x")


def test_the_json_line_shows_nothing_raw(story: type[Story]) -> None:
    told = story(1).start(0).finish(0, 5, "\x1b[31m\u202e\n").open_cluster(0, 0)
    view = told.vote("\x1b[31m\u202e\n").view()
    line = to_json_line(build_report(view, run_dir="runs/x"))
    assert line.isascii()
    assert line.isprintable()


def test_the_last_reason_of_failed_traces_is_told(story: type[Story]) -> None:
    run = story(3).start(0).tokens(0, 9, "one").finish(0, 9, "42")
    for trace in (1, 2):
        run.start(trace).tokens(trace, 3, "two").fail(trace, 3)
    report = build_report(run.view(), run_dir=None)
    assert report.failure is not None
    assert f"2 of 3 traces failed; the last reason: {report.failure}" in notices(report)
    whole = build_report(story(1).start(0).fail(0, 0).view(), run_dir=None)
    assert whole.error == whole.failure
    assert notices(whole) == []
