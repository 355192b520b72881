"""The reasoner's client: questions rendered once, one stream per trace, exact token counts.

Leaving a stream closes its connection, which is what stops the generation on the server.
"""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

import msgspec

from orchestrator.capabilities import ServerCapabilities
from orchestrator.client.control_tokens import render_as_text
from orchestrator.client.endpoint import EndpointClient
from orchestrator.client.paced_answer import SocketTicks
from orchestrator.client.reasoner.cancellation import stops_when_closed
from orchestrator.client.reasoner.chunks import Chunk, ChunkFold
from orchestrator.client.reasoner.forced_answer import ForcedAnswer, force_answer
from orchestrator.client.reasoner.forwarded import Forwarded, forwarded
from orchestrator.client.reasoner.probe import probe_server
from orchestrator.client.reasoner.request import Prompt, StreamRequests
from orchestrator.client.reasoner.stream import read_stream
from orchestrator.client.reasoner.stream_handle import StreamHandle
from orchestrator.client.tokenize import ServerTokenizer
from orchestrator.core.prompting import Message, user_message
from orchestrator.errors import ConfigError, EndpointError, EndpointRejected, StreamBroken
from orchestrator.settings import EndpointSettings, SamplingSettings

__all__ = ["Chunk", "Prompt", "ReasonerClient"]

KEY_NAME = "OPENAI_API_KEY"


