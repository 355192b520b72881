from pathlib import Path

import pytest

from bench.specs.grid import expand_grid, read_grid
from bench.specs.policy_spec import parse_policies
from orchestrator.config.shipped import configs_folder
from orchestrator.errors import ConfigError
from orchestrator.settings import AutoSettings, DeepPruneSettings

BOTH = ["auto", "deepprune"]


def refusal(*policies: str, assignments: tuple[str, ...] = ()) -> str:
    with pytest.raises(ConfigError) as caught:
        parse_policies(policies, assignments)
    return str(caught.value)


def test_a_shared_setting_applies_to_the_policies_that_have_it() -> None:
    auto, deepprune = parse_policies(BOTH, ["policy.tau=0.6", "policy.effort=low", "run.seed=3"])
    assert auto.settings.policy == AutoSettings(effort="low")
    assert deepprune.settings.policy == DeepPruneSettings(tau=0.6)
    assert auto.settings.run.seed == deepprune.settings.run.seed == 3


def test_a_shared_file_and_the_environment_apply_in_the_same_way(tmp_path: Path) -> None:
    file = tmp_path / "shared.yaml"
    file.write_text("policy: {tau: 0.1, effort: low, survivors: 3}")
    auto, deepprune = parse_policies(
        BOTH, file=file, environ={"DEEPPRUNE__POLICY__TAU": "0.2"}, flags={"policy.traces": 9}
    )
    assert auto.settings.policy == AutoSettings(effort="low", traces=9)
    assert deepprune.settings.policy == DeepPruneSettings(tau=0.2, survivors=3, traces=9)


def test_a_shared_setting_that_no_listed_policy_has_is_refused() -> None:
    assert refusal("auto", "cons@4", "cons@8", assignments=("policy.tau=0.6",)) == (
        "policy.tau (from --set) is not a setting of auto or consensus; deepprune knows it. "
        "Choose that policy or leave tau out."
    )


def test_a_shared_setting_that_no_policy_has_is_unknown() -> None:
    assert "Unknown setting 'policy.tua' (from --set)" in refusal(
        *BOTH, assignments=("policy.tua=0.6",)
    )


def test_a_policys_own_option_that_it_does_not_have_is_refused() -> None:
    assert refusal("auto:tau=0.6", "deepprune") == (
        "policy.tau (from auto:tau=0.6) is not a setting of auto; deepprune knows it. "
        "Choose that policy or leave tau out."
    )


def test_a_policys_own_option_goes_before_a_shared_one() -> None:
    low, high = parse_policies(["auto", "auto:effort=high"], ["policy.effort=low"])
    assert low.settings.policy == AutoSettings(effort="low")
    assert high.settings.policy == AutoSettings(effort="high")


def test_a_judges_address_chooses_no_policy_where_policies_are_listed() -> None:
    (spec,) = parse_policies(["auto"], flags={"judge.url": "http://judge:8001/v1"})
    assert spec.settings.policy == AutoSettings()


@pytest.mark.parametrize(
    "path", sorted((configs_folder() / "sweeps").glob("*.yaml")), ids=lambda path: path.stem
)
def test_every_shipped_sweep_names_policies_and_their_settings(path: Path) -> None:
    names = expand_grid(read_grid(path))
    assert [spec.label for spec in parse_policies(names)] == names


def test_a_policy_is_named_with_its_traces_and_settings() -> None:
    (spec,) = parse_policies(["deepprune@32:tau=0.25,survivors=5,checkpoint.words=35"])
    assert (spec.traces, spec.scoring) == (32, "vote")
    assert spec.settings.policy == DeepPruneSettings(tau=0.25, survivors=5)
    assert spec.settings.checkpoint.words == 35


def test_a_policy_may_have_a_simulated_judge_of_its_own() -> None:
    good, perfect, plain = parse_policies(
        ["deepprune:judge_auroc=0.8,tau=0.3", "deepprune:judge_auroc=perfect", "deepprune"]
    )
    assert (good.judge_auroc, perfect.judge_auroc, plain.judge_auroc) == (0.8, "perfect", None)


@pytest.mark.parametrize(
    ("policy", "sentence"),
    [
        ("best", "policy.name is 'best'"),
        ("cons@many", "needs a number of traces after @"),
        ("cons@0", "needs a number of traces after @"),
        ("pass", "write pass@1"),
        ("auto:effort", "needs the form key=value"),
        ("auto:efort=low", "nearest valid key is 'policy.effort'"),
        ("deepprune:judge_auroc=2", "AUROC is 2"),
        ("deepprune:judge_auroc=good", "AUROC is good"),
    ],
)
def test_a_malformed_policy_is_refused(policy: str, sentence: str) -> None:
    assert sentence in refusal(policy)
