"""Questions asked through the client, against servers that behave."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

import deepprune
from tests.support.fake_server import answer_json
from tests.support.paced_servers import PacedServers

QUESTION = "How many?"


@pytest.fixture
async def servers() -> AsyncIterator[PacedServers]:
    async with PacedServers(words=8).serving() as running:
        yield running


@pytest.fixture
async def slow() -> AsyncIterator[PacedServers]:
    """Servers whose traces take a quarter of a minute."""
    async with PacedServers(words=300, pause=0.05).serving() as running:
        yield running


async def test_a_question_is_answered_and_nothing_is_written(
    servers: PacedServers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    url = servers.reasoner.url
    async with deepprune.Client(url, policy="consensus", traces=4) as client:
        result = await client.ask(QUESTION, gold="26")
    assert (result.answer, result.correct, result.question) == ("26", True, QUESTION)
    assert [(vote.answer, vote.ballots) for vote in result.votes] == [("26", 3), ("38", 1)]
    assert [trace.number for trace in result.traces] == [0, 1, 2, 3]
    assert {trace.fate for trace in result.traces} == {"finished"}
    assert {trace.finish_reason for trace in result.traces} == {"stop"}
    assert sorted(trace.answer or "" for trace in result.traces) == ["26", "26", "26", "38"]
    assert all(trace.text.endswith(f"\\boxed{{{trace.answer}}}") for trace in result.traces)
    assert result.usage.reasoner.generated_tokens == sum(trace.tokens for trace in result.traces)
    assert result.usage.judge.calls == 0
    assert result.saved == result.net_saved == 0
    assert result.run_dir is None
    assert json.loads(result.to_json())["run_dir"] is None
    assert list(tmp_path.iterdir()) == []


async def test_a_judge_prunes_and_its_bill_is_known(servers: PacedServers) -> None:
    servers.words, servers.pause = 60, 0.005
    client = deepprune.Client(
        servers.reasoner.url,
        judge=servers.judge.url,
        traces=8,
        settings={"policy": {"survivors": 2}, "checkpoint.words": 4},
    )
    assert client.settings.policy.name == "deepprune"
    async with client:
        result = await client.ask(QUESTION)
    assert result.answer == "26"
    assert result.correct is None
    assert result.usage.judge.pairs > 0
    assert {trace.fate for trace in result.traces} >= {"finished", "pruned"}
    assert result.report.policy == "deepprune"


async def test_the_run_folder_is_the_one_of_the_command_line(
    servers: PacedServers, tmp_path: Path
) -> None:
    url = servers.reasoner.url
    async with deepprune.Client(url, policy="pass1", out=tmp_path / "runs") as client:
        result = await client.ask(deepprune.Question(id="mine", question=QUESTION))
    (run_dir,) = (tmp_path / "runs").iterdir()
    assert result.run_dir == run_dir
    names = {file.name for file in run_dir.iterdir()}
    assert names == {"journal.jsonl", "questions.jsonl", "report.json", "settings.yaml"}
    assert (run_dir / "report.json").read_text() == result.to_json() + "\n"
    assert deepprune.read_questions(run_dir / "questions.jsonl")[0].id == "mine"


# --- events ---------------------------------------------------------------------------------------


async def test_a_stream_gives_every_event_and_then_the_result(servers: PacedServers) -> None:
    async with deepprune.Client(servers.reasoner.url, policy="consensus", traces=2) as client:
        stream = client.stream(QUESTION, gold="26")
        with pytest.raises(deepprune.ConfigError, match="read the events to their end"):
            _ = stream.result
        events = [event async for event in stream]
    assert isinstance(events[0], deepprune.RunStarted)
    assert isinstance(events[-1], deepprune.RunFinished)
    text = "".join(
        event.text
        for event in events
        if isinstance(event, deepprune.TokensArrived) and event.trace == 0
    )
    assert text == stream.result.traces[0].text
    assert stream.result.correct is True
    commands = deepprune.Command.__args__
    assert not any(isinstance(event, commands) for event in events)


async def test_leaving_the_loop_early_stops_the_traces_on_the_server(slow: PacedServers) -> None:
    async with deepprune.Client(slow.reasoner.url, policy="consensus", traces=4) as client:
        async for event in client.stream(QUESTION):
            if isinstance(event, deepprune.TokensArrived):
                break
        await slow.reasoner.until_live(0)
        async with client.stream(QUESTION) as stream:
            await anext(stream)
            await slow.reasoner.until_live(4)
        await slow.reasoner.until_live(0)
        with pytest.raises(deepprune.ConfigError, match="no result"):
            _ = stream.result


async def test_closing_the_client_stops_a_stream_that_is_still_read(slow: PacedServers) -> None:
    async with deepprune.Client(slow.reasoner.url, policy="consensus", traces=2) as client:
        stream = client.stream(QUESTION)
        await anext(stream)
        await slow.reasoner.until_live(2)
    await slow.reasoner.until_live(0)
    with pytest.raises(deepprune.DeepPruneError, match="client was closed"):
        async for _ in stream:
            pass


async def test_a_reader_can_steer_what_it_reads(slow: PacedServers) -> None:
    async with deepprune.Client(slow.reasoner.url, policy="consensus", traces=2) as client:
        async with client.stream(QUESTION) as stream:
            async for event in stream:
                if isinstance(event, deepprune.TokensArrived):
                    vote = deepprune.UserCommandReceived(at=0.0, command="vote")
                    stream.run.user_commands.put_nowait(vote)
                    break
            events = [event async for event in stream]
        assert any(isinstance(event, deepprune.UserCommandReceived) for event in events)
        assert stream.result.answer is None
        assert {trace.fate for trace in stream.result.traces} == {"stopped"}


async def test_cancelling_a_question_stops_its_traces_on_the_server(slow: PacedServers) -> None:
    async with deepprune.Client(slow.reasoner.url, policy="consensus", traces=3) as client:
        asked = asyncio.create_task(client.ask(QUESTION))
        await slow.reasoner.until_live(3)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        await slow.reasoner.until_live(0)


# --- many questions -------------------------------------------------------------------------------


class Peak:
    """Counts how many reasoner streams are open at once."""

    def __init__(self, servers: PacedServers) -> None:
        self.most = 0
        complete = servers.reasoner.answers["/v1/completions"]

        async def counted(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
            self.most = max(self.most, servers.reasoner.live)
            return await complete(request, body)

        servers.reasoner.answers["/v1/completions"] = counted


async def test_many_questions_share_one_budget_of_streams(servers: PacedServers) -> None:
    peak = Peak(servers)
    asked = [deepprune.Question(id=f"q{n}", question=f"{n}?", gold="26") for n in range(5)]
    url = servers.reasoner.url
    async with deepprune.Client(url, policy="consensus", traces=4, concurrency=3) as client:
        results = [result async for result in client.ask_many(asked, at_once=3)]
    assert [result.question_id for result in results] == [question.id for question in asked]
    assert peak.most <= 3
    assert all(result.usage.reasoner.server_generated_tokens is None for result in results)


async def test_many_questions_fill_one_run_folder(servers: PacedServers, tmp_path: Path) -> None:
    async with deepprune.Client(servers.reasoner.url, policy="pass1", out=tmp_path) as client:
        results = [result async for result in client.ask_many(["1?", "2?"])]
    (run_dir,) = tmp_path.iterdir()
    assert {result.run_dir for result in results} == {run_dir / "0001-1", run_dir / "0002-2"}
    assert len(deepprune.read_questions(run_dir / "questions.jsonl")) == 2


async def test_leaving_many_questions_early_stops_those_that_run(slow: PacedServers) -> None:
    slow.answers = ("26",)
    async with deepprune.Client(slow.reasoner.url, policy="pass1") as client:
        results = client.ask_many(["1?", "2?", "3?"], at_once=2)
        first = asyncio.ensure_future(anext(results))
        await slow.reasoner.until_live(2)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        await slow.reasoner.until_live(0)


async def test_questions_asked_side_by_side_take_no_count_of_the_server(
    servers: PacedServers,
) -> None:
    servers.reasoner.answers["/metrics"] = standing_counters
    unchecked = {"endpoint": {"check_cancellation": False}}  # it would wait for counters to move
    async with deepprune.Client(servers.reasoner.url, policy="pass1", settings=unchecked) as client:
        alone = await client.ask(QUESTION)
        shared = await asyncio.gather(client.ask(QUESTION), client.ask(QUESTION))
    assert alone.usage.reasoner.server_generated_tokens == 0
    assert [each.usage.reasoner.server_generated_tokens for each in shared] == [None, None]


async def standing_counters(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """A metrics page whose counters never move."""
    names = ("generation_tokens", "prompt_tokens")
    lines = [f"# TYPE vllm:{name} counter\nvllm:{name}_total 5\n" for name in names]
    return web.Response(text="".join(lines))


# --- what goes wrong ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({}, "No reasoner is given"),
        ({"endpoint": "gpu"}, r"endpoint\.urls.*from the arguments"),
        ({"endpoint": "http://gpu/v1", "traces": 0}, r"policy\.traces.*0.*from the arguments"),
        ({"endpoint": "http://gpu/v1", "trcaes": 3}, "no argument trcaes; did you mean traces"),
        ({"endpoint": "http://gpu/v1", "zzz": 3}, r"no argument zzz; use settings="),
        (
            {"endpoint": "http://gpu/v1", "settings": {"policy": {"tua": 1}}},
            r"policy\.tua.*policy\.tau",
        ),
        ({"endpoint": "http://gpu/v1", "policy": "deepprune"}, "needs a judge"),
        ({"endpoint": "http://a/v1", "local": True}, "starts its own servers"),
        ({"settings": deepprune.Settings(), "traces": 3}, "takes no other settings"),
        ({"settings": deepprune.Settings(), "policy": "auto"}, "takes no other settings"),
    ],
)
def test_a_wrong_argument_is_one_sentence(arguments: dict[str, object], sentence: str) -> None:
    with pytest.raises(deepprune.ConfigError, match=sentence):
        deepprune.Client(**arguments)  # type: ignore[arg-type]  # wrong on purpose


def test_keyword_arguments_come_before_settings_and_these_before_the_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(
        "policy: {traces: 1, min_ballots: 1}\nsampling: {temperature: 0.1, top_p: 0.9}\n"
    )
    client = deepprune.Client(
        "http://gpu/v1",
        config=file,
        settings={"policy": {"traces": 2, "min_ballots": 2}, "sampling.temperature": 0.2},
        traces=3,
    )
    policy, sampling = client.settings.policy, client.settings.sampling
    assert (policy.traces, policy.min_ballots) == (3, 2)
    assert (sampling.temperature, sampling.top_p) == (0.2, 0.9)


def test_what_has_an_argument_of_its_own_may_be_a_setting() -> None:
    client = deepprune.Client(
        settings={"endpoint.urls": "http://gpu/v1", "policy.name": "pass1", "run.out": "mine"}
    )
    settings = client.settings
    assert (settings.endpoint.urls, settings.policy.name) == (("http://gpu/v1",), "pass1")
    assert settings.run.out == "mine"
    other = deepprune.Client("http://b/v1", settings={"endpoint.urls": "http://a/v1"})
    assert other.settings.endpoint.urls == ("http://b/v1",)


async def test_keys_come_from_the_arguments_or_the_environment(
    servers: PacedServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "from-the-environment")
    for argument, sent in ((None, "from-the-environment"), ("given", "given")):
        servers.reasoner.seen.clear()
        async with deepprune.Client(servers.reasoner.url, policy="pass1", api_key=argument):
            pass
        assert {each.headers["Authorization"] for each in servers.reasoner.seen} == {
            f"Bearer {sent}"
        }


async def test_a_client_that_is_not_open_says_so(servers: PacedServers) -> None:
    client = deepprune.Client(servers.reasoner.url, policy="pass1")
    with pytest.raises(deepprune.ConfigError, match="async with"):
        await client.ask(QUESTION)
    async with client:
        pass
    with pytest.raises(deepprune.ConfigError, match="async with"):
        await client.ask(QUESTION)


async def test_an_empty_question_is_refused(servers: PacedServers) -> None:
    async with deepprune.Client(servers.reasoner.url, policy="pass1") as client:
        with pytest.raises(deepprune.ConfigError, match="not empty"):
            await client.ask("  ")


async def test_a_question_all_of_whose_traces_failed_is_an_error_with_its_report_kept(
    servers: PacedServers, tmp_path: Path
) -> None:
    url = servers.reasoner.url
    settings = {"endpoint": {"max_attempts": 1}}
    async with deepprune.Client(url, policy="pass1", settings=settings, out=tmp_path) as client:
        servers.reasoner.answers["/v1/completions"] = answer_json({"detail": "out of memory"}, 500)
        with pytest.raises(deepprune.DeepPruneError, match="All 1 traces failed"):
            await client.ask(QUESTION)
    (report,) = tmp_path.glob("*/report.json")
    assert json.loads(report.read_text())["traces"]["failed"] == 1


async def test_a_server_that_does_not_answer_is_named() -> None:
    with pytest.raises(deepprune.EndpointUnreachable, match=r"127\.0\.0\.1:9"):
        async with deepprune.Client("http://127.0.0.1:9/v1", policy="pass1"):
            pass