class ReasonerClient(EndpointClient):
    """One reasoner endpoint, as an async context manager; call `probe` first.

    `ticks`, when streams are read, are shared by the clients of one run.
    """

    def __init__(
        self,
        url: str,
        endpoint: EndpointSettings,
        sampling: SamplingSettings,
        api_key: str | None,
        *,
        ticks: SocketTicks | None = None,
    ) -> None:
        super().__init__(
            url,
            api_key=api_key,
            key_name=KEY_NAME,
            connect_seconds=endpoint.connect_seconds,
            read_seconds=endpoint.stall_seconds,
            headers=endpoint.headers,
            engines=endpoint.metrics_url,
            ticks=ticks,
        )
        self._endpoint = endpoint
        self._sampling = sampling
        self._requests: StreamRequests | None = None
        self._endings: dict[str, tuple[int, ...]] = {}

    async def probe(self, top_logprobs: int | None = None) -> ServerCapabilities:
        """What this server can do; generates one token.

        With `top_logprobs` it generates one more, to see whether the server sends so many log-probabilities.

        Raises ConfigError or EndpointRejected where the user must choose or correct something, and
        EndpointUnreachable, EndpointBusy or StreamBroken where the server is not there or not ready.
        """
        model = await self.find_model(self._endpoint.model, "--model")
        with self.explained():
            found = await probe_server(
                self._http,
                model,
                endpoint=self._endpoint,
                sampling=self._sampling,
                top_logprobs=top_logprobs,
                metrics=await self._has_counters(),
            )
        self._requests = found.requests
        return found.capabilities

    async def stops_when_closed(self) -> bool | None:
        """Whether closing a stream stops the generation; None if that cannot be told. Generates up to 768 tokens."""
        try:
            greeting = await self.render("Hi")
        except EndpointError:
            return None
        return await stops_when_closed(self._http, self._probed(), greeting, self.counters)

    async def render(
        self, question: str | Sequence[Message], arguments: Mapping[str, Any] | None = None
    ) -> Prompt:
        """The question, a text or a chat, as a prompt.

        `arguments` are those of the chat template; by default this client's.

        Raises EndpointRejected when it does not fit the model's context.
        """
        requests = self._probed()
        messages = user_message(question) if isinstance(question, str) else tuple(question)
        if requests.api == "chat":
            return Prompt(None, messages)
        rendered = await render_as_text(
            ServerTokenizer(self._http, requests.model),
            messages,
            self._sampling.chat_template_kwargs if arguments is None else arguments,
        )
        context = requests.max_model_len
        if context is not None and len(rendered.tokens) >= context:
            raise EndpointRejected(
                f"The question has {len(rendered.tokens)} tokens, and the context of {requests.model} holds "
                f"{context}; shorten it or serve the model with a larger --max-model-len.",
                400,
            )
        return Prompt(rendered.tokens, messages)

    async def tokenize(self, text: str) -> tuple[int, ...] | None:
        """The ids of `text` in this server's tokenizer; None where the server does not tokenise."""
        try:
            return await ServerTokenizer(self._http, self._probed().model).text(text)
        except (EndpointRejected, StreamBroken):
            return None

    def stream(
        self,
        prompt: Prompt,
        generated_ids: Sequence[int] = (),
        *,
        generated_tokens: int,
        handle: StreamHandle | None = None,
        top_logprobs: int | None = None,
        sampling: SamplingSettings | None = None,
        headers: Mapping[str, str] | None = None,
        take: Callable[[ChunkFold], bool] | None = None,
    ) -> AsyncGenerator[Chunk, None]:
        """A trace's text as it is generated; see `read_stream`.

        `handle.half_close()` stops the generation on the server; the stream then ends, without a finish reason,
        after the last tokens that the server sent. `aclose` stops it as well, and discards those tokens.

        Args:
            prompt: from `render`.
            generated_ids: tokens that the trace already has; the stream continues exactly after them.
            generated_tokens: their number, which counts towards the trace's token limit. A trace that has reached
                the limit gets its last chunk without a request.
            handle: stops the stream early.
            sampling: of this trace; by default this client's.
            top_logprobs: log-probabilities that make the confidence of a token; None asks for none.
            headers: sent with the request, for routers between here and the server.
            take: may take a chunk from the fold before it comes out of the stream; says whether it did.

        Raises EndpointBusy, EndpointRejected, EndpointUnreachable, or StreamBroken when the server fails, stalls,
        sends invalid events or ends without a finish reason; chunks yielded before stay valid.
        """
        requests = self._probed()
        if sampling is not None:
            requests = msgspec.structs.replace(requests, sampling=sampling)
        limit = requests.tokens_left(prompt, generated_tokens)
        prompt_tokens = len(prompt.token_ids or ()) + len(generated_ids)
        if limit is not None and limit <= 0:
            return _ended(Chunk("", (), 0, prompt_tokens, 0, "length"))
        return read_stream(
            self._http,
            f"{self.address.base}/{requests.path}",
            requests.body(prompt, generated_ids, max_tokens=limit, top_logprobs=top_logprobs),
            fold=ChunkFold(prompt_tokens, top_logprobs=top_logprobs, secrets=self._http.secrets),
            handle=handle or StreamHandle(),
            limit=limit,
            headers=headers,
            take=take,
        )

    async def force_answer(
        self, prompt: Prompt, generated_ids: Sequence[int], ending: str, *, logprobs: bool
    ) -> ForcedAnswer:
        """What the model writes behind a trace's tokens and a forced ending; the trace's stream is not disturbed.

        Raises:
            EndpointError: the server refuses the request or fails, or the trace has filled the context.
        """
        requests = self._probed()
        ids = [*(prompt.token_ids or ()), *generated_ids]
        if (forced := self._endings.get(ending)) is None:
            forced = await ServerTokenizer(self._http, requests.model).text(ending)
            self._endings[ending] = forced
        return await force_answer(
            self._http,
            requests.model,
            ids,
            forced,
            opens_brace=ending.endswith("{"),
            logprobs=logprobs,
        )

    def forward(self, path: str, body: Mapping[str, Any]) -> AbstractAsyncContextManager[Forwarded]:
        """The server's own reply to a request of somebody else; see `forwarded`."""
        return forwarded(self._http, path, body)

    async def _has_counters(self) -> bool:
        """Whether the engine's counters can be read. Raises ConfigError for a page that the user named in vain."""
        if await self.counters() is not None:
            return True
        if self._endpoint.metrics_url:
            pages = " and ".join(sorted(self.counter_urls))
            raise ConfigError(
                f"No counters of vLLM or llama.cpp are found at {pages}; correct endpoint.metrics_url or leave it out."
            )
        return False

    def _probed(self) -> StreamRequests:
        if self._requests is None:
            raise RuntimeError("probe() must be called first")
        return self._requests


async def _ended(last: Chunk) -> AsyncGenerator[Chunk, None]:
    """A stream of nothing but its last chunk."""
    yield last
