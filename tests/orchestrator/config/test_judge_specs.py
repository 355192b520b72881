from pathlib import Path

import pytest

from orchestrator.config.shipped import judge_spec
from orchestrator.errors import ConfigError
from tests.support.settings_loading import refusal, written

JUDGE = """
name: small
model: org/small
instruction: Same answer?
query: "{instruction} {question} {new}"
item: "{member}"
"""


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
