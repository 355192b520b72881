"""The reasoner's server: prompts rendered once, one closable stream per trace, exact token counts.

The rule: a stream ends with its connection, because that is what stops the generation on the server.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import aiohttp
import msgspec

from orchestrator.capabilities import ServerCapabilities
from orchestrator.client.endpoint import (
    Connected,
    ServedModel,
    find_model,
    is_refusal_of_form,
    open_sdk,
)
from orchestrator.client.http import HttpClient, parse_address
from orchestrator.client.reasoner.chunks import Chunk, ChunkFold
from orchestrator.client.reasoner.sse import SseSplitter
from orchestrator.client.reasoner.stream_handle import StreamHandle
from orchestrator.client.server_counters import ServerCounters, read_counters
from orchestrator.client.tokenize import ServerTokenizer, Tokenized
from orchestrator.errors import ConfigError, EndpointError, EndpointRejected, StreamBroken
from orchestrator.settings import EndpointSettings, SamplingSettings

__all__ = ["Chunk", "Prompt", "ReasonerClient"]

KEY_NAME = "OPENAI_API_KEY"

LIST_SECONDS = 60.0
"""For /v1/models, which a healthy server answers at once even when it is full."""

DRAIN_SECONDS = 2.0
"""How long to wait, after the finish reason, for the final usage and the end of the answer."""

_USAGE = {"stream_options": {"include_usage": True}}
_ALL_EXTRAS = {
    "return_token_ids": True,
    "stream_options": {"include_usage": True, "continuous_usage_stats": True},
}
REQUEST_EXTRAS: tuple[dict[str, Any], ...] = (_ALL_EXTRAS, _USAGE, {})
"""What a stream request asks for beyond OpenAI's own fields, best first; the probe finds what is accepted."""


class Prompt(msgspec.Struct, frozen=True):
    """A question as the server takes it: token ids for completions, messages for chat."""

    token_ids: tuple[int, ...] | None
    messages: tuple[dict[str, str], ...]


class _Mode(msgspec.Struct, frozen=True, kw_only=True):
    """How streams are asked for, found by the probe."""

    model: ServedModel
    api: str
    extras: dict[str, Any]
    max_model_len: int | None


