"""Whether a server answers, takes the key and has the model; and what its streams hold, as the probe saw them."""

from collections.abc import Iterator
from typing import NamedTuple

from orchestrator.capabilities import ServerCapabilities
from orchestrator.client.reasoner.client import ReasonerClient
from orchestrator.doctor.verdict import Check
from orchestrator.errors import (
    ConfigError,
    DeepPruneError,
    EndpointBusy,
    EndpointRejected,
    EndpointUnreachable,
    StreamBroken,
)

__all__ = ["Access", "access", "form_of_streams", "refused"]

_KEY_STATUS = (401, 403)


class Access(NamedTuple):
    """What was found at the address; `found` is None where no stream can be had."""

    checks: list[Check]
    found: ServerCapabilities | None


async def access(client: ReasonerClient, top_logprobs: int, *, has_key: bool) -> Access:
    """The first checks of a server of the reasoner; generates four tokens at most."""
    try:
        found = await client.probe(top_logprobs)
    except DeepPruneError as error:
        return Access(refused(error), None)
    health = await client.healthy()
    with_health = "with a /health page" if health else "without a /health page"
    context = (
        "context unknown"
        if found.max_model_len is None
        else f"context {found.max_model_len} tokens"
    )
    checks = [
        Check("reachable", "well", f"{found.server} answers, {with_health}."),
        Check("key", "well", "The key is accepted." if has_key else "No key is wanted."),
        Check("model", "well", f"{found.model}, {context}."),
    ]
    return Access([*checks, *form_of_streams(found, top_logprobs)], found)


def refused(error: DeepPruneError) -> list[Check]:
    """The checks up to the one that failed with `error`, whose text names the remedy."""
    reachable = Check("reachable", "well", "It answers.")
    if isinstance(error, EndpointRejected) and error.status in _KEY_STATUS:
        return [
            reachable,
            Check("key", "unusable", str(error), "Give the server's key in the environment."),
        ]
    if isinstance(error, EndpointUnreachable):
        return [
            Check("reachable", "unusable", str(error), "Start the server or correct the address.")
        ]
    if isinstance(error, EndpointBusy):
        return [
            Check("reachable", "unusable", str(error), "Wait until the server has room, try again.")
        ]
    if isinstance(error, StreamBroken):
        return [
            Check(
                "reachable",
                "unusable",
                str(error),
                "Check that an OpenAI-compatible server with this base address answers there.",
            )
        ]
    remedy = "Name a model that it serves with --model."
    if not isinstance(error, EndpointRejected | ConfigError):
        raise error
    return [reachable, Check("model", "unusable", str(error), remedy)]


def form_of_streams(found: ServerCapabilities, top_logprobs: int) -> Iterator[Check]:
    """What the probe saw in a stream."""
    if found.api == "completions":
        yield Check("chat template", "well", "/tokenize renders chats to token ids.")
    else:
        yield Check(
            "chat template",
            "limited",
            "Prompts cannot be sent as token ids, so traces cannot be continued and not be asked before their end.",
            "Let the server or the router pass /tokenize and /v1/completions on, as vLLM has them.",
        )
    yield _seen(
        "token ids",
        found.token_ids,
        "in every event",
        "Traces that break off or are paused lose what they wrote.",
        "Let the router pass the field return_token_ids on; vLLM knows it since 0.10.",
    )
    yield _seen(
        "usage",
        found.continuous_usage,
        "in every event",
        "Tokens of stopped streams are counted by the client, which may miss some.",
        "Let the router pass stream_options.continuous_usage_stats on.",
    )
    yield _seen(
        "log-probabilities",
        found.confidences,
        f"{top_logprobs} with each token",
        f"It sends no {top_logprobs} log-probabilities, so policies and votes by confidence are refused.",
        f"Start vLLM with --max-logprobs {top_logprobs}, or lower policy.top_logprobs.",
    )
    yield _seen(
        "counters",
        found.metrics,
        "/metrics has the engine's counters",
        "Bills cannot be compared with the server's own counts.",
        "Name the engine behind the router with --set endpoint.metrics_url=http://HOST:PORT.",
    )


def _seen(name: str, given: bool, well: str, loss: str, remedy: str) -> Check:
    if given:
        return Check(name, "well", f"{well[:1].upper()}{well[1:]}.")
    return Check(name, "limited", loss, remedy)
