"""What a forced answer tells of whether two traces end alike, by the share of them that is written."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from judge_server.cli.main import main
from judge_server.evaluation.forced_answers import forced_answer_figures
from orchestrator.errors import DatasetError


def matrix(file: Path, *branches: object, probe_freq: int = 10) -> Path:
    """Two questions with these traces."""
    question = {
        "question": "?",
        "gold_answer": "1",
        "probe_freq": probe_freq,
        "each_branch": branches,
    }
    file.write_text(json.dumps([question, question]))
    return file


def lines(file: Path, *branches: Sequence[object], probe_freq: int = 10) -> Path:
    """The same as traces, a line each."""
    rows = [
        {"question_id": number, "question": "?", "text": "so", "tokens": tokens, "answer": final}
        | {"probe_freq": probe_freq, "probes": probes}
        for number in range(2)
        for probes, tokens, final in branches
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


@pytest.mark.parametrize(("write", "name"), [(matrix, "m.json"), (lines, "m.jsonl")])
def test_the_last_probe_within_the_share_counts(
    write: Callable[..., Path], name: str, tmp_path: Path
) -> None:
    file = write(
        tmp_path / name,
        [["5", "1", "1"], 39, "1"],
        [["5", "1.0", "1"], 39, "1"],
        [["5", "2", "2"], 39, 2],
        [["ERR", "ERR"], 39, "ERR"],
    )
    found = forced_answer_figures(file, [10, 40, 60], pairs_per_question=300, seed=0)
    assert [found[percent].pairs for percent in (10, 40, 60)] == [6, 6, 6]
    assert found[10].auroc == 0.5  # there is no probe yet
    assert found[40].auroc == 0.5  # all name 5
    assert (found[60].auroc, found[60].auroc_within) == (1.0, 1.0)


def test_a_probe_that_names_nothing_lies_between_equal_and_different(tmp_path: Path) -> None:
    file = matrix(
        tmp_path / "m.json",
        [["1"], 11, "1"],
        [["1"], 11, "1"],
        [["ERR"], 11, "1"],
        [["2"], 11, "2"],
    )
    figures = forced_answer_figures(file, [99], pairs_per_question=300, seed=0)[99]
    # same: 1, 0.5, 0.5; different: 0, 0, 0.5
    assert figures.auroc == pytest.approx(8 / 9)
    assert figures.same_share == 0.5


def test_at_most_so_many_pairs_of_a_question_are_taken(tmp_path: Path) -> None:
    branches = [[["1"], 11, str(number % 2)] for number in range(20)]
    file = matrix(tmp_path / "m.json", *branches)
    found = forced_answer_figures(file, [99], pairs_per_question=30, seed=0)
    assert found[99].pairs == 60


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("{}", "probe matrix"),
        ("[" * 100_000, "probe matrix"),
        ("[]", "not of both classes"),
        (None, "probe matrix"),
    ],
)
def test_a_file_of_no_use_is_refused(content: str | None, sentence: str, tmp_path: Path) -> None:
    file = tmp_path / "m.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(DatasetError, match=sentence):
        forced_answer_figures(file, [10], pairs_per_question=9, seed=0)


@pytest.mark.parametrize("content", ['{"question_id": 1}', "[]", "{"])
def test_lines_that_are_no_traces_with_probes_are_refused(content: str, tmp_path: Path) -> None:
    file = tmp_path / "m.jsonl"
    file.write_text(content)
    with pytest.raises(DatasetError, match="traces with probes"):
        forced_answer_figures(file, [10], pairs_per_question=9, seed=0)


def test_probes_at_every_no_tokens_are_refused(tmp_path: Path) -> None:
    file = matrix(tmp_path / "m.json", [["1"], 11, "1"], probe_freq=0)
    with pytest.raises(DatasetError, match="probe_freq below 1"):
        forced_answer_figures(file, [10], pairs_per_question=9, seed=0)


@pytest.mark.slow  # draws with matplotlib
def test_judges_and_forced_answers_are_drawn_in_one_figure(
    traces: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = matrix(tmp_path / "m.json", [["1"], 11, "1"], [["1"], 11, "1"], [["2"], 11, "2"])
    asked = ["evaluate", "--traces", str(traces), "--judge", "words", "--probes", str(file)]
    assert main(asked) == 2
    assert "add --truncations percent:10" in capsys.readouterr().err
    out = tmp_path / "report"
    assert main([*asked, "--truncations", "percent:20,percent:95", "--out", str(out)]) == 0
    assert "Forced answers of `m.json`" in capsys.readouterr().out
    report = json.loads((out / "report.json").read_text())
    assert report["forced_answers"]["m.json"]["95 percent"]["auroc"] == 1.0
    assert "shares.svg" in (out / "report.md").read_text()
    assert (out / "shares.png").stat().st_size > 5_000


@pytest.mark.slow  # loads what evaluates judges
def test_forced_answers_of_the_traces_themselves_are_said_to_be_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    branches = [(["1"], 11, "1"), (["1"], 11, "1"), (["2"], 11, "2")]
    file = lines(tmp_path / "m.jsonl", *branches)
    asked = ["evaluate", "--traces", str(file), "--judge", "words", "--probes", str(file)]
    asked += ["--truncations", "percent:20,percent:95", "--split", "all", "--keep-trivial"]
    assert main(asked) == 0
    assert "Forced answers of `m.jsonl`, on the same traces" in capsys.readouterr().out
