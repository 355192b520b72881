from pathlib import Path
from typing import Any

import pytest

from tests.support.settings_loading import loaded, refusal, written

JUDGE = """
name: small
model: org/small
instruction: Same answer?
query: "{instruction} {question} {new}"
item: "{member}"
"""


def test_a_mistyped_key_names_its_source_and_the_nearest_key(tmp_path: Path) -> None:
    nearest = "the nearest valid key is 'policy.tau'"
    file = written(tmp_path, "policy: {tua: 0.5}")
    for message, origin in (
        (refusal("policy.tua=0.5"), "--set"),
        (refusal(file=file), str(file)),
        (refusal(environ={"DEEPPRUNE__POLICY__TUA": "1"}), "DEEPPRUNE__POLICY__TUA"),
        (refusal(flags={"policy.tua": 1}), "the command line"),
    ):
        assert message == f"Unknown setting 'policy.tua' (from {origin}); {nearest}."


def test_a_key_in_the_wrong_section_finds_the_right_one() -> None:
    assert "'policy.tau'" in refusal("judge.tau=0.5")
    assert "'policy.tau'" in refusal("tau=0.5")


def test_a_key_below_a_setting_is_unknown(tmp_path: Path) -> None:
    message = refusal(file=written(tmp_path, "policy: {tau: {low: 0.5}}"))
    assert "Unknown setting 'policy.tau.low'" in message


def test_a_secret_among_the_settings_is_sent_to_the_environment_unseen() -> None:
    message = refusal("judge.api_key=sk-123")
    assert "DEEPPRUNE_JUDGE_API_KEY" in message
    assert "sk-123" not in message


@pytest.mark.parametrize("text", ["policy: deepprune", "policy: [1]"])
def test_a_section_given_as_a_value_lists_its_keys(tmp_path: Path, text: str) -> None:
    message = refusal(file=written(tmp_path, text))
    assert "is a section; set one of its keys: name, traces" in message


@pytest.mark.parametrize(
    ("assignment", "sentence"),
    [
        (
            "sampling.min_p=1.5",
            "sampling.min_p is 1.5 (from --set), but must be a number from 0 to 1 or null.",
        ),
        (
            "sampling.min_p=.nan",
            "sampling.min_p is nan (from --set), but must be a number from 0 to 1 or null.",
        ),
        (
            "answers.workers=",
            "answers.workers is null (from --set), but must be a whole number of at least 1.",
        ),
        (
            "policy.traces=yes",
            "policy.traces is true (from --set), but must be a whole number from 1 to 4096.",
        ),
        (
            "policy.traces=1.5",
            "policy.traces is 1.5 (from --set), but must be a whole number from 1 to 4096.",
        ),
        (
            "policy.name=best",
            "policy.name is 'best' (from --set), but must be one of pass1, consensus, prefix-consistency, deepprune, "
            "auto, adaptive-consistency, best-of-infinity, esc, race, short, random-k, deepconf-low, deepconf-high, "
            "deepconf-offline, custom.",
        ),
        (
            "run.keep_confidences=perhaps",
            "run.keep_confidences is 'perhaps' (from --set), but must be true or false.",
        ),
        (
            "sampling.top_p=0",
            "sampling.top_p is 0 (from --set), but must be a number above 0 and of at most 1 or null.",
        ),
        (
            "prices.judge_token=.inf",
            "prices.judge_token is inf (from --set), but must be a number of at least 0.",
        ),
        ("run.out=", "run.out is null (from --set), but must be text."),
        (
            "checkpoint.word_list=[]",
            "checkpoint.word_list is [] (from --set), but must be a list of texts that is not empty.",
        ),
        (
            "judge.url=gpu:8000",
            "judge.url is 'gpu:8000' (from --set), but must be an address such as http://gpu:8000/v1.",
        ),
    ],
)
def test_a_wrong_value_is_one_sentence_with_what_is_allowed(assignment: str, sentence: str) -> None:
    assert refusal(assignment) == sentence


