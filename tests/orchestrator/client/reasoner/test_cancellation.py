"""Whether closing a stream stops an engine: told by its counters, and by nothing else."""

import asyncio
import contextlib
import math
from typing import Any

import pytest
from aiohttp import web

from orchestrator.client.reasoner import cancellation
from orchestrator.client.reasoner.cancellation import MOST_TOKENS
from orchestrator.runtime.endpoints import Keys, open_endpoints
from orchestrator.session.notes import server_notes
from orchestrator.settings import EndpointSettings, Settings
from tests.orchestrator.client.reasoner.fake_reasoner import (
    CHAT,
    COMPLETIONS,
    TOKENIZE,
    client,
)
from tests.support.engine import Engine
from tests.support.fake_server import Answer, FakeServer, answer_json, event


class Generator:
    """An engine that writes a token every few milliseconds, as long as somebody reads, or as the request says."""

    def __init__(self, *, stops: bool, ends: float = 0) -> None:
        self.engine = Engine()
        self.stops = stops
        self.ends = ends
        """So many answers end with their first token."""

    async def answer(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        most = body["max_tokens"]
        ends = self.ends > 0
        self.ends -= 1
        self.engine.running += 1
        try:
            for token in range(most):
                self.engine.generated += 1
                last = token + 1 == most or ends
                with contextlib.suppress(OSError):
                    reason = "length" if last else None
                    await response.write(
                        event("a", token_ids=[5], generated=token + 1, finish_reason=reason)
                    )
                if last:
                    break
                await self._pause()
            self.engine.finished += 1
        finally:
            self.engine.running -= 1
        return response

    async def _pause(self) -> None:
        try:
            await asyncio.sleep(0.002)
        except asyncio.CancelledError:
            if self.stops:
                raise

    def server(self, **answers: Answer) -> FakeServer:
        """The engine with its counters."""
        return FakeServer(
            {
                "/tokenize": TOKENIZE,
                "/metrics": self.engine.page,
                COMPLETIONS: self.answer,
                CHAT: self.answer,
                **answers,
            }
        )


async def check(server: FakeServer, **endpoint: Any) -> bool | None:
    async with client(server, endpoint=EndpointSettings(**endpoint)) as reasoner:
        await reasoner.probe()
        return await reasoner.stops_when_closed()


@pytest.mark.parametrize("stops", [True, False])
async def test_an_engine_that_goes_on_is_told_from_one_that_stops(stops: bool) -> None:
    generator = Generator(stops=stops)
    async with generator.server() as server:
        assert await check(server) is stops
        limit = min(MOST_TOKENS, 100 // 2)
        assert (generator.engine.generated >= limit) is not stops


async def test_an_engine_behind_a_gateway_is_watched_where_it_is_named() -> None:
    generator = Generator(stops=False)
    async with generator.server() as engine:
        gateway = generator.server(**{"/metrics": answer_json({}, 404)})
        async with gateway:
            assert await check(gateway) is None
            assert await check(gateway, metrics_url=engine.url) is False


async def test_nothing_is_told_of_an_engine_that_others_use() -> None:
    generator = Generator(stops=True)
    generator.engine.running = 1
    async with generator.server() as server:
        assert await check(server) is None
        assert len(server.bodies(COMPLETIONS)) == 1  # the probe's


async def test_nothing_is_told_of_a_stream_that_ended_before_it_was_closed() -> None:
    generator = Generator(stops=True, ends=math.inf)
    async with generator.server() as server:
        assert await check(server) is None


@pytest.mark.parametrize("stops", [True, False])
async def test_a_further_stream_is_opened_where_the_first_ended_too_early(stops: bool) -> None:
    generator = Generator(stops=stops, ends=3)  # the probe's is one of them
    async with generator.server() as server:
        assert await check(server) is stops
        assert len(server.bodies(COMPLETIONS)) == 1 + 3


async def test_a_request_that_never_ends_is_a_failure_after_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cancellation, "_SECONDS", 0.0)
    generator = Generator(stops=True)

    async def leaves_one_behind(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        generator.engine.running += body["max_tokens"] > 2
        return await generator.answer(request, body)

    async with generator.server(**{COMPLETIONS: leaves_one_behind}) as server:
        assert await check(server) is False


async def test_a_server_that_refuses_unknown_fields_is_asked_without() -> None:
    generator = Generator(stops=True)

    async def strict(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        if "ignore_eos" in body:
            return web.json_response({"error": "unknown field"}, status=400)
        return await generator.answer(request, body)

    async with generator.server(**{COMPLETIONS: strict}) as server:
        assert await check(server) is True


@pytest.mark.parametrize(
    ("stops", "options", "said"),
    [
        (True, {}, None),
        (False, {}, "does not stop the generation"),
        (False, {"endpoint.check_cancellation": False}, None),
        (False, {"policy.name": "consensus"}, None),
    ],
)
async def test_a_run_says_so_where_nothing_can_be_saved(
    stops: bool, options: dict[str, Any], said: str | None
) -> None:
    generator = Generator(stops=stops)
    async with generator.server() as server:
        settings = Settings.model_validate(
            {
                "endpoint": {
                    "urls": server.url,
                    "check_cancellation": options.get("endpoint.check_cancellation", True),
                },
                "policy": {"name": options.get("policy.name", "auto")},
            }
        )
        async with open_endpoints(settings, Keys()) as endpoints:
            notes = " ".join(server_notes(endpoints, settings))
            checked = settings.endpoint.check_cancellation
            assert endpoints.capabilities.stops_when_closed is (stops if checked else None)
    assert (said or "closed") in notes if said else "closed" not in notes


async def test_a_server_without_counters_is_asked_to_name_its_engine() -> None:
    generator = Generator(stops=True)
    async with generator.server(**{"/metrics": answer_json({}, 404)}) as server:
        settings = Settings.model_validate({"endpoint": {"urls": server.url}})
        async with open_endpoints(settings, Keys()) as endpoints:
            notes = " ".join(server_notes(endpoints, settings))
    assert "It cannot be told whether" in notes
    assert "endpoint.metrics_url" in notes
