"""Input that no figure can be computed from: one sentence each, with the remedy."""

import json
from pathlib import Path

import pytest

from judge_server.cli.main import main
from judge_server.data.traces import TraceRow


def write(file: Path, answers: dict[str, list[str | None]]) -> Path:
    rows = [
        {"question_id": q, "question": f"{q}?", "text": f"so {n} " * 40, "answer": a, "model": "m"}
        for q, given in answers.items()
        for n, a in enumerate(given)
    ]
    assert set(rows[0]) <= set(TraceRow.__struct_fields__)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def commands(traces: Path, folder: Path, out: Path) -> dict[str, list[str]]:
    given = ["--traces", str(traces)]
    return {
        "evaluate": ["evaluate", *given, "--judge", "words"],
        "train": ["train", *given, "--config", "nano", "--init", str(folder), "--out", str(out)],
        "plan": [
            *["train", "--plan", *given, "--config", "nano", "--init", str(folder)],
            *["--out", str(out)],
        ],
        "check": ["check", *given, "--judge", "words", "--out", str(out)],
    }


CASES: dict[str, tuple[dict[str, list[str | None]], str]] = {
    "no answers": ({"q": [None, None], "r": [None, None]}, "has an answer; give whole traces"),
    "one class": ({"q": ["1", "1", "1"], "r": ["2", "2"]}, "both classes"),
}


@pytest.mark.parametrize("command", ["evaluate", "train", "plan", "check"])
@pytest.mark.parametrize("case", CASES)
def test_traces_that_nothing_can_be_learned_from_are_refused(
    command: str, case: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answers, reason = CASES[case]
    words = commands(write(tmp_path / "t.jsonl", answers), folder, tmp_path / "out")[command]
    assert main(words) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert reason in said
    assert said.startswith("deepprune-judge ")


def test_one_question_is_measured_with_a_warning_about_its_intervals(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    traces = write(tmp_path / "t.jsonl", {"q": ["1", "1", "2", "2"]})
    assert main(["evaluate", "--traces", str(traces), "--judge", "words"]) == 0
    shown = capsys.readouterr()
    assert "All pairs are of one question" in shown.err
    assert "All pairs are of one question" in shown.out


def test_one_question_cannot_be_calibrated_nor_checked(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    traces = str(write(tmp_path / "t.jsonl", {"q": ["1", "1", "2", "2"]}))
    assert main(["check", "--traces", traces, "--judge", str(folder), "--out", str(tmp_path)]) == 2
    assert "at least two questions" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["train", "plan"])
def test_labels_that_begin_alike_are_refused(
    command: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    judge = tmp_path / "alike.yaml"
    shipped = Path("configs/judges/nano.yaml").read_text()
    judge.write_text(shipped.replace("[identical, not identical]", "[not equal, not identical]"))
    (tmp_path / "alike-train.yaml").write_text("bf16: false\nvalidation_share: 0\n")
    traces = write(tmp_path / "t.jsonl", {f"q{n}": ["1", "1", "2"] for n in range(9)})
    words = commands(traces, folder, tmp_path / "out")[command]
    words[words.index("nano")] = str(judge)
    assert main(words) == 2
    assert "begin with the same token" in capsys.readouterr().err
