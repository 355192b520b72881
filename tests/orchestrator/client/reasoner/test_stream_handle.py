"""Hanging up on servers that behave in different ways, over real sockets."""

import asyncio
import contextlib

import aiohttp
import pytest

from orchestrator.client.reasoner import stream_handle as line_module
from orchestrator.client.reasoner.stream_handle import StreamHandle

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n"


@contextlib.asynccontextmanager
async def connected(after_hang_up):
    """(line, content) of a stream whose server has sent `first`, then does `after_hang_up(writer)`."""

    async def serve(reader, writer) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(HEAD)
        await reader.read()  # until the client has closed its half
        await after_hang_up(writer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    url = f"http://127.0.0.1:{port}/"
    async with server, aiohttp.ClientSession() as session, session.get(url) as response:
        assert await response.content.readany() == b"first"
        line = StreamHandle()
        line.attach(response)
        yield line, response.content


async def read_all(content) -> None:
    while True:
        await content.readany()


async def test_what_the_server_still_held_arrives_after_hanging_up() -> None:
    async def send_the_rest(writer) -> None:
        writer.write(b"4\r\nlast\r\n")
        await writer.drain()

    async with connected(send_the_rest) as (line, content):
        assert line.half_close()
        assert await content.readany() == b"last"
        with pytest.raises(aiohttp.ClientPayloadError):  # no ceremony: the answer was cut short
            await content.readany()


async def test_a_server_that_goes_on_regardless_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_module, "PATIENCE_SECONDS", 0.05)
    cut_off = asyncio.Event()

    async def go_on(writer) -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                writer.write(b"4\r\nmore\r\n")
                await writer.drain()
                await asyncio.sleep(0.01)
        cut_off.set()

    async with connected(go_on) as (line, content):
        line.half_close()
        with pytest.raises(aiohttp.ClientConnectionError):
            await read_all(content)
        await asyncio.wait_for(cut_off.wait(), 10)


async def test_hanging_up_twice_is_hanging_up_once() -> None:
    async def leave(writer) -> None:
        pass

    async with connected(leave) as (line, _):
        assert line.half_close()
        assert line.half_close()
        assert line.hung_up


async def test_there_is_nothing_to_hang_up_before_the_stream_is_open() -> None:
    line = StreamHandle()
    assert not line.half_close()
    assert not line.hung_up
