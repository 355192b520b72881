"""What is written where."""

import json
import sys
from typing import TextIO

from orchestrator.report.report import Report, build_report
from orchestrator.report.summary import summarise
from orchestrator.session.output import Output
from orchestrator.session.state import SessionState
from tests.support.story import Story


class Lines:
    """A display that keeps what it is given."""

    def __init__(self) -> None:
        self.out: list[str] = []
        self.err: list[str] = []

    async def show(self, state: SessionState) -> None:
        raise AssertionError("nothing is shown here")

    def write(self, text: str, stream: TextIO) -> None:
        (self.out if stream is sys.stdout else self.err).append(text)

    def release(self) -> None:
        raise AssertionError("nothing is shown here")


def report(answer: str | None = "42") -> Report:
    story = Story(1).start(0).tokens(0, 5).finish(0, 5, answer).vote(answer).end()
    return build_report(story.view(), run_dir="runs/x")


def test_one_question_gives_its_answer_and_its_bill() -> None:
    lines = Lines()
    Output(lines).result(report())
    assert lines.out == ["42"]
    (bill,) = lines.err
    assert "tokens" in bill


def test_of_several_questions_each_is_named_and_the_bill_comes_with_the_summary() -> None:
    lines = Lines()
    output = Output(lines, several=True)
    output.result(report())
    output.result(report(None))
    assert lines.out == ["q1\t42", "q1\t"]
    (notice,) = lines.err
    assert notice.startswith("q1: No answer could be read from 1 of 1 finished traces.")
    output.summary(summarise([report(), report(None)]))
    assert len(lines.out) == 2
    assert "1 of 2" in lines.err[1]
    assert "No answer could be read from 1 of 2 finished" in lines.err[1]


def test_json_is_one_line_for_each_result_and_the_summary() -> None:
    lines = Lines()
    output = Output(lines, json=True, quiet=True, several=True)
    output.result(report())
    output.summary(summarise([report()]))
    first, second = (json.loads(line) for line in lines.out)
    assert first["answer"] == "42"
    assert second["summary"]["questions"] == 1
    assert lines.err == []


def test_an_answer_cannot_move_the_cursor_or_begin_a_line() -> None:
    lines = Lines()
    Output(lines, quiet=True).result(report("4\x1b[2J\n2"))
    (line,) = lines.out
    assert "\x1b" not in line
    assert "\n" not in line


def test_notes_are_for_stderr_and_not_for_a_quiet_user() -> None:
    for quiet in (False, True):
        lines = Lines()
        Output(lines, quiet=quiet).note("Judge found.")
        assert lines.err == ([] if quiet else ["Judge found."])
        assert lines.out == []
