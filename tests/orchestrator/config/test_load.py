from pathlib import Path
from typing import Any

import pytest

from orchestrator.settings import (
    Settings,
)
from tests.support.settings_loading import loaded, written

JUDGE = """
name: small
model: org/small
instruction: Same answer?
query: "{instruction} {question} {new}"
item: "{member}"
"""


def test_each_source_overrides_the_ones_before_it(tmp_path: Path) -> None:
    sources: dict[str, Any] = {"file": written(tmp_path, "policy: {traces: 1}")}
    assert loaded(**sources).policy.traces == 1
    sources["environ"] = {"DEEPPRUNE__POLICY__TRACES": "2"}
    assert loaded(**sources).policy.traces == 2
    assert loaded("policy.traces=3", **sources).policy.traces == 3
    sources["flags"] = {"policy.traces": 4}
    assert loaded("policy.traces=3", **sources).policy.traces == 4


def test_the_last_set_wins() -> None:
    assert loaded("policy.traces=3", "policy.traces=6").policy.traces == 6


def test_a_file_may_set_part_of_the_tree(tmp_path: Path) -> None:
    settings = loaded(file=written(tmp_path, "policy:\n  traces: 8\n"))
    assert settings.policy.traces == 8
    assert settings.policy.min_ballots == Settings().policy.min_ballots


@pytest.mark.parametrize("text", ["", "# nothing\n", "policy:\n"])
def test_a_file_may_set_nothing(tmp_path: Path, text: str) -> None:
    assert loaded(file=written(tmp_path, text)) == Settings()


def test_flags_that_were_not_given_set_nothing() -> None:
    assert loaded(flags={"policy.traces": None, "endpoint.urls": None}) == Settings()


def test_keys_in_the_environment_are_no_settings() -> None:
    environ = {"DEEPPRUNE_JUDGE_API_KEY": "k", "OPENAI_API_KEY": "k", "DEEPPRUNE_HOME": "x"}
    assert loaded(environ=environ) == Settings()


def test_texts_are_read_as_yaml() -> None:
    settings = loaded(
        "run.keep_confidences=on",
        "sampling.temperature=null",
        "prices.judge_token=1e-3",
        "endpoint.urls=[http://a/v1, http://b/v1]",
        environ={"DEEPPRUNE__POLICY__MIN_BALLOTS": "3", "DEEPPRUNE__CHECKPOINT__WORD_LIST": "so"},
    )
    assert settings.run.keep_confidences is True
    assert settings.sampling.temperature is None
    assert settings.prices.judge_token == 0.001
    assert settings.endpoint.urls == ("http://a/v1", "http://b/v1")
    assert settings.policy.min_ballots == 3
    assert settings.checkpoint.word_list == ("so",)


@pytest.mark.parametrize("regex", ["[0-9]+", "([0-9]+)", "Answer: (x)", "{a}", "12", "'", "yes"])
def test_a_text_setting_takes_what_yaml_would_not_call_text(regex: str) -> None:
    assert loaded(f"answers.regex={regex}").answers.regex == regex


def test_a_text_setting_can_be_unset() -> None:
    assert loaded("answers.regex=null", flags={"judge.model": "m"}).answers.regex is None
