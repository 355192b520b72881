"""What of a request's sampling holds, and what the reply says of the rest."""

import math
from typing import Any

import aiohttp
import pytest

from orchestrator.serve.request import VoteRequest
from orchestrator.serve.sampling import sampling_of
from orchestrator.settings import Settings
from tests.orchestrator.serve.test_app import QUESTION, client, serving
from tests.support.paced_servers import PacedServers

OWN = Settings.model_validate({"sampling": {"temperature": 0.6, "extra": {"min_tokens": 3}}})


def sampled(least: float = 0.1, **fields: Any) -> tuple[dict[str, Any], list[str]]:
    request = VoteRequest.model_validate({"model": "m", **fields})
    return sampling_of(request, OWN, least_temperature=least, api="completions")


def test_nothing_is_changed_that_is_not_asked_for() -> None:
    idle: dict[str, Any] = {
        "frequency_penalty": 0,
        "presence_penalty": 0.0,
        "logit_bias": {},
        "temperature": None,
    }
    assert sampled(**idle) == ({}, [])


def test_penalties_join_the_servers_own_fields() -> None:
    settings, notes = sampled(temperature=0.8, presence_penalty=1.5)
    assert notes == []
    assert settings == {
        "sampling.temperature": 0.8,
        "sampling.extra": {"min_tokens": 3, "presence_penalty": 1.5},
    }


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"temperature": 0}, "a temperature below 0.1"),
        ({"temperature": 0.05, "top_p": 0.9}, "a temperature below 0.1"),
        ({"temperature": 1.0, "top_k": 1}, "top_k 1"),
        ({"top_p": 0.01, "presence_penalty": 1.0}, "top_p below 0.1"),
    ],
)
def test_a_request_without_a_choice_is_sampled_as_the_settings_say(
    fields: dict[str, Any], reason: str
) -> None:
    settings, [note] = sampled(**fields)
    assert settings == {}
    assert reason in note
    assert all(name in note for name in fields)


def test_a_server_may_use_the_sampling_of_no_request() -> None:
    settings, [note] = sampled(math.inf, temperature=1.0)
    assert settings == {}
    assert "does not use" in note
    assert sampled(math.inf) == ({}, [])


def test_a_server_may_use_every_temperature() -> None:
    assert sampled(0.0, temperature=0)[0] == {"sampling.temperature": 0}


@pytest.mark.parametrize("seed", [7, -7])
def test_a_seed_is_for_the_policys_draws(seed: int) -> None:
    settings, [note] = sampled(seed=seed)
    assert settings == {"run.seed": 7}
    assert "not sent" in note


async def test_the_traces_of_a_request_are_sampled_as_it_says_and_those_of_the_next_are_not() -> (
    None
):
    servers = PacedServers(words=2)
    async with serving(servers) as url, client(url) as ai:
        before = len(servers.reasoner.bodies("/v1/completions"))
        for fields in (
            {"temperature": 0.7, "presence_penalty": 1.5, "seed": 3},
            {"temperature": 0},
        ):
            reply = await ai.chat.completions.create(
                model="paced:cons@2",
                messages=QUESTION,
                **fields,
            )
    sent = servers.reasoner.bodies("/v1/completions")[before:]
    told = [(body.get("temperature"), body.get("presence_penalty")) for body in sent]
    assert told == [(0.7, 1.5)] * 2 + [(None, None)] * 2
    assert not any("seed" in body for body in sent)
    assert "temperature not used" in (reply.model_extra or {})["deepprune"]["notes"][0]


@pytest.mark.parametrize(
    "fields",
    [
        '"seed": 1e400',
        f'"seed": {2**80}',
        '"temperature": Infinity',
        '"temperature": NaN',
        '"logit_bias": {"1": Infinity}',
        '"repetition_penalty": Infinity',
        '"deepprune": {"seconds": Infinity}',
    ],
)
async def test_numbers_that_no_run_can_hold_are_refused(fields: str) -> None:
    body = f'{{"model": "paced", "messages": [{{"role": "user", "content": "x"}}], {fields}}}'
    async with (
        serving(PacedServers(words=2)) as url,
        aiohttp.ClientSession() as session,
        session.post(
            f"{url}/chat/completions", data=body, headers={"Content-Type": "application/json"}
        ) as reply,
    ):
        assert reply.status == 400
