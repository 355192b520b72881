"""`deepprune-judge evaluate`, whole: lines, tables, files, and what it refuses."""

import asyncio
import itertools
import json
import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web
from sklearn.metrics import roc_auc_score
from transformers import BertForSequenceClassification

from judge_server.cli.main import main
from judge_server.data.alpaca import record_of
from judge_server.data.pairs import Pair
from judge_server.data.splits import split_of
from judge_server.data.traces import fingerprint
from judge_server.evaluation.calibration import CalibrationMethod
from judge_server.model_folder import write_spec
from orchestrator.config.shipped import judge_spec
from orchestrator.core.judging import JudgeSpec
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
SETTINGS = {"seed": 0, "validation_share": 0.2, "test_share": 0.3}


def evaluate(*words: object) -> int:
    return main(["evaluate", *map(str, words)])


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.fixture
def trained(folder: Path, tmp_path: Path, spec: JudgeSpec) -> Path:
    """A judge whose training is on record."""
    judge = Path(shutil.copytree(folder, tmp_path / "trained"))
    record = {"judge": spec.model_dump(mode="json"), "settings": SETTINGS}
    (judge / "training.json").write_text(json.dumps(record))
    return judge


@pytest.fixture
def pairs_file(tmp_path: Path, spec: JudgeSpec) -> Path:
    """12 questions x 10 pairs; the words of a same-answer pair are the same but for some."""
    pairs = [
        Pair(
            f"q{n // 10}",
            "?",
            f"so {n}",
            f"{'so' if n % 4 or n % 7 == 0 else 'wait'} {n}",
            n % 4 > 0,
            f"m{n % 2}",
        )
        for n in range(120)
    ]
    file = tmp_path / "pairs.jsonl"
    file.write_bytes(b"\n".join(msgspec.json.encode(record_of(pair, spec)) for pair in pairs))
    return file


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


def test_the_cut_is_the_judges_own_unless_another_is_asked_for(
    capsys: pytest.CaptureFixture[str], traces: Path, trained: Path, spec: JudgeSpec
) -> None:
    judge = spec.model_copy(update={"segment_words": 7}).model_dump(mode="json")
    (trained / "training.json").write_text(json.dumps({"judge": judge, "settings": SETTINGS}))
    evaluate("--traces", traces, "--judge", trained)
    assert "cut after 7 words" in capsys.readouterr().out
    evaluate("--traces", traces, "--judge", trained, "--tokens", 9)
    assert "cut after 9 tokens" in capsys.readouterr().out


def test_pairs_of_a_file_are_scored_and_told_apart_by_model(
    capsys: pytest.CaptureFixture[str], pairs_file: Path, tmp_path: Path
) -> None:
    evaluate("--pairs", pairs_file, "--judge", "words", "--out", tmp_path / "out")
    assert "| words | m1 | 60 |" in capsys.readouterr().out
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert set(report["judges"][0]["models"]) == {"m0", "m1"}


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


