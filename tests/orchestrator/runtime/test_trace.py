"""Failure paths of one trace, with a reasoner that misbehaves on demand."""

import asyncio
import contextlib

import pytest

from orchestrator.core.events import (
    TokensArrived,
    TraceFailed,
    TraceFinished,
    TracePaused,
    TraceResumed,
    TraceStarted,
    TraceStopped,
)
from orchestrator.errors import (
    EndpointBusy,
    EndpointRejected,
    StreamBroken,
)
from orchestrator.runtime.attempts import PROGRESS_TOKENS
from tests.orchestrator.runtime.trace_harness import (
    END,
    HalfClosed,
    Harness,
    Item,
    Reasoner,
    chunk,
    settle,
)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.runtime.trace._backoff", lambda state: 0.0)


async def test_a_broken_stream_continues_from_the_ids_received() -> None:
    reasoner = Reasoner(
        [chunk("so ", (7,), 1), chunk("on ", (8,), 2), StreamBroken("reset")], [END]
    )
    events = await Harness(reasoner).run()
    assert reasoner.asked == [((), 0), ((7, 8), 2)]
    assert [type(f) for f in events] == [
        TraceStarted,
        TokensArrived,
        TokensArrived,
        TraceResumed,
        TokensArrived,
        TraceFinished,
    ]
    resumed, finished = events[3], events[-1]
    assert isinstance(resumed, TraceResumed)
    assert isinstance(finished, TraceFinished)
    assert resumed.attempt == 1
    assert (finished.answer, finished.tokens) == ("4", 3)


async def test_a_trace_fails_after_as_many_attempts_without_progress() -> None:
    reasoner = Reasoner(*([StreamBroken("reset")] for _ in range(2)))
    (failed,) = await Harness(reasoner, max_attempts=2).run()
    assert isinstance(failed, TraceFailed)
    assert (failed.boundary, failed.message) == ("server", "reset")


async def test_progress_gives_new_attempts() -> None:
    many = tuple(range(PROGRESS_TOKENS))
    streams: list[list[Item]] = [[chunk("a", many, len(many)), StreamBroken("reset")]] * 5
    finished = await Harness(Reasoner(*streams, [END]), max_attempts=2).end(TraceFinished)
    assert finished.tokens == 5 * len(many) + 1


async def test_one_token_and_then_an_error_again_and_again_is_no_progress() -> None:
    streams: list[list[Item]] = [[chunk("a", (n,), 1), StreamBroken("reset")] for n in range(9)]
    reasoner = Reasoner(*streams)
    failed = await Harness(reasoner, max_attempts=3).end(TraceFailed)
    assert (len(reasoner.asked), failed.tokens) == (3, 3)


async def test_nonsense_from_the_server_is_a_failure_to_decode() -> None:
    streams = [[StreamBroken("not JSON", "decode")] for _ in range(2)]
    failed = await Harness(Reasoner(*streams)).end(TraceFailed)
    assert failed.boundary == "decode"


async def test_a_stream_that_cannot_be_resumed_is_not_started_over() -> None:
    reasoner = Reasoner([chunk("so ", (), 1), StreamBroken("reset")], [END])
    await Harness(reasoner, resumable=False).end(TraceFailed)
    assert len(reasoner.asked) == 1


async def test_a_stream_that_broke_before_its_first_token_is_started_over_anywhere() -> None:
    reasoner = Reasoner([StreamBroken("reset")], [END])
    await Harness(reasoner, resumable=False).end(TraceFinished)


async def test_a_stream_without_a_finish_reason_is_broken() -> None:
    reasoner = Reasoner([chunk("so ", (7,), 1)], [END])
    await Harness(reasoner).end(TraceFinished)
    assert len(reasoner.asked) == 2


async def test_a_busy_server_gets_fewer_streams() -> None:
    harness = Harness(Reasoner([EndpointBusy("full", retry_after=0.0)], [END]))
    await harness.end(TraceFinished)
    assert harness.fleet.limit == 2  # halved from one taken, then grown by one


async def test_a_refused_first_request_ends_the_run() -> None:
    with pytest.raises(EndpointRejected):
        await Harness(Reasoner([EndpointRejected("no such model", 404)])).run()


async def test_a_refused_resume_fails_only_the_trace() -> None:
    rejected = EndpointRejected("too long", 400)
    reasoner = Reasoner([chunk("so ", (7,), 1), StreamBroken("reset")], [rejected])
    await Harness(reasoner).end(TraceFailed)


async def test_a_pause_closes_the_stream_and_a_resume_continues_exactly() -> None:
    reasoner = Reasoner([chunk("so ", (7,), 1), asyncio.Event()], [END])
    harness = Harness(reasoner)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(harness.runner.run())
        await harness.until(TokensArrived)
        harness.runner.pause()
        paused = await harness.until(TracePaused)
        assert (paused.tokens, reasoner.closed) == (1, 1)
        harness.runner.resume()
        await harness.until(TraceFinished)
    assert reasoner.asked == [((), 0), ((7,), 1)]


async def test_what_arrives_after_the_half_close_belongs_to_the_trace() -> None:
    reasoner = Reasoner([chunk("so ", (7,), 1), HalfClosed(chunk("on ", (8,), 2))], [END])
    harness = Harness(reasoner)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(harness.runner.run())
        await harness.until(TokensArrived)
        harness.runner.pause()
        assert (await harness.until(TracePaused)).tokens == 2
        harness.runner.resume()
        await harness.until(TraceFinished)
    assert reasoner.asked == [((), 0), ((7, 8), 2)]


