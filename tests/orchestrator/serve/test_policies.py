"""Model names and the settings that they stand for."""

from typing import Any

import pytest

from orchestrator.config.load import Assigned, resolve
from orchestrator.serve.errors import ApiError
from orchestrator.serve.policies import PolicyModels
from orchestrator.serve.request import VoteRequest
from orchestrator.settings import Settings


def settings(**values: Any) -> Settings:
    return resolve(Assigned(path, value, "a test") for path, value in values.items())


PLAIN = settings(**{"policy.name": "auto", "policy.traces": 32, "policy.effort": "high"})
JUDGED = settings(
    **{"judge.url": "http://judge:1/v1", "policy.tau": 0.4, "policy.name": "deepprune"}
)


def models(own: Settings = PLAIN, opened: Settings | None = None) -> PolicyModels:
    return PolicyModels(
        own, opened or own, "org/model:v1", api="completions", max_traces=64, least_temperature=0.1
    )


def asked(model: str, **fields: Any) -> VoteRequest:
    return VoteRequest.model_validate({"model": model, **fields})


def test_the_plain_name_has_the_server_s_policy() -> None:
    found, notes = models().settings_for(asked("org/model:v1"))
    assert found == PLAIN
    assert notes == []


@pytest.mark.parametrize(
    ("suffix", "name", "traces"),
    [
        ("cons@16", "consensus", 16),
        ("cons", "consensus", 32),
        ("consensus@4", "consensus", 4),
        ("auto-low", "auto", 32),
        ("auto-high@8", "auto", 8),
        ("pass1", "pass1", 32),
        ("esc", "esc", 32),
    ],
)
def test_a_suffix_is_a_policy(suffix: str, name: str, traces: int) -> None:
    found, _notes = models().settings_for(asked(f"org/model:v1:{suffix}"))
    assert (found.policy.name, found.policy.traces) == (name, traces)


def test_settings_of_the_server_s_policy_hold_where_they_fit() -> None:
    found, _notes = models(JUDGED).settings_for(asked("org/model:v1:auto"))
    assert found.policy.name == "auto"
    again, _notes = models(JUDGED).settings_for(asked("org/model:v1:deepprune"))
    assert again == JUDGED


@pytest.mark.parametrize(
    "model",
    [
        *("", "org", "other", "org/model:v2", "org/model:v10", "org/model:v1:nope"),
        *(
            "org/model:v1:cons@0",
            "org/model:v1:cons@x",
            "org/model:v1:custom",
            "org/model:v1:cons@²",
        ),
    ],
)
def test_a_model_that_is_not_there_is_not_found(model: str) -> None:
    with pytest.raises(ApiError) as refused:
        models().settings_for(asked(model))
    assert (refused.value.status, refused.value.code) == (404, "model_not_found")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"deepprune": {"traces": 65}}, "ask for at most 64"),
        ({"deepprune": {"policy": "cons@65"}}, "ask for at most 64"),
        ({"deepprune": {"policy": "deepprune"}}, "needs a judge"),
        ({"deepprune": {"policy": "deepconf-low"}}, "needs confidences"),
        ({"deepprune": {"settings": {"policy.vote": "reward"}}}, "needs a reward model"),
        (
            {"deepprune": {"settings": {"endpoint.urls": "http://other"}}},
            "may not change endpoint.urls",
        ),
        ({"deepprune": {"settings": {"run.out": "/"}}}, "may not change run.out"),
        ({"deepprune": {"settings": {"policy.tau": 0.4}}}, "tau"),
        ({"deepprune": {"settings": {"policy.traces": "many"}}}, "policy.traces"),
    ],
)
def test_settings_that_may_not_be_are_refused(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ApiError, match=words) as refused:
        models().settings_for(asked("org/model:v1", **fields))
    assert refused.value.status == 400


def test_a_request_is_sampled_as_it_says() -> None:
    found, notes = models().settings_for(asked("org/model:v1", temperature=0.7, top_p=0.9))
    assert (found.sampling.temperature, found.sampling.top_p) == (0.7, 0.9)
    assert notes == []


def test_only_policies_that_the_servers_allow_are_listed() -> None:
    assert "org/model:v1:deepprune" not in models().names()
    listed = models(PLAIN, opened=JUDGED).names()
    assert listed[0] == "org/model:v1"
    assert "org/model:v1:deepprune" in listed
