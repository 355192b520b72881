"""The bytes of many streams taken from their sockets at ticks, instead of at each token's arrival.

What limits one process is the work that follows each read of a socket, and each waking from a sleep. Between two ticks the
kernel collects what servers send; a tick reads each stream once, however many tokens it has. The time between two ticks is
2 ms with few streams and grows with their number, so that few streams lose no latency. A tick reads some streams at
once and then lets everything else run that is ready, so that a command never waits for all of them. Sockets with TLS are
read as their bytes come, because only the transport can decrypt them; what follows from the bytes waits for the tick as well.
"""

import asyncio
import os
from collections import deque
from collections.abc import Callable
from typing import Self

import aiohttp
from aiohttp.client_proto import ResponseHandler

__all__ = ["PacedAnswer", "SocketTicks"]

SHORTEST_PERIOD_SECONDS = 0.002
LONGEST_PERIOD_SECONDS = 0.1
_SECONDS_PER_STREAM = 0.0002
"""By this the time between two ticks grows with each open stream: 500 streams have the longest one."""

READS_AT_ONCE = 25
"""Streams that a tick reads before other work may run: about a millisecond."""

_READ_BYTES = 1 << 16
"""Of one socket at once: below the size, and the number of the smallest HTTP chunks, at which aiohttp holds a connection back."""


class SocketTicks:
    """Wakes the readers of open answers, all of them at each tick."""

    def __init__(self) -> None:
        self.open = 0
        """Answers that are open."""
        self.period = SHORTEST_PERIOD_SECONDS
        """Seconds between two ticks, with as many open answers as there are now."""
        self._waiting: deque[PacedAnswer] = deque()
        """The answers that look for bytes at the next tick."""
        self._due: deque[PacedAnswer] = deque()
        """Those that this tick has not come to yet."""
        self._timer: asyncio.Handle | None = None
        self.buffer = memoryview(bytearray(_READ_BYTES))
        """What a socket is read into."""

    def opened(self) -> None:
        """There is one open answer more."""
        self.open += 1
        self.period = _period_seconds(self.open)

    def closed(self) -> None:
        """There is one open answer less."""
        self.open -= 1
        self.period = _period_seconds(self.open)

    def wait(self, answer: "PacedAnswer") -> None:
        """Has `answer` look for bytes at each tick until there are some."""
        self._waiting.append(answer)
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self.period, self._tick, loop)

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        self._due, self._waiting = self._waiting, deque()
        self._read(loop, loop.time())

    def _read(self, loop: asyncio.AbstractEventLoop, began: float) -> None:
        """Reads some of the streams of the tick that began then, and has the loop go on with the others."""
        now = loop.time()
        for _ in range(min(READS_AT_ONCE, len(self._due))):
            answer = self._due.popleft()
            if not answer.look(now):
                self._waiting.append(answer)
        if self._due:
            self._timer = loop.call_soon(self._read, loop, began)
        elif self._waiting:
            self._timer = loop.call_at(began + self.period, self._tick, loop)
        else:
            self._timer = None


def _period_seconds(streams: int) -> float:
    """Seconds between two reads of each of so many streams."""
    return min(LONGEST_PERIOD_SECONDS, max(SHORTEST_PERIOD_SECONDS, streams * _SECONDS_PER_STREAM))


