"""The server of recorded traces, as the orchestrator's own client sees it."""

import pytest

from bench.mock_server.server import ReplayServer, serve_recording
from bench.mock_server.tokens import MOST_TOKENS, MOST_TRACES
from orchestrator.client.reasoner.client import ReasonerClient
from orchestrator.errors import DatasetError, EndpointRejected
from orchestrator.settings import EndpointSettings, SamplingSettings
from tests.support.recorded_server import FAST, PROBE_TOKENS, recording
from tests.support.recordings import recorded


def client(url: str) -> ReasonerClient:
    return ReasonerClient(url, EndpointSettings(), SamplingSettings(), None)


async def test_a_stream_continues_from_the_ids_that_were_received() -> None:
    server = ReplayServer(recording(), model=FAST)
    async with serve_recording(server) as url, client(url) as reasoner:
        found = await reasoner.probe()
        assert (found.api, found.resumable, found.continuous_usage) == ("completions", True, True)
        prompt = await reasoner.render("Question 1?")
        first = [chunk async for chunk in reasoner.stream(prompt, generated_tokens=0)]
        text = "".join(chunk.text for chunk in first)
        assert text == recording()[1].traces[0].text
        assert first[-1].finish_reason == "stop"
        ids = [each for chunk in first for each in chunk.token_ids]
        rest = [chunk async for chunk in reasoner.stream(prompt, ids[:5], generated_tokens=5)]
        assert [each for chunk in rest for each in chunk.token_ids] == ids[5:]
        assert text.endswith("".join(chunk.text for chunk in rest))


async def test_a_stream_of_a_text_that_was_not_recorded_continues_as_well() -> None:
    server = ReplayServer(recording(), model=FAST)
    async with serve_recording(server) as url, client(url) as reasoner:
        await reasoner.probe()
        prompt = await reasoner.render("Tell me a story.")
        first = [chunk async for chunk in reasoner.stream(prompt, generated_tokens=0)]
        ids = [each for chunk in first for each in chunk.token_ids]
        rest = [chunk async for chunk in reasoner.stream(prompt, ids[:5], generated_tokens=5)]
        assert [each for chunk in rest for each in chunk.token_ids] == ids[5:]


async def test_the_metrics_count_generated_tokens_and_open_streams() -> None:
    server = ReplayServer(recording(), model=FAST)
    async with serve_recording(server) as url, client(url) as reasoner:
        assert (await reasoner.probe()).metrics
        prompt = await reasoner.render("Question 1?")
        chunks = [chunk async for chunk in reasoner.stream(prompt, generated_tokens=0)]
        counters = await reasoner.counters()
        assert counters is not None
        streamed = sum(len(chunk.token_ids) for chunk in chunks)
        assert counters.generation_tokens == server.generated_tokens == PROBE_TOKENS + streamed
    assert server.live == 0


async def test_streams_of_a_question_send_different_traces() -> None:
    server = ReplayServer(recording(traces=3), model=FAST)
    async with serve_recording(server) as url, client(url) as reasoner:
        await reasoner.probe()
        prompt = await reasoner.render("Question 2?")
        lengths = set()
        for _ in range(3):
            chunks = [chunk async for chunk in reasoner.stream(prompt, generated_tokens=0)]
            lengths.add(sum(len(chunk.token_ids) for chunk in chunks))
    assert lengths == {20, 21, 22}


async def test_ids_of_another_tokenizer_are_refused() -> None:
    server = ReplayServer(recording(), model=FAST)
    async with serve_recording(server) as url, client(url) as reasoner:
        await reasoner.probe()
        prompt = await reasoner.render("Question 1?")
        with pytest.raises(EndpointRejected, match="not in this recording"):
            async for _ in reasoner.stream(prompt, [0], generated_tokens=1):
                pass


async def test_an_answer_that_is_no_stream_is_refused_in_a_sentence() -> None:
    server = ReplayServer(recording(), model=FAST)
    async with serve_recording(server) as url, client(url) as reasoner:
        await reasoner.probe()
        prompt = await reasoner.render("Question 1?")
        with pytest.raises(EndpointRejected, match="can only be streamed"):
            await reasoner.force_answer(prompt, [], "so", logprobs=False)


@pytest.mark.parametrize("traces", [[(MOST_TOKENS + 1, "1")], [(9, "1")] * (MOST_TRACES + 1)])
def test_a_recording_with_more_than_ids_can_tell_apart_is_refused(
    traces: list[tuple[int, str]],
) -> None:
    ReplayServer([recorded((MOST_TOKENS, "1"))])
    with pytest.raises(DatasetError, match="serve at most 4,096 traces of 262,144 tokens"):
        ReplayServer([recorded(*traces)])


async def test_it_is_healthy() -> None:
    server = ReplayServer(recording(), model=FAST)
    async with serve_recording(server) as url, client(url) as reasoner:
        assert await reasoner.healthy()
