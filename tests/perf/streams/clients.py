"""The programs that are measured: one process each, so that CPU time and memory are their own. Prints one JSON line.

`ours` is the whole client from the question to the result, with a journal and no screen. `sdk` reads as many streams with the
`openai` package and keeps nothing. `bare` is an asyncio protocol that counts bytes and decodes nothing: it shows what the
load server can do.
"""

import argparse
import asyncio
import cProfile
import json
import resource
import tempfile
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from statistics import median
from typing import Any, cast
from urllib.parse import urlsplit
from urllib.request import urlopen

import openai
import uvloop

import deepprune
from orchestrator.core.commands import Command
from orchestrator.core.events import (
    Event,
    TraceFinished,
    TraceStarted,
    TraceStopped,
    UserCommandReceived,
)
from orchestrator.runtime.question_run import QuestionRun
from tests.perf.streams.load_server import MODEL, PROMPT, event

Measured = dict[str, float]

_STOP_AFTER_SECONDS = 4.0
_SINGLE_STOPS = 20
_BETWEEN_STOPS_SECONDS = 0.1


async def ours(options: argparse.Namespace) -> Measured:
    """A question to all streams at once; with `stop`, some are stopped one by one, and then the rest together."""
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        async with deepprune.Client(
            options.url,
            policy="consensus",
            traces=options.streams,
            concurrency=options.streams,
            out=folder,
        ) as client:
            run = client.prepare(
                deepprune.Question(id="1", question="What is 6 * 7?"), folder=Path(folder)
            )
            steady = _Steady(run)
            begun = time.process_time()
            stopping = asyncio.create_task(_stop(run)) if options.stop else None
            result = await client.run(run)
            measured = {
                "events": float(run.view.generated_tokens),
                "cpu": time.process_time() - begun,
                "journal": float((Path(folder) / "journal.jsonl").stat().st_size),
                "finished": float(result.report.traces.finished),
                **steady.measured(),
            }
            if stopping is not None:
                measured |= _delays(await stopping, sorted(_sent(options.url)["stopped_at"]))
    return measured


class _Steady:
    """CPU time and tokens from the start of the last trace to the first end of one: without opening and voting."""

    def __init__(self, run: QuestionRun) -> None:
        self._run = run
        self._unstarted = run.settings.policy.traces
        self._marks: list[tuple[float, float, float]] = []
        run.listener = self._listen

    def _listen(self, entry: Event | Command) -> None:
        if isinstance(entry, TraceStarted):
            self._unstarted -= 1
            if not self._unstarted:
                self._mark()
        elif isinstance(entry, TraceFinished | TraceStopped) and len(self._marks) == 1:
            self._mark()

    def _mark(self) -> None:
        self._marks.append((time.process_time(), time.monotonic(), self._run.view.generated_tokens))

    def measured(self) -> Measured:
        """Nothing where a trace ended before the last one began."""
        if len(self._marks) < 2:
            return {}
        (cpu, at, tokens), (cpu_after, at_after, tokens_after) = self._marks
        return {
            "steady_cpu": cpu_after - cpu,
            "steady_seconds": at_after - at,
            "steady_events": tokens_after - tokens,
        }


async def _stop(run: QuestionRun) -> list[float]:
    """Stops traces one by one and ends the question; returns when each command was given (seconds of CLOCK_MONOTONIC)."""
    await asyncio.sleep(_STOP_AFTER_SECONDS)
    commanded: list[float] = []
    for trace in range(_SINGLE_STOPS):
        commanded.append(time.monotonic())
        await run.user_commands.put(UserCommandReceived(at=0.0, command="stop", trace=trace))
        await asyncio.sleep(_BETWEEN_STOPS_SECONDS)
    commanded.append(time.monotonic())
    await run.user_commands.put(UserCommandReceived(at=0.0, command="vote"))
    return commanded


def _delays(commanded: list[float], stopped: list[float]) -> Measured:
    """Seconds from a command until the load server saw the streams closed."""
    single = sorted(
        at - given for given, at in zip(commanded[:-1], stopped[:_SINGLE_STOPS], strict=True)
    )
    together = [at - commanded[-1] for at in stopped[_SINGLE_STOPS:]]
    return {
        "single_median": median(single),
        "single_last": single[-1],
        "together": float(len(together)),
        "together_first": together[0],
        "together_last": together[-1],
    }


def _sent(url: str) -> dict[str, Any]:
    """What the load server says of itself."""
    with urlopen(url.removesuffix("/v1") + "/sent") as answer:
        return cast(dict[str, Any], json.load(answer))


async def sdk(options: argparse.Namespace) -> Measured:
    """The same streams read by the OpenAI SDK."""
    http = openai.DefaultAsyncHttpxClient(limits=openai.DEFAULT_CONNECTION_LIMITS)
    async with openai.AsyncOpenAI(base_url=options.url, api_key="none", http_client=http) as client:
        events = 0

        async def read() -> None:
            nonlocal events
            stream = await client.completions.create(model=MODEL, prompt=PROMPT, stream=True)
            async for _ in stream:
                events += 1

        begun = time.process_time()
        await asyncio.gather(*(read() for _ in range(options.streams)))
        return {"events": float(events), "cpu": time.process_time() - begun}


class _Counting(asyncio.Protocol):
    def __init__(self, request: bytes) -> None:
        self._request = request
        self.received = 0
        self.ended = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast(asyncio.Transport, transport).write(self._request)

    def data_received(self, data: bytes) -> None:
        self.received += len(data)
        if data.endswith(b"\r\n0\r\n\r\n"):
            self.ended.set_result(None)


async def bare(options: argparse.Namespace) -> Measured:
    """The same bytes received and not looked at."""
    address = urlsplit(options.url)
    body = json.dumps({"model": MODEL, "prompt": PROMPT, "stream": True}).encode()
    head = f"POST /v1/completions HTTP/1.1\r\nHost: load\r\nContent-Length: {len(body)}\r\n\r\n"
    loop = asyncio.get_running_loop()
    begun = time.process_time()
    connected = [
        await loop.create_connection(
            lambda: _Counting(head.encode() + body), address.hostname, address.port
        )
        for _ in range(options.streams)
    ]
    await asyncio.gather(*(protocol.ended for _, protocol in connected))
    size = len(event(1, 2, last=False))
    return {
        "events": sum(protocol.received for _, protocol in connected) / size,
        "cpu": time.process_time() - begun,
    }


CLIENTS: dict[str, Callable[[argparse.Namespace], Coroutine[Any, Any, Measured]]] = {
    "ours": ours,
    "sdk": sdk,
    "bare": bare,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("client", choices=CLIENTS)
    parser.add_argument("url")
    parser.add_argument("--streams", type=int, required=True)
    parser.add_argument("--stop", action="store_true")
    parser.add_argument("--uvloop", action="store_true")
    parser.add_argument("--profile", type=Path)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    begun = time.monotonic()
    profile = cProfile.Profile(time.process_time)
    if options.profile:
        profile.enable()
    server = _sent(options.url)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop if options.uvloop else None) as runner:
        measured = runner.run(CLIENTS[options.client](options))
    if options.profile:
        profile.disable()
        profile.dump_stats(options.profile)
    measured["wall"] = time.monotonic() - begun
    measured["server_cpu"] = _sent(options.url)["cpu"] - server["cpu"]
    measured["peak_rss"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0
    print(json.dumps(measured))


if __name__ == "__main__":
    main()