class PacedAnswer:
    """One open answer whose content is read at ticks, until it is released or ends.

    Args:
        response: an answer whose head has come.
        ticks: shared by the answers of one client.
        silence_seconds: the longest wait for bytes.
        take: is given bytes in the tick itself while the reader waits; False has the reader look at what they did.
    """

    def __init__(
        self,
        response: aiohttp.ClientResponse,
        ticks: SocketTicks,
        silence_seconds: float,
        take: Callable[[bytes], bool] | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._response = response
        self._content = response.content
        self._ticks = ticks
        self._silence_seconds = silence_seconds
        self._take = take
        self._is_taken = False
        """Bytes were taken in a tick, and the reader is to look."""
        self._silent_until = 0.0
        self._waiter: asyncio.Future[None] | None = None
        self._seen = -1
        self._paced = response.connection is not None
        if self._paced:
            ticks.opened()
        self._socket: _Socket | None = None
        self._is_begun = False

    async def readany(self) -> bytes | None:
        """All bytes that have come, as soon as there are some; b"" at the end; None if `take` asks to look.

        Raises what aiohttp found wrong with the answer, or TimeoutError after too long a silence.
        """
        content = self._content
        while self._paced:
            if self._is_taken:
                self._is_taken = False
                return None
            if data := _taken(content):
                return data
            if (error := content.exception()) is not None:
                raise error
            if content.is_eof():
                return b""
            if not self._is_begun:  # the transport has handed over all that it had read
                self._is_begun = True
                self._socket = _Socket.of(self._response)
            if self._socket is not None and self._socket.has_more:
                await asyncio.sleep(0)  # a server that floods one stream does not starve the others
                self._receive(self._socket, self._silent_until)
                continue
            now = self._loop.time()
            self._seen = content.total_bytes
            self._silent_until = now + self._silence_seconds
            self._waiter = waiter = self._loop.create_future()
            self._ticks.wait(self)
            await waiter
        if self._is_taken:
            self._is_taken = False
            return None
        return _taken(content) or await content.readany()

    def release(self) -> None:
        """Reads as bytes come from now on, as every other answer is read; nothing waits for a tick any more."""
        if not self._paced:
            return
        self._paced = False
        self._ticks.closed()
        if self._socket is not None:
            self._socket.give_back(self._silence_seconds)
        self._wake()

    def look(self, now: float) -> bool:
        """Takes what has come, and says whether the reader need not wait any longer."""
        waiter = self._waiter
        if waiter is None or waiter.done():
            return True
        if self._socket is not None:
            self._receive(self._socket, now)
        content = self._content
        is_over = content.is_eof() or content.exception() is not None
        if is_over or (content.total_bytes != self._seen and not self._takes(content, now)):
            self._wake()
        return waiter.done()

    def _takes(self, content: aiohttp.StreamReader, now: float) -> bool:
        """Whether the bytes are taken, so that the reader need not look."""
        take, socket = self._take, self._socket
        if take is None or socket is None or socket.has_more or not isinstance(content, _Body):
            return False
        self._seen = content.total_bytes
        self._silent_until = now + self._silence_seconds
        try:
            self._is_taken = not take(content.take())
        except Exception as error:  # the reader's, not one of the other streams
            content.set_exception(error)
            return False
        return not self._is_taken

    def _receive(self, socket: "_Socket", now: float) -> None:
        """Hands what the socket holds to aiohttp; an end is left to the transport."""
        try:
            if not socket.receive(self._ticks.buffer):
                self.release()
        except BlockingIOError:
            if now > self._silent_until:
                self._content.set_exception(aiohttp.SocketTimeoutError("the server is silent"))
        except OSError as error:
            self._content.set_exception(aiohttp.ClientOSError(*error.args))
            socket.transport.abort()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class _Body(aiohttp.StreamReader):
    """Holds what the parser hands over, without an account of HTTP chunks, of which vLLM makes one for each token."""

    __slots__ = ()

    def feed_data(self, data: bytes, size: int = 0) -> bool:
        """Takes content; False: the parser need not wait."""
        self._buffer.append(data)
        self.total_bytes += len(data)
        return False

    def begin_http_chunk_receiving(self) -> None:
        """Nobody asks where chunks begin."""

    def end_http_chunk_receiving(self) -> None:
        """Nobody asks where chunks end."""

    def take(self) -> bytes:
        """All that is there."""
        data = b"".join(self._buffer)
        self._buffer.clear()
        return data

    def give_back(self) -> None:
        """Is a reader of aiohttp again, with the account that it keeps."""
        self._size = sum(map(len, self._buffer))
        self._cursor = self.total_bytes - self._size
        if self._http_chunk_splits is not None:
            self._http_chunk_splits.clear()
        self.__class__ = aiohttp.StreamReader  # type: ignore[assignment]


def _taken(content: aiohttp.StreamReader) -> bytes:
    """What has come; aiohttp's public methods give out the error of a broken answer first, and then never the bytes."""
    return content.take() if isinstance(content, _Body) else content._read_nowait(-1)  # noqa: SLF001


class _Socket:
    """The socket of an answer, read here and not by its transport until it is given back."""

    def __init__(
        self,
        descriptor: int,
        transport: asyncio.Transport,
        protocol: ResponseHandler,
        content: aiohttp.StreamReader,
    ) -> None:
        self.transport = transport
        self.has_more = False
        """The last bytes filled the buffer."""
        self._descriptor = descriptor
        self._protocol = protocol
        self._content = content
        if not content.total_bytes:
            # aiohttp refuses to begin its account of chunks later than with the first byte
            content.begin_http_chunk_receiving()
        # aiohttp's own reader lets the transport read again, and has no public way to prevent it
        content.__class__ = _Body
        transport.pause_reading()
        protocol.read_timeout = None
        protocol.start_timeout()  # stops the timer that runs

    @classmethod
    def of(cls, response: aiohttp.ClientResponse) -> Self | None:
        """None where the bytes of the socket are not those of the answer, or the answer has ended."""
        if "Content-Encoding" in response.headers:  # aiohttp may hold back what it has decompressed
            return None
        connection = response.connection
        transport = connection and connection.transport
        if connection is None or transport is None or connection.protocol is None:
            return None
        if transport.is_closing() or transport.get_extra_info("sslcontext") is not None:
            return None
        socket = transport.get_extra_info("socket")
        if socket is None or type(response.content) is not aiohttp.StreamReader:
            return None
        return cls(socket.fileno(), transport, connection.protocol, response.content)

    def receive(self, buffer: memoryview) -> bool:
        """Hands what there is to aiohttp; False at the end. Raises OSError, BlockingIOError if there is nothing."""
        self.has_more = False
        if self.transport.is_closing():
            return False
        size = os.readv(self._descriptor, [buffer])
        if size:
            self.has_more = size == len(buffer)
            self._protocol.data_received(bytes(buffer[:size]))
        return size > 0

    def give_back(self, silence_seconds: float) -> None:
        """The transport reads from now on."""
        if isinstance(self._content, _Body):
            self._content.give_back()
        if not self._content.is_eof() and not self.transport.is_closing():
            self._protocol.read_timeout = silence_seconds
            self._protocol.start_timeout()
            self.transport.resume_reading()
