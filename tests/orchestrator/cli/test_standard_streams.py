"""A standard stream that is closed, full or narrow: the run goes on, and the program says what was lost."""

import asyncio
import json
import os
import shlex
import sys
from pathlib import Path

import pytest

from tests.support.command import Ended, console_script, end
from tests.support.paced_servers import PacedServers

pytestmark = pytest.mark.slow  # starts some fifty programs

PROGRAMS = ["orchestrate", "bench", "judge", "tui", "replay", "serve", "doctor", "report"]
STARTED_BY_NAME = ("serve", "doctor", "report")


def script_of(program: str) -> str:
    """What a shell starts; some programs by the function that their console scripts call, which says the same."""
    if program not in STARTED_BY_NAME:
        return console_script(f"deepprune-{program}")
    call = f"from orchestrator.cli.start import {program} as run; raise SystemExit(run())"
    return shlex.join([sys.executable, "-c", call])


async def shell(script: str, cwd: Path, **environment: str) -> Ended:
    """Runs a line of bash; its exit code is that of the first program of a pipe."""
    return await end(
        await asyncio.create_subprocess_exec(
            *("bash", "-c", f"{script}; exit ${{PIPESTATUS[0]}}"),
            cwd=cwd,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, **environment},
        )
    )


async def ask(cwd: Path, rest: str, question: str = "hi", **environment: str) -> Ended:
    """Asks paced servers a question; `rest` is what a user types behind the command."""
    async with PacedServers(answers=("26",), words=8).serving() as servers:
        command = shlex.join(
            [
                *(console_script("deepprune-orchestrate"), question),
                *("--endpoint", servers.reasoner.url, "--policy", "consensus", "--traces", "4"),
            ]
        )
        return await shell(f"{command} {rest}", cwd, **environment)


def answer_in_report(cwd: Path) -> object:
    (report,) = cwd.glob("runs/*/report.json")
    return json.loads(report.read_bytes())["answer"]


@pytest.mark.parametrize(
    ("redirection", "code", "said"),
    [
        ("<&-", 0, ""),
        ("1>&-", 1, "The answer could not be written to stdout (Bad file descriptor)"),
        ("1>/dev/full", 1, "The answer could not be written to stdout (No space left on device)"),
        ("--json 1>/dev/full", 1, "The answer could not be written to stdout (No space left"),
        ("| true", 1, "The answer could not be written to stdout (Broken pipe)"),
        ("| head -1", 0, ""),
        ("2>&-", 0, ""),
        ("2>/dev/full", 0, ""),
        ("1>/dev/full 2>/dev/full", 1, ""),
        ("<&- 1>&- 2>&-", 1, ""),
    ],
)
async def test_the_run_goes_on_and_its_report_is_written(
    tmp_path: Path, redirection: str, code: int, said: str
) -> None:
    ended = await ask(tmp_path, redirection)
    assert ended.code == code, ended.err
    assert said in ended.err
    assert "Traceback" not in ended.err
    assert answer_in_report(tmp_path) == "26"
    if said:
        assert "report.json" in ended.err.splitlines()[-1]


async def test_several_questions_are_all_asked_when_the_reader_leaves(tmp_path: Path) -> None:
    lines = [json.dumps({"id": number, "question": "hi"}) for number in range(3)]
    (tmp_path / "three.jsonl").write_text("\n".join(lines))
    async with PacedServers(answers=("26",), words=8).serving() as servers:
        command = shlex.join(
            [
                *(console_script("deepprune-orchestrate"), "--questions", "three.jsonl"),
                *("--endpoint", servers.reasoner.url, "--policy", "consensus", "--traces", "2"),
            ]
        )
        ended = await shell(f"{command} | true", tmp_path)
    assert ended.code == 1
    assert len(list(tmp_path.glob("runs/*/*/report.json"))) == 3
    assert "Traceback" not in ended.err


async def test_what_stdout_cannot_encode_is_escaped_and_stays_json(tmp_path: Path) -> None:
    question = "π, é or \N{GRINNING FACE}?"
    ended = await ask(tmp_path, "--json", question, PYTHONIOENCODING="ascii")
    assert ended.code == 0, ended.err
    assert ended.out.isascii()
    (report,) = ended.reports
    assert report["answer"] == "26"


