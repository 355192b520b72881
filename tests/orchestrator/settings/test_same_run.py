import pytest

from orchestrator.settings import (
    Settings,
    changed_setting,
    without_locations,
)
from tests.support.settings_loading import loaded


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
