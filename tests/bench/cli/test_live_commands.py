"""`deepprune-bench run --endpoint`, `record` and `serve`."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.cli.main import main
from bench.data.readers import read_recorded
from bench.mock_server.server import ReplayServer
from bench.results.outcomes import read_outcomes
from tests.support.recorded_server import FAST, recording, served_in_thread, write_questions


@pytest.fixture
def url() -> Iterator[str]:
    """The address of a server, which runs beside the commands."""
    with served_in_thread(ReplayServer(recording(), model=FAST)) as url:
        yield url


@pytest.fixture
def questions(tmp_path: Path) -> str:
    return str(write_questions(tmp_path / "questions.jsonl"))


def test_a_recording_can_be_replayed(
    url: str, questions: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "rec"
    command = ["record", "--endpoint", url, "--questions", questions, "--traces", "5"]
    assert main([*command, "--out", str(out)]) == 0
    assert capsys.readouterr().out.strip() == str(out / "consensus")
    found = read_recorded(out / "consensus")
    assert [(each.id, len(each.traces)) for each in found] == [("q0", 5), ("q1", 5), ("q2", 5)]
    assert {trace.answer for each in found for trace in each.traces} == {"1"}


def test_a_live_run_prints_the_same_lines_as_a_replay(
    url: str, questions: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "live"
    command = ["run", "--endpoint", url, "--questions", questions, "--json", "--policy", "auto"]
    assert main([*command, "--effort", "low", "--max-traces", "6", "--out", str(out)]) == 0
    (line,) = [json.loads(text) for text in capsys.readouterr().out.splitlines()]
    assert (line["file"], line["policy"], line["accuracy"]) == ("live", "auto", 1.0)
    assert line["questions"] == 3
    assert 0 < line["sequential_tokens"] <= line["tokens_per_question"]
    assert len(read_outcomes(out / "outcomes.jsonl")) == 3


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        ([], "Give recorded traces with --replay FILE, or servers"),
        (["--local", "--replay", "x.json"], "Give recorded traces with --replay FILE, or servers"),
        (["--endpoint", "http://gpu:1/v1"], "give a folder with --out"),
        (["--endpoint", "http://gpu:1/v1", "--out", "x"], "give --questions FILE or a name"),
        (
            ["--local", "--questions", "q.jsonl", "--ray", "local", "--out", "x"],
            "--local serves this machine alone",
        ),
    ],
)
def test_flags_that_do_not_fit_together_are_refused(
    flags: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "--policy", "auto", *flags]) == 2
    assert sentence in capsys.readouterr().err


def test_recording_needs_a_server(
    tmp_path: Path, questions: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["record", "--questions", questions, "--out", str(tmp_path / "r")]) == 2
    assert "name its server" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        (["serve", "x.json", "--speed", "0"], "0 is not a number above 0"),
        (["serve", "x.json", "--reset", "2"], "2 is not a number from 0 to 1"),
        (["serve", "x.json", "--busy", "often"], "often is not a number from 0 to 1"),
        (["record", "--out", "x", "--traces", "0"], "0 is not a whole number of at least 1"),
        (["record", "--out", "x", "--at-once", "-1"], "-1 is not a whole number of at least 1"),
    ],
)
def test_a_wrong_number_is_refused(
    command: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(command)
    assert caught.value.code == 2
    assert sentence in capsys.readouterr().err


def test_a_port_in_use_is_named(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "t.jsonl"
    row = {"question_id": "a", "question": "?", "text": "so 1", "answer": "1", "gold": "1"}
    path.write_text(json.dumps(row) + "\n")
    port = url.removesuffix("/v1").rpartition(":")[2]
    assert main(["serve", str(path), "--port", port]) == 2
    assert f"Cannot listen on 127.0.0.1:{port}" in capsys.readouterr().err
