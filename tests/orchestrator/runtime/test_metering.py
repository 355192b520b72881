"""Whose tokens an engine counts: counters that several clients move belong to none of them."""

from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from orchestrator.client.endpoint import EndpointClient
from orchestrator.client.server_counters import Metered
from orchestrator.questions import Question
from orchestrator.runtime.endpoints import Keys, open_endpoints
from orchestrator.runtime.metering import EngineUse, Meters
from orchestrator.runtime.question_run import QuestionRun
from orchestrator.session.notes import server_notes
from orchestrator.settings import Settings
from tests.orchestrator.client.judge.fake_judge import SCORING, scoring
from tests.orchestrator.client.reasoner.fake_reasoner import COMPLETIONS, ONE_TOKEN
from tests.support.engine import Engine
from tests.support.fake_server import FakeServer, answer_json


def client(server: FakeServer) -> EndpointClient:
    return EndpointClient(
        server.url, api_key=None, key_name="KEY", connect_seconds=10, read_seconds=10
    )


def asks(*engines: Engine) -> Callable[[], Awaitable[None]]:
    """A request that these engines count."""

    async def ask() -> None:
        for engine in engines:
            engine.prompts += 5

    return ask


async def shared(first: FakeServer, second: FakeServer, *asked: Engine) -> frozenset[str]:
    """The roles that share an engine, when asking the second server moves the engines `asked`."""
    use = EngineUse()
    async with client(first) as one, client(second) as other:
        use.add("reasoner", one)
        await use.probed("judge", other, asks(*asked))
    return use.shared


def showing(engine: Engine) -> FakeServer:
    """A server of these counters."""
    return FakeServer({"/metrics": engine.page})


async def test_two_engines_share_nothing() -> None:
    one, other = Engine(), Engine()
    async with showing(one) as first, showing(other) as second:
        assert await shared(first, second, other) == frozenset()


async def test_one_address_is_one_engine() -> None:
    async with showing(Engine()) as server:
        assert await shared(server, server) == {"reasoner", "judge"}


async def test_an_engine_under_two_addresses_is_found_by_its_counters() -> None:
    engine = Engine()
    async with showing(engine) as first:
        async with showing(engine) as second:
            assert await shared(first, second, engine) == {"reasoner", "judge"}
        async with FakeServer() as gateway:  # no counters of its own
            assert await shared(first, gateway, engine) == {"reasoner", "judge"}


async def test_servers_without_counters_share_nothing_that_matters() -> None:
    async with FakeServer() as first, FakeServer() as second:
        assert await shared(first, second) == frozenset()


async def test_a_shared_engine_is_not_metered() -> None:
    engine = Engine(generated=1, cached=1)
    run = QuestionRun(question=Question(id="1", question="?"), settings=Settings())
    async with showing(engine) as server, client(server) as one:
        for roles, counted in (({"judge"}, Metered(3, 3)), ({"reasoner", "judge"}, Metered())):
            meters = Meters(run, reasoner=one, judge=one, shared=frozenset(roles))
            await meters.start()
            engine.generated += 3
            engine.cached += 3
            assert await meters.stop() == (counted, Metered())


async def test_a_judge_at_the_reasoners_address_is_said_and_not_metered() -> None:
    async def tokenize(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        return web.json_response({"tokens": [ord(c) for c in body.get("prompt", "Hi")]})

    answers = {
        "/v1/models": answer_json({"data": [{"id": "m"}]}),
        "/metrics": Engine().page,
        "/tokenize": tokenize,
        COMPLETIONS: ONE_TOKEN,
        SCORING: scoring(0.5),
    }
    async with FakeServer(answers) as server:
        settings = Settings.model_validate(
            {"endpoint": {"urls": server.url}, "judge": {"url": server.url}}
        )
        async with open_endpoints(settings, Keys()) as endpoints:
            assert endpoints.shared_engines == {"reasoner", "judge"}
            (note,) = [n for n in server_notes(endpoints, settings) if "engine" in n]
    assert note.startswith("The judge and the reasoner use one engine")
