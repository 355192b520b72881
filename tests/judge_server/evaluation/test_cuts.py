"""Where `deepprune-judge evaluate` cuts traces, and the table of several cuts."""

import json
from pathlib import Path

import pytest

from orchestrator.core.judging import JudgeSpec
from tests.support.evaluating import TRAINING_SETTINGS, evaluate

pytestmark = pytest.mark.slow  # evaluates judges


def test_the_cut_is_the_judges_own_unless_another_is_asked_for(
    capsys: pytest.CaptureFixture[str], traces: Path, trained: Path, spec: JudgeSpec
) -> None:
    judge = spec.model_copy(update={"segment_words": 7}).model_dump(mode="json")
    (trained / "training.json").write_text(
        json.dumps({"judge": judge, "settings": TRAINING_SETTINGS})
    )
    evaluate("--traces", traces, "--judge", trained)
    assert "cut after 7 words" in capsys.readouterr().out
    evaluate("--traces", traces, "--judge", trained, "--tokens", 9)
    assert "cut after 9 tokens" in capsys.readouterr().out


def test_truncations_are_rows_of_a_table(
    capsys: pytest.CaptureFixture[str], traces: Path, tmp_path: Path, folder: Path
) -> None:
    evaluate(
        "--traces",
        traces,
        "--judge",
        "words",
        "--truncations",
        "5,25,tokens:30",
        "--tokenizer",
        folder,
        "--out",
        tmp_path / "out",
    )
    assert "| 5 words | 100.0% | words |" in capsys.readouterr().out
    (judge,) = json.loads((tmp_path / "out" / "report.json").read_text())["judges"]
    assert list(judge["truncations"]) == ["5 words", "25 words", "30 tokens"]
    assert judge["truncations"]["25 words"]["auroc"] == judge["auroc"]


def test_every_word_list_with_every_cut_is_a_row_with_the_traces_that_reach_it(
    capsys: pytest.CaptureFixture[str], traces: Path, tmp_path: Path
) -> None:
    """The words of these traces, maybe and so, are in the default list and not in the paper's."""
    cuts = ["--word-lists", "default,paper", "--truncations", "5,40,tokens:30"]
    tokenizer = ["--tokenizer", "nano/weights/reasoner"]
    out = tmp_path / "out"
    assert evaluate("--traces", traces, "--judge", "words", *cuts, *tokenizer, "--out", out) == 0
    assert "| 40 words of paper | 0.0% | words |" in capsys.readouterr().out
    report = json.loads((out / "report.json").read_text())
    assert report["reach_cut"] == {
        "5 words of default": 1.0,
        "5 words of paper": 0.0,
        "40 words of default": 0.0,
        "40 words of paper": 0.0,
        "30 tokens": 1.0,
    }


def test_traces_may_be_cut_at_a_part_of_their_length(traces: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    cuts = ["--truncations", "percent:1,percent:60"]
    assert evaluate("--traces", traces, "--judge", "words", *cuts, "--out", out) == 0
    report = json.loads((out / "report.json").read_text())
    assert report["reach_cut"] == {"1 percent": 1.0, "60 percent": 1.0}
    (judge,) = report["judges"]
    assert list(judge["truncations"]) == ["1 percent", "60 percent"]


@pytest.mark.parametrize("item", ["percent:100", "percent:0", "half:3", "percent"])
def test_a_part_is_from_1_to_99_per_cent(
    item: str, traces: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate("--traces", traces, "--judge", "words", "--truncations", item) == 2
    assert f"cannot hold '{item}'" in capsys.readouterr().err


def test_word_lists_alone_are_compared_at_the_judges_own_cut(traces: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    lists = ["--word-lists", "default,extended,default"]
    assert evaluate("--traces", traces, "--judge", "words", *lists, "--out", out) == 0
    report = json.loads((out / "report.json").read_text())
    assert list(report["reach_cut"]) == ["25 words of default", "25 words of extended"]
