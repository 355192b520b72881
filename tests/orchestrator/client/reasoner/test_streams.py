"""The ways in which a stream can end."""

import asyncio
from typing import Any

import pytest
from aiohttp import web

from orchestrator.client.reasoner.client import Chunk
from orchestrator.errors import (
    EndpointBusy,
    EndpointRejected,
    StreamBroken,
)
from orchestrator.settings import EndpointSettings
from tests.orchestrator.client.reasoner.fake_reasoner import (
    COMPLETIONS,
    PROMPT,
    chunks,
    client,
    vllm_like,
)
from tests.support.fake_server import answer_json, answer_stream, event


async def broken(events: Any, **endpoint: Any) -> tuple[list[Chunk], StreamBroken]:
    """The chunks of a stream that breaks, and how it broke."""
    found: list[Chunk] = []
    async with (
        vllm_like() as server,
        client(server, endpoint=EndpointSettings(**endpoint)) as reasoner,
    ):
        await reasoner.probe()
        server.answers[COMPLETIONS] = events
        with pytest.raises(StreamBroken) as caught:
            await chunks(reasoner, into=found)
    return found, caught.value


async def test_the_last_chunk_has_the_finish_reason_and_its_own_tokens() -> None:
    async with vllm_like() as server, client(server) as reasoner:
        await reasoner.probe()
        server.answers[COMPLETIONS] = answer_stream(
            event("a", token_ids=[5], generated=1),
            event("b", token_ids=[6], generated=2, finish_reason="stop"),
            pause=0.05,
        )
        first, last = await chunks(reasoner)
    assert first == Chunk("a", (5,), 1, 3, 0, None)
    assert last == Chunk("b", (6,), 2, 3, 0, "stop")


@pytest.mark.parametrize("end", ["close", "reset"])
async def test_a_connection_that_ends_early_breaks_the_stream_after_its_chunks(end: str) -> None:
    found, error = await broken(answer_stream(event("a", generated=1), end=end))
    assert [chunk.text for chunk in found] == ["a"]
    assert error.boundary == "server"


async def test_a_silent_stream_is_broken_after_the_stall_time() -> None:
    stream = answer_stream(event("a", generated=1), end="hang")
    found, error = await broken(stream, stall_seconds=0.3)
    assert [chunk.text for chunk in found] == ["a"]
    assert "silent for 0.3 seconds" in str(error)


async def test_a_stream_without_a_finish_reason_is_broken() -> None:
    _, error = await broken(answer_stream(event("a", generated=1)))
    assert "finish reason" in str(error)


async def test_an_invalid_event_breaks_the_stream_at_the_decode_boundary() -> None:
    found, error = await broken(answer_stream(event("a", generated=1) + b"data: {oops\n\n"))
    assert [chunk.text for chunk in found] == ["a"]
    assert error.boundary == "decode"


async def test_an_error_event_breaks_the_stream_with_the_servers_message() -> None:
    _, error = await broken(answer_stream(b'data: {"error": {"message": "engine died"}}\n\n'))
    assert "engine died" in str(error)


async def test_a_server_error_is_a_broken_stream() -> None:
    _, error = await broken(answer_json({"error": "boom"}, 500))
    assert "boom" in str(error)


async def test_events_after_the_finish_reason_cannot_break_the_stream() -> None:
    async with vllm_like() as server, client(server) as reasoner:
        await reasoner.probe()
        server.answers[COMPLETIONS] = answer_stream(
            event("a", generated=1, finish_reason="stop") + b"data: {oops\n\n"
        )
        assert (await chunks(reasoner))[-1].finish_reason == "stop"


async def test_a_server_that_keeps_the_connection_open_after_the_end_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("orchestrator.client.reasoner.stream_handle.DRAIN_SECONDS", 0.1)
    async with vllm_like() as server, client(server) as reasoner:
        await reasoner.probe()
        end = event("a", generated=1, finish_reason="stop")
        server.answers[COMPLETIONS] = answer_stream(end, end="hang")
        assert (await chunks(reasoner))[-1].finish_reason == "stop"
        await server.until_live(0)


async def test_a_busy_server_says_how_long_to_wait() -> None:
    async with vllm_like() as server, client(server) as reasoner:
        await reasoner.probe()
        server.answers[COMPLETIONS] = answer_json({}, 429, {"Retry-After": "7"})
        with pytest.raises(EndpointBusy) as caught:
            await chunks(reasoner)
    assert caught.value.retry_after == 7.0


async def test_a_redirect_is_refused() -> None:
    async with vllm_like() as server, client(server) as reasoner:
        await reasoner.probe()
        server.answers[COMPLETIONS] = answer_json({}, 307, {"Location": "/elsewhere"})
        with pytest.raises(EndpointRejected, match="redirects"):
            await chunks(reasoner)


async def test_a_refusal_keeps_the_servers_message() -> None:
    async with vllm_like() as server, client(server) as reasoner:
        await reasoner.probe()
        server.answers[COMPLETIONS] = answer_json({"error": {"message": "no such model"}}, 404)
        with pytest.raises(EndpointRejected, match="no such model") as caught:
            await chunks(reasoner)
    assert caught.value.status == 404


async def test_closing_a_stream_stops_the_generation() -> None:
    async with vllm_like() as server, client(server) as reasoner:
        await reasoner.probe()
        server.answers[COMPLETIONS] = answer_stream(event("a", generated=1), end="hang")
        stream = reasoner.stream(PROMPT, generated_tokens=0)
        assert (await anext(stream)).text == "a"
        assert server.live == 1
        await stream.aclose()
        await server.until_live(0)


async def test_cancelling_the_reader_of_a_stream_stops_the_generation() -> None:
    async with vllm_like() as server, client(server) as reasoner:
        await reasoner.probe()
        server.answers[COMPLETIONS] = answer_stream(event("a", generated=1), end="hang")
        stream = reasoner.stream(PROMPT, generated_tokens=0)
        await anext(stream)
        reading = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        await server.until_live(0)


async def test_cancelling_before_the_first_byte_stops_the_generation() -> None:
    async def silent(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        await asyncio.sleep(3600)
        raise AssertionError

    async with vllm_like() as server, client(server) as reasoner:
        await reasoner.probe()
        server.answers[COMPLETIONS] = silent
        reading = asyncio.create_task(chunks(reasoner))
        await server.until_live(1)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        await server.until_live(0)


async def test_many_streams_at_once_all_come_to_their_end() -> None:
    async with vllm_like() as server, client(server) as reasoner:
        await reasoner.probe()
        ends = await asyncio.gather(*(chunks(reasoner) for _ in range(200)))
    assert {found[-1].finish_reason for found in ends} == {"length"}


async def test_a_server_without_metrics_has_no_counters() -> None:
    async with vllm_like() as server, client(server) as reasoner:
        assert await reasoner.counters() is None