@pytest.mark.parametrize(
    ("given", "urls"),
    [
        ("null", ()),
        ("[]", ()),
        ("http://a:8000/v1", ("http://a:8000/v1",)),
        ("[http://a/v1]", ("http://a/v1",)),
        ("[http://a/v1, http://b/v1]", ("http://a/v1", "http://b/v1")),
    ],
)
def test_a_judge_has_one_address_or_several(given: str, urls: tuple[str, ...]) -> None:
    settings = loaded(f"judge.url={given}")
    assert settings.judge.urls == urls
    assert settings.judge.url == (None if not urls else urls[0] if len(urls) == 1 else urls)
    assert settings.policy.name == ("deepprune" if urls else "auto")


def test_each_address_of_a_judge_is_checked() -> None:
    assert "must be an address such as" in refusal("judge.url=[http://a/v1, gpu:8000]")


def test_a_wrong_value_in_a_file_names_the_file(tmp_path: Path) -> None:
    file = written(tmp_path, "policy: {name: deepprune, tau: 1.5}")
    assert f"policy.tau is 1.5 (from {file}), but must be a number from 0 to 1." in refusal(
        file=file
    )


def test_a_wrong_value_that_is_overridden_does_no_harm(tmp_path: Path) -> None:
    file = written(tmp_path, "policy: {traces: 0}")
    assert loaded("policy.traces=5", file=file).policy.traces == 5


def test_a_pattern_that_does_not_compile_is_refused() -> None:
    assert "must be a regular expression" in refusal("answers.regex=(a")


@pytest.mark.parametrize("url", ["http://[::1", "ftp://gpu/v1", "http://", ""])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    assert "must be an address such as" in refusal(flags={"endpoint.urls": [url]})


def test_a_password_in_an_address_is_refused_and_not_repeated() -> None:
    message = refusal("endpoint.urls=http://me:hunter2@gpu:8000/v1")
    assert "keys are read from the environment" in message
    assert "hunter2" not in message


def test_a_very_long_value_is_cut_in_the_message() -> None:
    assert len(refusal("policy.traces=" + "x" * 10_000)) < 200


@pytest.mark.parametrize("assignment", ["policy.tau", "=1", ""])
def test_a_set_without_key_and_value_is_refused(assignment: str) -> None:
    assert "needs the form section.key=value" in refusal(assignment)


def test_a_setting_of_another_policy_is_refused_whatever_its_source(tmp_path: Path) -> None:
    file = written(tmp_path, "policy: {tau: 0.6}")
    auto: dict[str, Any] = {"policy.name": "auto"}
    for message, origin in (
        (refusal("policy.tau=0.6", flags=auto), "--set"),
        (refusal(file=file, flags=auto), str(file)),
        (refusal(environ={"DEEPPRUNE__POLICY__TAU": "1"}, flags=auto), "DEEPPRUNE__POLICY__TAU"),
        (refusal(flags={**auto, "policy.tau": 0.6}), "the command line"),
    ):
        assert message == (
            f"policy.tau (from {origin}) is not a setting of auto; deepprune knows it. "
            "Choose that policy or leave tau out."
        )


def test_a_setting_that_several_policies_have_names_all_of_them() -> None:
    assert refusal("policy.name=short", "policy.window=3") == (
        "policy.window (from --set) is not a setting of short; esc and race know it. "
        "Choose one of those or leave window out."
    )
    assert "deepconf-low and deepconf-high know it" in refusal("policy.warm_up=3")


def test_a_setting_of_the_chosen_policy_is_checked_by_its_own_range() -> None:
    assert refusal("policy.name=deepconf-high", "policy.consensus_share=2") == (
        "policy.consensus_share is 2 (from --set), but must be a number from 0 to 1."
    )


def test_a_policy_that_is_null_is_refused_with_the_names(tmp_path: Path) -> None:
    message = refusal(file=written(tmp_path, "policy: {name: null}"))
    assert "policy.name is null" in message
    assert "must be one of pass1, consensus" in message
