import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

from bench.cli.main import main
from bench.data.datasets import HUB, read_named
from orchestrator.errors import ConfigError, DatasetError, EndpointUnreachable
from orchestrator.extras import install_command

ROWS: dict[str, dict[str, object]] = {
    "aime24": {"problem": " What is 1 + 1? ", "answer": "2"},
    "aime25": {"problem": "What is 1 + 1?", "answer": "2"},
    "math-500": {"problem": "What is 1 + 1?", "answer": "2"},
    "amc": {"problem": "What is 1 + 1?", "answer": 2.0},
    "gsm8k": {"question": "What is 1 + 1?", "answer": "One and one.\n#### 2"},
    "gpqa": {
        "Question": "Which?",
        "Correct Answer": "this",
        "Incorrect Answer 1": "that",
        "Incorrect Answer 2": "those",
        "Incorrect Answer 3": "these",
    },
}


Asked = list[tuple[str, str | None, str]]
"""The path, name and split of every dataset that was loaded."""

Hub = Callable[[Sequence[Mapping[str, object]] | Exception], Asked]


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Hub:
    """Replaces the hub by one that gives these rows; the real one is not asked in tests."""

    def install(rows: Sequence[Mapping[str, object]] | Exception) -> Asked:
        asked: Asked = []

        def load_dataset(
            path: str, name: str | None, *, split: str
        ) -> Sequence[Mapping[str, object]]:
            asked.append((path, name, split))
            if isinstance(rows, Exception):
                raise rows
            return rows

        monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load_dataset))
        return asked

    return install


@pytest.mark.parametrize("name", HUB)
def test_a_benchmark_is_read_by_its_name(hub: Hub, name: str) -> None:
    asked = hub([ROWS[name]])
    (question,) = read_named(name.upper())
    assert question.id == f"{name}-1"
    assert asked == [(HUB[name].path, HUB[name].name, HUB[name].split)]
    assert question.gold is not None
    if name == "gpqa":
        assert f"({question.gold}) this" in question.question
        assert question.question.count("\n(") == 4
    else:
        assert (question.question, float(question.gold)) == ("What is 1 + 1?", 2.0)


def test_a_hub_out_of_reach_is_refused_with_the_remedy(
    hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hub(ConnectionError("no route\nto host"))
    with pytest.raises(EndpointUnreachable, match=r"\(no route\); check the network"):
        read_named("aime24")
    command = ["record", "--endpoint", "http://gpu:1/v1", "--questions", "aime24"]
    assert main([*command, "--out", str(tmp_path / "r")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_dataset_that_has_changed_is_refused(hub: Hub) -> None:
    hub([{"other": 1}])
    with pytest.raises(DatasetError, match="has no column 'problem'"):
        read_named("aime24")
    hub([])
    with pytest.raises(DatasetError, match="has no questions"):
        read_named("aime24")


def test_without_datasets_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ConfigError, match=re.escape(install_command("bench"))):
        read_named("aime24")


def test_any_other_name_is_a_file(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text(json.dumps({"id": "a", "question": "?", "answer": "1"}) + "\n")
    assert [each.id for each in read_named(str(path))] == ["a"]
    with pytest.raises(DatasetError, match="one of aime24, aime25"):
        read_named("aime26")
