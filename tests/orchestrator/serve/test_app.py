"""The whole server, asked with the `openai` package, in front of servers that write at a set speed."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import openai
import pytest
from aiohttp import web

from orchestrator.config.load import Assigned, resolve
from orchestrator.runtime.endpoints import Keys
from orchestrator.serve import admission, app, streamed_reply, streaming
from orchestrator.serve.server import ServeOptions, served
from tests.support.command import metric
from tests.support.fake_server import answer_json
from tests.support.paced_servers import PacedServers

QUESTION: list[Any] = [{"role": "user", "content": "How many?"}]


@asynccontextmanager
async def serving(
    servers: PacedServers, *, judged: bool = False, key: str | None = None, **options: Any
) -> AsyncIterator[str]:
    async with servers.serving():
        values: dict[str, Any] = {
            "endpoint.urls": (servers.reasoner.url,),
            "policy.traces": 4,
            "policy.name": "consensus",
        }
        if judged:
            values["judge.url"] = servers.judge.url
        settings = resolve(Assigned(path, value, "a test") for path, value in values.items())
        async with served(
            settings, Keys(reasoner=key), ServeOptions(**{"port": 0, **options})
        ) as url:
            yield url


async def counted(url: str) -> str:
    """The page of its counters."""
    async with (
        aiohttp.ClientSession() as session,
        session.get(url.removesuffix("/v1") + "/metrics") as metrics,
    ):
        return await metrics.text()


async def until_waiting(url: str, questions: int) -> None:
    """Waits until so many questions stand in its queue."""
    async with asyncio.timeout(60):
        while await metric(url, "deepprune_questions_waiting") < questions:  # noqa: ASYNC110  it sets no event
            await asyncio.sleep(0.01)


def client(url: str, key: str = "none") -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=url, api_key=key, max_retries=0)


async def test_a_question_is_answered_with_its_bill() -> None:
    servers = PacedServers(words=8)
    async with serving(servers) as url, client(url) as ai:
        raw = await ai.chat.completions.with_raw_response.create(
            model="paced", messages=QUESTION, n=2
        )
    reply = raw.parse()
    assert [choice.finish_reason for choice in reply.choices] == ["stop", "stop"]
    assert all(str(choice.message.content).endswith("\\boxed{26}") for choice in reply.choices)
    assert reply.usage is not None
    assert reply.usage.completion_tokens == 2 * 4 * 9
    assert reply.usage.prompt_tokens == 2 * 4 * 3
    facts = reply.model_extra["deepprune"] if reply.model_extra else {}
    assert (facts["answer"], facts["policy"], facts["margin"]) == ("26", "consensus", 0.5)
    assert facts["traces"]["finished"] == 4
    assert len(facts["choices"]) == 2
    assert raw.headers["X-DeepPrune-Policy"] == "consensus"
    assert raw.headers["X-DeepPrune-Votes"] == "4"


async def test_a_streamed_reply_has_progress_answer_facts_and_usage() -> None:
    servers = PacedServers(words=24, pause=0.05)
    async with serving(servers) as url, client(url) as ai:
        stream = await ai.chat.completions.create(
            model="paced:cons@2",
            messages=QUESTION,
            stream=True,
            stream_options={"include_usage": True},
            extra_body={"deepprune": {"reasoning": True}},
        )
        chunks = [chunk async for chunk in stream]
    deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
    assert deltas[0].role == "assistant"
    assert "traces running" in "".join(str(getattr(d, "reasoning_content", "")) for d in deltas)
    content = "".join(delta.content or "" for delta in deltas)
    assert content.endswith("\\boxed{26}")
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 2 * 25
    assert (chunks[-1].model_extra or {})["deepprune"]["votes"][0]["ballots"] == 2


async def test_a_client_that_hangs_up_stops_every_trace() -> None:
    servers = PacedServers(words=4000, pause=0.05)
    async with serving(servers) as url, client(url) as ai:
        stream = await ai.chat.completions.create(model="paced", messages=QUESTION, stream=True)
        await anext(aiter(stream))
        await servers.reasoner.until_live(4)
        await stream.close()
        await servers.reasoner.until_live(0)
        waiting = asyncio.create_task(ai.chat.completions.create(model="paced", messages=QUESTION))
        await servers.reasoner.until_live(4)
        waiting.cancel()
        await servers.reasoner.until_live(0)


async def test_finished_traces_vote_when_the_time_is_over() -> None:
    servers = PacedServers(words=4000, pause=0.05)
    async with serving(servers) as url, client(url) as ai:
        reply = await ai.chat.completions.create(
            model="paced", messages=QUESTION, extra_body={"deepprune": {"seconds": 0.3}}
        )
    facts = (reply.model_extra or {})["deepprune"]
    assert (facts["answer"], facts["interrupted"]) == (None, True)
    assert reply.choices[0].finish_reason == "stop"
    assert str(reply.choices[0].message.content).startswith("No answer: of 4 traces 0 finished")


@pytest.mark.parametrize("stream", [False, True])
async def test_the_time_also_bounds_a_server_that_takes_no_question(stream: bool) -> None:
    async def never(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        await asyncio.sleep(3600)
        raise AssertionError

    servers = PacedServers(words=2)
    async with serving(servers) as url, client(url) as ai:
        servers.reasoner.answers["/tokenize"] = never

        async def ask() -> None:
            reply: Any = await ai.chat.completions.create(
                model="paced",
                messages=QUESTION,
                stream=stream,
                extra_body={"deepprune": {"seconds": 0.2}},
            )
            _ = [chunk async for chunk in reply]

        with pytest.raises(openai.APIError, match=r"within 0\.2 seconds") as failed:
            await ask()
        assert stream or getattr(failed.value, "status_code", None) == 504
        await servers.reasoner.until_live(0)
        assert 'deepprune_questions_total{outcome="interrupted"} 1.0' in await counted(url)


async def test_the_judge_serves_the_policies_that_need_it() -> None:
    async with serving(PacedServers(words=12), judged=True) as url, client(url) as ai:
        names = [model.id async for model in ai.models.list()]
        assert names[0] == "paced"
        assert "paced:deepprune" in names
        for name in ("paced:cons@16", "paced:esc@3"):  # the second one is not listed
            assert (await ai.models.retrieve(name)).id == name
        reply = await ai.chat.completions.create(
            model="paced:deepprune",
            messages=QUESTION,
            extra_body={"deepprune": {"settings": {"checkpoint.words": 4}}},
        )
    assert (reply.model_extra or {})["deepprune"]["policy"] == "deepprune"
    assert reply.usage is not None
    assert (reply.usage.model_extra or {})["judge"]["prompt_tokens"] >= 0


async def test_errors_are_the_package_s_exceptions() -> None:
    async with serving(PacedServers(words=2), api_key="secret") as url:
        async with client(url, "wrong") as ai:
            with pytest.raises(openai.AuthenticationError):
                await ai.models.list()
        async with client(url, "secret") as ai:
            with pytest.raises(openai.NotFoundError):
                await ai.chat.completions.create(model="other", messages=QUESTION)
            with pytest.raises(openai.NotFoundError):
                await ai.models.retrieve("other")
            with pytest.raises(openai.BadRequestError, match="logprobs"):
                await ai.chat.completions.create(model="paced", messages=QUESTION, logprobs=True)
            with pytest.raises(openai.BadRequestError, match="at most 8"):
                await ai.chat.completions.create(model="paced", messages=QUESTION, n=9)
            for last in ({"role": "user", "content": " "}, {"role": "assistant", "content": "I"}):
                wrong: list[Any] = [*QUESTION, last]
                with pytest.raises(openai.BadRequestError, match="last message"):
                    await ai.chat.completions.create(model="paced", messages=wrong)
            with pytest.raises(openai.NotFoundError):
                await ai.embeddings.create(model="paced", input="x")


async def test_a_reasoner_that_fails_is_a_bad_gateway_also_in_a_stream() -> None:
    servers = PacedServers(words=2)
    async with serving(servers) as url, client(url) as ai:
        servers.reasoner.answers["/v1/completions"] = answer_json({"error": "gone"}, 404)
        with pytest.raises(openai.APIStatusError) as failed:
            await ai.chat.completions.create(model="paced", messages=QUESTION)
        assert failed.value.status_code == 502
        stream = await ai.chat.completions.create(model="paced", messages=QUESTION, stream=True)
        with pytest.raises(openai.APIError):
            _ = [chunk async for chunk in stream]


async def test_too_many_questions_are_told_to_come_back() -> None:
    servers = PacedServers(words=4000, pause=0.05)
    async with serving(servers, questions_at_once=1, queue=1) as url, client(url) as ai:
        ask = ai.chat.completions.create
        first = [asyncio.create_task(ask(model="paced", messages=QUESTION)) for _ in range(2)]
        await servers.reasoner.until_live(4)
        await until_waiting(url, 1)
        with pytest.raises(openai.RateLimitError) as refused:
            await ask(model="paced", messages=QUESTION)
        assert int(refused.value.response.headers["Retry-After"]) >= 1
        for task in first:
            task.cancel()
        await servers.reasoner.until_live(0)


async def test_a_chat_is_asked_with_all_its_turns() -> None:
    servers = PacedServers(words=2)
    turns: list[Any] = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "One?"},
        {"role": "assistant", "content": "One."},
        {
            "role": "user",
            "content": [{"type": "text", "text": "And"}, {"type": "text", "text": "two?"}],
        },
    ]
    async with serving(servers) as url, client(url) as ai:
        await ai.chat.completions.create(
            model="paced", messages=turns, extra_body={"deepprune": {"traces": 1}}
        )
    sent = servers.reasoner.bodies("/tokenize")[-1]["messages"]
    assert [message["role"] for message in sent] == ["system", "user", "assistant", "user"]
    assert "And\ntwo?" in sent[-1]["content"]


@pytest.mark.parametrize(
    ("data", "kind", "status"),
    [
        (b"{}", "text/plain", 415),
        (b"x" * 2000, "application/json", 413),
        (b"{", "application/json", 400),
    ],
)
async def test_hostile_bodies_are_refused(data: bytes, kind: str, status: int) -> None:
    headers = {"Content-Type": kind}
    async with (
        serving(PacedServers(), max_body=1000) as url,
        aiohttp.ClientSession() as session,
        session.post(f"{url}/chat/completions", data=data, headers=headers) as reply,
    ):
        assert reply.status == status
        assert json.loads(await reply.text())["error"]["message"]


async def test_a_stream_that_waits_for_a_place_says_so_and_is_kept_alive(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(admission, "_TELL_SECONDS", 0.01)
    monkeypatch.setattr(streaming, "_KEEP_ALIVE_SECONDS", 0.0)
    servers = PacedServers(words=4000, pause=0.05)
    async with (
        serving(servers, questions_at_once=1) as url,
        client(url) as ai,
        aiohttp.ClientSession() as session,
    ):
        ask = ai.chat.completions.create
        first = asyncio.create_task(ask(model="paced", messages=QUESTION))
        await servers.reasoner.until_live(4)
        body = {"model": "paced", "messages": QUESTION, "stream": True}
        async with session.post(f"{url}/chat/completions", json=body) as second:
            said = b""
            while b": keep-alive" not in said:
                said += await second.content.readany()
            first.cancel()
            while b"4 traces running" not in said:
                said += await second.content.readany()
        await servers.reasoner.until_live(0)
    assert said.count(b"waiting: other questions come first") == 2  # under both names
    assert said.count(b'"role":"assistant"') == 1


async def test_a_fault_of_this_server_is_an_error_in_the_same_form(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(PacedServers(words=2)) as url, client(url) as ai:
        monkeypatch.setattr(app, "question_of_messages", None)
        with pytest.raises(openai.InternalServerError) as failed:
            await ai.chat.completions.create(model="paced", messages=QUESTION)
    assert (failed.value.status_code, failed.value.type) == (500, "server_error")
    assert "A request failed." in caplog.text


async def test_a_fault_in_a_stream_closes_it_and_is_counted_as_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    body = {"model": "paced", "messages": QUESTION, "stream": True}
    async with serving(PacedServers(words=2)) as url, aiohttp.ClientSession() as session:
        monkeypatch.setattr(streamed_reply, "choice_of", None)
        async with session.post(f"{url}/chat/completions", json=body) as reply:
            with pytest.raises(aiohttp.ClientPayloadError):
                await reply.read()
        assert 'path="/v1/chat/completions",status="500"} 1.0' in await counted(url)


async def test_each_end_of_a_question_is_counted() -> None:
    servers = PacedServers(words=4000, pause=0.05)
    async with serving(servers) as url, client(url) as ai:
        ask = ai.chat.completions.create
        await ask(model="paced", messages=QUESTION, extra_body={"deepprune": {"seconds": 0.2}})
        left = asyncio.create_task(ask(model="paced", messages=QUESTION))
        await servers.reasoner.until_live(4)
        left.cancel()
        await servers.reasoner.until_live(0)
        servers.reasoner.answers["/v1/completions"] = answer_json({"error": "gone"}, 404)
        with pytest.raises(openai.APIStatusError):
            await ask(model="paced", messages=QUESTION)
        text = ""
        async with asyncio.timeout(30):
            while 'status="499"' not in text:
                text = await counted(url)
    for outcome in ("interrupted", "left", "failed"):
        assert f'deepprune_questions_total{{outcome="{outcome}"}} 1.0' in text


async def test_runs_are_kept_if_wanted_and_counted(tmp_path: Path) -> None:
    async with (
        serving(PacedServers(words=2), keep_runs=tmp_path) as url,
        client(url) as ai,
        aiohttp.ClientSession() as session,
    ):
        reply = await ai.chat.completions.create(model="paced", messages=QUESTION)
        run_id = (reply.model_extra or {})["deepprune"]["run_id"]
        assert (tmp_path / run_id / "report.json").exists()
        text = await counted(url)
        async with session.get(url.removesuffix("/v1") + "/health") as health:
            assert health.status == 200
    assert 'deepprune_questions_total{outcome="answered"} 1.0' in text
    assert 'deepprune_generated_tokens_total{fate="finished"} 12.0' in text


async def test_the_client_without_asyncio_streams_and_leaves_as_well() -> None:
    servers = PacedServers(words=400, pause=0.02)

    def ask(url: str) -> None:
        with openai.OpenAI(base_url=url, api_key="none", max_retries=0) as ai:
            stream = ai.chat.completions.create(model="paced", messages=QUESTION, stream=True)
            assert next(iter(stream)).choices[0].delta.role == "assistant"
            stream.close()

    async with serving(servers) as url:
        await asyncio.to_thread(ask, url)
        await servers.reasoner.until_live(0)
