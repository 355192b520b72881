"""What `deepprune-judge evaluate` refuses, and pairs that a judge cannot read."""

import itertools
import json
import shutil
from pathlib import Path

import msgspec
import pytest

from judge_server.data.alpaca import record_of
from judge_server.data.pairs import Pair
from judge_server.model_folder import write_spec
from orchestrator.core.judging import JudgeSpec
from tests.support.evaluating import evaluate


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
        from transformers import BertForSequenceClassification

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
