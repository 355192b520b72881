"""What a reasoner's server can do, found by asking it for a stream of two tokens."""

import contextlib
from typing import Any

import msgspec

from orchestrator.capabilities import ServerCapabilities
from orchestrator.client.http import HttpClient
from orchestrator.client.messages import one_line
from orchestrator.client.models import ServedModel
from orchestrator.client.reasoner.chunks import ChunkFold
from orchestrator.client.reasoner.request import EXTRAS, Prompt, StreamRequests
from orchestrator.client.reasoner.stream import read_stream
from orchestrator.client.reasoner.stream_handle import StreamHandle
from orchestrator.client.tokenize import ServerTokenizer, Tokenized
from orchestrator.core.prompting import user_message
from orchestrator.errors import ConfigError, EndpointError, EndpointRejected, StreamBroken
from orchestrator.settings import EndpointSettings, SamplingSettings

__all__ = ["PROBE_TOKENS", "Probe", "probe_server"]

_UNSUPPORTED = (400, 404, 405, 415, 422, 501)
"""A server that answers with one of these does not know a path or a field; it may know another one."""

PROBE_TOKENS = 2
"""With a single one, a usage that comes with every event looks like one that comes at the end alone."""

_MOST_PROBE_TOKENS = 16
"""Of a server that ignores the limit."""


class Probe(msgspec.Struct, frozen=True):
    """What was found, and how streams are asked for."""

    capabilities: ServerCapabilities
    requests: StreamRequests


async def probe_server(
    http: HttpClient,
    model: ServedModel,
    *,
    endpoint: EndpointSettings,
    sampling: SamplingSettings,
    top_logprobs: int | None,
    metrics: bool,
) -> Probe:
    """The best API and request fields that the server accepts; see `ReasonerClient.probe`.

    `metrics` says whether the server's counters can be read.
    """
    rendered = None if endpoint.api == "chat" else await _render(http, model, sampling)
    length = (rendered and rendered.max_model_len) or model.max_model_len
    apis = _apis_to_try(http, endpoint, rendered)
    for api in apis:
        ids = rendered.tokens if rendered and api == "completions" else None
        greeting = Prompt(ids, user_message("Hi"))
        candidates = [
            StreamRequests(
                model=model.name, api=api, extras=extras, max_model_len=length, sampling=sampling
            )
            for extras in EXTRAS
        ]
        try:
            requests, fold = await _first_accepted(http, candidates, greeting)
            break
        except EndpointRejected as error:
            if api == apis[-1] or error.status not in _UNSUPPORTED:
                raise
    capabilities = ServerCapabilities(
        endpoint=http.address.base,
        model=model.name,
        server=await _server_name(http, model),
        api=api,
        token_ids=fold.has_token_ids,
        continuous_usage=fold.counter.is_continuous,
        final_usage=fold.counter.has_usage,
        resumable=api == "completions" and fold.has_token_ids,
        metrics=metrics,
        max_model_len=length,
        confidences=await _gives_confidences(http, requests, greeting, top_logprobs),
    )
    return Probe(capabilities, requests)


async def _render(
    http: HttpClient, model: ServedModel, sampling: SamplingSettings
) -> Tokenized | None:
    """A rendered chat; None where the server cannot render one."""
    try:
        return await ServerTokenizer(http, model.name).chat(
            user_message("Hi"), sampling.chat_template_kwargs
        )
    except (EndpointRejected, StreamBroken):
        return None


def _apis_to_try(
    http: HttpClient, endpoint: EndpointSettings, rendered: Tokenized | None
) -> tuple[str, ...]:
    if endpoint.api == "chat" or (endpoint.api == "auto" and rendered is None):
        return ("chat",)
    if rendered is None:
        raise ConfigError(
            f"{http.address} cannot render chats to token ids (/tokenize); "
            "set endpoint.api to auto or chat."
        )
    return ("completions",) if endpoint.api == "completions" else ("completions", "chat")


async def _first_accepted(
    http: HttpClient, candidates: list[StreamRequests], prompt: Prompt
) -> tuple[StreamRequests, ChunkFold]:
    """The first form of request that the server accepts, with the events of its stream."""
    for requests in candidates[:-1]:
        try:
            return requests, await _few_tokens(http, requests, prompt)
        except EndpointRejected as error:
            if error.status not in _UNSUPPORTED:
                raise
    return candidates[-1], await _few_tokens(http, candidates[-1], prompt)


async def _gives_confidences(
    http: HttpClient, requests: StreamRequests, prompt: Prompt, top_logprobs: int | None
) -> bool:
    """Whether log-probabilities come with a token; False if they are not needed."""
    if top_logprobs is None:
        return False
    try:
        fold = await _few_tokens(http, requests, prompt, top_logprobs)
    except EndpointRejected as error:
        if error.status not in _UNSUPPORTED:
            raise
        return False
    return fold.has_confidences


async def _few_tokens(
    http: HttpClient, requests: StreamRequests, prompt: Prompt, top_logprobs: int | None = None
) -> ChunkFold:
    """The events of a stream of a few tokens."""
    fold = ChunkFold(top_logprobs=top_logprobs, secrets=http.secrets)
    stream = read_stream(
        http,
        f"{http.address.base}/{requests.path}",
        requests.body(prompt, max_tokens=PROBE_TOKENS, top_logprobs=top_logprobs),
        fold=fold,
        handle=StreamHandle(),
        limit=_MOST_PROBE_TOKENS,
    )
    async with contextlib.aclosing(stream):
        async for _chunk in stream:
            pass
    return fold


async def _server_name(http: HttpClient, model: ServedModel) -> str:
    name = model.owner or "unknown server"
    try:
        version = await http.json("GET", f"{http.address.root}/version", dict[str, Any])
    except EndpointError:
        return name
    number = version.get("version")
    return f"{name} {one_line(number, limit=40)}" if isinstance(number, str) else name
