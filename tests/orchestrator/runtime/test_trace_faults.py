"""Traces of servers that refuse, are away, ask to wait, miscount or leave something out."""

import asyncio

import msgspec
import pytest

from orchestrator.client.reasoner.client import Chunk
from orchestrator.client.reasoner.counting import StreamWarning
from orchestrator.core.events import (
    TokensArrived,
    TraceFailed,
    TraceFinished,
    TracePaused,
    TraceResumed,
    TraceStarted,
    TraceWarned,
)
from orchestrator.errors import (
    EndpointBusy,
    EndpointRejected,
    EndpointUnreachable,
    ServersAway,
    StreamBroken,
)
from orchestrator.runtime.server_record import ServerRecord
from tests.orchestrator.runtime.trace_harness import END, Harness, Item, Reasoner, chunk, settle

GONE = EndpointUnreachable("nobody answers.")


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.runtime.trace._backoff", lambda state: 0.0)


class Clock:
    """A clock that a test moves."""

    def __init__(self, step: float = 0.0) -> None:
        self.now = 0.0
        self._step = step

    def __call__(self) -> float:
        self.now += self._step
        return self.now


# --- refusals ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [302, 400, 401, 403, 404])
async def test_a_refusal_fails_one_trace_where_others_are_served(status: int) -> None:
    record = ServerRecord()
    rejected = EndpointRejected("no such model.", status)
    refused = Harness(Reasoner([rejected]), record=record)
    served = Harness(Reasoner([END]), record=record)
    await asyncio.gather(refused.run(), served.run())
    assert refused.kinds() == [TraceFailed]
    assert served.kinds()[-1] is TraceFinished


async def test_a_refusal_of_all_traces_ends_the_run() -> None:
    record = ServerRecord()
    traces = [Harness(Reasoner([EndpointRejected("no.", 404)]), record=record) for _ in range(3)]
    done = await asyncio.gather(*(each.run() for each in traces), return_exceptions=True)
    assert {type(each) for each in done} == {EndpointRejected}
    assert [each.kinds() for each in traces] == [[]] * 3


async def test_a_refused_trace_that_is_stopped_meanwhile_fails() -> None:
    record = ServerRecord()
    hold = asyncio.Event()
    waiting = Harness(Reasoner([hold, END]), record=record)
    refused = Harness(Reasoner([EndpointRejected("no.", 404)]), record=record)
    other = asyncio.create_task(waiting.run())
    run = asyncio.create_task(refused.end(TraceFailed))
    await settle()
    refused.runner.stop("interrupted")
    await run
    hold.set()
    await other


# --- servers that are away ---------------------------------------------------------------------------


async def test_a_server_that_comes_back_loses_nothing() -> None:
    gone: list[list[Item]] = [[GONE] for _ in range(20)]
    reasoner = Reasoner([chunk("so ", (7,), 1), StreamBroken("reset")], *gone, [END])
    finished = await Harness(reasoner, clock=Clock(0.1)).end(TraceFinished)
    assert finished.tokens == 2
    assert reasoner.asked[-1] == ((7,), 1)


async def test_an_outage_of_all_servers_interrupts_the_run_and_fails_no_trace() -> None:
    reasoner = Reasoner(*([GONE] for _ in range(1000)))
    harness = Harness(reasoner, clock=Clock(1.0), outage_seconds=20.0)
    with pytest.raises(ServersAway, match=r"nobody answers\. It was away for 20 seconds"):
        await harness.run()
    while not harness.channel.empty():
        harness.events.append(harness.channel.get_nowait())
    assert [event for event in harness.events if not isinstance(event, TraceWarned)] == []


async def test_an_outage_of_one_trace_fails_it_alone() -> None:
    record, clock = ServerRecord(), Clock(1.0)
    reasoner = Reasoner(*([GONE] for _ in range(1000)))
    run = asyncio.create_task(
        Harness(reasoner, record=record, clock=clock, outage_seconds=20.0).end(TraceFailed)
    )
    while not run.done():
        record.note_answer(clock.now)  # another trace gets tokens all the time
        await asyncio.sleep(0)
    assert (await run).message == "nobody answers."


async def test_a_wait_is_announced_in_the_trace() -> None:
    reasoner = Reasoner(*([GONE] for _ in range(9)), [END])
    events = await Harness(reasoner, clock=Clock(1.0)).run()
    (warned,) = [event for event in events if isinstance(event, TraceWarned)]
    assert (warned.warning, warned.message) == (
        "wait",
        "nobody answers. It is waited for, at most 600 seconds.",
    )


