import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrator.config.load import load_settings, nest
from orchestrator.config.shipped import configs_folder, judge_spec
from orchestrator.core.judging import JudgeSpec
from orchestrator.errors import ConfigError
from orchestrator.settings import (
    POLICY_NAMES,
    AutoSettings,
    DeepPruneSettings,
    JudgeSettings,
    PolicySettings,
    Settings,
    changed_setting,
    without_locations,
)

JUDGE = """
name: small
model: org/small
instruction: Same answer?
query: "{instruction} {question} {new}"
item: "{member}"
"""


def loaded(
    *assignments: str,
    file: Path | None = None,
    environ: dict[str, str] | None = None,
    flags: dict[str, Any] | None = None,
) -> Settings:
    return load_settings(
        file=file, environ=environ or {}, assignments=assignments, flags=flags or {}
    )


def refusal(*assignments: str, **sources: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        loaded(*assignments, **sources)
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith(".")
    assert "pydantic" not in message
    return message


def written(folder: Path, text: str) -> Path:
    path = folder / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return path


# --- what ships -----------------------------------------------------------------------------------


def test_the_default_file_shows_the_whole_tree_with_its_defaults() -> None:
    content = yaml.safe_load((configs_folder() / "default.yaml").read_text(encoding="utf-8"))
    for section in ("endpoint", "judge", "reward"):
        assert content[section].pop("headers") == {}  # never written, so not in the dump
    assert content == Settings().model_dump(mode="json")


def test_the_default_file_shows_every_policy_with_its_own_settings() -> None:
    text = (configs_folder() / "default.yaml").read_text(encoding="utf-8")
    lines = [line.removeprefix("# ") for line in text.splitlines() if line.startswith("# ")]
    blocks = "\n".join(lines[lines.index("policy:") :]).split("policy:")[1:]
    shown = {policy["name"]: policy for policy in map(yaml.safe_load, blocks)}
    assert {*shown, "auto", "deepconf-high", "custom"} == set(POLICY_NAMES)
    for name, policy in shown.items():
        resolved = Settings.model_validate({"policy": {"name": name}}).policy.model_dump(
            mode="json"
        )
        assert policy == {
            key: value
            for key, value in resolved.items()
            if key == "name" or key not in PolicySettings.model_fields
        }


def test_the_default_file_loads_to_the_defaults() -> None:
    assert loaded(file=configs_folder() / "default.yaml") == Settings()


@pytest.mark.parametrize(
    ("flags", "policy"),
    [
        ({}, "auto"),
        ({"judge.url": "http://judge:8001/v1"}, "deepprune"),
        ({"judge.url": "http://judge:8001/v1", "policy.name": "esc"}, "esc"),
        ({"judge.url": None}, "auto"),
    ],
)
def test_auto_decides_unless_a_policy_or_a_judge_is_named(
    flags: dict[str, Any], policy: str
) -> None:
    assert loaded(flags=flags).policy.name == policy
    assert Settings.model_validate(nest(flags)).policy.name == policy


def test_a_judges_url_selects_deepprune_in_python_too() -> None:
    judged = JudgeSettings(url="http://judge:8001/v1")
    assert Settings(judge=judged).policy == DeepPruneSettings()
    assert Settings(judge=judged, policy=AutoSettings(traces=3)).policy == AutoSettings(traces=3)


def test_every_shipped_judge_is_a_judge_spec() -> None:
    for path in (configs_folder() / "judges").glob("*.yaml"):
        if not path.stem.endswith("-train"):
            assert isinstance(judge_spec(path.stem), JudgeSpec), path


def test_resolved_settings_can_be_written_and_loaded_again(tmp_path: Path) -> None:
    settings = loaded("policy.name=deepprune", "policy.tau=0.7", "endpoint.urls=http://gpu:8000/v1")
    saved = written(tmp_path, yaml.safe_dump(settings.model_dump(mode="json")))
    assert loaded(file=saved) == settings


def test_importing_the_settings_stays_light() -> None:
    heavy = "{'math_verify', 'sympy', 'scipy', 'openai', 'aiohttp', 'numpy', 'pebble'}"
    code = f"import sys, orchestrator.config; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --- precedence -----------------------------------------------------------------------------------


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


# --- values from text -----------------------------------------------------------------------------


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


# --- what is refused ------------------------------------------------------------------------------


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
            "policy.name is 'best' (from --set), but must be one of pass1, consensus, deepprune, "
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


# --- settings of another policy -------------------------------------------------------------------


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


# --- the same run in another place ----------------------------------------------------------------


def test_servers_and_folders_may_move() -> None:
    then = Settings()
    moved = {
        "endpoint": {"urls": "http://a/v1", "model": "m"},
        "judge": {"url": "http://j/v1", "model": "m"},
        "reward": {"url": "http://r/v1", "model": "m"},
        "answers": {"llm_url": "http://l/v1", "llm_model": "m"},
        "policy": {"name": "auto"},
        "run": {"out": "elsewhere"},
    }
    now = Settings.model_validate(moved)
    assert changed_setting(then, now) is None
    assert changed_setting(now, then) is None
    kept = without_locations(then)
    assert not [path for path in kept if "url" in path or path.endswith("model")]
    assert "run.out" not in kept


@pytest.mark.parametrize(
    ("assignment", "changed"),
    [
        ("policy.name=esc", "policy.name"),
        ("policy.traces=3", "policy.traces"),
        ("policy.effort=low", "policy.effort"),
        ("judge.spec=deepprune-4b", "judge.spec"),
        ("checkpoint.words=3", "checkpoint.words"),
    ],
)
def test_another_setting_that_decides_is_named(assignment: str, changed: str) -> None:
    assert changed_setting(Settings(), loaded(assignment)) == changed


# --- files that are no settings -------------------------------------------------------------------


def test_a_syntax_error_names_file_and_line(tmp_path: Path) -> None:
    file = written(tmp_path, "policy:\n  tau: 0.5\n\ttraces: 3\n")
    assert refusal(file=file).startswith(f"{file}, line 3: not valid YAML")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert "No such file" in refusal(file=tmp_path / "nowhere.yaml")


def test_a_list_is_no_settings_file(tmp_path: Path) -> None:
    assert "must hold sections" in refusal(file=written(tmp_path, "- 1"))


BOMB = (
    "a: &a ["
    + ", ".join(["x"] * 9)
    + "]\n"
    + "".join(
        f"{name}: &{name} [" + ", ".join([f"*{before}"] * 9) + "]\n"
        for before, name in zip("abcdefgh", "bcdefghi", strict=True)
    )
)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (BOMB, "too many values"),
        ("policy: &p {tau: *p}", "stands for a value that holds the alias"),
        ("policy: !!python/object/apply:os.system [echo]", "not valid YAML"),
        ("[" * 5000, "nested too deeply"),
        ("policy: {traces: " + "9" * 5000 + "}", "not valid YAML"),
        ("policy: {traces: 1e999999}", "policy.traces"),
        ("policy: {traces: 2026-01-01}", "policy.traces"),
        ("policy: {traces: 8\0}", "not valid YAML"),
        ("policy: {? [traces] : 8}", "not valid YAML"),
        ("x: " + "y" * 2_000_000, "larger than a megabyte"),
    ],
    ids=lambda value: value[:20],
)
def test_hostile_yaml_is_one_sentence(tmp_path: Path, text: str, reason: str) -> None:
    message = refusal(file=written(tmp_path, text))
    assert reason in message
    assert len(message) < 500


