"""Which questions `deepprune-judge evaluate` measures a judge on: those that its training never saw."""

import json
import shutil
from pathlib import Path

import pytest

from judge_server.data.splits import split_of
from judge_server.data.traces import fingerprint
from tests.support.evaluating import evaluate, lines


def test_a_trained_judge_is_measured_on_questions_that_its_training_never_saw(
    capsys: pytest.CaptureFixture[str], traces: Path, trained: Path
) -> None:
    evaluate("--traces", traces, "--judge", "overlap", "--judge", trained, "--json")
    captured = capsys.readouterr()
    unseen = [n for n in range(40) if split_of(f"q{n}", validation=0.2, test=0.3, seed=0) == "test"]
    assert [json.loads(line)["questions"] for line in captured.out.splitlines()] == [
        len(unseen)
    ] * 2
    assert f"{len(unseen)} of 40 questions are used: the test split" in captured.err


def test_of_two_trained_judges_only_what_neither_saw_is_used(
    capsys: pytest.CaptureFixture[str], traces: Path, trained: Path, tmp_path: Path
) -> None:
    other = Path(shutil.copytree(trained, tmp_path / "other"))
    record = json.loads((other / "training.json").read_text())
    unseen = {
        f"q{n}" for n in range(40) if split_of(f"q{n}", validation=0.2, test=0.3, seed=0) == "test"
    }
    both = sorted(unseen)[:3]
    (other / "training.json").write_text(
        json.dumps(record | {"test_questions": [*both, "q-elsewhere"]})
    )
    evaluate("--traces", traces, "--judge", trained, "--judge", other, "--json")
    assert [line["questions"] for line in lines(capsys)] == [3, 3]


def test_all_questions_are_used_where_the_user_says_so(
    capsys: pytest.CaptureFixture[str], traces: Path, trained: Path
) -> None:
    evaluate("--traces", traces, "--judge", trained, "--split", "all", "--json")
    assert lines(capsys)[0]["questions"] == 40


@pytest.fixture
def knowing(trained: Path, traces: Path) -> Path:
    """The same judge, whose record says that it has seen the first three test questions by other ids."""
    record = json.loads((trained / "training.json").read_text())
    tested = [n for n in range(40) if split_of(f"q{n}", validation=0.2, test=0.3, seed=0) == "test"]
    seen = [fingerprint("another", f"How many are {n}?") for n in tested[:3]]
    (trained / "training.json").write_text(json.dumps(record | {"seen_questions": seen}))
    return trained


def test_a_question_that_training_had_under_another_id_is_left_out(
    capsys: pytest.CaptureFixture[str], traces: Path, knowing: Path
) -> None:
    evaluate("--traces", traces, "--judge", knowing, "--json")
    captured = capsys.readouterr()
    tested = [n for n in range(40) if split_of(f"q{n}", validation=0.2, test=0.3, seed=0) == "test"]
    assert json.loads(captured.out)["questions"] == len(tested) - 3
    assert "3 questions are left out: the training of" in captured.err


def test_questions_of_the_training_that_are_used_all_the_same_are_counted(
    capsys: pytest.CaptureFixture[str], traces: Path, knowing: Path
) -> None:
    evaluate("--traces", traces, "--judge", knowing, "--split", "all", "--json")
    captured = capsys.readouterr()
    assert json.loads(captured.out)["questions"] == 40
    assert (
        f"3 of them were in the training of {knowing}, so its figures are too good." in captured.err
    )


def test_a_file_with_no_unseen_question_says_how_to_use_it_anyway(
    capsys: pytest.CaptureFixture[str], traces: Path, trained: Path
) -> None:
    record = json.loads((trained / "training.json").read_text())
    (trained / "training.json").write_text(json.dumps(record | {"test_questions": ["elsewhere"]}))
    assert evaluate("--traces", traces, "--judge", trained) == 2
    assert "add --split all" in capsys.readouterr().err
