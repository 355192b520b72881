from pathlib import Path

import pytest
import yaml

from orchestrator.settings import (
    changed_setting,
)
from tests.support.settings_loading import loaded, refusal, written

JUDGE = """
name: small
model: org/small
instruction: Same answer?
query: "{instruction} {question} {new}"
item: "{member}"
"""


def test_the_fields_of_a_request_are_added_up_over_the_sources(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        "sampling: {extra: {repetition_penalty: 1.1, logit_bias: {50256: -100}, stop: [END]}}",
    )
    environ = {
        "DEEPPRUNE__SAMPLING__EXTRA__PRESENCE_PENALTY": "0.5",
        "DEEPPRUNE__SAMPLING__EXTRA": '{"min_tokens": 5, "vllm_xargs": {"a.b": 1}}',
    }
    settings = loaded(
        "sampling.extra.repetition_penalty=1.2",
        "sampling.extra.stop=null",
        file=file,
        environ=environ,
    )
    assert settings.sampling.extra == {
        "repetition_penalty": 1.2,
        "logit_bias": {"50256": -100},
        "presence_penalty": 0.5,
        "min_tokens": 5,
        "vllm_xargs": {"a.b": 1},
    }
    assert loaded("sampling.extra=null", file=file).sampling.extra == {}
    assert loaded("sampling.extra=null", "sampling.extra.top_a=1", file=file).sampling.extra == {
        "top_a": 1
    }


def test_the_fields_of_a_request_survive_being_written(tmp_path: Path) -> None:
    settings = loaded(
        'sampling.extra={"logit_bias": {50256: -100}}',
        "sampling.chat_template_kwargs.enable_thinking=no",
    )
    assert settings.sampling.chat_template_kwargs == {"enable_thinking": False}
    saved = written(tmp_path, yaml.safe_dump(settings.model_dump(mode="json")))
    assert changed_setting(loaded(file=saved), settings) is None
    assert changed_setting(settings, loaded()) == "sampling.extra"


@pytest.mark.parametrize(
    ("assignment", "reason"),
    [
        ("sampling.extra.temperature=0.1", "which is set with sampling.temperature"),
        ("sampling.extra.seed=1", "with one seed all traces are equal"),
        ("sampling.extra.n=4", "cannot be stopped"),
        ("sampling.extra.max_completion_tokens=4", "which is set with sampling.max_tokens"),
        ("sampling.extra=5", "must be a mapping"),
        ("sampling.extra.day=2026-01-01", "must hold texts, numbers"),
        ("sampling.extra.bias=.inf", "must hold texts, numbers"),
        ("sampling.extra={stop: [a], include_stop_str_in_output: false}", "lost in a pause"),
        ("sampling.extras.top_a=1", "the nearest valid key is 'sampling.extra'"),
        ("endpoint.headers.Host=a", "must not hold Host"),
        ("endpoint.headers.X Team=a", "names of HTTP headers"),
        ("endpoint.headers={X-Team: [a]}", "must hold a text for X-Team"),
        ("judge.headers.X-Team= ", "no HTTP header can carry"),
    ],
)
def test_what_cannot_be_sent_is_refused(assignment: str, reason: str) -> None:
    assert reason in refusal(assignment)


def test_headers_are_texts_and_are_never_written_or_shown(tmp_path: Path) -> None:
    file = written(tmp_path, "endpoint: {headers: {X-Api-Key: sk-file, X-Team: 7}}")
    environ = {"DEEPPRUNE__JUDGE__HEADERS": "{X-Api-Key: sk-judge}"}
    settings = loaded("endpoint.headers.X-Api-Key=0123", file=file, environ=environ)
    assert settings.endpoint.headers == {"X-Api-Key": "0123", "X-Team": "7"}
    assert settings.judge.headers == {"X-Api-Key": "sk-judge"}
    for shown in (repr(settings), str(settings), yaml.safe_dump(settings.model_dump(mode="json"))):
        assert "0123" not in shown
        assert "sk-judge" not in shown
    assert changed_setting(settings, loaded()) is None


def test_a_header_that_cannot_be_sent_is_refused_without_its_value() -> None:
    message = refusal("endpoint.headers.X-Key=sk-secret\u2028x")
    assert message.startswith("endpoint.headers (from --set) holds a text for X-Key that no HTTP")
    assert "sk-secret" not in message
    assert "sk-secret" not in refusal("endpoint.headers={Host: sk-secret}")
    assert "sk-secret" not in refusal("endpoint.headers=sk-secret")
