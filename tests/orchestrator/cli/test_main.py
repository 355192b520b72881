import pytest

from orchestrator.cli.main import _parser, _wants_screen


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch):
    """A terminal that can be drawn on; `terminal(**environment)` changes what surrounds it."""
    for stream in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(f"sys.{stream}.isatty", lambda: True, raising=False)
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")

    def change(**environment) -> None:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)

    return change


def wants(*arguments):
    return _wants_screen(_parser().parse_args([*arguments, "question"]))


def test_on_a_terminal_the_screen_is_shown(terminal) -> None:
    assert wants()
    assert wants("--json")


def test_who_wants_plain_lines_or_none_gets_them(terminal) -> None:
    assert not wants("--no-tui")
    assert not wants("--quiet")


@pytest.mark.parametrize("environment", [{"TERM": "dumb"}, {"TERM": ""}, {"CI": "true"}])
def test_where_nobody_looks_there_is_no_screen(terminal, environment) -> None:
    terminal(**environment)
    assert not wants()


@pytest.mark.parametrize("value", ["", "0", "false"])
def test_a_denied_ci_is_none(terminal, value) -> None:
    terminal(CI=value)
    assert wants()


@pytest.mark.parametrize("piped", ["stdin", "stdout", "stderr"])
def test_a_pipe_is_no_terminal(terminal, monkeypatch: pytest.MonkeyPatch, piped) -> None:
    monkeypatch.setattr(f"sys.{piped}.isatty", lambda: False, raising=False)
    assert not wants()
