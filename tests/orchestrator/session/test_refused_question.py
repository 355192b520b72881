"""A question that the server cannot take: it is recorded, and the others go on."""

import dataclasses
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

import deepprune
from bench.live.run import run_live
from bench.specs.policy_spec import parse_policies
from orchestrator.core.events import RunFinished, RunStarted
from orchestrator.errors import QuestionRefused
from orchestrator.interrupts import Interrupts
from orchestrator.journal.journal import read_journal
from orchestrator.journal.replay import replay
from orchestrator.questions import Question
from orchestrator.runtime.endpoints import Keys
from orchestrator.session.session import Session
from orchestrator.settings import Settings
from tests.support.fake_server import FakeServer, answer_stream, event
from tests.support.paced_servers import PacedServers
from tests.support.recorded_server import live_plan
from tests.support.sessions import run_session

LONG = "word " * 5000
QUESTIONS = [
    Question(id="first", question="1?", gold="26"),
    Question(id="long", question=LONG, gold="26"),
    Question(id="last", question="2?", gold="26"),
]
SENTENCE = "The question has 5000 tokens, and the context of paced holds 5000; shorten it"


@pytest.fixture
async def servers() -> AsyncIterator[PacedServers]:
    """Servers that count a token for each word of a long question."""
    paced = PacedServers(words=6, answers=("26",))
    short = paced.reasoner.answers["/tokenize"]

    async def tokenize(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        words = [word for m in body.get("messages", ()) for word in m["content"].split()]
        if len(words) < 5000:
            return await short(request, body)
        return web.json_response({"tokens": [1] * 5000, "max_model_len": 5000})

    paced.reasoner.answers["/tokenize"] = tokenize
    async with paced.serving():
        yield paced


def session(servers: PacedServers, out: Path, questions: list[Question]) -> Session:
    tree = {
        "endpoint": {"urls": [servers.reasoner.url]},
        "policy": {"name": "consensus", "traces": 2},
        "prompt": {"name": "plain"},
        "run": {"out": str(out)},
    }
    return Session(settings=Settings.model_validate(tree), questions=questions, keys=Keys())


async def test_in_a_file_the_others_are_asked_and_it_is_not_asked_again(
    servers: PacedServers, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = session(servers, tmp_path, QUESTIONS)
    ended = await run_session(asked)
    assert [report.answer for report in ended.reports] == ["26", None, "26"]
    refused = ended.reports[1]
    assert (refused.error or "").startswith(SENTENCE)
    assert (refused.correct, refused.traces.started, refused.interrupted) == (False, 0, False)
    printed = capsys.readouterr()
    assert f"Question long: {SENTENCE}" in printed.err
    assert json.loads(printed.out.splitlines()[1])["error"] == refused.error
    (run_dir,) = tmp_path.iterdir()
    servers.reasoner.seen.clear()
    again = await run_session(dataclasses.replace(asked, resume=run_dir))
    assert servers.reasoner.seen == []
    assert again.reports == ended.reports


async def test_its_journal_says_so_and_can_be_replayed_and_continued(
    servers: PacedServers, tmp_path: Path
) -> None:
    ended = await run_session(session(servers, tmp_path, QUESTIONS))
    (folder,) = tmp_path.glob("*/0002-long")
    started, *_, finished = read_journal(folder)
    assert isinstance(started, RunStarted)
    assert isinstance(finished, RunFinished)
    assert (started.refusal or "").startswith(SENTENCE)
    assert replay(folder).difference is None
    (folder / "report.json").unlink()
    journal = folder / "journal.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    for cut in range(2, len(lines)):  # as a kill leaves it
        journal.write_text("".join(lines[:cut]))
        servers.reasoner.seen.clear()
        asked = session(servers, tmp_path, QUESTIONS)
        again = await run_session(dataclasses.replace(asked, resume=folder.parent))
        assert again.reports[1].error == ended.reports[1].error
        assert not [b for b in servers.reasoner.bodies("/v1/completions") if b["max_tokens"] > 2]
        (folder / "report.json").unlink()


async def test_a_single_question_ends_with_the_sentence(
    servers: PacedServers, tmp_path: Path
) -> None:
    with pytest.raises(QuestionRefused, match=SENTENCE) as caught:
        await run_session(session(servers, tmp_path, QUESTIONS[1:2]))
    assert caught.value.exit_code == 2


async def test_the_client_raises_it_for_one_question_and_gives_a_result_among_many(
    servers: PacedServers,
) -> None:
    async with deepprune.Client(servers.reasoner.url, policy="pass1", prompt="plain") as client:
        with pytest.raises(deepprune.EndpointRejected, match=SENTENCE):
            await client.ask(LONG)
        results = [result async for result in client.ask_many([LONG, "1?"], at_once=1)]
    assert [result.answer for result in results] == [None, "26"]
    assert (results[0].report.error or "").startswith(SENTENCE)


async def test_a_chat_server_that_refuses_every_stream_of_a_question_is_asked_the_others(
    tmp_path: Path,
) -> None:
    async def complete(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        if len(body["messages"][-1]["content"]) > 100:
            return web.json_response({"error": {"message": "maximum context is 10"}}, status=400)
        return await answers(request, body)

    answers = answer_stream(event("The answer is 26.", finish_reason="stop"))
    async with FakeServer({"/v1/chat/completions": complete}) as server:
        chat = dataclasses.replace(PacedServers(), reasoner=server)
        asked = session(chat, tmp_path, QUESTIONS)
        endpoint = asked.settings.endpoint.model_copy(update={"api": "chat"})
        settings = asked.settings.model_copy(update={"endpoint": endpoint})
        ended = await run_session(dataclasses.replace(asked, settings=settings))
    assert [report.answer for report in ended.reports] == ["26", None, "26"]
    assert ended.reports[1].traces.failed == 2
    assert "maximum context is 10" in (ended.reports[1].error or "")
    (folder,) = tmp_path.glob("*/0002-long")
    assert replay(folder).difference is None


async def test_in_a_benchmark_it_counts_as_a_wrong_answer(
    servers: PacedServers, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = {"endpoint.urls": (servers.reasoner.url,), "prompt.name": "plain"}
    plan = live_plan(
        "", tmp_path, questions=QUESTIONS, specs=parse_policies(["cons@2"], flags=flags)
    )
    outcomes = await run_live(plan, Interrupts(lambda text: None), lambda: None)
    assert [outcome.correct for outcome in outcomes] == [True, False, True]
    assert SENTENCE in capsys.readouterr().err
    servers.reasoner.seen.clear()
    assert await run_live(plan, Interrupts(lambda text: None), lambda: None) == outcomes
    assert not [b for b in servers.reasoner.bodies("/v1/completions") if b["max_tokens"] > 2]
