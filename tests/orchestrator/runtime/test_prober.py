"""Running traces that are asked for their answers, by a policy that asks each of them once."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

import deepprune
from orchestrator.core.commands import Command
from orchestrator.core.engine import Engine
from orchestrator.core.events import DerivedEvent, Event, VoteCast
from orchestrator.journal.journal import read_journal
from tests.support.fake_server import answer_json
from tests.support.paced_servers import PacedServers

MODEL = {"model.force_answer": "\nThe answer is \\boxed{"}


@dataclass
class AskOnce:
    """Starts two traces, asks each for its answer after some tokens, and finishes them."""

    uses_checkpoints = False
    watches_tokens = True
    at_rest = True
    asked: set[int] = field(default_factory=set)

    def start(self) -> deepprune.Step:
        return deepprune.Step([], [deepprune.StartTrace(trace=trace) for trace in range(2)])

    def on(self, event: deepprune.Event) -> deepprune.Step:
        if (
            isinstance(event, deepprune.TokensArrived)
            and event.tokens >= 5
            and event.trace not in self.asked
        ):
            self.asked.add(event.trace)
            return deepprune.Step([], [deepprune.ProbeTrace(trace=event.trace)])
        return deepprune.Step([], [])

    def voters(self, finished: tuple[int, ...]) -> list[int]:
        return list(finished)


async def asked(servers: PacedServers, **settings: Any) -> deepprune.QuestionRun:
    """A question under `AskOnce`, with its view."""
    async with (
        servers.serving(),
        deepprune.Client(
            servers.reasoner.url, policy=AskOnce(), traces=2, settings=settings
        ) as client,
    ):
        run = client.prepare(deepprune.Question(id="1", question="How many?"))
        await client.run(run)
    return run


async def test_a_running_trace_tells_its_answer_and_the_bill_has_the_probe() -> None:
    run = await asked(PacedServers(words=20, pause=0.01, answers=("26", "38")), **MODEL)
    probes = [event for event in run.view.events if isinstance(event, deepprune.TraceProbed)]
    assert {(probe.trace, probe.answer) for probe in probes} == {(0, "26"), (1, "38")}
    for probe in probes:
        assert 5 <= probe.asked_at < 21
        assert probe.tokens == 2
        assert probe.prompt_tokens == 3 + probe.asked_at + 1
        assert probe.cached_prompt_tokens == probe.prompt_tokens - 1
        assert probe.logprob == -0.75
    assert run.report is not None
    assert run.report.ledger.reasoner.by_fate.probes == 4
    assert run.report.ledger.reasoner.generated_tokens == 2 * 21 + 4
    assert run.report.traces.finished == 2


async def test_the_request_continues_the_trace_greedily_and_shortly() -> None:
    servers = PacedServers(words=20, pause=0.01)
    await asked(servers, **MODEL)
    sent = [body for body in servers.reasoner.bodies("/v1/completions") if not body.get("stream")]
    assert len(sent) == 2
    for body in sent:
        assert body["temperature"] == 0.0
        assert body["max_tokens"] == 24
        assert "logprobs" not in body  # the run asks for none
        assert body["prompt"][:3] == [1, 2, 3]
    forced = [body["prompt"] for body in servers.reasoner.bodies("/tokenize") if "prompt" in body]
    assert "\nThe answer is \\boxed{" in forced


async def test_a_model_that_is_in_the_middle_of_its_answer_goes_on_with_it() -> None:
    """The thinking ends with the first word, and the probe completes a box that the trace itself has opened."""
    servers = PacedServers(words=20, pause=0.01, answers=("26",))
    complete = servers.reasoner.answers["/v1/completions"]
    usage = {"prompt_tokens": 9, "completion_tokens": 1}

    async def answer(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        if body.get("stream"):
            return await complete(request, body)
        return web.json_response({"choices": [{"text": "26}"}], "usage": usage})

    servers.reasoner.answers["/v1/completions"] = answer
    servers.script = lambda trace: ["</think>", *["so "] * 3, *["\\boxed{"], *["26"] * 20]  # type: ignore[method-assign]
    run = await asked(servers, **{"model.thinking_close": "</think>", "model.force_answer": ""})
    probes = [event for event in run.view.events if isinstance(event, deepprune.TraceProbed)]
    assert {probe.trace for probe in probes} == {0, 1}
    assert all((probe.raw_answer or "").endswith("26") for probe in probes)


async def test_a_probe_that_fails_ends_no_trace() -> None:
    servers = PacedServers(words=20, pause=0.01)
    complete = servers.reasoner.answers["/v1/completions"]
    refuse = answer_json({"error": "no"}, 500)

    async def answer(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        return await (complete if body.get("stream") else refuse)(request, body)

    servers.reasoner.answers["/v1/completions"] = answer
    run = await asked(servers, **MODEL)
    failed = [event for event in run.view.events if isinstance(event, deepprune.ProbeFailed)]
    assert [event.trace for event in failed] == [0, 1] or [event.trace for event in failed] == [
        1,
        0,
    ]
    assert all("500" in event.message for event in failed)
    assert run.report is not None
    assert run.report.traces.finished == 2


@pytest.mark.parametrize(
    "found",
    [
        {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 1}},
        {"choices": [{"text": "1}"}], "usage": {"prompt_tokens": 1, "completion_tokens": 10**9}},
        {"choices": [{"text": "1}"}]},
        {"choices": [{"text": 1}], "usage": {"prompt_tokens": 1, "completion_tokens": 1}},
        [],
    ],
)
async def test_an_odd_completion_is_a_failed_probe(found: object) -> None:
    servers = PacedServers(words=20, pause=0.01)
    complete = servers.reasoner.answers["/v1/completions"]

    async def answer(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        return await (complete if body.get("stream") else answer_json(found))(request, body)

    servers.reasoner.answers["/v1/completions"] = answer
    run = await asked(servers, **MODEL)
    assert sum(isinstance(event, deepprune.ProbeFailed) for event in run.view.events) == 2
    assert run.report is not None
    assert run.report.ledger.reasoner.by_fate.probes == 0


async def test_capabilities_say_whether_a_model_can_be_asked() -> None:
    async with PacedServers().serving() as servers:
        url = servers.reasoner.url
        async with deepprune.Client(url, settings=MODEL) as client:
            assert client.endpoints.capabilities.probes
        async with deepprune.Client(url) as client:
            assert not client.endpoints.capabilities.probes


async def test_probes_are_in_the_journal(tmp_path: Path) -> None:
    servers = PacedServers(words=20, pause=0.01)
    async with (
        servers.serving(),
        deepprune.Client(
            servers.reasoner.url, policy=AskOnce(), traces=2, settings=MODEL, out=tmp_path
        ) as client,
    ):
        result = await asyncio.wait_for(client.ask("How many?"), 60)
    assert result.run_dir is not None
    kinds = [type(entry).__name__ for entry in read_journal(result.run_dir)]
    assert (kinds.count("ProbeTrace"), kinds.count("TraceProbed")) == (2, 2)


def hold_probes(servers: PacedServers) -> asyncio.Event:
    """No probe is answered before this is set."""
    complete, released = servers.reasoner.answers["/v1/completions"], asyncio.Event()

    async def answer(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        if not body.get("stream"):
            await released.wait()
        return await complete(request, body)

    servers.reasoner.answers["/v1/completions"] = answer
    return released


async def test_a_probe_that_is_answered_after_the_vote_is_on_the_bill_and_replays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.runtime.loop._PROBING_SECONDS", 30.0)
    servers = PacedServers(words=20, pause=0.01, answers=("26", "38"))
    released = hold_probes(servers)

    def release(entry: object) -> None:
        if isinstance(entry, VoteCast):
            released.set()

    async with (
        servers.serving(),
        deepprune.Client(
            servers.reasoner.url, policy=AskOnce(), traces=2, settings=MODEL
        ) as client,
    ):
        run = client.prepare(deepprune.Question(id="1", question="How many?"), folder=tmp_path)
        run.listener = release
        await client.run(run)
    kinds = [type(event).__name__ for event in run.view.events]
    vote = kinds.index("VoteCast")
    assert kinds[vote:].count("TraceProbed") == 2
    assert kinds[-1] == "RunFinished"
    assert run.report is not None
    assert run.report.ledger.reasoner.by_fate.probes == 4
    entries = list(read_journal(tmp_path))
    assert isinstance(entries[0], deepprune.RunStarted)
    engine = Engine(entries[0], AskOnce())
    outside = [e for e in entries if isinstance(e, Event) and not isinstance(e, DerivedEvent)]
    decided = [command for event in outside for command in engine.feed(event).commands]
    assert decided == [entry for entry in entries if isinstance(entry, Command)]
    assert engine.probing == 0


async def test_a_probe_that_is_not_answered_holds_no_run_up_for_long() -> None:
    servers = PacedServers(words=20, pause=0.01, answers=("26", "38"))
    hold_probes(servers)
    async with asyncio.timeout(20):
        run = await asked(servers, **MODEL)
    assert run.report is not None
    assert run.report.traces.finished == 2
    assert run.report.ledger.reasoner.by_fate.probes == 0
    assert not any(isinstance(event, deepprune.TraceProbed) for event in run.view.events)
