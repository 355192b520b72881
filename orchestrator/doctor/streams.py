"""How tokens go to the server and come back: prompts of token ids, the pace of a stream, and a probe of a running trace."""

import time

from orchestrator.doctor.server import Reading, ServerUnderTest
from orchestrator.doctor.verdict import Check
from orchestrator.errors import EndpointError, EndpointRejected

__all__ = ["check_pace", "check_probe", "check_token_prompts"]

_READ_TOKENS = 4.0  # per read on average: the events of a stream are held back
_TRIES = 3
_ENDING = "\\boxed{"
_CHAT = "Let the router pass lists of token ids on unchanged, or set endpoint.api to chat."


async def check_token_prompts(server: ServerUnderTest) -> Check:
    """Whether a prompt of token ids arrives as these tokens."""
    prompt = await server.prompt()
    sent = len(prompt.token_ids or ())
    try:
        reading = await server.read(prompt, tokens=2)
    except EndpointRejected as error:
        return Check("token-id prompts", "unusable", str(error), _CHAT)
    if reading.prompt_tokens != sent:
        return Check(
            "token-id prompts",
            "unusable",
            f"Token ids sent: {sent}; tokens that the server read: {reading.prompt_tokens}.",
            _CHAT,
        )
    return Check(
        "token-id prompts", "well", f"Token ids sent: {sent}; tokens that the server read: {sent}."
    )


async def check_pace(server: ServerUnderTest) -> Check:
    """Whether tokens arrive one by one, as they are written, and how fast."""
    best: Reading | None = None
    for _ in range(_TRIES):  # a busy client reads several at once as well
        reading = await server.read(await server.prompt())
        if best is None or reading.per_read < best.per_read:
            best = reading
        if not _held_back(best):
            break
    if best is None or best.tokens < 2:
        return Check("stream", "unknown", "A stream ended at once.", "Try again.")
    server.stream_seconds = best.first_seconds + best.seconds
    per_second = (best.tokens - 1) / best.seconds if best.seconds > 0 else float("inf")
    shown = f"{best.tokens} tokens came in {best.reads} reads"
    if _held_back(best):
        return Check(
            "stream",
            "limited",
            f"{shown}: something holds events back, so traces are seen and stopped late.",
            "Turn buffering of the router off (nginx: proxy_buffering off), or lower --stream-interval of vLLM.",
        )
    return Check(
        "stream",
        "well",
        f"{shown}, {per_second:,.0f} per second, the first after {best.first_seconds:.2f} s.",
    )


async def check_probe(server: ServerUnderTest) -> Check:
    """How long a running trace takes to say its answer behind a forced ending."""
    prompt = await server.prompt()
    reading = await server.read(prompt, stop_after=max(1, server.most_tokens // 2))
    ending = server.settings.model.force_answer or _ENDING
    began = time.monotonic()
    try:
        forced = await server.client.force_answer(prompt, reading.token_ids, ending, logprobs=False)
    except EndpointError as error:
        return Check(
            "probe", "limited", str(error), "Set policy.probes to false for --policy auto."
        )
    seconds = time.monotonic() - began
    return Check(
        "probe",
        "well",
        f"{forced.tokens} tokens behind {forced.prompt_tokens} in {seconds:.2f} s.",
    )


def _held_back(reading: Reading) -> bool:
    return reading.tokens > 2 * _READ_TOKENS and reading.per_read > _READ_TOKENS
