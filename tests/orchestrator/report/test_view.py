import time
from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.core.commands import AskJudge, StartTrace
from orchestrator.core.events import (
    RunInterrupted,
    TokensArrived,
    TraceStarted,
    UserCommandReceived,
)
from orchestrator.report.report import build_report
from orchestrator.report.view import RunView
from tests.support.capabilities import JUDGE
from tests.support.story import Story


def test_is_empty_before_the_run_starts() -> None:
    view = RunView()
    assert (view.planned, view.question, view.answer, view.votes) == (0, "", None, ())
    assert view.token_limit is None


def test_planned_traces_are_queued(story: type[Story]) -> None:
    view = story(3).view()
    assert view.counts() == {"queued": 3}
    assert view.planned == 3


def test_orders_change_nothing(story: type[Story]) -> None:
    view = story(1).view()
    view.apply(StartTrace(trace=0))
    assert view.counts() == {"queued": 1}
    assert view.changes == 1


def test_a_trace_passes_through_its_states(story: type[Story]) -> None:
    told, states = story(1), []
    steps: list[Callable[[], Story]] = [
        lambda: told.start(0),
        lambda: told.tokens(0, 10),
        lambda: told.checkpoint(0, 10),
        lambda: told.pause(0, 12),
        lambda: told.open_cluster(0, 0),
        lambda: told.resume(0),
        lambda: told.finish(0, 40),
    ]
    for step in steps:
        step()
        states.append(told.view().traces[0].state)
    assert states == [
        "running",
        "running",
        "checkpoint",
        "checkpoint",
        "paused",
        "running",
        "finished",
    ]


def test_a_trace_without_a_verdict_no_longer_waits(story: type[Story]) -> None:
    told = story(1).start(0).tokens(0, 10).checkpoint(0, 10).judge_failed(0).unjudged(0)
    assert told.view().traces[0].state == "running"


def test_counts_tokens_once_whatever_fact_brings_them(story: type[Story]) -> None:
    told = story(2).start(0, 1).tokens(0, 10).pause(0, 12).resume(0).tokens(0, 20).finish(0, 25)
    view = told.tokens(1, 5).stop(1, 5).view()
    assert view.generated_tokens == 30
    assert [trace.tokens for trace in view.traces.values()] == [25, 5]


def test_adds_up_the_prompts_of_all_streams(story: type[Story]) -> None:
    view = story(2).start(0, 1, prompt=20, cached=16).resume(0, prompt=50, cached=48).view()
    assert (view.prompt_tokens, view.cached_prompt_tokens) == (90, 80)


def test_a_stream_opened_anew_after_a_fault_is_a_retry(story: type[Story]) -> None:
    trace = story(1).start(0).checkpoint(0, 3).resume(0, attempt=1).view().traces[0]
    assert trace.retries == 1
    assert trace.state == "checkpoint"


def test_clusters_know_founder_members_and_answers(pruned_story: Any) -> None:
    clusters = pruned_story.view().clusters
    assert clusters[0].representative == 0
    assert clusters[0].members == [0, 1]
    assert clusters[0].answers == {"42": 1}
    assert clusters[1].members == [2]


def test_an_answer_counts_for_a_cluster_that_is_joined_later(story: type[Story]) -> None:
    told = story(2).start(0, 1).open_cluster(0, 0).finish(1, 9, "7").join(1, 0)
    assert told.finish(0, 9, None).view().clusters[0].answers == {"7": 1}


def test_adds_up_the_judges_bill(pruned_story: Any) -> None:
    judge = pruned_story.view().judge
    assert (judge.calls, judge.pairs, judge.requests) == (2, 2, 2)
    assert (judge.prompt_tokens, judge.cached_prompt_tokens) == (200, 120)
    assert (judge.completion_tokens, judge.seconds) == (2, 1.0)


def test_pruning_is_off_from_the_first_failure_since_the_last_verdict(
    story: type[Story],
) -> None:
    told = story(3).judge_failed(1).judged(1, 0)
    assert told.view().judge.pruning_off_since is None
    told.judge_failed(2).judge_failed(2)
    assert told.view().judge.pruning_off_since == 0.3
    assert told.view().judge.failures == 3


def test_overshoot_is_what_pruned_traces_wrote_past_their_checkpoint(pruned_story: Any) -> None:
    traces = pruned_story.view().traces
    assert [trace.overshoot_tokens for trace in traces.values()] == [0, 6, 0, 0]


def test_probes_are_on_the_bill_of_the_reasoner_and_of_no_trace(story: Callable[..., Any]) -> None:
    told = story(2).start(0, 1).tokens(0, 50).probed(0, 50, "7").probed(0, 60).probe_failed(1)
    view = told.view()
    assert (view.probes.probes, view.probes.failures, view.probes.tokens) == (2, 1, 14)
    assert view.generated_tokens == 50 + 14
    assert view.traces[0].tokens == 50
    assert view.prompt_tokens == 2 * 20 + 70 + 80
    assert view.cached_prompt_tokens == 50 + 60
    assert view.probes.seconds == pytest.approx(0.4)
    last = view.traces[0].probed
    assert last is not None
    assert (last.answer, last.asked_at) == ("42", 60)
    assert view.traces[1].probed is None
    by_fate = build_report(view, run_dir=None).ledger.reasoner.by_fate
    assert (by_fate.stopped, by_fate.probes) == (50, 14)


