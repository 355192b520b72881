"""Whether a trace can be paused: its text goes on exactly, from the cache of the engine that has it."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple
from uuid import uuid4

from orchestrator.client.endpoint import all_of
from orchestrator.client.reasoner.client import Prompt
from orchestrator.doctor.server import ServerUnderTest
from orchestrator.doctor.verdict import Check

__all__ = ["check_cache", "check_continuation"]

_TRACES = 6  # a router that goes round two engines sends all of them back by chance in 1 case of 64
_CACHED = 0.25  # of a resumed trace: more than the prompt that all traces may share


async def check_continuation(server: ServerUnderTest) -> Check:
    """Whether greedy text with a pause is the text without one."""
    name = "exact continuation"
    prompt = await server.prompt()
    whole = await server.read(prompt, greedy=True)
    pause = max(1, int(whole.tokens * server.random.uniform(0.25, 0.5)))
    first = await server.read(prompt, greedy=True, stop_after=pause)
    kept = first.token_ids[:pause]
    if kept != whole.token_ids[: len(kept)]:
        return Check(
            name,
            "unknown",
            "Greedy texts differ even without a pause.",
            "Nothing is wrong with that; sampled traces never repeat.",
        )
    rest = await server.read(prompt, kept, tokens=whole.tokens, greedy=True)
    expected = whole.token_ids[len(kept) :]
    same = _common(rest.token_ids, expected)
    shown = f"Greedy text with a pause after {len(kept)} of {whole.tokens} tokens"
    if same == len(expected):
        return Check(name, "well", f"{shown} is the text without one.")
    if same >= len(expected) / 4:
        return Check(
            name,
            "well",
            f"{shown} is the same for {same} tokens; then rounding takes it elsewhere.",
        )
    return Check(
        name,
        "limited",
        f"{shown} differs from the text without one after {same} tokens.",
        "Let the router pass token ids on unchanged; until then set checkpoint.at to run.",
    )


async def check_cache(server: ServerUnderTest) -> list[Check]:
    """Whether resumed traces find their tokens in a cache, and all of them."""
    paused = await _paused_traces(server)
    order = server.random.permutation(len(paused))  # a router that goes round must not hit by order
    cached = [await _resumed(server, paused[number]) for number in order]
    told = [fraction for fraction in cached if fraction is not None]
    if not told:
        return [
            Check(
                "prefix cache",
                "unknown",
                "The server tells no cached tokens.",
                "Start vLLM with --enable-prompt-tokens-details, or name the engine's counters in endpoint.metrics_url.",
            )
        ]
    hits = [fraction for fraction in told if fraction >= _CACHED]
    if not hits:
        return [
            Check(
                "prefix cache",
                "limited",
                f"None of {len(told)} resumed traces found its tokens in the cache; each is read again.",
                "Start vLLM with prefix caching, and let a router send requests of one X-Session-ID to one engine.",
            )
        ]
    part = sum(hits) / len(hits)
    return [
        Check("prefix cache", "well", f"{part:.0%} of a resumed trace comes from the cache."),
        _stickiness(len(hits), len(told)),
    ]


def _stickiness(hits: int, resumed: int) -> Check:
    shown = f"{hits} of {resumed} resumed traces found their own engine"
    if hits == resumed:
        return Check("stickiness", "well", f"{shown}.")
    return Check(
        "stickiness",
        "limited",
        f"{shown}; the others were read again elsewhere.",
        "Let the router hash the header X-Session-ID, or give each engine with an --endpoint of its own.",
    )


def _common(here: Sequence[int], there: Sequence[int]) -> int:
    """Tokens that are equal from the beginning on."""
    pairs = enumerate(zip(here, there, strict=False))
    return next((n for n, (a, b) in pairs if a != b), min(len(here), len(there)))


class _Paused(NamedTuple):
    prompt: Prompt
    token_ids: tuple[int, ...]
    headers: Mapping[str, str]


async def _paused_traces(server: ServerUnderTest) -> list[_Paused]:
    """Traces that were written side by side, each with a session of its own, and closed."""
    name = server.settings.endpoint.session_header
    prompts = [await server.prompt() for _ in range(_TRACES)]
    headers = [{name: f"doctor-{uuid4().hex}"} if name else {} for _ in prompts]
    tokens = server.most_tokens
    readings = await all_of(
        server.read(prompt, tokens=2 * tokens, stop_after=tokens, headers=header)
        for prompt, header in zip(prompts, headers, strict=True)
    )
    return [
        _Paused(prompt, reading.token_ids, header)
        for prompt, reading, header in zip(prompts, readings, headers, strict=True)
    ]


async def _resumed(server: ServerUnderTest, paused: _Paused) -> float | None:
    """The fraction of a trace that came from the cache when it was resumed; None if neither usage nor counters tell."""
    before = await server.client.counters()
    sent = len(paused.prompt.token_ids or ()) + len(paused.token_ids)
    reading = await server.read(
        paused.prompt,
        paused.token_ids,
        tokens=len(paused.token_ids) + 2,
        headers=paused.headers,
    )
    if reading.cached_tokens:
        return reading.cached_tokens / sent
    now = await server.client.counters()
    if before is None or now is None:
        return None
    if before.prompt_tokens_cached is None or now.prompt_tokens_cached is None:
        return None
    return (now.prompt_tokens_cached - before.prompt_tokens_cached) / sent