def test_the_same_command_writes_the_same_files(pairs_file: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        evaluate("--pairs", pairs_file, "--judge", "words", "--out", tmp_path / name)
    for name in ("roc.svg", "reliability.svg", "scores.svg", "scores.jsonl"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


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


def refusals(folder: Path) -> dict[str, tuple[list[object], str]]:
    traces = ["--traces", folder / "traces.jsonl"]
    return {
        "no such baseline": ([*traces, "--judge", "overlab"], "overlap, words, tfidf, embedding"),
        "no model": ([*traces, "--judge", folder], "holds no model"),
        "nobody there": ([*traces, "--judge", "http://127.0.0.1:9/v1"], "127.0.0.1:9"),
        "one class": (
            ["--traces", folder / "one.jsonl", "--judge", "words"],
            "both classes are needed",
        ),
        "no file": (["--traces", folder / "none.jsonl", "--judge", "words"], "check the path"),
        "cut twice": (
            ["--pairs", folder / "p.json", "--words", "9", "--judge", "words"],
            "cut already",
        ),
        "no cut": ([*traces, "--judge", "words", "--truncations", "15,some"], "'some'"),
        "out is a file": (
            [*traces, "--judge", "words", "--out", folder / "one.jsonl"],
            "cannot be written",
        ),
        "nothing to calibrate": (
            [*traces, "--judge", "words", "--calibrate", "isotonic"],
            "for one judge",
        ),
        "no such spec": (
            [*traces, "--judge", "http://127.0.0.1:9/v1", "--spec", "nono"],
            "no judge 'nono'",
        ),
    }


@pytest.mark.parametrize("case", refusals(Path()))
def test_wrong_input_is_one_sentence_and_nothing_is_written(
    capsys: pytest.CaptureFixture[str], traces: Path, tmp_path: Path, case: str
) -> None:
    row = {"question_id": "q", "question": "?", "text": "so " * 30, "answer": "1"}
    (tmp_path / "one.jsonl").write_text((json.dumps(row) + "\n") * 4)
    before = sorted(tmp_path.iterdir())
    words, sentence = refusals(tmp_path)[case]
    out = [] if "--out" in words else ["--out", tmp_path / "out"]
    assert evaluate(*words, *out) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert sentence in captured.err.splitlines()[-1]
    assert sorted(tmp_path.iterdir()) == before


def test_a_file_with_no_unseen_question_says_how_to_use_it_anyway(
    capsys: pytest.CaptureFixture[str], traces: Path, trained: Path
) -> None:
    record = json.loads((trained / "training.json").read_text())
    (trained / "training.json").write_text(json.dumps(record | {"test_questions": ["elsewhere"]}))
    assert evaluate("--traces", traces, "--judge", trained) == 2
    assert "add --split all" in capsys.readouterr().err


async def test_the_calibration_of_a_served_judge_needs_a_place(
    capsys: pytest.CaptureFixture[str], traces: Path, spec_file: Path
) -> None:
    async with FakeServer({"/generative_scoring": answers, "/tokenize": tokenize}) as server:
        words = ["--traces", traces, "--judge", server.url, "--spec", spec_file]
        assert await asyncio.to_thread(evaluate, *words, "--calibrate", "isotonic") == 2
    assert "in --out DIR" in capsys.readouterr().err


@pytest.fixture
def pairs_with_long_ones(tmp_path: Path, spec: JudgeSpec) -> Path:
    """12 questions x 10 pairs; every tenth is longer than any judge's context here."""
    unbounded = spec.model_copy(update={"max_segment_chars": 10**6})
    file = tmp_path / "long.jsonl"
    with file.open("wb") as lines:
        for n in range(120):
            member = f"so {n}" + (" wait, 7 x 6 is 42" * 500 if n % 10 == 3 else "")
            pair = Pair(f"q{n // 10}", "?", f"so {n}", member, n % 4 > 0, "m")
            lines.write(msgspec.json.encode(record_of(pair, unbounded)) + b"\n")
    return file


@pytest.mark.parametrize("kind", ["language model", "encoder"])
def test_pairs_that_are_too_long_are_left_out_for_every_judge_and_counted(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    folder: Path,
    encoder: Path,
    spec: JudgeSpec,
    classification: JudgeSpec,
    pairs_with_long_ones: Path,
    kind: str,
) -> None:
    judge, asked = tmp_path / "judge", spec
    if kind == "language model":
        shutil.copytree(folder, judge)
    else:
        asked = classification
        model = BertForSequenceClassification.from_pretrained(encoder, num_labels=2)
        model.save_pretrained(judge)
        for name in ("vocab.txt", "tokenizer.json", "tokenizer_config.json"):
            if (encoder / name).is_file():
                shutil.copyfile(encoder / name, judge / name)
    write_spec(asked.model_copy(update={"max_segment_chars": 10**6}), judge / "judge.yaml")
    out = tmp_path / "report"
    flags = ("--pairs", pairs_with_long_ones, "--judge", judge, "--judge", "words")
    assert evaluate(*flags, "--split", "all", "--json", "--out", out) == 0
    said = capsys.readouterr()
    assert [json.loads(line)["pairs"] for line in said.out.splitlines()] == [108, 108]
    assert "12 pairs are left out for every judge" in said.err
    report = json.loads((out / "report.json").read_text())
    assert (report["counts"]["pairs"], report["counts"]["unread"]) == (120, 12)
    assert len((out / "scores.jsonl").read_text().splitlines()) == 108
    assert (
        "12 pairs, longer than a judge's context, are left out" in (out / "report.md").read_text()
    )


def test_a_judge_that_can_read_no_pair_is_one_sentence(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, folder: Path, traces: Path, spec: JudgeSpec
) -> None:
    wordy = spec.model_copy(update={"instruction": "Same? " * 1000})
    write_spec(wordy, tmp_path / "wordy.yaml")
    assert evaluate("--traces", traces, "--judge", folder, "--spec", tmp_path / "wordy.yaml") == 2
    said = capsys.readouterr()
    assert "lower max_segment_chars in the judge's YAML" in said.err
    assert "Traceback" not in said.err


@pytest.mark.parametrize(
    "content",
    [
        "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1]\n"
        + "".join(
            f"{n}: &{n} [{','.join([f'*{p}'] * 9)}]\n" for p, n in itertools.pairwise("abcdefghi")
        ),
        "name: &x [*x]\n",
        "name: !!python/object/apply:os.system ['touch run']\n",
        "name: !!python/name:os.system ''\n",
        "name: a\0b\n",
        "segment_words: 1" + "0" * 5000 + "\n",
        "segment_words: 1e999\n",
        "name: 2026-01-01\n",
        "name: " + "[" * 2_000 + "\n",
        "name: x\n" * 200_000,
        "- 1\n",
        "\ufffe",
        "3",
    ],
    ids=[
        *("aliases", "recursion", "tag", "name tag", "NUL", "digits", "infinity", "date", "depth"),
        *("size", "list", "no text", "number"),
    ],
)
@pytest.mark.parametrize("flag", ["--spec", "--word-list"])
def test_a_hostile_yaml_file_is_one_sentence(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    folder: Path,
    traces: Path,
    flag: str,
    content: str,
) -> None:
    file = tmp_path / "hostile.yaml"
    file.write_text(content)
    assert evaluate("--traces", traces, "--judge", folder, flag, file) == 2
    said = capsys.readouterr().err.splitlines()
    assert said[-1].startswith("deepprune-judge evaluate: ")
    assert len(said[-1]) < 500
    assert not Path("run").exists()
