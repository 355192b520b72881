import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrator.config.load import nest
from orchestrator.config.shipped import configs_folder, judge_spec
from orchestrator.core.judging import JudgeSpec
from orchestrator.settings import (
    POLICY_NAMES,
    AutoSettings,
    DeepPruneSettings,
    JudgeSettings,
    PolicySettings,
    Settings,
)
from tests.support.settings_loading import loaded, written


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
