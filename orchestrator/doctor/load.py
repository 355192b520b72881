"""A short load ramp: how many streams a server sustains, and what a read token costs beside a written one."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from orchestrator.client.endpoint import all_of
from orchestrator.client.reasoner.client import Prompt
from orchestrator.doctor.server import ServerUnderTest
from orchestrator.doctor.verdict import Check, RampStep
from orchestrator.errors import EndpointError

__all__ = ["Ramp", "check_ramp", "choose_streams", "levels", "ramp", "read_rate"]

_NEARLY_ALL = 0.9  # of the highest pace: more streams would only wait for each other
_GROWS = 1.15  # times the pace of the level before: the server is not full yet
_WARM_UP = 1 / 3  # of a level, in which its streams open
_READ_TOKENS = 512


class Ramp(NamedTuple):
    """The levels that were tried, and the number of streams to choose."""

    steps: tuple[RampStep, ...]
    streams: int


def levels(most: int) -> list[int]:
    """1, 2, 4, ... and `most`."""
    return [*_powers_below(most), most]


def _powers_below(most: int) -> Iterator[int]:
    streams = 1
    while streams < most:
        yield streams
        streams *= 2


async def ramp(server: ServerUnderTest, *, most: int, level_seconds: float) -> Ramp:
    """Tokens per second at each level; it ends early where the server refuses streams."""
    steps = []
    for streams in levels(most):
        steps.append(await _level(server, streams, level_seconds))
        if steps[-1].refused:
            break
    return Ramp(tuple(steps), choose_streams(steps))


def choose_streams(steps: Sequence[RampStep]) -> int:
    """The fewest streams that have nearly the highest pace; only levels without refusals count, if there are any."""
    usable = [step for step in steps if not step.refused] or list(steps[:1])
    highest = max(step.tokens_per_second for step in usable)
    return next(step.streams for step in usable if step.tokens_per_second >= _NEARLY_ALL * highest)


def check_ramp(found: Ramp) -> Check:
    """The verdict on a ramp."""
    first, last = found.steps[0], found.steps[-1]
    highest = max(step.tokens_per_second for step in found.steps)
    if highest <= 0:
        return Check("load", "unusable", "No token came under load.", "See the log of the server.")
    shown = (
        f"{first.tokens_per_second:,.0f} tokens per second with one stream, "
        f"{highest:,.0f} at most; {found.streams} streams have nearly all of it"
    )
    if last.refused:
        return Check(
            "load",
            "limited",
            f"{shown}. It refuses or breaks {last.refused} of {last.streams} streams.",
            f"Set run.concurrency to {found.streams}, or let the server take more (vLLM: --max-num-seqs).",
        )
    before = found.steps[-2].tokens_per_second if len(found.steps) > 1 else 0.0
    if len(found.steps) > 1 and last.tokens_per_second > _GROWS * before:
        shown += f". It still grows at {last.streams}: try a larger --ramp"
    return Check("load", "well", f"{shown}.")


async def _level(server: ServerUnderTest, streams: int, seconds: float) -> RampStep:
    """So many streams at once, opened again where they end, for a time."""
    prompts = [await server.prompt() for _ in range(streams)]
    arrived: list[tuple[float, int]] = []
    began = time.monotonic()
    tasks = [asyncio.ensure_future(_keep_writing(server, prompt, arrived)) for prompt in prompts]
    try:
        done, _ = await asyncio.wait(tasks, timeout=seconds)
        counted_from, ended = began + _WARM_UP * seconds, time.monotonic()
        tokens = sum(tokens for at, tokens in arrived if at > counted_from)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    window = ended - counted_from
    return RampStep(streams, tokens / window if window > 0 else 0.0, refused=len(done))


async def _keep_writing(
    server: ServerUnderTest, prompt: Prompt, arrived: list[tuple[float, int]]
) -> None:
    """Streams one after the other, until it is cancelled or one is refused or breaks."""
    while True:
        try:
            await server.read(prompt, arrived=arrived)
        except EndpointError:
            return


async def read_rate(server: ServerUnderTest, *, at_once: int, seconds: float) -> float | None:
    """Prompt tokens per second that the server reads, several prompts at once; None where that cannot be measured.

    The tokens of the prompts are in an order that no cache knows.
    """
    prompt = await server.prompt()
    if prompt.token_ids is None:
        return None
    context = server.found.max_model_len or _READ_TOKENS * 2
    size = min(_READ_TOKENS, context // 2)
    rounds = 0
    try:
        known = (await server.read(prompt)).token_ids or prompt.token_ids
        began = time.monotonic()
        while rounds == 0 or time.monotonic() - began < seconds:
            prompts = [
                Prompt(tuple(int(i) for i in server.random.choice(known, size)), prompt.messages)
                for _ in range(at_once)
            ]
            await all_of(server.read(each, tokens=1) for each in prompts)
            rounds += 1
    except EndpointError:
        return None
    return rounds * size * at_once / (time.monotonic() - began)
