"""The doctor finds each fault of a server out, and calls a server well that has none."""

import contextlib
import dataclasses
from typing import Any

import pytest
from aiohttp import web

from orchestrator.doctor.examination import Load, examine
from orchestrator.doctor.verdict import Diagnosis, exit_code
from orchestrator.runtime.endpoints import Keys
from orchestrator.settings import Settings
from tests.support.capable_server import CapableServer
from tests.support.fake_server import answer_json

NO_LOAD = Load(0, 1.0)


async def diagnosed(
    *servers: CapableServer, key: str | None = None, load: Load = NO_LOAD, model: str | None = None
) -> Diagnosis:
    urls = []
    announced: list[str] = []
    async with contextlib.AsyncExitStack() as stack:
        for server in servers:
            urls.append(await stack.enter_async_context(server.serving()))
        settings = Settings.model_validate({"endpoint": {"urls": urls, "model": model}})
        return await examine(settings, Keys(reasoner=key), load, announced.append)


def verdicts(diagnosis: Diagnosis) -> dict[str, str]:
    """Those of the first server that are not well."""
    (server, *_) = diagnosis.servers
    return {check.name: check.verdict for check in server.checks if check.verdict != "well"}


async def test_a_server_that_can_do_all_is_well() -> None:
    diagnosis = await diagnosed(CapableServer(), load=Load(4, 0.2))
    assert verdicts(diagnosis) == {}
    assert exit_code(diagnosis.verdict) == 0
    (server,) = diagnosis.servers
    assert [step.streams for step in server.ramp] == [1, 2, 4]
    assert diagnosis.settings["run.concurrency"] in (1, 2, 4)
    assert diagnosis.settings["prices.prompt_token"] > 0


FAULTS = {
    "cancellation switched off": (CapableServer(stops=False), {"cancellation": "limited"}),
    "a proxy that buffers": (CapableServer(buffered=True), {"stream": "limited"}),
    "a proxy that buffers and does not hang up": (
        CapableServer(buffered=True, stops=False),
        {"stream": "limited", "cancellation": "limited"},
    ),
    "prompts of ids read as text": (CapableServer(ids_read=9), {"token-id prompts": "unusable"}),
    "no usage per event": (CapableServer(usage=False), {"usage": "limited"}),
    "no log-probabilities": (CapableServer(logprobs=False), {"log-probabilities": "limited"}),
    "no token ids": (CapableServer(token_ids=False), {"token ids": "limited"}),
    "no cache": (CapableServer(caches=False), {"prefix cache": "limited"}),
    "ids that are not continued": (
        CapableServer(forgets=True),
        {"exact continuation": "limited"},
    ),
    "a router that goes round": (CapableServer(engines=2), {"stickiness": "limited"}),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_is_found_and_nothing_else(fault: str) -> None:
    server, expected = FAULTS[fault]
    diagnosis = await diagnosed(dataclasses.replace(server))
    assert verdicts(diagnosis) == expected
    assert exit_code(diagnosis.verdict) == (1 if "unusable" in expected.values() else 3)
    (one,) = diagnosis.servers
    assert all(check.remedy for check in one.checks if check.verdict != "well")


async def test_a_closed_port_is_unusable() -> None:
    async with CapableServer().serving() as url:
        pass
    settings = Settings.model_validate({"endpoint": {"urls": [url]}})
    diagnosis = await examine(settings, Keys(), NO_LOAD, lambda text: None)
    assert verdicts(diagnosis) == {"reachable": "unusable"}
    assert exit_code(diagnosis.verdict) == 1


@pytest.mark.parametrize("key", [None, "another-key"])
async def test_a_refused_key_is_told_from_a_server_that_is_not_there(key: str | None) -> None:
    diagnosis = await diagnosed(CapableServer(key="the-right-key"), key=key)
    assert verdicts(diagnosis) == {"key": "unusable"}
    assert "another-key" not in str(diagnosis)


async def test_the_right_key_is_accepted() -> None:
    diagnosis = await diagnosed(CapableServer(key="the-right-key"), key="the-right-key")
    assert verdicts(diagnosis) == {}


async def test_a_model_that_is_not_served_is_unusable() -> None:
    server = CapableServer()
    server.fake.answers["/v1/completions"] = server.fake.answers["/tokenize"] = answer_json(
        {"error": {"message": "The model does not exist."}}, 404
    )
    diagnosis = await diagnosed(server, model="other")
    assert verdicts(diagnosis) == {"model": "unusable"}


@pytest.mark.slow  # reads streams of several servers
async def test_two_servers_of_one_model_are_alike() -> None:
    diagnosis = await diagnosed(CapableServer(), CapableServer())
    assert [check.verdict for check in diagnosis.together] == ["well"]
    assert exit_code(diagnosis.verdict) == 0


@pytest.mark.slow  # reads streams of several servers
async def test_a_server_of_another_model_cannot_share_the_traces() -> None:
    diagnosis = await diagnosed(CapableServer(), CapableServer(model="stranger"))
    (alike,) = diagnosis.together
    assert alike.verdict == "unusable"
    assert "stranger" in alike.evidence
    assert exit_code(diagnosis.verdict) == 1


@pytest.mark.slow  # reads streams of several servers
@pytest.mark.parametrize(
    ("server", "verdict"),
    [
        (CapableServer(counters=False, context=150, slots=1, pause=0.001), "well"),
        (CapableServer(counters=False, context=150, slots=1, pause=0.001, stops=False), "limited"),
        (CapableServer(counters=False, context=150), "unknown"),
    ],
)
async def test_without_counters_cancellation_is_told_by_a_request_that_waits(
    server: CapableServer, verdict: str
) -> None:
    diagnosis = await diagnosed(server)
    assert verdicts(diagnosis).get("cancellation", "well") == verdict


async def test_a_server_that_others_use_is_not_judged_by_its_counters() -> None:
    server = CapableServer()
    server.running = 1
    diagnosis = await diagnosed(server)
    assert verdicts(diagnosis) == {"cancellation": "unknown"}
    assert exit_code(diagnosis.verdict) == 3


async def test_streams_that_a_server_refuses_bound_the_concurrency() -> None:
    server = CapableServer(pause=0.005)
    whole = server.fake.answers["/v1/completions"]

    async def full(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        if server.fake.live > 2:  # with this request
            return web.json_response({"error": {"message": "full"}}, status=429)
        return await whole(request, body)

    server.fake.answers["/v1/completions"] = full
    diagnosis = await diagnosed(server, load=Load(8, 0.3))
    (one,) = diagnosis.servers
    (load,) = [check for check in one.checks if check.name == "load"]
    assert load.verdict == "limited"
    assert diagnosis.settings["run.concurrency"] <= 2
