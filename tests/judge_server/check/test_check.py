"""`deepprune-judge check`: a budgeted recording, every pair scored once, a replay, and the page."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from judge_server.check.render import as_markdown, as_page
from judge_server.check.sections import Section
from judge_server.cli.main import main
from orchestrator.errors import DeepPruneError
from orchestrator.questions import read_questions

LONG = " so maybe" * 30


def check(*words: object) -> int:
    return main(["check", *map(str, words)])


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """6 questions x 6 traces; those that end alike share their words, and 2 of 3 are right."""
    rows = [
        {
            "question_id": f"q{question}",
            "question": f"How many are {question}?",
            "gold": "1",
            "answer": "2" if number % 3 == 2 else "1",
            "text": f"{'beta' if number % 3 == 2 else 'alpha'} {number}{LONG} {'and on' * 40}",
            "tokens": 100 + number,
            "model": "m",
        }
        for question in range(6)
        for number in range(6)
    ]
    file = tmp_path / "recorded.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    file = tmp_path / "questions.jsonl"
    file.write_text(
        "".join(f'{{"id": "q{n}", "question": "{n}?", "answer": "{n}"}}\n' for n in range(10))
    )
    return file


class FakeBench:
    """`deepprune-bench record`, where every question takes 100 tokens."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def __call__(self, words: Sequence[str]) -> None:
        flags = dict(zip(words[1::2], words[2::2], strict=True))
        found = read_questions(Path(flags["--questions"]))
        self.asked.append(len(found))
        for question in found:
            folder = Path(flags["--out"]) / "consensus" / question.id
            folder.mkdir(parents=True, exist_ok=True)
            report = {"ledger": {"reasoner": {"generated_tokens": 100}}}
            (folder / "report.json").write_text(json.dumps(report))


def check_live(questions: Path, out: Path, *words: object) -> int:
    servers = ["--endpoint", "http://127.0.0.1:9/v1", "--judge", "words"]
    return check(*servers, "--questions", questions, "--out", out, *words)


def test_a_budget_limits_the_questions_by_what_the_first_ones_took(
    questions: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    bench = FakeBench()
    monkeypatch.setattr("judge_server.check.recording.run_bench", bench)
    assert check_live(questions, tmp_path / "out", "--budget", 550) == 2  # nothing was written
    assert bench.asked == [2, 5]
    said = capsys.readouterr().err
    assert "about 500 for 5 of 10 questions, within the budget of 550" in said


def test_a_budget_that_the_first_questions_spend_is_refused(
    questions: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    bench = FakeBench()
    monkeypatch.setattr("judge_server.check.recording.run_bench", bench)
    assert check_live(questions, tmp_path / "out", "--budget", 199) == 2
    assert bench.asked == [2]
    assert "raise --budget" in capsys.readouterr().err


def test_without_a_budget_all_questions_are_recorded(
    questions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = FakeBench()
    monkeypatch.setattr("judge_server.check.recording.run_bench", bench)
    check_live(questions, tmp_path / "out")
    assert bench.asked == [2, 10]


@pytest.mark.parametrize(
    "words",
    [
        ["--judge", "words"],
        ["--judge", "words", "--endpoint", "http://127.0.0.1:9/v1"],
        ["--judge", "words", "--questions", "q.jsonl"],
        ["--judge", "words", "--traces", "t.jsonl", "--questions", "q.jsonl"],
    ],
)
def test_servers_with_questions_or_recorded_traces_are_needed(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check(*words, "--out", tmp_path / "out") == 2
    assert "or recorded --traces PATH" in capsys.readouterr().err


def test_traces_of_two_models_are_refused(
    recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = recorded.read_text().replace('"model": "m"', '"model": "n"')
    recorded.write_text(recorded.read_text() + other)
    assert check("--traces", recorded, "--judge", "words", "--out", tmp_path / "out") == 2
    assert "give the traces of one model" in capsys.readouterr().err


def test_traces_that_all_agree_are_refused(
    recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recorded.write_text(recorded.read_text().replace('"answer": "2"', '"answer": "1"'))
    assert check("--traces", recorded, "--judge", "words", "--out", tmp_path / "out") == 2
    assert "both classes are needed" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.timeout(400)  # it starts two programs of its own
def test_recorded_traces_give_a_recommendation_with_its_page(
    recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    words = ["--traces", recorded, "--judge", "words", "--out", out, "--json"]
    few = ["--traces-per-question", 4, "--resamples", 1, "--tau", 0.25, "--tau", 0.75]
    assert check(*words, *few) == 0
    line = json.loads(capsys.readouterr().out)
    assert line["pairs"] == 90
    assert [row["policy"] for row in line["policies"] if row["tau"] == 0.25] == [
        "deepprune:survivors=1,tau=0.25"
    ]
    assert line["recommendation"][-1].startswith("Use --policy ")
    page = (out / "page.html").read_text()
    assert "Tokens against accuracy" in page
    assert page.count("data:image/svg+xml;base64,") >= 4
    assert json.loads((out / "check.json").read_text()) == line
    assert not (out / "judge.yaml").exists()  # a baseline has no calibration
    assert len((out / "scores.jsonl").read_text().splitlines()) == 90


def test_a_judge_is_calibrated_and_its_scores_are_asked_for_once(
    recorded: Path,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(words: Sequence[str]) -> None:
        raise DeepPruneError("The replay failed.")

    monkeypatch.setattr("judge_server.check.sweep.run_bench", fail)
    out = tmp_path / "out"
    assert check("--traces", recorded, "--judge", folder, "--out", out) == 1
    scores, judge = (out / "scores.jsonl").read_text(), (out / "judge.yaml").read_text()
    assert "method: isotonic" in judge
    assert len(scores.splitlines()) == 90
    assert "are read from" not in capsys.readouterr().err
    assert check("--traces", recorded, "--judge", folder, "--out", out) == 1
    assert "The scores of 90 pairs are read from" in capsys.readouterr().err
    assert (out / "scores.jsonl").read_text() == scores
    check("--traces", recorded, "--judge", folder, "--words", 20, "--out", out)
    assert "are read from" not in capsys.readouterr().err


@pytest.mark.slow  # starts a program
def test_a_failed_program_is_one_sentence(
    recorded: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(words: Sequence[str]) -> None:
        raise DeepPruneError(f"deepprune-bench {words[0]} failed, see above.")

    monkeypatch.setattr("judge_server.check.sweep.run_bench", fail)
    assert check("--traces", recorded, "--judge", "words", "--out", tmp_path / "out") == 1
    assert "deepprune-bench run failed" in capsys.readouterr().err


def test_names_in_a_page_and_in_the_text_are_shown_and_never_run(tmp_path: Path) -> None:
    section = Section(
        title="T",
        sentences=["<script>"],
        heads=("<b>",),
        rows=[("a|b",)],
        pictures=[tmp_path / "x"],
    )
    page = as_page("<i>", [section])
    assert "<script>" not in page
    assert "<b>" not in page
    assert "<i>" not in page
    assert "<img" not in page
    text = as_markdown([section])
    assert r"a\|b" in text
    assert "<script>" not in text