async def test_an_answer_that_stdout_cannot_encode_is_escaped(tmp_path: Path) -> None:
    async with PacedServers(answers=("é\N{GRINNING FACE}",), words=8).serving() as servers:
        command = shlex.join(
            [
                *(console_script("deepprune-orchestrate"), "hi", "--json"),
                *("--endpoint", servers.reasoner.url, "--policy", "consensus", "--traces", "4"),
            ]
        )
        ended = await shell(command, tmp_path, PYTHONIOENCODING="ascii")
    assert ended.code == 0, ended.err
    assert ended.out.isascii()
    assert ended.reports[0]["answer"] == "é\N{GRINNING FACE}"


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (r"$'caf\xe9'", r"The argument caf\xe9 is not UTF-8"),
        (r"- < latin1", "stdin is not UTF-8 (byte 4)"),
        ("- <&-", "There is no question"),
    ],
)
async def test_a_question_that_is_no_text_is_one_sentence(
    tmp_path: Path, typed: str, said: str
) -> None:
    (tmp_path / "latin1").write_bytes(b"caf\xe9")
    program = console_script("deepprune-orchestrate")
    ended = await shell(f"{program} --endpoint http://127.0.0.1:9/v1 {typed}", tmp_path)
    assert ended.code == 2
    assert said in ended.err
    assert len(ended.err.splitlines()) == 1
    assert not (tmp_path / "runs").exists()


async def test_a_question_on_stdin_is_utf_8_in_every_locale(tmp_path: Path) -> None:
    (tmp_path / "question").write_bytes("\ufeffπ?".encode())
    ended = await ask(tmp_path, "< question", "-", PYTHONIOENCODING="ascii")
    assert ended.code == 0, ended.err
    (journal,) = tmp_path.glob("runs/*/questions.jsonl")
    assert json.loads(journal.read_bytes())["question"] == "π?"


async def test_lost_output_is_said_beside_an_exit_code_of_its_own(tmp_path: Path) -> None:
    """Without an answer the report is lost just as well, and a diagnosis of limits as well as one of none."""
    none = await ask(tmp_path, "--set policy.min_ballots=5 --json >/dev/full")
    assert none.code == 3
    assert "The answer could not be written to stdout" in none.err.splitlines()[-1]
    async with PacedServers(words=8).serving() as servers:
        script = script_of("doctor")
        doctor = await shell(
            f"{script} --endpoint {servers.reasoner.url} --ramp 0 >/dev/full", tmp_path
        )
    assert doctor.code == 3
    assert "The output could not be written to stdout" in doctor.err.splitlines()[-1]


@pytest.mark.parametrize("program", PROGRAMS)
async def test_every_program_says_that_its_output_is_lost(tmp_path: Path, program: str) -> None:
    script = script_of(program)
    full, closed, dumb = await asyncio.gather(
        shell(f"{script} --help >/dev/full", tmp_path),
        shell(f"{script} --help >&-", tmp_path),
        shell(f"{script} --help >&- 2>&-", tmp_path),
    )
    assert (full.code, closed.code, dumb.code) == (1, 1, 1)
    sentence = f"deepprune-{program}: The output could not be written to stdout"
    assert full.err.startswith(sentence)
    assert closed.err.startswith(sentence)
    assert len(full.err.splitlines()) == len(closed.err.splitlines()) == 1


@pytest.mark.parametrize("program", PROGRAMS)
async def test_every_program_refuses_arguments_that_are_not_utf_8(
    tmp_path: Path, program: str
) -> None:
    ended = await shell(rf"{script_of(program)} $'caf\xe9'", tmp_path)
    assert ended.code == 2
    assert ended.err.splitlines() == [
        rf"deepprune-{program}: The argument caf\xe9 is not UTF-8: give texts and file names in UTF-8."
    ]


@pytest.mark.parametrize("program", PROGRAMS)
async def test_a_wrong_flag_ends_as_before_without_a_stderr(tmp_path: Path, program: str) -> None:
    script = script_of(program)
    assert (await shell(f"{script} --no-such-flag 2>/dev/full", tmp_path)).code == 2
    assert (await shell(f"{script} --no-such-flag 2>&-", tmp_path)).code == 2
