"""The clients against real vLLM: exact counts, exact resume, real stops, protocols that agree."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from orchestrator.client.judge.client import JudgeClient
from orchestrator.client.reasoner.client import Chunk, Prompt, ReasonerClient
from orchestrator.client.server_counters import ServerCounters
from orchestrator.core.judging import JudgeSpec
from orchestrator.errors import EndpointRejected
from orchestrator.settings import EndpointSettings, JudgeSettings, SamplingSettings
from tests.support.command import SHORTEST_TRACE

pytestmark = pytest.mark.vllm

QUESTION = "Tom has 3 apples. He buys 5 more and gives 2 away. How many apples does Tom have?"
SEGMENTS = (
    "<think>\nTom has 3 apples and buys 5, so he has 8. Wait, he gives 2 away",
    "<think>\nFirst 3 + 5 = 8. Then 8 - 2 = 6. Let me check",
    "<think>\nHe buys 5 and gives 2, so 5 - 2 = 3, thus 4",
)
SPEC = JudgeSpec(
    name="test",
    model="nano-judge",
    instruction="Do these two unfinished solutions end in the same answer?",
    query="{instruction}\nQuestion:\n{question}\nSolution A:\n{new}\n",
    item="Solution B:\n{member}\n",
    markup_before="<|im_start|>user\n",
    markup_after="<|im_end|>\n<|im_start|>assistant\n",
)


def open_client(url: str, *, api: str = "auto", **sampling: Any) -> ReasonerClient:
    endpoint = EndpointSettings.model_validate({"api": api})
    return ReasonerClient(url, endpoint, SamplingSettings(**sampling), None)


async def read(stream: AsyncIterator[Chunk], *, at_least: int = 10**9) -> list[Chunk]:
    """Chunks until the end, or until at least so many tokens have come."""
    found: list[Chunk] = []
    async for chunk in stream:
        found.append(chunk)
        if chunk.generated >= at_least:
            break
    return found


async def whole(client: ReasonerClient, prompt: Prompt, *ids: int) -> list[Chunk]:
    return await read(client.stream(prompt, ids, generated_tokens=len(ids)))


async def part(client: ReasonerClient, prompt: Prompt, tokens: int) -> list[Chunk]:
    """A stream that is closed after some tokens."""
    async with aclosing(client.stream(prompt, generated_tokens=0)) as stream:
        return await read(stream, at_least=tokens)


def ids_of(chunks: list[Chunk]) -> tuple[int, ...]:
    return tuple(token for chunk in chunks for token in chunk.token_ids)


def text_of(chunks: list[Chunk]) -> str:
    return "".join(chunk.text for chunk in chunks)


async def idle(client: ReasonerClient) -> ServerCounters:
    """The counters once nothing runs any more."""
    async with asyncio.timeout(120):
        while True:
            counters = await client.counters()
            assert counters is not None
            if counters.running == 0 and counters.waiting == 0:
                return counters
            await asyncio.sleep(0.05)


async def test_a_real_server_can_do_everything(reasoner_url: str) -> None:
    async with open_client(reasoner_url) as client:
        found = await client.probe()
    assert found.server.startswith("vllm ")
    assert found.api == "completions"
    assert found.token_ids
    assert found.continuous_usage
    assert found.resumable
    assert found.metrics
    assert found.max_model_len is not None


async def test_the_count_of_every_chunk_is_the_number_of_its_ids(reasoner_url: str) -> None:
    async with open_client(reasoner_url, temperature=1.0) as client:
        await client.probe()
        prompt = await client.render(QUESTION)
        chunks = await whole(client, prompt)
    so_far = 0
    for chunk in chunks:
        so_far += len(chunk.token_ids)
        assert chunk.generated == so_far
        assert chunk.prompt_tokens == len(prompt.token_ids or ())
    assert chunks[-1].finish_reason in ("stop", "length")
    assert all(chunk.finish_reason is None for chunk in chunks[:-1])


@pytest.mark.parametrize("pause_at", [1, 17, 60])
async def test_greedy_decoding_with_a_pause_gives_the_same_text(
    reasoner_url: str, pause_at: int
) -> None:
    async with open_client(reasoner_url, temperature=0.0, max_tokens=120) as client:
        await client.probe()
        prompt = await client.render(QUESTION)
        straight = await whole(client, prompt)
        before = await part(client, prompt, pause_at)
        after = [] if before[-1].finish_reason else await whole(client, prompt, *ids_of(before))
    assert ids_of(before) + ids_of(after) == ids_of(straight)
    assert text_of(before) + text_of(after) == text_of(straight)
    assert (after or before)[-1].finish_reason == straight[-1].finish_reason


async def test_a_trace_paused_several_times_keeps_its_token_limit(reasoner_url: str) -> None:
    async with open_client(reasoner_url, temperature=1.0, max_tokens=40) as client:
        await client.probe()
        prompt = await client.render(QUESTION)
        ids: tuple[int, ...] = ()
        finish_reason = None
        while finish_reason is None:
            async with aclosing(client.stream(prompt, ids, generated_tokens=len(ids))) as stream:
                chunks = await read(stream, at_least=15)
            ids += ids_of(chunks)
            finish_reason = chunks[-1].finish_reason
    assert len(ids) == 40 if finish_reason == "length" else len(ids) <= 40


async def completed(client: ReasonerClient) -> float:
    """Requests that the server carried to their end; those that a client closed are not among them."""
    page = await client._http.text(f"{client.address.root}/metrics")
    return sum(
        sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        if sample.name == "vllm:request_success_total"
    )


async def test_closed_streams_stop_on_the_server(reasoner_url: str) -> None:
    async with open_client(
        reasoner_url, temperature=1.0, extra={"min_tokens": SHORTEST_TRACE}
    ) as client:
        await client.probe()
        prompt = await client.render(QUESTION)
        before, ends_before = await idle(client), await completed(client)
        traces = await asyncio.gather(*(part(client, prompt, 5) for _ in range(16)))
        after, ends_after = await idle(client), await completed(client)
    # How many tokens more the server made until it noticed depends on how busy the machine is.
    generated = sum(chunks[-1].generated for chunks in traces)
    assert after.generation_tokens - before.generation_tokens >= generated
    assert ends_after - ends_before < len(traces)


async def test_finished_streams_cost_exactly_what_the_server_counts(reasoner_url: str) -> None:
    async with open_client(reasoner_url, temperature=1.0, max_tokens=60) as client:
        await client.probe()
        prompt = await client.render(QUESTION)
        before = await idle(client)
        traces = await asyncio.gather(*(whole(client, prompt) for _ in range(16)))
        after = await idle(client)
    assert after.generation_tokens - before.generation_tokens == sum(
        chunks[-1].generated for chunks in traces
    )


async def test_a_cancelled_reader_leaves_nothing_running(reasoner_url: str) -> None:
    async with open_client(reasoner_url, temperature=1.0) as client:
        await client.probe()
        prompt = await client.render(QUESTION)
        readers = [asyncio.create_task(whole(client, prompt)) for _ in range(8)]
        await asyncio.sleep(0.1)
        for reader in readers:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)
        await idle(client)


async def test_leaving_the_client_ends_its_streams(reasoner_url: str) -> None:
    async with open_client(reasoner_url, temperature=1.0) as client:
        await client.probe()
        prompt = await client.render(QUESTION)
        streams = [client.stream(prompt, generated_tokens=0) for _ in range(4)]
        for stream in streams:
            await anext(stream)
    async with open_client(reasoner_url) as watcher:
        await idle(watcher)
    for stream in streams:
        await stream.aclose()


async def test_chat_gives_the_same_greedy_text(reasoner_url: str) -> None:
    async with (
        open_client(reasoner_url, temperature=0.0, max_tokens=60) as completions,
        open_client(reasoner_url, api="chat", temperature=0.0, max_tokens=60) as chat,
    ):
        await completions.probe()
        found = await chat.probe()
        by_ids = await whole(completions, await completions.render(QUESTION))
        by_chat = await whole(chat, await chat.render(QUESTION))
    assert found.api == "chat"
    assert found.continuous_usage
    assert not found.resumable
    assert text_of(by_chat) == text_of(by_ids)
    assert by_chat[-1].generated == by_ids[-1].generated


async def test_a_wrong_model_is_refused_with_the_right_one_named(reasoner_url: str) -> None:
    endpoint = EndpointSettings(model="gpt-9")
    async with ReasonerClient(reasoner_url, endpoint, SamplingSettings(), None) as client:
        with pytest.raises(EndpointRejected, match=r"gpt-9.*it lists: "):
            await client.probe()


async def scores(url: str, dialect: str) -> tuple[float, ...]:
    settings = JudgeSettings.model_validate({"url": url, "dialect": dialect, "batch": 2})
    async with JudgeClient(settings, SPEC, None) as client:
        assert (await client.probe()).dialect == dialect
        found = await client.score(question=QUESTION, new=SEGMENTS[0], members=SEGMENTS)
    assert found.completion_tokens == len(SEGMENTS)
    assert found.prompt_tokens > 0
    return found.probabilities


async def test_both_protocols_for_a_generative_judge_agree(judge_url: str) -> None:
    by_scoring = await scores(judge_url, "generative_scoring")
    by_logprobs = await scores(judge_url, "completions")
    assert by_logprobs == pytest.approx(by_scoring, abs=1e-3)


async def test_a_real_judge_is_asked_through_generative_scoring(judge_url: str) -> None:
    async with JudgeClient(JudgeSettings(url=judge_url), SPEC, None) as client:
        found = await client.probe()
    assert found.dialect == "generative_scoring"
    assert found.label_token_ids is not None
    assert found.metrics
