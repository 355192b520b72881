"""A thousand requests of fifty clients at once to real vLLM, of which half hang up: memory, streams and the bill."""

import asyncio
import logging
import random

import openai

from tests.clients.serving import KEY, MODEL, QUESTIONS, Server

_LOG = logging.getLogger(__name__)

AT_ONCE = 50
REQUESTS = 1000
LEAVING = 0.5
MOST_GROWTH = 24 << 20  # bytes over the last 800 requests
GENERATED = "vllm:generation_tokens_total"
RUNNING = "vllm:num_requests_running"


async def ask(ai: openai.AsyncOpenAI, chance: random.Random) -> int:
    """The tokens of a reply; 0 for a client that leaves."""
    question = chance.choice(QUESTIONS)["question"]
    stays = chance.uniform(0.05, 1.5) if chance.random() < LEAVING else None
    try:
        async with asyncio.timeout(stays):
            reply = await ai.chat.completions.create(
                model=f"{MODEL}:pass1", messages=[{"role": "user", "content": question}]
            )
    except TimeoutError:
        return 0
    assert reply.usage is not None
    return reply.usage.completion_tokens


async def ask_many(server: Server, requests: int) -> list[int]:
    chance = random.Random(requests)
    places = asyncio.Semaphore(AT_ONCE)
    async with openai.AsyncOpenAI(base_url=server.url, api_key=KEY, max_retries=0) as ai:

        async def ask_in_turn() -> int:
            async with places:
                return await ask(ai, chance)

        return await asyncio.gather(*(ask_in_turn() for _ in range(requests)))


async def test_a_thousand_requests_leave_nothing_behind(server: Server) -> None:
    await ask_many(server, REQUESTS // 5)
    bill, engine, memory = server.billed(), server.engine(GENERATED), server.memory()
    tokens = await ask_many(server, REQUESTS * 4 // 5)
    for _ in range(20):
        if server.engine(RUNNING) == 0:
            break
        await asyncio.sleep(0.1)
    assert server.engine(RUNNING) == 0
    left = tokens.count(0)
    assert 0 < left < len(tokens)
    own, seen = server.billed() - bill, server.engine(GENERATED) - engine
    grown = server.memory() - memory
    _LOG.warning(
        "%d requests, %d left: billed %d tokens, engine %d, memory grew by %d bytes",
        *(len(tokens), left, own, seen, grown),
    )
    assert own >= sum(tokens)
    assert 0 <= seen - own <= 0.02 * seen
    assert grown <= MOST_GROWTH
