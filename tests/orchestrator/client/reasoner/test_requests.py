"""What is sent to a reasoner."""

import pytest

from orchestrator.client.reasoner.client import Chunk, Prompt
from orchestrator.core.prompting import user_message
from orchestrator.errors import (
    EndpointRejected,
)
from orchestrator.settings import EndpointSettings, SamplingSettings
from tests.orchestrator.client.reasoner.fake_reasoner import (
    CHAT,
    COMPLETIONS,
    ONE_TOKEN,
    PROMPT,
    chunks,
    client,
    probe,
    vllm_like,
)
from tests.support.fake_server import FakeServer, answer_json


async def test_a_request_has_the_sampling_settings_and_never_a_seed() -> None:
    sampling = SamplingSettings(temperature=0.6, top_k=20, max_tokens=50)
    async with vllm_like() as server, client(server, sampling=sampling) as reasoner:
        await reasoner.probe()
        await chunks(reasoner, PROMPT, 7, 8)
        body = server.bodies(COMPLETIONS)[-1]
    assert body == {
        "model": "m",
        "prompt": [1, 2, 3, 7, 8],
        "max_tokens": 48,
        "temperature": 0.6,
        "top_k": 20,
        "stream": True,
        "return_token_ids": True,
        "stream_options": {"include_usage": True, "continuous_usage_stats": True},
    }


@pytest.mark.parametrize(("max_tokens", "sent"), [(None, 97), (1000, 97), (10, 10)])
async def test_a_trace_never_asks_for_more_than_the_context(
    max_tokens: int | None, sent: int
) -> None:
    sampling = SamplingSettings(max_tokens=max_tokens)
    async with vllm_like() as server, client(server, sampling=sampling) as reasoner:
        await reasoner.probe()
        await chunks(reasoner)
        assert server.bodies(COMPLETIONS)[-1]["max_tokens"] == sent


async def test_a_trace_at_its_limit_ends_without_a_request() -> None:
    sampling = SamplingSettings(max_tokens=2)
    async with vllm_like() as server, client(server, sampling=sampling) as reasoner:
        await reasoner.probe()
        before = len(server.seen)
        assert await chunks(reasoner, PROMPT, 7, 8) == [Chunk("", (), 0, 5, 0, "length")]
        assert len(server.seen) == before


async def test_a_question_beyond_the_context_is_refused_before_anything_is_spent() -> None:
    async with vllm_like() as server, client(server) as reasoner:
        await reasoner.probe()
        server.answers["/tokenize"] = answer_json({"tokens": [1] * 100, "max_model_len": 100})
        with pytest.raises(EndpointRejected, match="100 tokens"):
            await reasoner.render("long")


async def test_a_question_becomes_the_ids_of_a_rendered_chat() -> None:
    async with vllm_like() as server, client(server) as reasoner:
        await reasoner.probe()
        prompt = await reasoner.render("Why?")
        assert prompt == Prompt((1, 2, 3), user_message("Why?"))
        assert server.bodies("/tokenize")[-1]["add_generation_prompt"] is True


async def test_a_chat_server_is_sent_the_question_as_a_message() -> None:
    async with FakeServer({CHAT: ONE_TOKEN}) as server, client(server) as reasoner:
        await reasoner.probe()
        prompt = await reasoner.render("Why?")
        assert prompt.token_ids is None
        await chunks(reasoner, prompt)
        body = server.bodies(CHAT)[-1]
        assert body["messages"] == [{"role": "user", "content": "Why?"}]
        assert "max_tokens" not in body


async def test_rendering_needs_a_probe_first() -> None:
    async with vllm_like() as server, client(server) as reasoner:
        with pytest.raises(RuntimeError, match="probe"):
            await reasoner.render("Why?")


async def test_a_chat_stream_cannot_be_resumed_by_ids() -> None:
    async with FakeServer({CHAT: ONE_TOKEN}) as server, client(server) as reasoner:
        await reasoner.probe()
        with pytest.raises(ValueError, match="resumed"):
            await chunks(reasoner, await reasoner.render("Why?"), 7)


async def test_chat_can_be_chosen_where_completions_would_do() -> None:
    async with vllm_like(**{CHAT: ONE_TOKEN}) as server:
        assert (await probe(server, endpoint=EndpointSettings(api="chat"))).api == "chat"
        assert not server.bodies("/tokenize")


async def test_completions_can_be_forced() -> None:
    answers = {COMPLETIONS: answer_json({"error": "no"}, 400), CHAT: ONE_TOKEN}
    async with vllm_like(**answers) as server:
        with pytest.raises(EndpointRejected):
            await probe(server, endpoint=EndpointSettings(api="completions"))
