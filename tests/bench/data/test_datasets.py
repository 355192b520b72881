import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from bench.cli.main import main
from bench.data.datasets import HUB, read_named
from orchestrator.errors import ConfigError, DatasetError, EndpointUnreachable

ROWS = {
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


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch):
    """A hub that gives the rows it is told to; the real one is not asked in tests."""
    asked = []

    def load(rows):
        def load_dataset(path, name, *, split):
            asked.append((path, name, split))
            if isinstance(rows, Exception):
                raise rows
            return rows

        monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load_dataset))
        return asked

    return load


@pytest.mark.parametrize("name", HUB)
def test_a_benchmark_is_read_by_its_name(hub, name) -> None:
    asked = hub([ROWS[name]])
    (question,) = read_named(name.upper())
    assert question.id == f"{name}-1"
    assert asked == [(HUB[name].path, HUB[name].name, HUB[name].split)]
    if name == "gpqa":
        assert f"({question.gold}) this" in question.question
        assert question.question.count("\n(") == 4
    else:
        assert (question.question, float(question.gold)) == ("What is 1 + 1?", 2.0)


def test_a_hub_out_of_reach_is_a_wrong_address(
    hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hub(ConnectionError("no route\nto host"))
    with pytest.raises(EndpointUnreachable, match=r"\(no route\); check the network"):
        read_named("aime24")
    command = ["record", "--endpoint", "http://gpu:1/v1", "--questions", "aime24"]
    assert main([*command, "--out", str(tmp_path / "r")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_dataset_that_has_changed_is_refused(hub) -> None:
    hub([{"other": 1}])
    with pytest.raises(DatasetError, match="has no column 'problem'"):
        read_named("aime24")
    hub([])
    with pytest.raises(DatasetError, match="has no questions"):
        read_named("aime24")


def test_without_datasets_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ConfigError, match=r"pip install 'deepprune\[bench\]'"):
        read_named("aime24")


def test_other_names_are_files(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text(json.dumps({"id": "a", "question": "?", "answer": "1"}) + "\n")
    assert [each.id for each in read_named(str(path))] == ["a"]
    with pytest.raises(DatasetError, match="one of aime24, aime25"):
        read_named("aime26")
