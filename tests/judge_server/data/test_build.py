"""`deepprune-judge pairs`, whole: what it writes, what it refuses, and how little it holds."""

import hashlib
import json
import tracemalloc
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import judge_server.data.build
from judge_server.cli.main import main
from judge_server.data.alpaca import read_pairs
from judge_server.data.build import write_dataset
from judge_server.data.build_options import DatasetSettings
from judge_server.data.pairs import Pair
from judge_server.data.splits import split_of

SPLITS = ("train", "validation", "test")
MANY_SPLITS = {"validation-share": 0.3, "test-share": 0.3}


def row(question: str, number: int, **fields: object) -> dict[str, object]:
    """A trace that says one of three answers, after its cut."""
    return {
        "question_id": question,
        "question": f"How many are {question}?",
        "text": f"start {number}. " + "so on. " * 30 + rf"\boxed{{{number % 3}}}",
        "model": "m",
        **fields,
    }


def rows(questions: int = 20, traces: int = 6, **fields: object) -> list[dict[str, object]]:
    return [row(f"q{q}", n, **fields) for n in range(traces) for q in range(questions)]


def written(folder: Path, lines: list[dict[str, object]], name: str = "traces.jsonl") -> Path:
    file = folder / name
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


def pairs(out: Path, *traces: Path, **flags: object) -> int:
    words = ["pairs", "--traces", *map(str, traces), "--out", str(out)]
    for name, value in flags.items():
        flag = "--" + name.replace("_", "-")
        values = value if isinstance(value, list) else [value]
        words += [flag] if value is True else [word for one in values for word in (flag, str(one))]
    return main(words)


def made(out: Path, *traces: Path, **flags: object) -> dict[str, list[Pair]]:
    assert pairs(out, *traces, **flags) == 0
    return {split: list(read_pairs(out / f"{split}.json")) for split in SPLITS}


def card_of(out: Path) -> dict[str, Any]:
    card: dict[str, Any] = json.loads((out / "card.json").read_text())
    return card


def test_a_folder_has_three_splits_a_card_and_what_llama_factory_needs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "pairs"
    splits = made(out, written(tmp_path, rows()), validation_share=0.3, test_share=0.3)
    assert sorted(file.name for file in out.iterdir()) == [
        "README.md",
        "card.json",
        "dataset_info.json",
        "test.json",
        "train.json",
        "validation.json",
    ]
    assert sum(len(part) for part in splits.values()) == 20 * 15
    info = json.loads((out / "dataset_info.json").read_text())
    for entry in info.values():
        records = json.loads((out / entry["file_name"]).read_text())
        assert all(record[column] for record in records for column in entry["columns"].values())
    printed = json.loads(capsys.readouterr().out)
    assert printed["train"]["pairs"] == len(splits["train"])
    assert printed["total"]["pairs"] == 300


def test_no_question_is_in_two_splits_even_under_two_names(tmp_path: Path) -> None:
    lines = rows() + [
        row(f"q{q}", n, question_id=f"other/{q}") for q in range(20) for n in range(4)
    ]
    splits = made(
        tmp_path / "pairs", written(tmp_path, lines), validation_share=0.3, test_share=0.3
    )
    questions = {split: {pair.question for pair in part} for split, part in splits.items()}
    assert all(questions.values())
    assert (
        sum(len(part) for part in questions.values()) == len(set.union(*questions.values())) == 20
    )
    for split, part in splits.items():
        for pair in part:
            assert split_of(pair.question_id, validation=0.3, test=0.3, seed=0) == split
    assert card_of(tmp_path / "pairs")["repeated_questions"] == 20


def test_models_kept_for_testing_are_seen_on_test_questions_only(tmp_path: Path) -> None:
    lines = [*rows(), *rows(model="unseen"), *rows(questions=1, model="unseen")]
    lines += [row("only-theirs", n, model="unseen") for n in range(6)]
    out = tmp_path / "pairs"
    splits = made(out, written(tmp_path, lines), test_model="unseen", test_share=0.5)
    assert {pair.model for pair in splits["train"] + splits["validation"]} == {"m"}
    assert {pair.model for pair in splits["test"]} == {"m", "unseen"}
    assert "only-theirs" in {pair.question_id for pair in splits["test"]}
    train = {pair.question_id for pair in splits["train"] + splits["validation"]}
    assert not train & {pair.question_id for pair in splits["test"]}
    card = card_of(out)
    assert card["left_out_traces_of_test_models"] >= 6 * len(train)
    assert card["splits"]["test"]["models"]["unseen"]["pairs"] > 0


