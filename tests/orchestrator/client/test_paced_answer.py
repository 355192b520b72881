"""Answers that are read at ticks, over real sockets."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
import pytest

from orchestrator.client import paced_answer
from orchestrator.client.paced_answer import LONGEST_PERIOD_SECONDS, PacedAnswer, SocketTicks

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def serving(answer: Answer) -> AsyncIterator[tuple[aiohttp.ClientSession, str]]:
    """(session, address) of a server that sends a head and then `answer`, on each connection as often as it is asked."""

    handlers: set[asyncio.Task[None] | None] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handlers.add(asyncio.current_task())
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(HEAD)
                await answer(writer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    async with server:
        async with aiohttp.ClientSession() as session:
            yield session, url
        await asyncio.gather(*(handler for handler in handlers if handler))


async def whole(answer: PacedAnswer) -> bytes:
    content = b""
    while data := await answer.readany():
        content += data
    return content


def hold_ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    """No tick comes within a test."""
    monkeypatch.setattr(paced_answer, "SHORTEST_PERIOD_SECONDS", 1000.0)
    monkeypatch.setattr(paced_answer, "LONGEST_PERIOD_SECONDS", 1000.0)


async def test_what_came_between_two_ticks_is_read_at_once() -> None:
    begin, sent = asyncio.Event(), asyncio.Event()

    async def tokens(writer: asyncio.StreamWriter) -> None:
        await begin.wait()
        for _ in range(5):
            writer.write(b"3\r\nabc\r\n")
            await writer.drain()
        sent.set()

    async with serving(tokens) as (session, url), session.get(url) as response:
        ticks = SocketTicks()
        answer = PacedAnswer(response, ticks, 60)
        for _ in range(10_000):  # as of so many streams, so that the next tick is far away
            ticks.opened()
        reading = asyncio.create_task(answer.readany())
        await asyncio.sleep(0)
        begin.set()
        await sent.wait()
        assert await reading == b"abc" * 5


async def test_an_answer_larger_than_the_buffer_comes_whole() -> None:
    letters = b"1\r\nx\r\n" * 100_000  # of the smallest HTTP chunks, so that there are many

    async def flood(writer: asyncio.StreamWriter) -> None:
        writer.write(letters + END)
        await writer.drain()

    async with serving(flood) as (session, url), session.get(url) as response:
        answer = PacedAnswer(response, SocketTicks(), 60)
        assert await whole(answer) == b"x" * 100_000


async def test_bytes_are_taken_in_the_tick_until_the_reader_is_to_look() -> None:
    async def slowly(writer: asyncio.StreamWriter) -> None:
        for letter in (b"a", b"b", b"c", b"d"):
            writer.write(b"1\r\n%b\r\n" % letter)
            await asyncio.sleep(0.02)
        writer.write(END)

    taken: list[bytes] = []

    def take(data: bytes) -> bool:
        taken.append(data)
        return b"c" not in data

    async with serving(slowly) as (session, url), session.get(url) as response:
        answer = PacedAnswer(response, SocketTicks(), 60, take)
        read = [await answer.readany()]
        while read[-1] != b"":
            read.append(await answer.readany())
    given = b"".join(data for data in read if data)
    assert sorted(given + b"".join(taken)) == sorted(b"abcd")
    assert read.count(None) == sum(b"c" in data for data in taken)


async def test_an_error_in_taking_is_the_readers() -> None:
    begin, over = asyncio.Event(), asyncio.Event()

    async def late(writer: asyncio.StreamWriter) -> None:
        await begin.wait()
        writer.write(b"1\r\na\r\n")
        await over.wait()

    def refuse(data: bytes) -> bool:
        raise ValueError("not taken")

    async with serving(late) as (session, url), session.get(url) as response:
        answer = PacedAnswer(response, SocketTicks(), 60, refuse)
        reading = asyncio.create_task(answer.readany())
        await asyncio.sleep(0)  # it has taken over the socket, and waits
        begin.set()
        with pytest.raises(ValueError, match="not taken"):
            await reading
        over.set()


async def test_the_connection_serves_the_next_request() -> None:
    writers: set[asyncio.StreamWriter] = set()

    async def one(writer: asyncio.StreamWriter) -> None:
        writers.add(writer)
        await asyncio.sleep(0.01)
        writer.write(b"1\r\na\r\n" + END)

    async with serving(one) as (session, url):
        for _ in range(3):
            async with session.get(url) as response:
                answer = PacedAnswer(response, SocketTicks(), 60)
                assert await whole(answer) == b"a"
                answer.release()
    assert len(writers) == 1


async def test_a_released_answer_is_read_without_a_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    hold_ticks(monkeypatch)
    released = asyncio.Event()

    async def last(writer: asyncio.StreamWriter) -> None:
        await released.wait()
        writer.write(b"4\r\nlast\r\n" + END)

    async with serving(last) as (session, url), session.get(url) as response:
        answer = PacedAnswer(response, SocketTicks(), 60)
        reading = asyncio.create_task(answer.readany())
        await asyncio.sleep(0)
        answer.release()
        answer.release()
        released.set()
        assert await asyncio.wait_for(reading, 30) == b"last"
        assert await asyncio.wait_for(answer.readany(), 30) == b""


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"1\r\na\r\n", b"1\r\nb\r\n"),
        (b"1\r\na\r\n1", b"\r\nb\r\n"),
        (b"2\r\na", b"b\r\n"),
        (b"1\r\na", b"\r\n1\r\nb\r\n"),
    ],
)
async def test_chunks_that_began_after_the_head_go_on_once_the_answer_is_released(
    before: bytes, after: bytes
) -> None:
    """As of a stream that is half-closed: the server still sends what it has generated."""
    begin, released = asyncio.Event(), asyncio.Event()

    async def in_two(writer: asyncio.StreamWriter) -> None:
        await begin.wait()
        writer.write(before)
        await released.wait()
        writer.write(after + END)

    async with serving(in_two) as (session, url), session.get(url) as response:
        answer = PacedAnswer(response, SocketTicks(), 30)
        reading = asyncio.create_task(answer.readany())
        await asyncio.sleep(0)  # it has taken over the socket, before any chunk
        begin.set()
        assert await reading == b"a"
        answer.release()
        released.set()
        assert await whole(answer) == b"b"


async def test_a_silent_server_is_a_timeout() -> None:
    over = asyncio.Event()

    async def nothing(writer: asyncio.StreamWriter) -> None:
        await over.wait()

    async with serving(nothing) as (session, url):
        async with session.get(url) as response:
            answer = PacedAnswer(response, SocketTicks(), 0.05)
            with pytest.raises(TimeoutError):
                await answer.readany()
        over.set()


@pytest.mark.parametrize("end", ["closed", "reset"])
async def test_an_answer_that_is_cut_off_is_an_error(end: str) -> None:
    async def cut(writer: asyncio.StreamWriter) -> None:
        writer.write(b"5\r\nfirst\r\n")
        await writer.drain()
        await asyncio.sleep(0.05)
        if end == "reset":
            writer.transport.abort()
        raise ConnectionResetError  # ends the connection

    async with serving(cut) as (session, url), session.get(url) as response:
        answer = PacedAnswer(response, SocketTicks(), 60)
        assert await answer.readany() == b"first"
        with pytest.raises(aiohttp.ClientError):
            await answer.readany()


@pytest.mark.parametrize("end", ["closed", "reset"])
@pytest.mark.parametrize("released", [False, True])
async def test_what_came_before_the_end_of_a_broken_answer_is_read(
    end: str, released: bool
) -> None:
    """Its reader is busy when the bytes come, and when the connection ends."""
    begin, over = asyncio.Event(), asyncio.Event()

    async def cut(writer: asyncio.StreamWriter) -> None:
        await begin.wait()
        writer.write(b"5\r\nfirst\r\n")
        await writer.drain()
        await asyncio.sleep(0.02)  # two reads of the client
        if end == "reset":
            writer.transport.abort()
        over.set()
        raise ConnectionResetError  # ends the connection

    async with serving(cut) as (session, url), session.get(url) as response:
        answer = PacedAnswer(response, SocketTicks(), 60)
        if released:
            answer.release()
        begin.set()
        await over.wait()
        while response.content.exception() is None:  # noqa: ASYNC110  the client's side tells nobody
            await asyncio.sleep(0.01)
        assert await answer.readany() == b"first"
        with pytest.raises(aiohttp.ClientError):
            await answer.readany()


async def test_a_cancelled_read_loses_nothing() -> None:
    begin = asyncio.Event()

    async def late(writer: asyncio.StreamWriter) -> None:
        await begin.wait()
        writer.write(b"1\r\na\r\n" + END)

    async with serving(late) as (session, url), session.get(url) as response:
        answer = PacedAnswer(response, SocketTicks(), 60)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(answer.readany(), 0.02)
        begin.set()
        assert await whole(answer) == b"a"


async def test_a_tick_lets_other_work_run_between_its_reads() -> None:
    ticks, looked, between = SocketTicks(), list[float](), list[int]()
    over = asyncio.Event()

    class Looking(PacedAnswer):
        def __init__(self) -> None:
            pass

        def look(self, now: float) -> bool:
            if not looked:
                asyncio.get_running_loop().call_soon(lambda: between.append(len(looked)))
            looked.append(now)
            if len(looked) == 512:
                over.set()
            return True

    for _ in range(512):
        ticks.wait(Looking())
    await over.wait()
    assert between == [paced_answer.READS_AT_ONCE]


async def test_an_answer_that_has_nothing_is_looked_at_once_a_tick() -> None:
    ticks, looked = SocketTicks(), Counter[PacedAnswer]()

    class Empty(PacedAnswer):
        def __init__(self) -> None:
            pass

        def look(self, now: float) -> bool:
            looked[self] += 1
            return looked[self] == 3

    for _ in range(60):
        ticks.wait(Empty())
    seen = set()
    while sum(looked.values()) < 180:
        await asyncio.sleep(0)
        seen.add(max(looked.values(), default=0) - min(looked.values(), default=0))
    assert seen == {0, 1}
    assert set(looked.values()) == {3}


def test_the_time_between_two_reads_grows_with_the_number_of_open_streams() -> None:
    ticks, found = SocketTicks(), []
    for _ in range(1000):
        ticks.opened()
        found.append(ticks.period)
    assert found[0] == found[9] == paced_answer.SHORTEST_PERIOD_SECONDS
    assert found == sorted(found)
    assert found[-1] == LONGEST_PERIOD_SECONDS
    ticks.opened()
    assert ticks.period == LONGEST_PERIOD_SECONDS
    for _ in range(1000):
        ticks.closed()
    assert ticks.period == paced_answer.SHORTEST_PERIOD_SECONDS
