"""`deepprune-serve` in front of nano on real vLLM, asked with the `openai` package."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import openai
import pytest

from orchestrator.config.load import Assigned, resolve
from orchestrator.runtime.endpoints import Keys
from orchestrator.serve.server import ServeOptions, served
from tests.support.command import SHORTEST_TRACE, completed, metric, until_idle

pytestmark = pytest.mark.vllm

ROOT = Path(__file__).parents[2]
QUESTION: list[Any] = [
    {"role": "user", "content": (ROOT / "nano/data/demo-question.txt").read_text().strip()}
]
GENERATED = "vllm:generation_tokens"
FIELDS = {
    "top_k": 20,
    "min_p": 0.02,
    "repetition_penalty": 1.05,
    "min_tokens": 2,
    "stop_token_ids": [],
    "bad_words": ["zebra"],
    "skip_special_tokens": False,
    "priority": 0,
    "chat_template_kwargs": {"enable_thinking": False},
}
"""Of vLLM's own request."""


@asynccontextmanager
async def asking(reasoner_url: str) -> AsyncIterator[tuple[openai.AsyncOpenAI, str]]:
    """The package's client of a server of its own, and the name of its model."""
    values = {"endpoint.urls": (reasoner_url,), "policy.name": "consensus", "policy.traces": 8}
    settings = resolve(Assigned(path, value, "a test") for path, value in values.items())
    async with (
        served(settings, Keys(), ServeOptions(port=0)) as url,
        openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0) as ai,
    ):
        yield ai, (await ai.models.list()).data[0].id


async def test_the_fields_of_vllms_requests_hold_and_the_bill_is_the_engines(
    reasoner_url: str,
) -> None:
    async with asking(reasoner_url) as (ai, model):
        await until_idle(reasoner_url)
        before = await metric(reasoner_url, GENERATED)
        raw = await ai.chat.completions.with_raw_response.create(
            model=model, messages=QUESTION, reasoning_effort="low", n=2, extra_body=FIELDS
        )
        reply = raw.parse()
        await until_idle(reasoner_url)
        generated = await metric(reasoner_url, GENERATED) - before
        with pytest.raises(openai.BadRequestError, match="bad_words"):
            await ai.chat.completions.create(
                model=model, messages=QUESTION, extra_body={"bad_words": 5}
            )
        with pytest.raises(openai.BadRequestError, match="prompt_logprobs cannot hold"):
            await ai.chat.completions.create(
                model=model, messages=QUESTION, extra_body={"prompt_logprobs": 1}
            )
    assert reply.usage is not None
    assert reply.usage.completion_tokens == generated
    assert [choice.finish_reason for choice in reply.choices] == ["stop", "stop"]
    facts = (reply.model_extra or {})["deepprune"]
    assert facts["traces"]["finished"] == 8
    assert facts["notes"] == []
    assert raw.headers["X-DeepPrune-Votes"]


async def test_a_streamed_reply_has_its_usage_and_a_client_that_leaves_stops_the_engine(
    reasoner_url: str,
) -> None:
    async with asking(reasoner_url) as (ai, model):
        await until_idle(reasoner_url)
        before = await metric(reasoner_url, GENERATED)
        stream = await ai.chat.completions.create(
            model=f"{model}:cons@4",
            messages=QUESTION,
            stream=True,
            stream_options={"include_usage": True},
        )
        chunks = [chunk async for chunk in stream]
        await until_idle(reasoner_url)
        generated = await metric(reasoner_url, GENERATED) - before
        ended = await completed(reasoner_url)
        left = await ai.chat.completions.create(
            model=f"{model}:cons@64",
            messages=QUESTION,
            stream=True,
            extra_body={"min_tokens": SHORTEST_TRACE},
        )
        await anext(aiter(left))
        while not await metric(reasoner_url, "vllm:num_requests_running"):  # noqa: ASYNC110  it sets no event
            await asyncio.sleep(0.01)
        await left.close()
        await until_idle(reasoner_url)
        after = await completed(reasoner_url)
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == generated
    assert (chunks[-1].model_extra or {})["deepprune"]["traces"]["finished"] == 4
    assert after - ended < 64  # the others were aborted
