"""What all clients of a server share: its model, its connections, and the limits of short requests."""

import asyncio
from typing import Any

import pytest
from aiohttp import web

from orchestrator.client.endpoint import EndpointClient, all_of
from orchestrator.errors import ConfigError, EndpointError, EndpointRejected, StreamBroken
from tests.support.engine import Engine
from tests.support.fake_server import Answer, FakeServer, answer_json, answer_stream


def client(server: FakeServer, **options: Any) -> EndpointClient:
    defaults: dict[str, Any] = {"api_key": None, "connect_seconds": 5.0, "read_seconds": 5.0}
    return EndpointClient(server.url, key_name="KEY", **(defaults | options))


def serving(models: Any) -> FakeServer:
    answer: Answer = answer_json(models)
    return FakeServer({"/v1/models": answer})


TWO = {"data": [{"id": "a"}, {"id": "b", "owned_by": "vllm", "max_model_len": 9}]}


async def test_the_only_model_is_found() -> None:
    async with serving({"data": [{"id": "m"}]}) as server, client(server) as asked:
        assert (await asked.find_model(None, "--model")).name == "m"


async def test_a_wanted_model_is_found_among_several() -> None:
    async with serving(TWO) as server, client(server) as asked:
        found = await asked.find_model("b", "--model")
    assert (found.name, found.owner, found.max_model_len) == ("b", "vllm", 9)


async def test_several_models_need_a_choice() -> None:
    async with serving(TWO) as server, client(server) as asked:
        with pytest.raises(ConfigError, match=r"a, b.*judge\.model"):
            await asked.find_model(None, "judge.model")


@pytest.mark.parametrize(
    "models", [{"data": []}, [], None, {"data": None}, {}, 7, "m", {"data": 3}]
)
async def test_a_server_without_a_model_is_refused_unless_one_is_named(models: Any) -> None:
    async with serving(models) as server, client(server) as asked:
        with pytest.raises(EndpointRejected, match=r"lists no model.*--model"):
            await asked.find_model(None, "--model")
        assert (await asked.find_model("m", "--model")).name == "m"
    assert ["does not list the model 'm'" in note for note in asked.notes] == [True]


async def page(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    return web.Response(text="<html><h1>Welcome</h1></html>", content_type="text/html")


@pytest.mark.parametrize(
    ("answer", "kind", "reason"),
    [
        (answer_json({"detail": "Not Found"}, 404), EndpointRejected, "Not Found"),
        (answer_json({"detail": "not yours"}, 403), EndpointRejected, "not yours"),
        (answer_json({"detail": "broken"}, 500), StreamBroken, "broken"),
        (answer_json({}, 302, {"Location": "/login"}), EndpointRejected, "/login"),
        (answer_json({"error": {"message": "no list"}}, 405), EndpointRejected, "no list"),
        (page, StreamBroken, "cannot be read: Welcome"),
    ],
)
async def test_a_server_without_a_list_of_models_is_refused_unless_one_is_named(
    answer: Answer, kind: type[EndpointError], reason: str
) -> None:
    async with FakeServer({"/v1/models": answer}) as server, client(server) as asked:
        with pytest.raises(kind, match=rf"{reason}.*set --model to the name of one"):
            await asked.find_model(None, "--model")
        assert (await asked.find_model("m", "--model")).name == "m"
    assert [reason in note for note in asked.notes] == [True]


async def test_a_refused_key_is_no_missing_list() -> None:
    refusal = answer_json({"detail": "who?"}, 401)
    async with FakeServer({"/v1/models": refusal}) as server, client(server) as asked:
        with pytest.raises(EndpointRejected, match=r"who\?.*Set KEY"):
            await asked.find_model("m", "--model")
    assert asked.notes == []


async def test_what_may_explain_a_refusal_is_added_to_it() -> None:
    async with serving(TWO) as server, client(server) as asked:
        await asked.find_model("c", "--model")
        with (
            pytest.raises(EndpointRejected, match=r"no such model\. .*'c'.*it lists: a, b"),
            asked.explained(),
        ):
            raise EndpointRejected("no such model.", 404)


async def test_a_list_that_does_not_come_is_not_waited_for_as_long_as_a_stream() -> None:
    hang = answer_stream(end="hang")
    async with (
        FakeServer({"/v1/models": hang}) as server,
        client(server, read_seconds=3600.0, answer_seconds=0.1) as asked,
    ):
        with pytest.raises(StreamBroken, match=r"within 0\.1 seconds"):
            await asked.find_model(None, "--model")


async def test_leaving_the_client_closes_its_connections() -> None:
    async with FakeServer({"/v1/models": answer_stream(end="hang")}) as server:
        async with client(server) as asked:
            listing = asyncio.ensure_future(asked.find_model(None, "--model"))
            await server.until_live(1)
        await server.until_live(0)
        with pytest.raises(StreamBroken):
            await listing


async def test_a_server_without_vllms_metrics_has_no_counters() -> None:
    async with FakeServer() as server, client(server) as asked:
        assert await asked.counters() is None


async def test_the_counters_of_a_gateway_are_those_of_its_engines_added_up() -> None:
    first, second = Engine(generated=5, cached=1, running=1), Engine(generated=7, cached=2)
    async with (
        FakeServer({"/metrics": Engine(generated=1000).page}) as gateway,
        FakeServer({"/metrics": first.page}) as one,
        FakeServer({"/metrics": second.page}) as other,
    ):
        engines = (one.url, other.url.replace("/v1", "/metrics"))
        async with client(gateway, api_key="sk-secret", engines=engines) as asked:
            found = await asked.counters()
            del other.answers["/metrics"]
            assert await asked.counters() is None
        assert "Authorization" not in one.seen[0].headers
    assert found is not None
    assert (found.generation_tokens, found.prompt_tokens_cached, found.running) == (12, 3, 1)


async def test_results_of_several_calls_come_in_order() -> None:
    async def after(seconds: float, value: str) -> str:
        await asyncio.sleep(seconds)
        return value

    assert await all_of([after(0.02, "a"), after(0.0, "b")]) == ["a", "b"]


async def test_the_first_error_cancels_the_other_calls() -> None:
    cancelled = False

    async def wait() -> None:
        nonlocal cancelled
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            cancelled = True
            raise

    async def fail() -> None:
        await asyncio.sleep(0)
        raise StreamBroken("cut")

    with pytest.raises(StreamBroken, match="cut"):
        await all_of([wait(), fail()])
    assert cancelled