def test_why_a_trace_ended(pruned_story: Any) -> None:
    traces = pruned_story.view().traces
    assert [t.ending for t in traces.values()] == ["finished", "pruned", "stopped", "failed"]
    assert [t.reason for t in traces.values()] == [None, "pruned", "straggler", "server: reset"]


def test_the_vote_and_the_end(pruned_story: Any) -> None:
    view = pruned_story.view()
    assert view.answer == "42"
    assert view.votes[0].count == 1
    assert not view.interrupted
    assert view.elapsed == view.finished.at


def test_an_interrupt_is_remembered(story: type[Story]) -> None:
    view = story(1).view()
    view.apply(RunInterrupted(at=3.0))
    assert view.interrupted
    assert view.elapsed == 3.0


def test_text_is_kept_whole_over_many_chunks(story: type[Story]) -> None:
    told, words = story(1).start(0), [f"{n} " for n in range(1000)]
    for n, word in enumerate(words):
        told.tokens(0, n + 1, word)
    view = told.view()
    assert view.traces[0].text == view.traces[0].text == "".join(words)
    view.apply(TokensArrived(at=200.0, trace=0, text="end", tokens=1001))
    assert view.traces[0].text == "".join(words) + "end"


def test_the_segment_stays_as_it_was_at_the_checkpoint(story: type[Story]) -> None:
    told = story(1).start(0).tokens(0, 2, "wait, so")
    assert told.view().segment(0) == ""
    told.checkpoint(0, 2, chars=5).tokens(0, 3, " on")
    assert told.view().segment(0) == "wait,"


def test_text_can_be_left_out(story: type[Story]) -> None:
    assert story(1).start(0).tokens(0, 1, "so").view(keep_text=False).traces[0].text == ""


def test_a_traces_limit_is_the_smaller_of_setting_and_context(story: type[Story]) -> None:
    capped = {"sampling": {"max_tokens": 90}}
    assert story(1).view().token_limit is None
    assert story(1, settings=capped).view().token_limit == 90
    assert story(1, max_model_len=100).start(0, prompt=20).view().token_limit == 80
    assert story(1, settings=capped, max_model_len=100).start(0, prompt=20).view().token_limit == 80


def test_events_are_all_facts_but_the_text(story: type[Story]) -> None:
    told = story(1).start(0).tokens(0, 5).finish(0, 9)
    assert told.view().events == [
        event for event in told.events if not isinstance(event, TokensArrived)
    ]


def test_a_trace_is_asked_about_until_its_verdict_comes(story: type[Story]) -> None:
    view = story(2).start(0, 1).view()
    view.apply(AskJudge(trace=1, members=(0,)))
    assert (view.traces[0].asked, view.traces[1].asked) == (False, True)
    for event in story(2).judged(1, 0).events[1:]:
        view.apply(event)
    assert not view.traces[1].asked
    view.apply(AskJudge(trace=1, members=(0,)))
    for event in story(2).judge_failed(1, 0).events[1:]:
        view.apply(event)
    assert not view.traces[1].asked


def test_tokens_are_counted_by_the_quarter_of_a_second(story: type[Story]) -> None:
    told = story(1).start(0).tokens(0, 3).tokens(0, 5)  # at 0.1, 0.2 and 0.3 s
    assert told.view().tokens_per_tick == [3, 2]


def test_the_tail_is_the_end_of_the_text(story: type[Story]) -> None:
    told = story(1).start(0)
    for number in range(1000):
        told.tokens(0, number, text=f"{number} ")
    trace = told.view().traces[0]
    assert trace.tail == trace.text[-400:] == trace.tail


def test_acts_of_the_user_show_in_the_view(story: type[Story]) -> None:
    view = story(2, judge=JUDGE).view()
    assert view.tau == 0.5
    view.apply(UserCommandReceived(at=1.0, command="tau", tau=0.7))
    view.apply(UserCommandReceived(at=1.0, command="pin", trace=0))
    view.apply(UserCommandReceived(at=1.0, command="hold"))
    assert (view.tau, view.traces[0].pinned, view.held) == (0.7, True, True)
    view.apply(UserCommandReceived(at=2.0, command="unpin", trace=0))
    view.apply(UserCommandReceived(at=2.0, command="release"))
    view.apply(UserCommandReceived(at=2.0, command="stop", trace=1))
    assert (view.traces[0].pinned, view.held) == (False, False)


def test_a_policy_without_a_judge_has_no_tau(story: type[Story]) -> None:
    assert story(1).view().tau is None


def test_a_fold_costs_the_same_beside_twenty_streams_and_two_thousand(story: type[Story]) -> None:
    """What one event costs must not grow with the number of traces of the run."""

    def seconds(streams: int) -> float:
        view = story(streams).view()
        for t in range(streams):
            view.apply(
                TraceStarted(at=0.0, trace=t, endpoint="e", prompt_tokens=1, cached_prompt_tokens=0)
            )
        events = [
            TokensArrived(at=0.0, trace=n % streams, text="so ", tokens=n // streams + 1)
            for n in range(10_000)
        ]
        began = time.process_time()
        for event in events:
            view.apply(event)
        taken = time.process_time() - began
        assert view.generated_tokens == 10_000
        return taken

    few, many = min(seconds(20) for _ in range(3)), min(seconds(2_000) for _ in range(3))
    assert many < 5 * few
