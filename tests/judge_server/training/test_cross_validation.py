"""One judge for each fold, whole, on a model of a few thousand parameters."""

import json
from pathlib import Path

import pytest

from judge_server.cli.main import main
from judge_server.data.fold_scores import read_record, read_scores

pytestmark = pytest.mark.slow


def test_every_question_is_scored_by_a_judge_that_never_saw_it_and_compared(
    capsys: pytest.CaptureFixture[str], traces: Path, folder: Path, tmp_path: Path
) -> None:
    settings = tmp_path / "train.yaml"
    settings.write_text("epochs: 1\nbf16: false\nbatch_tokens: 6000\n")
    words = ["--config", "nano", "--settings", settings, "--traces", traces, "--init", folder]
    out = tmp_path / "cv"
    command = ["cross-validate", *map(str, words), "--folds", "2", "--out", str(out)]
    assert main([*command, "--questions", "9", "--both-orders"]) == 0
    assert "240 pairs of 40 questions" in capsys.readouterr().out
    folds = {line.question: line.fold for line in read_scores(out)}
    assert sorted(folds.values()).count(0) == 20
    assert [one["questions"] for one in read_record(out)["fold_figures"]] == [9, 9]

    asked = ["evaluate", "--traces", str(traces), "--judge", "words", "--judge", str(out)]
    assert main([*asked, "--pairs-per-question", "100", "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["pairs"] for line in lines] == [240, 240]
    assert lines[1]["against_first"]["other"] == "words"

    assert main([*asked, "--words", "15"]) == 2
    assert "cut after 25 words only" in capsys.readouterr().err
    wrong = tmp_path / "two"
    assert main([*command, "--train-model", "other", "--out", str(wrong)]) != 0
    assert "name one of made up with --train-model" in capsys.readouterr().err
    assert not wrong.exists()


def test_a_fold_is_trained_as_train_trains_it(
    capsys: pytest.CaptureFixture[str], traces: Path, folder: Path, tmp_path: Path
) -> None:
    settings = tmp_path / "train.yaml"
    settings.write_text("epochs: 1\nbf16: false\nbatch_tokens: 6000\nvalidation_share: 0.0\n")
    words = ["--config", "nano", "--settings", settings, "--traces", traces, "--init", folder]
    folds, judge = str(tmp_path / "cv"), str(tmp_path / "judge")
    command = [*map(str, words), "--set", "learning_rate=0.003", "--folds", "2"]
    assert main(["cross-validate", *command, "--out", folds]) == 0
    assert main(["train", *command, "--fold", "1", "--out", judge]) == 0
    capsys.readouterr()

    asked = ["evaluate", "--traces", str(traces), "--judge", judge, "--judge", folds]
    assert main([*asked, "--pairs-per-question", "100", "--json"]) == 0
    trained, scored = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    figures = ("pairs", "auroc", "auroc_within", "ece")
    assert [trained[name] for name in figures] == pytest.approx(
        [scored[name] for name in figures], abs=0.003
    )


def two_models(traces: Path, file: Path) -> Path:
    """The same traces, every second one written by another model."""
    rows = [json.loads(line) for line in traces.read_text().splitlines()]
    for number, row in enumerate(rows):
        row["model"] = ("made up", "other")[number % 2]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def test_pairs_across_models_are_trained_on_and_never_scored(
    traces: Path, folder: Path, tmp_path: Path
) -> None:
    settings = tmp_path / "train.yaml"
    settings.write_text("epochs: 1\nbf16: false\nbatch_tokens: 6000\n")
    both = two_models(traces, tmp_path / "both.jsonl")
    words = ["--config", "nano", "--settings", settings, "--traces", both, "--init", folder]
    command = ["cross-validate", *map(str, words), "--folds", "2", "--out"]
    assert main([*command, str(tmp_path / "within")]) == 0
    assert main([*command, str(tmp_path / "across"), "--set", "across_models=true"]) == 0
    within, across = (
        [fold["training_pairs"] for fold in read_record(tmp_path / name)["fold_figures"]]
        for name in ("within", "across")
    )
    assert within == [40, 40]  # 20 questions, one pair of each of two models
    assert across == [120, 120]  # and four of a trace of each
    scored = read_scores(tmp_path / "across")
    assert len(scored) == 80
    assert all(line.new[0] == line.member[0] for line in scored)


def test_training_on_one_model_leaves_out_its_pairs_with_others(
    traces: Path, folder: Path, tmp_path: Path
) -> None:
    settings = tmp_path / "train.yaml"
    settings.write_text("epochs: 1\nbf16: false\nbatch_tokens: 6000\nacross_models: true\n")
    both = two_models(traces, tmp_path / "both.jsonl")
    words = ["--config", "nano", "--settings", settings, "--traces", both, "--init", folder]
    out = tmp_path / "one"
    command = ["cross-validate", *map(str, words), "--folds", "2", "--out", str(out)]
    assert main([*command, "--train-model", "made up"]) == 0
    assert [fold["training_pairs"] for fold in read_record(out)["fold_figures"]] == [20, 20]
    assert {line.new[0] for line in read_scores(out)} == {"made up", "other"}
