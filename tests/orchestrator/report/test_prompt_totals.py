"""Prompt tokens over all streams, also where servers tell them late or never."""

from orchestrator.core.events import TokensArrived
from orchestrator.report.totals import PromptTotals
from tests.support.story import Story


def test_what_a_stream_tells_at_its_start_is_added() -> None:
    totals = PromptTotals()
    totals.opened(0, 10, 0)
    totals.opened(1, 10, 8)
    totals.opened(0, 14, 10)  # resumed
    assert (totals.prompt, totals.cached) == (34, 18)


def test_what_a_stream_tells_at_its_end_takes_the_place_of_what_it_told_before() -> None:
    totals = PromptTotals()
    totals.opened(0, 10, 0)
    totals.told(0, 10, 8)
    assert (totals.prompt, totals.cached) == (10, 8)


def test_streams_that_were_stopped_before_they_told_have_the_prompt_of_the_others() -> None:
    totals = PromptTotals()
    for trace in range(4):
        totals.opened(trace, 0, 0)
    assert totals.prompt == 0
    totals.told(2, 10, 8)
    assert (totals.prompt, totals.cached) == (40, 8)
    totals.told(1, 10, 10)
    totals.opened(4, 0, 0)
    assert (totals.prompt, totals.cached) == (50, 18)


def test_the_bill_has_the_prompt_of_a_server_that_tells_it_at_the_end(
    story: type[Story],
) -> None:
    told = story(2).start(0, 1, prompt=0)
    told._add(TokensArrived, trace=0, text="x", tokens=3, prompt_tokens=50, cached_prompt_tokens=40)
    view = told.view()
    assert (view.prompt_tokens, view.cached_prompt_tokens) == (100, 40)
    assert view.traces[0].prompt_tokens == 50
    told.resume(0, prompt=60, cached=0)
    assert told.view().prompt_tokens == 160
