"""What is known of each server of a run: a row for each, and what moved between them."""

from typing import Any

import msgspec

from orchestrator.core.events import RunResumed, TokensArrived
from orchestrator.report.report import build_report
from orchestrator.report.summary import summarise
from orchestrator.terminal.render import render_report
from tests.support.capabilities import capabilities
from tests.support.story import Story

A, B, C = (f"http://{name}:8000/v1" for name in "abc")


def two_servers(traces: int = 4) -> Story:
    """Two traces on each of two servers; a third server gets none."""
    story = Story(traces, replicas=(A, B, C))
    return story.start(0, 1, endpoint=A).start(2, 3, endpoint=B)


def rows_of(story: Story) -> dict[str, dict[str, Any]]:
    report = msgspec.to_builtins(build_report(story.view(), run_dir=None))
    assert (
        sum(row["tokens"] for row in report["replicas"])
        == (report["ledger"]["reasoner"]["generated_tokens"])
    )
    return {row.pop("endpoint"): row for row in report["replicas"]}


def shown(story: Story) -> str:
    """The report as it is printed, on one line."""
    printed = render_report(build_report(story.view(), run_dir=None))
    return " ".join(printed.replace("│", " ").split())


def test_each_server_has_its_traces_and_its_tokens() -> None:
    told = two_servers().tokens(0, 30).tokens(2, 20).finish(0, 40).stop(1, 5).finish(2, 20)
    rows = rows_of(told.finish(3, 10).end())
    assert list(rows) == [A, B, C]
    assert [(row["traces"], row["tokens"]) for row in rows.values()] == [(2, 45), (2, 30), (0, 0)]
    assert rows[C]["tokens_per_second"] is None


def test_a_single_server_has_a_row_too(pruned_story: Story) -> None:
    (row,) = rows_of(pruned_story).values()
    assert (row["traces"], row["tokens"], row["faults"]) == (4, 200, 1)


def test_the_pace_counts_the_time_with_a_stream() -> None:
    told = Story(1, replicas=(A, B)).start(0, endpoint=A)  # at 0.1 s
    told.tokens(0, 10).pause(0, 20)  # 0.3 s
    told.down(B).up(B).resume(0, endpoint=A)  # 0.6 s
    told.finish(0, 40)  # 0.7 s
    assert rows_of(told.end())[A]["tokens_per_second"] == round(40 / 0.3, 1)


def test_a_trace_that_moves_counts_on_both_servers_and_is_read_again() -> None:
    told = two_servers().tokens(0, 30).down(A)
    told.resume(0, endpoint=B, attempt=1, moved="down", prompt=50, cached=0).tokens(0, 36)
    told.finish(0, 40).stop(1, 0).stop(2, 0).stop(3, 0).end()
    rows = rows_of(told)
    assert (rows[A]["traces"], rows[A]["tokens"], rows[A]["faults"]) == (2, 30, 1)
    assert (rows[B]["traces"], rows[B]["tokens"], rows[B]["faults"]) == (3, 10, 0)
    ledger = build_report(told.view(), run_dir=None).ledger.reasoner
    assert (ledger.moved_traces, ledger.reread_tokens) == (1, 50)
    assert "traces moved: 1 (50 tokens read again)" in shown(told)


def test_what_was_found_in_the_cache_after_all_is_not_read_again() -> None:
    told = two_servers().tokens(0, 30)
    told.resume(0, endpoint=B, moved="load", prompt=50, cached=0)
    told._add(TokensArrived, trace=0, text="", tokens=31, prompt_tokens=50, cached_prompt_tokens=20)
    assert told.view().replicas.reread_tokens == 30


def test_a_trace_that_returns_to_its_owner_has_not_moved() -> None:
    told = two_servers().tokens(0, 30).pause(0, 30).resume(0, endpoint=A)
    assert told.view().replicas.moved == set()


def test_the_time_without_streams_is_counted_until_a_server_returns() -> None:
    told = two_servers().down(A).tokens(2, 9).tokens(2, 10).up(A).down(B)
    rows = rows_of(told.tokens(3, 5).tokens(3, 6))
    assert (rows[A]["seconds_out"], rows[B]["seconds_out"]) == (0.3, 0.2)


def test_a_server_that_is_out_at_the_end_stays_so() -> None:
    view = two_servers().down(A).vote(None).end().view()
    assert view.replicas.rows[A].out_since is not None
    assert not any(row.live for row in view.replicas.rows.values())
    assert build_report(view, run_dir=None).replicas[0].seconds_out == 0.2


def test_another_process_begins_with_the_servers_that_it_finds() -> None:
    told = two_servers().tokens(0, 30).down(B)
    told._add(RunResumed, capabilities=capabilities(replicas=(A, "http://d:8000/v1")))
    view = told.view()
    assert [row.out_since for row in view.replicas.rows.values()] == [None] * 4
    assert not any(row.live for row in view.replicas.rows.values())


def test_a_probe_is_generated_where_its_trace_is() -> None:
    told = two_servers().tokens(0, 30).probed(0, 30).stop(1, 0).stop(2, 0).stop(3, 0)
    assert rows_of(told.finish(0, 30).end())[A]["tokens"] == 37


def test_a_summary_adds_up_what_moved() -> None:
    told = two_servers().resume(0, endpoint=B, moved="load", prompt=50, cached=0)
    report = build_report(told.view(), run_dir=None)
    sums = summarise([report, report]).summary.ledger.reasoner
    assert (sums.moved_traces, sums.reread_tokens) == (2, 100)


def test_the_servers_are_shown_where_there_are_several(pruned_story: Story) -> None:
    told = two_servers().tokens(0, 30).down(A).fail(0, 30).finish(2, 10).end()
    assert f"{A}: traces 2, tokens 30" in shown(told)
    assert "faults 1, out for" in shown(told)
    assert "servers" not in shown(pruned_story)
