"""Many clients at once, of which half leave: what is left behind, and whether the bill is right.

`tests/clients/test_load.py` does the same with a thousand requests to real vLLM.
"""

import asyncio
import random
from typing import Any

import openai
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.orchestrator.serve.test_app import QUESTION, client, counted, serving
from tests.support.paced_servers import PacedServers

CLIENTS = 50


async def counters(url: str) -> dict[tuple[str, str], float]:
    """The server's counters by their names and labels."""
    return {
        (sample.name, ",".join(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(await counted(url))
        for sample in family.samples
    }


async def ask(ai: openai.AsyncOpenAI, stays: float | None) -> Any:
    """The reply; None for a client that leaves after `stays` seconds."""
    asked = ai.chat.completions.create(model="paced:cons@2", messages=QUESTION)
    try:
        async with asyncio.timeout(stays):
            return await asked
    except TimeoutError:
        return None


@pytest.mark.slow  # opens fifty connections
async def test_half_of_fifty_clients_leave_and_nothing_is_left_of_them() -> None:
    servers = PacedServers(words=30, pause=0.01)
    chance = random.Random(1)
    async with (
        serving(servers, questions_at_once=16) as url,
        client(url) as ai,
    ):
        stays = [chance.uniform(0.0, 0.3) if n % 2 else None for n in range(CLIENTS)]
        replies = await asyncio.gather(*(ask(ai, each) for each in stays))
        await servers.reasoner.until_live(0)
        bill = await counters(url)
    answered = [reply for reply in replies if reply is not None]
    assert len(answered) >= CLIENTS // 2
    assert {reply.usage.completion_tokens for reply in answered} == {2 * 31}
    assert bill["deepprune_questions_running", ""] == bill["deepprune_questions_waiting", ""] == 0
    assert bill["deepprune_questions_total", "answered"] >= len(answered)
    finished = bill["deepprune_generated_tokens_total", "finished"]
    stopped = bill["deepprune_generated_tokens_total", "stopped"]
    assert finished >= len(answered) * 2 * 31
    assert finished + stopped <= CLIENTS * 2 * 31
