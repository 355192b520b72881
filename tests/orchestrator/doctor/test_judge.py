"""The doctor on a judge: its dialect, its first verdict and its pace, or why it cannot be used."""

import pytest

from orchestrator.doctor.examination import Load, examine
from orchestrator.doctor.verdict import Diagnosis
from orchestrator.runtime.endpoints import Keys
from orchestrator.settings import Settings
from tests.support.fake_server import FakeServer, answer_json
from tests.support.paced_servers import PacedServers


class _Undecided(PacedServers):
    """All pairs are equal to its judge."""

    def _toward(self, tokens: list[int]) -> str:
        return ""


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


async def test_a_judge_that_gives_all_pairs_the_same_verdict_is_found_out() -> None:
    async with _Undecided().serving() as servers:
        diagnosis = await diagnosed(servers.judge.url)
    assert diagnosis.verdict == "limited"
    (check,) = [check for check in diagnosis.servers[0].checks if check.name == "verdict"]
    assert "0.90 for equal segments, 0.90 for different ones" in check.evidence
    assert "does not tell them apart" in check.evidence
    assert check.remedy


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
