"""The doctor on a judge: its dialect, its first verdict and its pace, or why it cannot be used."""

import pytest

from orchestrator.doctor.examination import Load, examine
from orchestrator.doctor.verdict import Diagnosis
from orchestrator.runtime.endpoints import Keys
from orchestrator.settings import Settings
from tests.support.fake_server import FakeServer, answer_json
from tests.support.paced_servers import PacedServers


async def diagnosed(url: str, *, streams: int = 0) -> Diagnosis:
    settings = Settings.model_validate({"judge": {"url": url}})
    return await examine(settings, Keys(), Load(streams, 0.1), lambda text: None)


async def test_a_judge_that_scores_many_pairs_at_once_is_well() -> None:
    async with PacedServers().serving() as servers:
        diagnosis = await diagnosed(servers.judge.url, streams=1)
    assert diagnosis.verdict == "well"
    (judge,) = diagnosis.servers
    assert [check.name for check in judge.checks][-3:] == ["dialect", "verdict", "load"]
    assert judge.rates.pairs
    assert judge.rates.read


async def test_a_judge_is_not_put_under_load_without_a_ramp() -> None:
    async with PacedServers().serving() as servers:
        diagnosis = await diagnosed(servers.judge.url)
    (judge,) = diagnosis.servers
    assert judge.rates.pairs is None


@pytest.mark.parametrize(
    ("status", "name"), [(401, "key"), (403, "key"), (404, "dialect"), (503, "reachable")]
)
async def test_what_a_judge_refuses_is_named(status: int, name: str) -> None:
    async with FakeServer() as judge:
        failing = answer_json({"error": {"message": "no"}}, status)
        judge.answers["/v1/models"] = failing if status != 404 else judge.answers["/v1/models"]
        for path in ("/generative_scoring", "/tokenize", "/v1/completions", "/v1/chat/completions"):
            judge.answers[path] = failing
        diagnosis = await diagnosed(judge.url)
    assert diagnosis.verdict == "unusable"
    (found,) = diagnosis.servers
    assert [check.name for check in found.checks if check.verdict == "unusable"] == [name]
