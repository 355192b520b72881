"""`deepprune-judge evaluate`, whole: lines, tables, files, served judges and calibration."""

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from sklearn.metrics import roc_auc_score

from judge_server.evaluation.calibration import CalibrationMethod
from orchestrator.config.shipped import judge_spec
from orchestrator.core.judging import JudgeSpec
from tests.support.evaluating import evaluate, lines
from tests.support.fake_server import FakeServer

CONTRACT = [
    "judge",
    "auroc",
    "auroc_low",
    "auroc_high",
    "auroc_within",
    "tnr_at_fnr20",
    "ece",
    "pairs",
    "questions",
    "same_share",
    "auroc_within_low",
    "auroc_within_high",
    "p_within",
    "against_first",
]


def test_one_line_a_judge_with_the_figures_that_others_read(
    capsys: pytest.CaptureFixture[str], traces: Path
) -> None:
    assert (
        evaluate(
            "--traces",
            traces,
            "--judge",
            "overlap",
            "--judge",
            "words",
            "--words",
            25,
            "--pairs-per-question",
            300,
            "--seed",
            0,
            "--json",
        )
        == 0
    )
    overlap, words = lines(capsys)
    assert list(overlap) == list(words) == CONTRACT
    assert (overlap["judge"], words["judge"]) == ("overlap", "words")
    assert words["auroc"] == words["auroc_low"] == words["auroc_within"] == 1.0
    assert words["tnr_at_fnr20"] == 1.0
    assert (words["pairs"], words["questions"]) == (240, 40)
    assert 0.0 < words["ece"] < 1.0
    assert words["same_share"] == overlap["same_share"]


def test_without_json_there_is_a_table_and_only_that_on_stdout(
    capsys: pytest.CaptureFixture[str], traces: Path
) -> None:
    evaluate("--traces", traces, "--judge", "words")
    out = capsys.readouterr().out
    assert out.startswith("Pairs of `traces.jsonl`, cut after 25 words: of 160 traces")
    assert "| words | 240 | 40 |" in out


@pytest.mark.slow  # evaluates judges
def test_pairs_of_a_file_are_scored_and_told_apart_by_model(
    capsys: pytest.CaptureFixture[str], pairs_file: Path, tmp_path: Path
) -> None:
    evaluate("--pairs", pairs_file, "--judge", "words", "--out", tmp_path / "out")
    assert "| words | m1 | 60 |" in capsys.readouterr().out
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert set(report["judges"][0]["models"]) == {"m0", "m1"}


@pytest.mark.slow  # evaluates judges
def test_the_report_says_in_files_what_the_table_says(
    capsys: pytest.CaptureFixture[str], pairs_file: Path, tmp_path: Path
) -> None:
    out = tmp_path / "deep" / "out"
    evaluate("--pairs", pairs_file, "--judge", "words", "--judge", "tfidf", "--out", out, "--json")
    names = {
        f"{plot}.{suffix}" for plot in ("roc", "reliability", "scores") for suffix in ("png", "svg")
    }
    assert {file.name for file in out.iterdir()} == names | {
        "report.md",
        "report.json",
        "scores.jsonl",
    }
    report = json.loads((out / "report.json").read_text())
    for line, judge in zip(lines(capsys), report["judges"], strict=True):
        assert {name: judge[name] for name in CONTRACT} == line
        assert judge["swapping"]["flips"] == 0.0
    rows = [json.loads(line) for line in (out / "scores.jsonl").read_text().splitlines()]
    same, scores = [row["same"] for row in rows], [row["judges"]["words"]["score"] for row in rows]
    assert roc_auc_score(same, scores) == pytest.approx(report["judges"][0]["auroc"], abs=1e-4)
    assert "![roc.svg](roc.svg)" in (out / "report.md").read_text()


