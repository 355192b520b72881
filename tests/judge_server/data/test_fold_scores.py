"""The folder of a cross-validation: scores by pair, whatever order and whichever run wrote them."""

from pathlib import Path

import pytest

from judge_server.data.fold_scores import (
    CROSS_VALIDATION_FILE,
    FoldScores,
    ScoreFolder,
    cut_of,
    read_record,
    read_scores,
    scores_of_folds,
)
from judge_server.data.pairs import Origin, Pair
from judge_server.data.truncation import Truncation
from orchestrator.errors import ConfigError

RECORD = {"cut": {"count": 25, "unit": "words"}, "seed": 0}


def pair(new: int, member: int) -> Pair:
    origins = (Origin("m", new), Origin("m", member))
    return Pair("q", "?", f"new {new}", f"member {member}", True, "m", origins)


def ignore(done: float) -> None:
    """Progress that nobody watches."""


def test_scores_are_found_by_pair_and_order(tmp_path: Path) -> None:
    folder = tmp_path / "cv"
    opened = ScoreFolder(folder, RECORD)
    assert opened.begin() == 0
    opened.add(FoldScores(0, [pair(1, 2), pair(2, 3)], [0.25, 0.5], [0.75, 0.125]))
    asked = [pair(2, 3), pair(2, 1), pair(1, 2)]
    assert scores_of_folds(folder, read_scores(folder), asked, ignore) == [0.5, 0.75, 0.25]
    assert cut_of(read_record(folder), folder) == Truncation(25)


def test_a_pair_that_was_not_scored_is_refused_with_what_to_repeat(tmp_path: Path) -> None:
    opened = ScoreFolder(tmp_path, RECORD)
    opened.begin()
    opened.add(FoldScores(0, [pair(1, 2)], [0.25]))
    with pytest.raises(ConfigError, match="no score for a pair of question q; give the same"):
        scores_of_folds(tmp_path, read_scores(tmp_path), [pair(2, 1)], ignore)


def test_a_second_run_goes_on_after_the_folds_that_are_whole(tmp_path: Path) -> None:
    opened = ScoreFolder(tmp_path, RECORD)
    opened.begin()
    opened.add(FoldScores(0, [pair(1, 2)], [0.25], figures={"steps": 3}))
    with (tmp_path / "scores.jsonl").open("a") as file:  # killed within the next fold
        file.write(
            '{"fold":1,"question":"q","new":["m",5],"member":["m",6],"same":true,"score":0.5}\n'
        )
    assert ScoreFolder(tmp_path, RECORD).begin() == 1
    assert [line.fold for line in read_scores(tmp_path)] == [0]


def test_a_folder_with_other_settings_is_not_continued(tmp_path: Path) -> None:
    ScoreFolder(tmp_path, RECORD).begin()
    with pytest.raises(ConfigError, match="name a new folder with --out"):
        ScoreFolder(tmp_path, RECORD | {"seed": 1}).begin()


def test_the_report_of_an_evaluation_is_not_overwritten(tmp_path: Path) -> None:
    report = tmp_path / "scores.jsonl"
    report.write_text("measured\n")
    with pytest.raises(ConfigError, match="is not empty; name a new folder with --out"):
        ScoreFolder(tmp_path, RECORD).begin()
    assert report.read_text() == "measured\n"


@pytest.mark.parametrize("content", [b'{"question": "\xff"}', b"[" * 5000, b'{"fold": 0', b"{}"])
def test_broken_scores_are_refused_by_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "scores.jsonl").write_bytes(content + b"\n")
    with pytest.raises(ConfigError, match=r"scores\.jsonl cannot be read"):
        read_scores(tmp_path)


@pytest.mark.parametrize("text", ["[]", "{}", '{"fold_figures": 1}', "no"])
def test_a_broken_record_is_refused_by_name(tmp_path: Path, text: str) -> None:
    (tmp_path / CROSS_VALIDATION_FILE).write_text(text)
    with pytest.raises(ConfigError, match=r"cross-validation\.json cannot be read"):
        read_record(tmp_path)