@pytest.mark.parametrize("both_orders", [False, True])
def test_the_rarer_training_class_is_there_so_many_times(tmp_path: Path, both_orders: bool) -> None:
    file = written(tmp_path, rows())
    plain = made(tmp_path / "plain", file, validation_share=0.2, test_share=0.2)
    flags = {"both_orders": True} if both_orders else {}
    shown = made(
        tmp_path / "shown", file, validation_share=0.2, test_share=0.2, oversample=3, **flags
    )
    classes, repeated = (Counter(pair.same for pair in part["train"]) for part in (plain, shown))
    assert classes[True] < classes[False]
    orders = 2 if both_orders else 1
    assert repeated == {True: classes[True] * 3 * orders, False: classes[False] * orders}
    for split in ("validation", "test"):
        assert shown[split] == plain[split]
    counts = card_of(tmp_path / "shown")["splits"]["train"]
    assert (counts["pairs"], counts["records"]) == (len(plain["train"]), len(shown["train"]))


def test_the_same_traces_and_seed_give_the_same_bytes_whatever_else_is_there(
    tmp_path: Path,
) -> None:
    lines = rows()
    file = written(tmp_path, lines)
    made(tmp_path / "one", file, pairs_per_question=5)
    made(tmp_path / "two", file, pairs_per_question=5)
    more = written(tmp_path, [*rows(questions=3, model="n"), *lines], "more.jsonl")
    with_more = made(tmp_path / "more", more, pairs_per_question=5)
    made(tmp_path / "other", file, pairs_per_question=5, seed=1)
    one, two, other = (
        (tmp_path / name / "train.json").read_bytes() for name in ("one", "two", "other")
    )
    assert one == two != other
    of_m = {pair for part in with_more.values() for pair in part if pair.model == "m"}
    expected = {p for split in SPLITS for p in read_pairs(tmp_path / "one" / f"{split}.json")}
    assert of_m == expected


def test_the_card_counts_what_was_left_out_and_hashes_what_was_read_and_written(
    tmp_path: Path,
) -> None:
    lines = rows()
    lines += [row("q0", 0, text="so nothing"), row("q1", 0, text=r"so \boxed{1}")]
    file = written(tmp_path, lines)
    out = tmp_path / "pairs"
    splits = made(out, file, pairs_per_question=10)
    card = card_of(out)
    total = card["total"]
    assert (total["traces"], total["unanswered"], total["ended_before_checkpoint"]) == (122, 1, 1)
    assert (total["shows_answer"], total["trivial_dropped"], total["capped"]) == (1, 6, 20 * 5)
    assert total["pairs"] == sum(len(part) for part in splits.values()) == 200
    (source,) = card["inputs"]
    assert source["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    for output in card["outputs"]:
        content = (out / output["file"]).read_bytes()
        assert output["sha256"] == hashlib.sha256(content).hexdigest()
    train = card["splits"]["train"]
    lengths = sorted(len(text) for pair in splits["train"] for text in (pair.new, pair.member))
    assert train["segment_chars"]["max"] == lengths[-1]
    assert train["segment_chars"]["min"] == lengths[0]
    shares = [
        sum(pair.same for pair in of_one) / len(of_one)
        for name in {pair.question_id for pair in splits["train"]}
        if (of_one := [pair for pair in splits["train"] if pair.question_id == name])
    ]
    assert train["same_share_per_question"]["max"] == pytest.approx(max(shares))
    page = (out / "README.md").read_text()
    assert source["sha256"] in page
    assert f"| train | {train['questions']} | {train['pairs']} |" in page
    assert card["judge"]["segment_words"] == 25


def test_the_judge_of_the_card_is_cut_as_the_traces_were(tmp_path: Path, folder: Path) -> None:
    file = written(tmp_path, rows())
    made(
        tmp_path / "words",
        file,
        words=2,
        word_list="paper",
        max_segment_chars=9,
        keep_trivial=True,
    )
    card = card_of(tmp_path / "words")
    assert (card["judge"]["segment_words"], card["judge"]["max_segment_chars"]) == (2, 9)
    assert card["word_list"] == ["wait", "thus", "since"]
    assert card["total"]["ended_before_checkpoint"] == 120  # none of these words is in them
    made(tmp_path / "tokens", file, tokens=40, tokenizer=folder, max_segment_chars=5000)
    card = card_of(tmp_path / "tokens")
    assert (card["judge"]["segment_tokens"], card["word_list"]) == (40, None)
    assert "40 tokens" in (tmp_path / "tokens" / "README.md").read_text()


ONE_CLASS = [row(f"q{q}", 3 * n) for q in range(9) for n in range(3)]
NO_BOX = [row("q0", n, text="so on. " * 30) for n in range(4)]
SHOWN = [row("q0", n, text=rf"so \boxed{{{n}}}") for n in range(4)]

MISTAKES: dict[str, tuple[list[dict[str, object]], dict[str, object], str]] = {
    "no answers": (NO_BOX, {}, "None of the 4 traces gives an answer"),
    "only trivial pairs": (SHOWN, {}, "4 show it before the cut"),
    "one answer class": (ONE_CLASS, {}, "have the same answer, and a judge needs both classes"),
    "only different answers": (
        [row(f"q{q}", n) for q in range(9) for n in range(3)],
        {},
        "have different answers",
    ),
    "shares above 1": (
        rows(),
        {"test_share": 0.6, "validation_share": 0.5},
        "more than 1 together",
    ),
    "unknown test model": (rows(), {"test_model": "x"}, "--test-model x: the traces are by m"),
    "tokens without a tokenizer": (rows(), {"tokens": 9}, "--tokenizer"),
    "a tokenizer without tokens": (rows(), {"tokenizer": "x"}, "give both or neither"),
    "two ways to cut": (rows(), {"tokens": 9, "words": 9}, "give one of them"),
    "words for tokens": (
        rows(),
        {"tokens": 9, "tokenizer": "x", "word_list": "paper"},
        "--word-list is for traces cut by --words",
    ),
    "a bad expression": (rows(), {"answer_regex": "("}, "is not a regular expression"),
    "an unknown judge": (rows(), {"judge": "nobody"}, "There is no judge 'nobody'"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_sentence_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], mistake: str
) -> None:
    lines, flags, message = MISTAKES[mistake]
    file = written(tmp_path, lines)
    assert pairs(tmp_path / "pairs", file, **flags) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.out == ""
    assert list(tmp_path.iterdir()) == [file]


def test_training_pairs_of_one_class_are_refused_even_if_the_others_have_both(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [
        row(f"q{q}", n if split_of(f"q{q}", validation=0.0, test=0.5, seed=0) == "test" else 3 * n)
        for q in range(9)
        for n in range(4)
    ]
    file = written(tmp_path, lines)
    assert pairs(tmp_path / "pairs", file, test_share=0.5, validation_share=0.0) == 2
    assert "training pairs have the same answer" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [file]
    assert pairs(tmp_path / "pairs", file, test_share=1.0, validation_share=0.0) == 0


def test_a_corrupt_line_far_down_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(tmp_path, rows())
    file.write_text(file.read_text() + '{"question_id": "q1", "te')
    assert pairs(tmp_path / "pairs", file) == 2
    assert "line 121 is not a trace" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("value", ["0", "-1", "x", "1.5"])
def test_a_count_below_one_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], value: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        pairs(tmp_path / "pairs", tmp_path / "x", words=value)
    assert ended.value.code == 2
    assert "--words" in capsys.readouterr().err


def test_a_share_is_from_0_to_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for value in ("1.5", "many", "nan"):
        with pytest.raises(SystemExit):
            pairs(tmp_path / "pairs", tmp_path / "x", test_share=value)
        assert "is not a number from 0 to 1" in capsys.readouterr().err


def test_a_source_named_twice_and_a_full_folder_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(tmp_path, rows())
    assert pairs(tmp_path / "pairs", file, tmp_path / "." / file.name) == 2
    assert "is given twice" in capsys.readouterr().err
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "mine").write_text("precious")
    assert pairs(kept, file) == 2
    assert "exists already" in capsys.readouterr().err
    assert [path.name for path in kept.iterdir()] == ["mine"]


