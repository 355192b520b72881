"""One server of the reasoner under test: streams of a bounded length, and what was seen of each."""

import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np

from orchestrator.capabilities import ServerCapabilities
from orchestrator.client.reasoner.chunks import Chunk
from orchestrator.client.reasoner.client import Prompt, ReasonerClient
from orchestrator.client.reasoner.stream_handle import StreamHandle
from orchestrator.errors import EndpointRejected
from orchestrator.settings import SamplingSettings, Settings

__all__ = ["MOST_TOKENS", "Reading", "ServerUnderTest", "open_under_test"]

MOST_TOKENS = 320
"""Of a stream of a check: several blocks of any prefix cache, and a few seconds of any server."""

_END_FIELDS = ("stop", "min_tokens")
"""Fields of the user's that decide where a stream ends."""


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """One stream: `tokens` of it came in so many `reads` of the network.

    `first_seconds` are those before the first token, `seconds` those from the first to the last one. `prompt_tokens` and
    `cached_tokens` are as the server counts them. `ended` says that the server ended it.
    """

    token_ids: tuple[int, ...] = ()
    tokens: int = 0
    reads: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    first_seconds: float = 0.0
    seconds: float = 0.0
    ended: bool = False

    @property
    def per_read(self) -> float:
        """Tokens that came in one read on average."""
        return self.tokens / max(1, self.reads)


class _Observed:
    """What has come of a stream so far, and when; the stream begins with this object."""

    def __init__(self, arrived: list[tuple[float, int]] | None) -> None:
        self._arrived = arrived
        self._began = self._first = self._last = time.monotonic()
        self._ids: list[int] = []
        self._reads = self._prompt_tokens = self._cached = 0
        self.tokens = 0
        self.ended = False

    def take(self, chunk: Chunk) -> None:
        if chunk.generated > self.tokens:
            self._last = time.monotonic()
            self._first = self._last if self.tokens == 0 else self._first
            self._reads += 1
            if self._arrived is not None:
                self._arrived.append((self._last, chunk.generated - self.tokens))
        self.tokens = chunk.generated
        self._ids += chunk.token_ids
        self._cached = max(self._cached, chunk.cached_prompt_tokens)
        self._prompt_tokens = chunk.prompt_tokens
        self.ended = chunk.finish_reason is not None

    def reading(self) -> Reading:
        return Reading(
            token_ids=tuple(self._ids),
            tokens=self.tokens,
            reads=self._reads,
            prompt_tokens=self._prompt_tokens,
            cached_tokens=self._cached,
            first_seconds=self._first - self._began,
            seconds=self._last - self._first,
            ended=self.ended,
        )


@dataclass(slots=True, kw_only=True)
class ServerUnderTest:
    """A probed server; `endless` says that it can be told to ignore the end of a text."""

    client: ReasonerClient
    found: ServerCapabilities
    settings: Settings
    random: np.random.Generator
    endless: bool = True
    stream_seconds: float | None = None
    """Of a whole stream of a check alone; None until one was read."""
    _prompts: int = field(default=0)

    @property
    def most_tokens(self) -> int:
        """Tokens of a stream that leave room for its continuation in the model's context."""
        context = self.found.max_model_len
        return MOST_TOKENS if context is None else max(2, min(MOST_TOKENS, context // 3))

    async def prompt(self) -> Prompt:
        """A question that was not asked before, so that no other stream has put it into a cache."""
        first, second, third = (int(number) for number in self.random.integers(2, 90, 3))
        self._prompts += 1
        return await self.client.render(
            f"Task {self._prompts}: what is {first} * {second} + {third}? Explain each step."
        )

    async def read(
        self,
        prompt: Prompt,
        ids: Sequence[int] = (),
        *,
        tokens: int | None = None,
        stop_after: int | None = None,
        half_close: bool = False,
        greedy: bool = False,
        headers: Mapping[str, str] | None = None,
        arrived: list[tuple[float, int]] | None = None,
    ) -> Reading:
        """A stream behind `ids`, up to `tokens` of the whole text; closed once `stop_after` tokens have come.

        The time (monotonic) and the tokens of each read are put into `arrived`.

        Raises what `ReasonerClient.stream` raises.
        """
        handle = StreamHandle()
        observed = _Observed(arrived)
        stream = self.client.stream(
            prompt,
            ids,
            generated_tokens=len(ids),
            handle=handle,
            headers=headers,
            sampling=self._sampling(self.most_tokens if tokens is None else tokens, greedy=greedy),
        )
        async with contextlib.aclosing(stream):
            async for chunk in stream:
                observed.take(chunk)
                if stop_after is not None and observed.tokens >= stop_after and not observed.ended:
                    if not half_close:
                        break
                    handle.half_close()
        return observed.reading()

    def _sampling(self, tokens: int, *, greedy: bool) -> SamplingSettings:
        given = self.settings.sampling
        extra = {name: value for name, value in given.extra.items() if name not in _END_FIELDS}
        return given.model_copy(
            update={
                "max_tokens": tokens,
                "extra": {**extra, **({"ignore_eos": True} if self.endless else {})},
                **({"temperature": 0.0, "top_p": None, "top_k": None} if greedy else {}),
            }
        )


async def open_under_test(
    client: ReasonerClient, found: ServerCapabilities, settings: Settings, seed: int
) -> ServerUnderTest:
    """The probed server, with what was found out about the ends of its streams; generates two tokens."""
    server = ServerUnderTest(
        client=client, found=found, settings=settings, random=np.random.default_rng(seed)
    )
    try:
        await server.read(await server.prompt(), tokens=2)
    except EndpointRejected:  # it refuses fields that it does not know
        server.endless = False
    return server
