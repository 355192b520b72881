"""A reasoner that plays scripts, and a trace with what it emits."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, TypeVar, cast

import aiohttp

from orchestrator.answers.answer_book import AnswerBook
from orchestrator.answers.equality import AnswerChecker
from orchestrator.client.http import parse_address
from orchestrator.client.reasoner.chunks import ChunkFold
from orchestrator.client.reasoner.client import Chunk, Prompt, ReasonerClient
from orchestrator.client.reasoner.stream_handle import StreamHandle
from orchestrator.core.events import Event
from orchestrator.runtime.fleet import Fleet
from orchestrator.runtime.members import Member
from orchestrator.runtime.server_record import ServerRecord
from orchestrator.runtime.trace import TraceRunner, TraceSettings
from orchestrator.settings import EndpointSettings, SamplingSettings
from tests.support.capabilities import capabilities

E = TypeVar("E", bound=Event)


def chunk(
    text: str, ids: tuple[int, ...], generated: int, finish_reason: str | None = None
) -> Chunk:
    return Chunk(text, ids, generated, 5, 0, finish_reason)


END = chunk("\\boxed{4}", (9,), 1, "stop")


class HalfClosed:
    """Holds a stream until its trace half-closes it; then the server sends what it still had."""

    connection = None  # as of a response that has been read to its end

    def __init__(self, *last_chunks: Chunk) -> None:
        self.last_chunks = last_chunks
        self.came = asyncio.Event()

    def close(self) -> None:
        self.came.set()


Item = Chunk | Exception | asyncio.Event | HalfClosed


class Reasoner:
    """Plays one list per stream: chunks, errors, events to wait for, and `HalfClosed`s."""

    def __init__(self, *streams: Sequence[Item]) -> None:
        self.streams = list(streams)
        self.address = parse_address("http://e/v1")
        self.asked: list[tuple[tuple[int, ...], int]] = []
        self.headers: list[Mapping[str, str]] = []
        self.closed = 0

    async def stream(
        self,
        prompt: Prompt,
        generated_ids: Sequence[int] = (),
        *,
        generated_tokens: int,
        handle: StreamHandle,
        top_logprobs: int | None,
        sampling: SamplingSettings | None,
        headers: Mapping[str, str],
        take: Callable[[ChunkFold], bool],
    ) -> AsyncIterator[Chunk]:
        self.asked.append((tuple(generated_ids), generated_tokens))
        self.headers.append(headers)
        script = self.streams.pop(0)
        try:
            for item in script:
                if isinstance(item, Exception):
                    raise item
                if isinstance(item, asyncio.Event):
                    await item.wait()
                elif isinstance(item, HalfClosed):
                    handle.attach(cast("aiohttp.ClientResponse", item))
                    await item.came.wait()
                    for last in item.last_chunks:
                        yield last
                else:
                    yield item
        finally:
            self.closed += 1


class Harness:
    """A trace and what it emits."""

    def __init__(
        self,
        reasoner: Reasoner,
        *,
        resumable: bool = True,
        channel: int = 100,
        max_attempts: int = 2,
        record: ServerRecord | None = None,
        clock: Callable[[], float] | None = None,
        **settings: Any,
    ) -> None:
        self.events: list[Event] = []
        self.channel: asyncio.Queue[Event] = asyncio.Queue(channel)
        member = Member(client=cast("ReasonerClient", reasoner), found=capabilities().reasoner)
        self.fleet = Fleet([member], EndpointSettings(), most=4)
        self.launching = asyncio.Event()
        self.launching.set()
        counter = itertools.count()
        self.runner = TraceRunner(
            0,
            TraceSettings(
                fleet=self.fleet,
                session="s",
                prompt=Prompt((1, 2, 3, 4, 5), ()),
                resumable=resumable,
                launching=self.launching,
                settings=EndpointSettings(max_attempts=max_attempts, **settings),
                record=record or ServerRecord(),
                answer_regex=None,
                book=AnswerBook(AnswerChecker()),
                emit=self.channel.put,
                emit_now=self._emit_now,
                clock=clock or (lambda: float(next(counter))),
            ),
        )

    def _emit_now(self, event: Event) -> bool:
        if self.channel.full():
            return False
        self.channel.put_nowait(event)
        return True

    async def until(self, kind: type[E]) -> E:
        """Takes events from the channel up to the first of a kind."""
        while True:
            event = await self.channel.get()
            self.events.append(event)
            if isinstance(event, kind):
                return event

    async def run(self) -> list[Event]:
        """All events of the trace."""
        await self.runner.run()
        while not self.channel.empty():
            self.events.append(self.channel.get_nowait())
        return self.events

    async def end(self, kind: type[E]) -> E:
        """The terminal event of the trace, which is of this kind."""
        last = (await self.run())[-1]
        assert isinstance(last, kind)
        return last

    def kinds(self) -> list[type[Event]]:
        return [type(event) for event in self.events]


async def settle() -> None:
    """Lets every task run until it waits for something that only the test can do."""
    for _ in range(20):
        await asyncio.sleep(0)