@pytest.mark.parametrize(
    ("failure", "code"), [(KeyboardInterrupt(), 130), (OSError(28, "No space left on device"), 2)]
)
def test_an_interrupt_or_a_full_disk_leaves_nothing_behind(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    failure: BaseException,
    code: int,
) -> None:
    file = written(tmp_path, rows())
    calls = iter(range(50))

    def record_of(pair: Pair, spec: object) -> object:
        if next(calls, None) is None:
            raise failure
        return pair

    monkeypatch.setattr(judge_server.data.build, "record_of", record_of)
    assert pairs(tmp_path / "pairs", file) == code
    assert ("free disk space" in capsys.readouterr().err) is (code == 2)
    assert list(tmp_path.iterdir()) == [file]


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    (tmp_path / "pairs").mkdir()
    assert pairs(tmp_path / "pairs", written(tmp_path, rows())) == 0


def peak_bytes(settings: DatasetSettings) -> tuple[int, int]:
    """Pairs made, and the most memory that Python's objects took meanwhile."""
    tracemalloc.start()
    try:
        card = write_dataset(settings)
        return card["total"]["pairs"], tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.slow  # measures memory over many pairs
def test_memory_does_not_grow_with_pairs(tmp_path: Path) -> None:
    file = written(tmp_path, rows(questions=3, traces=36))
    write_dataset(DatasetSettings(traces=[file], out=tmp_path / "warm"))  # imports, caches
    few, least = peak_bytes(
        DatasetSettings(traces=[file], out=tmp_path / "few", pairs_per_question=20)
    )
    many, most = peak_bytes(
        DatasetSettings(
            traces=[file],
            out=tmp_path / "many",
            pairs_per_question=10_000,
            both_orders=True,
            oversample=2,
        )
    )
    assert many > 30 * few
    assert (most - least) / (many - few) < 8  # bytes a pair: less than its place in a list