class ReasonerClient(Connected):
    """One reasoner endpoint, as an async context manager; `probe` comes first."""

    def __init__(
        self, url: str, endpoint: EndpointSettings, sampling: SamplingSettings, api_key: str | None
    ) -> None:
        self.address = parse_address(url)
        self._endpoint = endpoint
        self._sampling = sampling.model_dump(exclude_none=True, exclude={"max_tokens"})
        self._max_tokens = sampling.max_tokens
        self._api_key = api_key
        super().__init__(
            HttpClient(
                self.address,
                api_key=api_key,
                key_name=KEY_NAME,
                connect_seconds=endpoint.connect_seconds,
                read_seconds=endpoint.stall_seconds,
            )
        )
        self._mode: _Mode | None = None

    async def probe(self, top_logprobs: int | None = None) -> ServerCapabilities:
        """What this server can do, found by asking it; generates one token.

        With `top_logprobs` it generates one more, to see whether the server sends so many log-probabilities with it.

        Raises ConfigError or EndpointRejected where the user must choose or mend something, and
        EndpointUnreachable, EndpointBusy or StreamBroken where the server is not there or not ready.
        """
        model = await self._find_model()
        rendered = await self._render_greeting(model)
        length = (rendered and rendered.max_model_len) or model.max_model_len
        apis = self._apis_to_try(rendered)
        for api in apis:
            ids = rendered.tokens if rendered and api == "completions" else None
            greeting = Prompt(ids, _messages("Hi"))
            try:
                fold = await self._find_mode(model, api, length, greeting)
                break
            except EndpointRejected as error:
                if api == apis[-1] or not is_refusal_of_form(error):
                    raise
        return ServerCapabilities(
            endpoint=self.address.base,
            model=model.name,
            server=await self._server_name(model),
            api=api,
            token_ids=fold.tells_token_ids,
            continuous_usage=fold.tells_continuous_usage,
            resumable=api == "completions" and fold.tells_token_ids,
            metrics=await self.counters() is not None,
            max_model_len=length,
            confidences=await self._gives_confidences(greeting, top_logprobs),
        )

    async def render(self, question: str) -> Prompt:
        """The question as a prompt. Raises EndpointRejected when it does not fit the model's context."""
        mode = self._found_mode()
        messages = _messages(question)
        if mode.api == "chat":
            return Prompt(None, messages)
        rendered = await ServerTokenizer(self._http, mode.model.name).chat(messages)
        if mode.max_model_len is not None and len(rendered.tokens) >= mode.max_model_len:
            raise EndpointRejected(
                f"The question takes {len(rendered.tokens)} tokens, and {mode.model.name} has room for "
                f"{mode.max_model_len}: shorten it or serve the model with a larger --max-model-len.",
                400,
            )
        return Prompt(rendered.tokens, messages)

    async def stream(
        self,
        prompt: Prompt,
        generated_ids: Sequence[int] = (),
        *,
        generated_tokens: int,
        line: StreamHandle | None = None,
        top_logprobs: int | None = None,
    ) -> AsyncGenerator[Chunk, None]:
        """A trace's text as it is generated, one chunk per network read, the last with a finish reason.

        `generated_ids` are the tokens that the trace has already: the stream goes on exactly behind them.
        `generated_tokens` is their number, taken off the trace's token limit; a trace that has reached its
        limit gets its last chunk without a request. `line.hang_up()` stops the generation on the server: the
        stream then ends, without a finish reason, behind the last tokens that the server sent. `aclose` stops it
        too, and gives those up. With `top_logprobs` every token has a confidence, made of so many log-probabilities.

        Raises EndpointBusy, EndpointRejected, EndpointUnreachable, or StreamBroken when the server fails,
        stalls, sends nonsense or ends without a finish reason; chunks given out before stay valid.
        """
        mode = self._found_mode()
        limit = self._room(mode, prompt, generated_tokens)
        prompt_tokens = len(prompt.token_ids or ()) + len(generated_ids)
        if limit is not None and limit <= 0:
            yield Chunk("", (), 0, prompt_tokens, 0, "length")
            return
        fold = ChunkFold(prompt_tokens, top_logprobs=top_logprobs)
        line = line or StreamHandle()
        body = self._body(mode, prompt, generated_ids, limit) | _logprobs(mode, top_logprobs)
        async with self._http.response("POST", self._stream_url(mode), body) as response:
            line.attach(response)
            splitter = SseSplitter()
            broken: StreamBroken | None = None
            while broken is None and (data := await _read_on(response.content, fold, line)):
                try:
                    fold.feed(splitter.feed(data))
                except StreamBroken as error:
                    broken = error
                if fold.finish_reason is None and (chunk := fold.take()) is not None:
                    yield chunk
            if broken is not None and fold.finish_reason is None and not line.hung_up:
                raise broken
        if fold.finish_reason is not None or not line.hung_up:
            yield fold.last()

    async def counters(self) -> ServerCounters | None:
        """The server's own counters now; None where it shows none."""
        return await read_counters(self._http)

    async def _find_model(self) -> ServedModel:
        sdk = open_sdk(
            self.address,
            self._api_key,
            timeout_seconds=LIST_SECONDS,
            connect_seconds=self._endpoint.connect_seconds,
        )
        async with sdk:
            return await find_model(self._http, sdk, self._endpoint.model, "--model")

    async def _render_greeting(self, model: ServedModel) -> Tokenized | None:
        """A rendered chat, or None where the server cannot render one."""
        if self._endpoint.api == "chat":
            return None
        try:
            return await ServerTokenizer(self._http, model.name).chat(_messages("Hi"))
        except (EndpointRejected, StreamBroken):
            return None

    def _apis_to_try(self, rendered: Tokenized | None) -> tuple[str, ...]:
        if self._endpoint.api == "chat" or (self._endpoint.api == "auto" and rendered is None):
            return ("chat",)
        if rendered is None:
            raise ConfigError(
                f"{self.address} cannot render chats to token ids (/tokenize): "
                "set endpoint.api to auto or chat."
            )
        return ("completions",) if self._endpoint.api == "completions" else ("completions", "chat")

    async def _find_mode(
        self, model: ServedModel, api: str, length: int | None, prompt: Prompt
    ) -> ChunkFold:
        """The first set of extras that the server accepts becomes the mode; returns the trial's events."""
        for extras in REQUEST_EXTRAS:
            mode = _Mode(model=model, api=api, extras=extras, max_model_len=length)
            try:
                fold = await self._trial(mode, prompt, None)
            except EndpointRejected as error:
                if extras is REQUEST_EXTRAS[-1] or not is_refusal_of_form(error):
                    raise
                continue
            self._mode = mode
            return fold
        raise AssertionError("the last set of extras returns or raises")

    async def _gives_confidences(self, prompt: Prompt, top_logprobs: int | None) -> bool:
        """Whether log-probabilities come with a token; False if nobody needs them."""
        if top_logprobs is None:
            return False
        try:
            fold = await self._trial(self._found_mode(), prompt, top_logprobs)
        except EndpointRejected as error:
            if not is_refusal_of_form(error):
                raise
            return False
        return fold.tells_confidences

    async def _trial(self, mode: _Mode, prompt: Prompt, top_logprobs: int | None) -> ChunkFold:
        """The events of a stream of one token."""
        fold, splitter = ChunkFold(top_logprobs=top_logprobs), SseSplitter()
        body = self._body(mode, prompt, (), 1) | _logprobs(mode, top_logprobs)
        async with self._http.response("POST", self._stream_url(mode), body) as response:
            while data := await _read_on(response.content, fold, StreamHandle()):
                fold.feed(splitter.feed(data))
        fold.last()
        return fold

    async def _server_name(self, model: ServedModel) -> str:
        name = model.owner or "unknown server"
        try:
            version = await self._http.json("GET", f"{self.address.root}/version", dict[str, Any])
        except EndpointError:
            return name
        return f"{name} {version['version']}" if "version" in version else name

    def _found_mode(self) -> _Mode:
        if self._mode is None:
            raise RuntimeError("probe() comes before everything else")
        return self._mode

    def _stream_url(self, mode: _Mode) -> str:
        path = "completions" if mode.api == "completions" else "chat/completions"
        return f"{self.address.base}/{path}"

    def _room(self, mode: _Mode, prompt: Prompt, generated_tokens: int) -> int | None:
        """Tokens that the trace may still generate; None leaves it to the server.

        A limit beyond the model's context is cut to it, because servers refuse such a request.
        """
        limits = [] if self._max_tokens is None else [self._max_tokens]
        if prompt.token_ids is not None and mode.max_model_len is not None:
            limits.append(mode.max_model_len - len(prompt.token_ids))
        return min(limits) - generated_tokens if limits else None

    def _body(
        self, mode: _Mode, prompt: Prompt, generated_ids: Sequence[int], limit: int | None
    ) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": mode.model.name,
            "stream": True,
            **self._sampling,
            **mode.extras,
        }
        if limit is not None:
            body["max_tokens"] = limit
        if mode.api == "completions":
            body["prompt"] = [*(prompt.token_ids or ()), *generated_ids]
        elif generated_ids:
            raise ValueError("a chat stream cannot be resumed by token ids")
        else:
            body["messages"] = prompt.messages
        return body


def _logprobs(mode: _Mode, top: int | None) -> dict[str, Any]:
    """What asks for the `top` likeliest tokens beside each one; completions name them by text, so ids are better."""
    if top is None:
        return {}
    if mode.api == "chat":
        return {"logprobs": True, "top_logprobs": top}
    named_by_id = {"return_tokens_as_token_ids": True} if mode.extras is _ALL_EXTRAS else {}
    return {"logprobs": top, **named_by_id}


def _messages(question: str) -> tuple[dict[str, str], ...]:
    return ({"role": "user", "content": question},)


async def _read_on(content: aiohttp.StreamReader, fold: ChunkFold, line: StreamHandle) -> bytes:
    """The next bytes, b"" at the end.

    Once the finish reason is there, also b"" when the rest is late; then, and once we have hung up, also when
    the server ends the connection without ceremony.
    """
    try:
        async with asyncio.timeout(DRAIN_SECONDS if fold.ended else None):
            return await content.readany()
    except (aiohttp.ClientError, TimeoutError, OSError):
        if fold.ended or line.hung_up:
            return b""
        raise