@pytest.mark.slow  # evaluates judges
def test_the_same_command_writes_the_same_files(pairs_file: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        evaluate("--pairs", pairs_file, "--judge", "words", "--out", tmp_path / name)
    for name in ("roc.svg", "reliability.svg", "scores.svg", "scores.jsonl"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_symmetric_scores_are_the_mean_of_both_orders(
    trained: Path, traces: Path, tmp_path: Path
) -> None:
    for name, flags in (("plain", []), ("symmetric", ["--symmetric"])):
        evaluate("--traces", traces, "--judge", trained, "--out", tmp_path / name, *flags)
    read = {
        name: [
            json.loads(line)["judges"][str(trained)]
            for line in (tmp_path / name / "scores.jsonl").read_text().splitlines()
        ]
        for name in ("plain", "symmetric")
    }
    for plain, symmetric in zip(read["plain"], read["symmetric"], strict=True):
        assert symmetric["score"] == pytest.approx(
            (plain["score"] + plain["swapped"]) / 2, abs=2e-6
        )


@pytest.mark.parametrize("method", ["temperature", "isotonic"])
def test_a_calibration_is_saved_beside_the_judge_and_used_the_next_time(
    capsys: pytest.CaptureFixture[str], traces: Path, trained: Path, method: CalibrationMethod
) -> None:
    evaluate("--traces", traces, "--judge", trained, "--calibrate", method)
    captured = capsys.readouterr()
    assert f"calibration by {method}, fitted to" in captured.out
    assert "validation questions" in captured.out
    spec = judge_spec(str(trained / "judge.yaml"))
    assert spec.calibration
    assert spec.calibration.method == method
    after = float(captured.out.split("from ")[-1].split(" to ")[1].rstrip(".\n"))
    evaluate("--traces", traces, "--judge", trained, "--json")
    assert lines(capsys)[0]["ece"] == pytest.approx(after, abs=6e-4)


def test_a_calibration_without_validation_questions_is_cross_fitted(
    capsys: pytest.CaptureFixture[str], traces: Path, folder: Path, tmp_path: Path
) -> None:
    judge = Path(shutil.copytree(folder, tmp_path / "judge"))
    evaluate("--traces", traces, "--judge", judge, "--judge", "words", "--calibrate", "isotonic")
    assert "cross-fitted" in capsys.readouterr().out
    assert judge_spec(str(judge / "judge.yaml")).calibration


async def answers(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """A judge that finds two texts the same if they begin alike."""
    text = "".join(chr(code) for code in body["query"]).split("Solution A:\n")[-1]
    items = ["".join(chr(code) for code in item) for item in body["items"]]
    data = [
        {"index": n, "score": 0.9 if item.split("\n")[1][:2] == text[:2] else 0.2}
        for n, item in enumerate(items)
    ]
    return web.json_response({"data": data, "usage": {"prompt_tokens": 9, "completion_tokens": 1}})


async def tokenize(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    return web.json_response({"tokens": [ord(c) for c in body["prompt"]], "max_model_len": 9999})


@pytest.fixture
def spec_file(tmp_path: Path, spec: JudgeSpec) -> Path:
    file = tmp_path / "served.yaml"
    values = spec.model_copy(update={"max_segment_chars": 900}).model_dump(mode="json")
    file.write_text(json.dumps(values))  # which is YAML too
    return file


@pytest.mark.slow  # evaluates judges
async def test_a_served_judge_stands_beside_a_baseline(
    capsys: pytest.CaptureFixture[str], traces: Path, spec_file: Path, tmp_path: Path
) -> None:
    async with FakeServer({"/generative_scoring": answers, "/tokenize": tokenize}) as server:
        out = tmp_path / "out"
        words = [
            "--traces",
            traces,
            "--judge",
            server.url,
            "--judge",
            "words",
            "--spec",
            spec_file,
            "--calibrate",
            "temperature",
            "--out",
            out,
            "--json",
        ]
        assert await asyncio.to_thread(evaluate, *words) == 0
    captured = capsys.readouterr()
    served, _ = (json.loads(line) for line in captured.out.splitlines())
    assert (served["judge"], served["auroc"]) == (server.url, 1.0)
    assert "asked by generative_scoring as judge nano" in captured.err
    assert judge_spec(str(out / "judge.yaml")).calibration


async def test_a_server_that_fails_midway_ends_the_command_and_leaves_nothing(
    capsys: pytest.CaptureFixture[str], traces: Path, spec_file: Path, tmp_path: Path
) -> None:
    asked = 0

    async def failing(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        nonlocal asked
        asked += 1
        if asked > 6:
            return web.json_response({"error": {"message": "out of memory"}}, status=400)
        return await answers(request, body)

    async with FakeServer({"/generative_scoring": failing, "/tokenize": tokenize}) as server:
        words = [
            "--traces",
            traces,
            "--judge",
            "words",
            "--judge",
            server.url,
            "--spec",
            spec_file,
            "--out",
            tmp_path / "out",
            "--json",
        ]
        assert await asyncio.to_thread(evaluate, *words) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "out of memory" in captured.err.splitlines()[-1]
    assert not (tmp_path / "out").exists()


async def test_the_calibration_of_a_served_judge_needs_a_place(
    capsys: pytest.CaptureFixture[str], traces: Path, spec_file: Path
) -> None:
    async with FakeServer({"/generative_scoring": answers, "/tokenize": tokenize}) as server:
        words = ["--traces", traces, "--judge", server.url, "--spec", spec_file]
        assert await asyncio.to_thread(evaluate, *words, "--calibrate", "isotonic") == 2
    assert "in --out DIR" in capsys.readouterr().err
