"""Half-closing the streams of servers that react in different ways, over real sockets."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
import pytest

from orchestrator.client.reasoner import stream_handle
from orchestrator.client.reasoner.stream_handle import StreamHandle

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n"


@contextlib.asynccontextmanager
async def connected(
    after_half_close: Callable[[asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[tuple[StreamHandle, aiohttp.StreamReader]]:
    """(handle, content) of a stream whose server has sent `first`, and reacts to the half-close."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(HEAD)
        await reader.read()  # until the client has half-closed
        await after_half_close(writer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    url = f"http://127.0.0.1:{port}/"
    async with server, aiohttp.ClientSession() as session, session.get(url) as response:
        assert await response.content.readany() == b"first"
        handle = StreamHandle()
        handle.attach(response)
        yield handle, response.content


async def leave(writer: asyncio.StreamWriter) -> None:
    """Closes the connection in the middle of the answer."""


async def test_tokens_that_the_server_still_held_arrive_after_half_closing() -> None:
    async def send_the_rest(writer: asyncio.StreamWriter) -> None:
        writer.write(b"4\r\nlast\r\n")
        await writer.drain()

    async with connected(send_the_rest) as (handle, content):
        assert handle.half_close()
        assert await handle.read(content, finished=False) == b"last"
        assert await handle.read(content, finished=False) == b""  # the answer was cut short


async def test_a_connection_that_the_server_breaks_is_an_error_before_half_closing() -> None:
    async with connected(leave) as (handle, content):
        other = StreamHandle()
        assert handle.half_close()
        with pytest.raises(aiohttp.ClientPayloadError):
            await other.read(content, finished=False)


async def test_a_connection_that_the_server_breaks_is_an_end_after_the_finish_reason() -> None:
    async with connected(leave) as (handle, content):
        other = StreamHandle()
        assert handle.half_close()
        assert await other.read(content, finished=True) == b""


async def test_a_server_that_continues_after_half_closing_is_disconnected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stream_handle, "GRACE_SECONDS", 0.05)
    disconnected = asyncio.Event()

    async def go_on(writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                writer.write(b"4\r\nmore\r\n")
                await writer.drain()
                await asyncio.sleep(0.01)
        disconnected.set()

    async with connected(go_on) as (handle, content):
        handle.half_close()
        while await handle.read(content, finished=False):
            pass
        await asyncio.wait_for(disconnected.wait(), 10)


async def test_a_half_closed_stream_that_ends_properly_leaves_no_connection_behind() -> None:
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(HEAD)
        if connections == 1:
            await reader.read()
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    async with server, aiohttp.ClientSession() as session:
        async with session.get(url) as response:
            assert await response.content.readany() == b"first"
            handle = StreamHandle()
            handle.attach(response)
            assert handle.half_close()
            assert await handle.read(response.content, finished=False) == b""
        async with session.get(url) as response:
            assert await response.read() == b"first"
    assert connections == 2


async def test_half_closing_twice_is_half_closing_once() -> None:
    async with connected(leave) as (handle, _):
        assert handle.half_close()
        assert handle.half_close()
        assert handle.half_closed


async def test_nothing_can_be_half_closed_before_the_stream_is_open() -> None:
    handle = StreamHandle()
    assert not handle.half_close()
    assert not handle.half_closed
