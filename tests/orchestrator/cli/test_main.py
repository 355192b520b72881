"""The command line: when it shows a screen, what it prints, and which exit code it ends with."""

import asyncio
import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from orchestrator.cli.main import _parser, _wants_screen, main
from tests.support.background import in_background
from tests.support.command import end, start
from tests.support.fake_server import answer_json
from tests.support.paced_servers import PacedServers

Change = Callable[..., None]


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Change:
    """A terminal that can be drawn on; `terminal(**environment)` changes the environment."""
    for stream in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(f"sys.{stream}.isatty", lambda: True, raising=False)
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")

    def change(**environment: str) -> None:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)

    return change


def wants(*arguments: str) -> bool:
    return _wants_screen(_parser().parse_args([*arguments, "question"]))


@pytest.mark.usefixtures("terminal")
def test_on_a_terminal_the_screen_is_shown_unless_the_user_wants_plain_lines() -> None:
    assert wants()
    assert wants("--json")
    assert not wants("--no-tui")
    assert not wants("--quiet")


@pytest.mark.parametrize("environment", [{"TERM": "dumb"}, {"TERM": ""}, {"CI": "true"}])
def test_a_dumb_terminal_or_a_ci_gets_no_screen(
    terminal: Change, environment: dict[str, str]
) -> None:
    terminal(**environment)
    assert not wants()


@pytest.mark.parametrize("value", ["", "0", "false"])
def test_a_ci_variable_that_says_no_leaves_the_screen(terminal: Change, value: str) -> None:
    terminal(CI=value)
    assert wants()


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize("piped", ["stdin", "stdout", "stderr"])
def test_with_a_pipe_there_is_no_screen(monkeypatch: pytest.MonkeyPatch, piped: str) -> None:
    monkeypatch.setattr(f"sys.{piped}.isatty", lambda: False, raising=False)
    assert not wants()


# --- results and exit codes -----------------------------------------------------------------------


@pytest.fixture
def servers() -> Iterator[PacedServers]:
    with in_background(PacedServers(words=6)) as running:
        yield running


class Command:
    """Runs the command line in this process, on servers of its own."""

    def __init__(self, servers: PacedServers, out: Path) -> None:
        self._flags = ["--endpoint", servers.reasoner.url, "--no-tui", "--out", str(out)]

    def __call__(self, *arguments: str, policy: str = "consensus", traces: int = 4) -> int:
        method = ["--policy", policy, "--traces", str(traces)]
        return main([*arguments, *self._flags, *method])


@pytest.fixture
def command(servers: PacedServers, tmp_path: Path) -> Command:
    return Command(servers, tmp_path / "runs")


@pytest.fixture
def two_questions(tmp_path: Path) -> str:
    path = tmp_path / "two.jsonl"
    path.write_text(
        '{"id": "a", "question": "1?", "answer": "26"}\n{"id": "b", "question": "2?"}\n'
    )
    return str(path)


def test_an_answer_alone_is_on_stdout_and_exits_0(
    command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("How many?") == 0
    printed = capsys.readouterr()
    assert printed.out == "26\n"
    assert "Reasoner paced at" in printed.err
    assert "saved" in printed.err


def test_several_questions_are_named_and_summed_up(
    command: Command, two_questions: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("--questions", two_questions) == 0
    printed = capsys.readouterr()
    assert printed.out == "a\t26\nb\t26\n"
    assert "2 questions" in printed.err
    (run_dir,) = (tmp_path / "runs").iterdir()
    summary = json.loads((run_dir / "summary.json").read_text())["summary"]
    assert (summary["questions"], summary["answered"]) == (2, 2)


def test_json_gives_a_line_for_each_question_and_the_summary(
    command: Command, two_questions: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("--questions", two_questions, "--json", "--quiet") == 0
    printed = capsys.readouterr()
    *reports, summary = [json.loads(line) for line in printed.out.splitlines()]
    assert [(report["question_id"], report["correct"]) for report in reports] == [
        ("a", True),
        ("b", None),
    ]
    assert summary["summary"]["questions"] == 2
    assert printed.err == ""


def test_a_question_without_an_answer_exits_3(
    command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("How many?", "--min-ballots", "9") == 3
    assert capsys.readouterr().out == "\n"


def test_a_run_all_of_whose_traces_fail_exits_1_behind_its_report(
    command: Command, servers: PacedServers, capsys: pytest.CaptureFixture[str]
) -> None:
    complete = servers.reasoner.answers["/v1/completions"]
    failure = answer_json({"detail": "out of memory"}, 500)
    answers = iter([complete])  # the probe is answered, everything after it fails
    servers.reasoner.answers["/v1/completions"] = lambda request, body: next(answers, failure)(
        request, body
    )
    assert command("How many?", "--json", "--set", "endpoint.max_attempts=1") == 1
    printed = capsys.readouterr()
    assert json.loads(printed.out)["traces"]["failed"] == 4
    assert "deepprune-orchestrate: All 4 traces failed" in printed.err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "There is no question"),
        (["--questions", "none.jsonl"], "Cannot read none.jsonl"),
        (["hi", "--questions", "none.jsonl"], "not both"),
        (["hi", "--traces", "many"], "policy.traces is 'many' (from the command line)"),
    ],
)
def test_a_users_mistake_is_one_sentence_and_exits_2(
    command: Command, arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = [*arguments, "--policy", "pass1", "--endpoint", "http://127.0.0.1:9/v1", "--no-tui"]
    assert main(flags) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert sentence in printed.err
    assert len(printed.err.splitlines()) == 1


@pytest.mark.slow  # starts a program
async def test_ctrl_c_prints_the_partial_report_and_exits_130(tmp_path: Path) -> None:
    async with PacedServers(words=600, pause=0.05).serving() as servers:
        flags = ("--endpoint", servers.reasoner.url, "--policy", "consensus", "--traces", "3")
        process = await start("How many?", *flags, "--json", cwd=tmp_path)
        await servers.reasoner.until_live(3)
        await asyncio.sleep(0.1)
        process.send_signal(signal.SIGINT)
        ended = await end(process)
        await servers.reasoner.until_live(0)
    assert ended.code == 130
    (report,) = ended.reports
    assert report["interrupted"] is True
    assert report["traces"]["stopped"] == 3
