"""A server that costs almost nothing: its events are serialised before the first stream is opened.

It answers what the client asks before a question (models, tokens of a text) and streams the same trace to everybody, one
HTTP chunk for each token. All streams of one process are written from one loop over their sockets, each with one system call
for one token, or for several where that is asked for.
"""

import argparse
import asyncio
import contextlib
import json
import os
import time
from collections.abc import Callable
from typing import Any, cast

import httptools
import uvloop

MODEL = "load"
PROMPT = list(range(100, 132))
WORDS = (
    " so",
    " maybe",
    " 3*4",
    "=12",
    ",",
    " that",
    " is",
    " because",
    " 12-5",
    "=7",
    ".",
    " hmm",
)
_TICK_SECONDS = 0.005
_FLOOD_EVENTS = 32
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def event(number: int, tokens: int, *, last: bool) -> bytes:
    """The number-th token as vLLM sends it (some 350 bytes), as one HTTP chunk."""
    text = "</think> \\boxed{42}" if last else WORDS[number % len(WORDS)]
    choice = {
        "index": 0,
        "text": text,
        "logprobs": None,
        "finish_reason": "stop" if last else None,
        "stop_reason": None,
        "token_ids": [1000 + number % 150_000],
        "prompt_token_ids": None,
    }
    usage = {
        "prompt_tokens": len(PROMPT),
        "total_tokens": len(PROMPT) + number + 1,
        "completion_tokens": number + 1,
    }
    body = {
        "id": "cmpl-0123456789abcdef0123456789abcdef",
        "object": "text_completion",
        "created": 1_764_140_000,
        "model": MODEL,
        "choices": [choice],
        "usage": usage,
    }
    return _http_chunk(b"data: " + json.dumps(body, separators=(",", ":")).encode() + b"\n\n")


def _http_chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


class Load:
    """The prepared events and the streams that are being written.

    Args:
        tokens: of each trace.
        rate: tokens per second and stream; 0 writes as fast as the client reads.
        burst: tokens written at once, if there is a rate.
    """

    def __init__(self, tokens: int, rate: float, burst: int = 1) -> None:
        self.tokens = tokens
        self.rate = rate
        self.burst = burst
        self.events = [event(n, tokens, last=n == tokens - 1) for n in range(tokens)]
        self.bursts = [b"".join(self.events[n : n + burst]) for n in range(0, tokens, burst)]
        self.end = _http_chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n"
        self.streams: set[Stream] = set()
        self.sent = 0
        self.stopped_at: list[float] = []
        """When each stream ended that a client closed (seconds of CLOCK_MONOTONIC, which all processes share)."""
        self._phases: list[list[Stream]] = [[] for _ in range(self._rounds)]
        self._next_phase = 0

    @property
    def _rounds(self) -> int:
        """Ticks between two writes to a stream."""
        return max(1, round(self.burst / (self.rate * _TICK_SECONDS))) if self.rate else 1

    def open(self, stream: "Stream") -> None:
        self.streams.add(stream)
        if self.rate:
            self._next_phase = (self._next_phase + 1) % self._rounds
            self._phases[self._next_phase].append(stream)
        else:
            stream.flood()

    async def pace(self) -> None:
        """Writes to every stream whose turn it is, for ever."""
        begun, tick = time.monotonic(), 0
        while True:
            due = self._phases[tick % self._rounds]
            due[:] = [stream for stream in due if stream.advance()]
            tick += 1
            behind = time.monotonic() - begun - tick * _TICK_SECONDS
            await asyncio.sleep(max(0.0, -behind))