def test_control_characters_are_no_yaml(tmp_path: Path) -> None:
    assert "is not valid YAML" in refusal(file=written(tmp_path, "policy: \x00"))


def test_a_file_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "latin.yaml"
    path.write_bytes(b"policy: \xff")
    assert "UTF-8" in refusal(file=path)


def test_objects_of_the_language_are_never_made(tmp_path: Path) -> None:
    file = written(tmp_path, "policy: !!python/object/apply:os.getcwd []")
    assert "not valid YAML" in refusal(file=file)


# --- judges ---------------------------------------------------------------------------------------


def judge_refusal(name_or_path: str) -> str:
    with pytest.raises(ConfigError) as caught:
        judge_spec(name_or_path)
    return str(caught.value)


def test_a_judge_is_read_from_a_path(tmp_path: Path) -> None:
    assert judge_spec(str(written(tmp_path, JUDGE))).model == "org/small"


def test_a_shipped_judge_is_found_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "judges").mkdir()
    (tmp_path / "judges" / "small.yaml").write_text(JUDGE, encoding="utf-8")
    (tmp_path / "judges" / "small-train.yaml").write_text("steps: 3", encoding="utf-8")
    monkeypatch.setattr("orchestrator.config.shipped.configs_folder", lambda: tmp_path)
    assert judge_spec("small").name == "small"
    assert "choose one of small, or" in judge_refusal("large")
    assert "There is no judge 'small-train'" in judge_refusal("small-train")


def test_a_judge_with_a_missing_key_is_refused(tmp_path: Path) -> None:
    file = written(tmp_path, JUDGE.replace("model: org/small\n", ""))
    assert judge_refusal(str(file)) == f"'model' is missing in {file}; add it."


def test_a_judge_with_a_mistyped_key_is_refused(tmp_path: Path) -> None:
    file = written(tmp_path, JUDGE + "lables: [a, b]\n")
    assert "Unknown setting 'lables'" in judge_refusal(str(file))
    assert "'labels'" in judge_refusal(str(file))


def test_a_judge_whose_prompt_shows_no_trace_is_refused(tmp_path: Path) -> None:
    file = written(tmp_path, JUDGE.replace("{new}", ""))
    assert f"{file} cannot be used: the judge's query must contain" in judge_refusal(str(file))


@pytest.mark.parametrize("text", ["", "- 1", "just text"])
def test_a_file_that_is_no_judge_is_refused(tmp_path: Path, text: str) -> None:
    assert "mine.yaml" in judge_refusal(str(written(tmp_path, text)))


def test_ballots_cannot_weigh_by_clusters_that_nobody_makes() -> None:
    assert refusal("policy.name=consensus", "policy.vote=cluster-size") == (
        "policy.vote is 'cluster-size' (from --set), but consensus makes no clusters; only deepprune does."
    )


# --- mappings -------------------------------------------------------------------------------------


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
