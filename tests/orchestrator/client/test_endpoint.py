"""What all clients of a server share: its model, its connections, and the limits of short requests."""

import asyncio
from typing import Any

import pytest
from aiohttp import web

from orchestrator.client import endpoint
from orchestrator.client.endpoint import EndpointClient, all_of
from orchestrator.errors import ConfigError, EndpointRejected, StreamBroken
from tests.support.fake_server import Answer, FakeServer, answer_json, answer_stream


def client(server: FakeServer, **options: Any) -> EndpointClient:
    limits: dict[str, Any] = {"connect_seconds": 5.0, "read_seconds": 5.0}
    return EndpointClient(server.url, api_key=None, key_name="KEY", **(limits | options))


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


async def test_a_model_that_is_not_served_is_refused_with_the_ones_that_are() -> None:
    async with serving(TWO) as server, client(server) as asked:
        with pytest.raises(EndpointRejected, match=r"'other'.*serves: a, b\. Set --model"):
            await asked.find_model("other", "--model")


async def test_several_models_need_a_choice() -> None:
    async with serving(TWO) as server, client(server) as asked:
        with pytest.raises(ConfigError, match=r"a, b.*judge\.model"):
            await asked.find_model(None, "judge.model")


async def test_a_server_without_a_model_is_refused() -> None:
    async with serving({"data": []}) as server, client(server) as asked:
        with pytest.raises(EndpointRejected, match="lists no model"):
            await asked.find_model(None, "--model")


async def test_a_web_server_without_models_is_refused() -> None:
    not_found = answer_json({"detail": "Not Found"}, 404)
    async with FakeServer({"/v1/models": not_found}) as server, client(server) as asked:
        with pytest.raises(EndpointRejected, match="/v1"):
            await asked.find_model(None, "--model")


async def test_a_web_page_is_not_a_list_of_models() -> None:
    async def page(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        return web.Response(text="<html>Welcome</html>", content_type="text/html")

    async with FakeServer({"/v1/models": page}) as server, client(server) as asked:
        with pytest.raises(StreamBroken, match="cannot be read"):
            await asked.find_model(None, "--model")


@pytest.mark.parametrize("body", [[], {"models": []}, {"data": None}, {"data": [{"name": "m"}]}])
async def test_a_list_of_another_form_is_an_error(body: Any) -> None:
    async with serving(body) as server, client(server) as asked:
        with pytest.raises(StreamBroken, match="cannot be read"):
            await asked.find_model(None, "--model")


async def test_a_list_that_does_not_come_is_not_waited_for_as_long_as_a_stream(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(endpoint, "_LIST_SECONDS", 0.1)
    hang = answer_stream(end="hang")
    async with (
        FakeServer({"/v1/models": hang}) as server,
        client(server, read_seconds=3600.0) as asked,
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