class Stream(asyncio.Protocol):
    """One connection, whose requests are answered one after the other."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._parser = httptools.HttpRequestParser(self)
        self._body = bytearray()
        self._url = b""
        self._transport = cast(asyncio.Transport, None)
        self._descriptor = -1
        self._at = self._until = 0
        self._full = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._descriptor = transport.get_extra_info("socket").fileno()

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self._url = url
        self._body.clear()

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        path = self._url.decode()
        body = json.loads(self._body) if self._body else {}
        if path == "/v1/completions" and body.get("stream"):
            self._begin(body)
        elif path == "/v1/completions":
            choice = {"index": 0, "text": "a", "finish_reason": "length", "token_ids": [1]}
            usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
            self._answer(
                {
                    "id": "c",
                    "object": "text_completion",
                    "model": MODEL,
                    "choices": [choice],
                    "usage": usage,
                }
            )
        elif path == "/v1/models":
            card = {"id": MODEL, "object": "model", "owned_by": "vllm", "max_model_len": 1 << 20}
            self._answer({"object": "list", "data": [card]})
        elif path == "/tokenize":
            self._answer({"tokens": PROMPT, "count": len(PROMPT), "max_model_len": 1 << 20})
        elif path == "/sent":
            load = self._load
            self._answer(
                {
                    "sent": load.sent,
                    "live": len(load.streams),
                    "stopped_at": load.stopped_at,
                    "cpu": time.process_time(),
                }
            )
        else:
            self._answer({"error": "not here"}, b"404 Not Found")

    def _answer(self, content: Any, status: bytes = b"200 OK") -> None:
        data = json.dumps(content).encode()
        head = b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        self._transport.write(head % (status, len(data)) + data)

    def _begin(self, body: dict[str, Any]) -> None:
        self._at, self._until = (
            0,
            min(self._load.tokens, body.get("max_tokens") or self._load.tokens),
        )
        self._transport.write(_HEAD)
        if self._until < self._load.tokens:  # of a probe
            self._transport.write(b"".join(self._load.events[: self._until - 1]))
            self._transport.write(event(self._until - 1, self._until, last=True) + self._load.end)
        else:
            self._load.open(self)

    def advance(self) -> bool:
        """Writes the next tokens; False at the end of the trace and of the connection."""
        load = self._load
        if self not in load.streams:
            return False
        self._write(load.bursts[self._at // load.burst])
        load.sent += min(load.burst, self._until - self._at)
        self._at += load.burst
        return self._at < self._until or self._finish()

    def _write(self, data: bytes) -> None:
        """Writes past the transport, which costs more than the system call, unless it holds something back."""
        if not self._transport.get_write_buffer_size():
            # the transport waits, or finds that the connection is lost
            with contextlib.suppress(BlockingIOError, BrokenPipeError, ConnectionResetError):
                data = data[os.write(self._descriptor, data) :]
        if data:
            self._transport.write(data)

    def _finish(self) -> bool:
        self._transport.write(self._load.end)
        self._load.streams.discard(self)
        return False

    def flood(self) -> None:
        """Writes until the client is behind."""
        while not self._full and self in self._load.streams:
            after = min(self._at + _FLOOD_EVENTS, self._until)
            self._transport.write(b"".join(self._load.events[self._at : after]))
            self._load.sent += after - self._at
            self._at = after
            if after == self._until:
                self._finish()

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        if not self._load.rate:
            self.flood()

    def eof_received(self) -> bool:
        self._stop()
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self._stop()

    def _stop(self) -> None:
        if self in self._load.streams:
            self._load.streams.discard(self)
            self._load.stopped_at.append(time.monotonic())


async def serve(load: Load, say: Callable[[str], None]) -> None:
    """Serves for ever on a free port of this machine, which is said first."""
    server = await asyncio.get_running_loop().create_server(
        lambda: Stream(load), "127.0.0.1", 0, backlog=4096
    )
    say(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1")
    if load.rate:
        await load.pace()
    await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=400)
    parser.add_argument("--rate", type=float, default=0.0)
    parser.add_argument("--burst", type=int, default=1)
    arguments = parser.parse_args()
    load = Load(arguments.tokens, arguments.rate, arguments.burst)
    uvloop.run(serve(load, lambda url: print(url, flush=True)))


if __name__ == "__main__":
    main()