async def test_a_wait_that_is_asked_for_beyond_the_setting_fails_the_trace() -> None:
    reasoner = Reasoner([EndpointBusy("full.", retry_after=121.0)])
    failed = await Harness(reasoner).end(TraceFailed)
    assert failed.message == (
        "full. That is longer than 120 seconds; raise endpoint.retry_after_seconds or ask again later."
    )


# --- what streams leave out --------------------------------------------------------------------------


def with_warning(one: Chunk, kind: str) -> Chunk:
    warning = msgspec.convert((kind, "odd"), StreamWarning)
    return msgspec.structs.replace(one, warnings=(warning,))


async def test_what_is_odd_about_a_stream_is_an_event() -> None:
    events = await Harness(Reasoner([with_warning(END, "usage")])).run()
    assert [type(event) for event in events[:2]] == [TraceStarted, TraceWarned]


@pytest.mark.parametrize(("resumable", "warned"), [(True, 1), (False, 0)])
async def test_missing_ids_matter_only_where_streams_are_continued(
    resumable: bool, warned: int
) -> None:
    harness = Harness(Reasoner([with_warning(END, "token_ids")]), resumable=resumable)
    await harness.run()
    assert harness.kinds().count(TraceWarned) == warned


async def test_a_trace_with_missing_ids_is_not_paused() -> None:
    hold = asyncio.Event()
    reasoner = Reasoner([chunk("so on ", (7,), 2), hold, END])
    harness = Harness(reasoner)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(harness.runner.run())
        await harness.until(TokensArrived)
        harness.runner.pause()
        await settle()
        assert reasoner.closed == 0
        harness.runner.resume()
        hold.set()
        await harness.until(TraceFinished)
    assert TracePaused not in harness.kinds()


async def test_a_trace_with_missing_ids_is_not_continued_with_a_gap() -> None:
    reasoner = Reasoner([chunk("so on ", (7,), 2), StreamBroken("reset")], [END])
    failed = await Harness(reasoner).end(TraceFailed)
    assert (len(reasoner.asked), failed.tokens) == (1, 2)


async def test_ids_that_were_found_missing_after_the_pause_fail_the_trace_at_its_resumption() -> (
    None
):
    reasoner = Reasoner([chunk("so ", (7,), 1), asyncio.Event()])
    harness = Harness(reasoner)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(harness.runner.run())
        await harness.until(TokensArrived)
        harness.runner.pause()
        await harness.until(TracePaused)
        harness.runner._progress.tokens += 1
        harness.runner.resume()
        failed = await harness.until(TraceFailed)
    assert "left out the ids" in failed.message


@pytest.mark.parametrize(
    ("first", "streams"),
    [
        (chunk("so ", (), 0), 1),  # text came, although the server counts none
        (chunk("", (), 5), 2),  # a count came and no text
    ],
)
async def test_whether_a_trace_is_begun_anew_depends_on_its_text(
    first: Chunk, streams: int
) -> None:
    reasoner = Reasoner([first, StreamBroken("reset")], [END])
    await Harness(reasoner, resumable=False).run()
    assert len(reasoner.asked) == streams


async def test_discarded_tokens_are_billed_and_the_trace_continues_before_them() -> None:
    wasted = msgspec.structs.replace(chunk("so ", (7,), 4), discarded=3)
    reasoner = Reasoner([wasted, StreamBroken("unreadable", "decode")], [END])
    events = await Harness(reasoner).run()
    assert reasoner.asked == [((), 0), ((7,), 1)]
    finished = events[-1]
    assert isinstance(finished, TraceFinished)
    assert finished.tokens == 5
    assert [event.discarded for event in events if isinstance(event, TokensArrived)] == [3, 0]


async def test_a_prompt_that_is_told_at_the_end_is_on_the_event() -> None:
    first = Chunk("so ", (), 1, 0, 0, None)
    last = Chunk("\\boxed{4}", (), 2, 50, 48, "stop")
    events = await Harness(Reasoner([first, last]), resumable=False).run()
    told = [event for event in events if isinstance(event, TokensArrived)]
    assert [(event.prompt_tokens, event.cached_prompt_tokens) for event in told] == [
        (None, None),
        (50, 48),
    ]


async def test_cached_tokens_that_are_told_after_the_last_text_are_on_an_event() -> None:
    last = Chunk("", (), 1, 5, 4, "stop")
    events = await Harness(Reasoner([chunk("\\boxed{4}", (9,), 1), last])).run()
    told = [event for event in events if isinstance(event, TokensArrived)]
    assert told[-1].cached_prompt_tokens == 4
    assert TraceResumed not in [type(event) for event in events]