async def test_a_trace_that_ended_while_it_was_half_closed_has_finished() -> None:
    harness = Harness(Reasoner([chunk("so ", (7,), 1), HalfClosed(END)]))
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(harness.runner.run())
        await harness.until(TokensArrived)
        harness.runner.stop("pruned")
        assert (await harness.until(TraceFinished)).answer == "4"


async def test_a_trace_whose_last_chunk_waits_to_be_emitted_has_finished_when_it_is_stopped() -> (
    None
):
    harness = Harness(Reasoner([END]), channel=1)  # full after TraceStarted
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(harness.runner.run())
        await settle()
        harness.runner.stop("pruned")
        assert (await harness.until(TraceFinished)).answer == "4"


async def test_a_trace_stopped_while_it_waits_to_try_again_asks_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("orchestrator.runtime.trace._backoff", lambda state: 3600.0)
    reasoner = Reasoner([chunk("so ", (7,), 1), StreamBroken("reset")], [END])
    harness = Harness(reasoner)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(harness.runner.run())
        await harness.until(TokensArrived)
        await asyncio.sleep(0)
        harness.runner.stop("pruned")
        await harness.until(TraceStopped)
    assert len(reasoner.asked) == 1


async def test_a_chunk_that_no_one_has_taken_yet_survives_the_pause() -> None:
    reasoner = Reasoner([chunk("so ", (7,), 1), chunk("on ", (8,), 2), asyncio.Event()], [END])
    harness = Harness(reasoner, channel=1)  # full after TraceStarted: the first chunk must wait
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(harness.runner.run())
        await settle()
        harness.runner.pause()
        await harness.until(TracePaused)
        harness.runner.resume()
        await harness.until(TraceFinished)
    text = "".join(f.text for f in harness.events if isinstance(f, TokensArrived))
    tokens = [f.tokens for f in harness.events if isinstance(f, TokensArrived)]
    assert text.startswith("so ")
    assert text.endswith("\\boxed{4}")
    assert tokens == sorted(set(tokens))


async def test_a_pause_taken_back_at_once_continues_without_being_paused() -> None:
    reasoner = Reasoner([chunk("so ", (7,), 1), asyncio.Event()], [END])
    harness = Harness(reasoner)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(harness.runner.run())
        await harness.until(TokensArrived)
        harness.runner.pause()
        harness.runner.resume()
        await harness.until(TraceFinished)
    assert TracePaused not in harness.kinds()


@pytest.mark.parametrize("first_pause", [False, True])
async def test_a_stopped_trace_ends_once_whatever_it_was_doing(first_pause: bool) -> None:
    reasoner = Reasoner([chunk("so ", (7,), 1), asyncio.Event()])
    harness = Harness(reasoner)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(harness.runner.run())
        await harness.until(TokensArrived)
        if first_pause:
            harness.runner.pause()
            await harness.until(TracePaused)
        harness.runner.stop("pruned")
        harness.runner.resume()  # too late
        stopped = await harness.until(TraceStopped)
    assert (stopped.reason, stopped.tokens, reasoner.closed) == ("pruned", 1, 1)


async def test_a_trace_stopped_before_it_had_room_never_asks() -> None:
    reasoner = Reasoner()
    harness = Harness(reasoner)
    harness.runner.stop("interrupted")
    stopped = await harness.end(TraceStopped)
    assert harness.events == [stopped]
    assert (stopped.reason, stopped.tokens, reasoner.asked) == ("interrupted", 0, [])


async def test_cancelling_the_runner_closes_its_stream() -> None:
    reasoner = Reasoner([chunk("so ", (7,), 1), asyncio.Event()])
    harness = Harness(reasoner)
    task = asyncio.create_task(harness.runner.run())
    await harness.until(TokensArrived)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert reasoner.closed == 1


async def test_a_trace_cut_by_its_limit_has_no_vote() -> None:
    reasoner = Reasoner([chunk("<think> so \\boxed{4}", (7,), 1, "length")])
    finished = await Harness(reasoner).end(TraceFinished)
    assert (finished.answer, finished.finish_reason) == (None, "length")


async def test_a_trace_that_has_not_started_waits_while_launching_is_held() -> None:
    reasoner = Reasoner([END])
    harness = Harness(reasoner)
    harness.launching.clear()
    run = asyncio.create_task(harness.end(TraceFinished))
    await settle()
    assert reasoner.asked == []
    harness.launching.set()
    await run


async def test_a_trace_in_the_queue_gives_its_turn_away_while_launching_is_held() -> None:
    reasoner = Reasoner([END])
    harness = Harness(reasoner)
    async with contextlib.AsyncExitStack() as taken:
        for other in range(4):
            await taken.enter_async_context(harness.fleet.stream(other, None))
        run = asyncio.create_task(harness.end(TraceFinished))
        await settle()
        harness.launching.clear()
    await settle()
    assert reasoner.asked == []
    async with harness.fleet.stream("other", None):  # its turn was given away
        harness.launching.set()
        await run


async def test_a_resumed_trace_continues_while_launching_is_held() -> None:
    hold = asyncio.Event()
    reasoner = Reasoner([chunk("so ", (7,), 1), hold], [END])
    harness = Harness(reasoner)
    run = asyncio.create_task(harness.runner.run())
    await harness.until(TokensArrived)
    harness.runner.pause()
    await harness.until(TracePaused)
    harness.launching.clear()
    harness.runner.resume()
    await harness.until(TraceFinished)
    await run
