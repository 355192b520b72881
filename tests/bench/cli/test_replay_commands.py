"""`deepprune-bench run --replay` and `sweep`."""

import json
from pathlib import Path
from typing import Any

import pytest

from bench.cli.main import main
from bench.data.readers import read_recorded
from bench.data.sampling import half_of
from bench.results.outcomes import policy_line, read_outcomes

KEYS = [
    "file",
    "policy",
    "accuracy",
    "accuracy_low",
    "accuracy_high",
    "tokens_per_question",
    "sequential_tokens",
    "judge_tokens_per_question",
    "questions",
    "resamples",
]


def printed_lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


# --- run ------------------------------------------------------------------------------------------


def test_run_prints_one_line_per_policy_and_file(
    matrix: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = matrix.with_name("other.json")
    other.write_bytes(matrix.read_bytes())
    command = ["run", "--replay", str(matrix), "--replay", str(other), "--policy", "auto"]
    command += ["--policy", "cons@4", "--policy", "deepprune", "--max-traces", "8"]
    assert main([*command, "--resamples", "2", "--seed", "0", "--json"]) == 0
    lines = printed_lines(capsys)
    assert [line["policy"] for line in lines] == ["auto", "cons@4", "deepprune"] * 2
    assert [line["file"] for line in lines] == [str(matrix)] * 3 + [str(other)] * 3
    assert list(lines[0]) == KEYS
    assert (lines[0]["questions"], lines[0]["resamples"]) == (3, 2)
    same = [{**line, "file": ""} for line in lines]
    assert same[:3] == same[3:]


def test_run_without_json_prints_a_table(matrix: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--replay", str(matrix), "--policy", "cons@8", "--resamples", "1"]) == 0
    shown = capsys.readouterr()
    assert "cons@8" in shown.out
    assert "66.7%" in shown.out


def test_run_keeps_every_outcome_in_the_file_that_out_names(
    matrix: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "o.jsonl"
    command = ["run", "--replay", str(matrix), "--policy", "cons@2", "--resamples", "2"]
    assert main([*command, "--out", str(out), "--json"]) == 0
    assert len(read_outcomes(out)) == 6
    assert printed_lines(capsys) == [policy_line(read_outcomes(out))]


@pytest.mark.parametrize("half", ["tune", "report"])
def test_run_replays_the_questions_of_one_half(
    matrix: Path, capsys: pytest.CaptureFixture[str], half: str
) -> None:
    own = [question for question in read_recorded(matrix) if half_of(question) == half]
    assert 0 < len(own) < 3
    command = ["run", "--replay", str(matrix), "--policy", "cons@1", "--half", half, "--json"]
    assert main(command) == 0
    assert [line["questions"] for line in printed_lines(capsys)] == [len(own)]


def test_a_recording_without_a_question_in_the_half_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "t.jsonl"
    row = {"question_id": "q", "question": "?", "tokens": 9, "answer": "1", "gold": "1"}
    path.write_text(json.dumps(row) + "\n")
    (question,) = read_recorded(path)
    other = "tune" if half_of(question) == "report" else "report"
    assert main(["run", "--replay", str(path), "--policy", "cons@1", "--half", other]) == 2
    assert f"has no question in the half '{other}'" in capsys.readouterr().err


def test_recorded_verdicts_replace_the_simulated_judge(
    matrix: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scores = tmp_path / "s.jsonl"
    pairs = [(i, j) for i in range(8) for j in range(i)]
    rows = [{"question_id": q, "traces": p, "p": 0.9} for q in ("1", "2", "3") for p in pairs]
    scores.write_text("\n".join(map(json.dumps, rows)) + "\n")
    command = ["run", "--replay", str(matrix), "--policy", "deepprune:survivors=1", "--json"]
    assert main([*command, "--resamples", "1", "--judge-scores", str(scores)]) == 0
    (line,) = printed_lines(capsys)
    longest = 3000 + 7
    assert 7 * 1500 + 3000 <= line["tokens_per_question"] <= 7 * 1500 + longest  # one of 8 finishes


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--judge-auroc", "1.5"], "give a number between 0 and 1, or perfect"),
        (["--judge-auroc", "good"], "give a number between 0 and 1, or perfect"),
        (["--resamples", "0"], "at least 1"),
        (["--max-traces", "x"], "at least 1"),
    ],
)
def test_a_wrong_flag_is_refused(
    matrix: Path, capsys: pytest.CaptureFixture[str], flags: list[str], sentence: str
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["run", "--replay", str(matrix), "--policy", "auto", *flags])
    assert caught.value.code == 2
    assert sentence in capsys.readouterr().err


def test_wrong_input_is_one_sentence_and_exit_code_2(
    matrix: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "--replay", str(tmp_path / "x.json"), "--policy", "auto"]) == 2
    assert main(["run", "--replay", str(matrix), "--policy", "best"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 2
    assert error.count("deepprune-bench run: ") == 2


@pytest.mark.parametrize("command", ["run", "sweep"])
def test_missing_confidences_are_reported_before_anything_is_replayed(
    command: str, matrix: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grid = tmp_path / "grid.yaml"
    grid.write_text("resamples: 2\npolicies: [cons@4, deepconf-low]\n")
    flags = {
        "run": ["run", "--policy", "cons@4", "--policy", "deepconf-low", "--json"],
        "sweep": ["sweep", str(grid), "--out", str(tmp_path / "out")],
    }
    assert main([*flags[command], "--replay", str(matrix)]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "has no confidences" in shown.err
    assert not list(tmp_path.glob("out/*.jsonl"))


def test_a_recording_without_probes_is_refused_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    traces = tmp_path / "t.jsonl"
    trace = {"question_id": "q", "question": "?", "tokens": 9, "answer": "1", "gold": "1"}
    traces.write_text(json.dumps(trace) + "\n")
    assert main(["run", "--replay", str(traces), "--policy", "parallel-probe"]) == 2
    assert f"{traces} has no probes (question 'q')" in capsys.readouterr().err


# --- sweep ----------------------------------------------------------------------------------------


@pytest.fixture
def grid(tmp_path: Path) -> Path:
    path = tmp_path / "grid.yaml"
    path.write_text("resamples: 2\npolicies:\n  - auto\n  - cons: {traces: [1, 4, 8]}\n")
    return path


def test_a_stopped_sweep_replays_only_what_is_missing(
    grid: Path, matrix: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    command = ["sweep", str(grid), "--replay", str(matrix), "--out", str(out)]
    assert main(command) == 0
    first = printed_lines(capsys)
    assert [line["policy"] for line in first] == ["auto", "cons@1", "cons@4", "cons@8"]
    (out / "00-cons%404.jsonl").unlink()
    kept = {path: path.stat().st_ino for path in out.glob("*.jsonl")}
    assert main(command) == 0
    assert printed_lines(capsys) == first
    assert len(list(out.glob("*.jsonl"))) == 4
    assert {path: path.stat().st_ino for path in kept} == kept  # a rewritten file is a new one


def test_a_folder_takes_no_sweep_with_other_settings(
    grid: Path, matrix: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["sweep", str(grid), "--replay", str(matrix), "--out", str(tmp_path / "out")]
    assert main(command) == 0
    grid.write_text(grid.read_text().replace("resamples: 2", "resamples: 3"))
    assert main(command) == 2
    assert "give another --out" in capsys.readouterr().err
