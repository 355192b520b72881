import socket
import sys
from pathlib import Path
from typing import Never

import pytest

from tui.cli import main
from tui.sources.recording import demo_run


@pytest.mark.slow  # draws whole screens
def test_a_picture_needs_no_terminal(tmp_path: Path) -> None:
    for screen in ("live", "trace", "questions"):
        file = tmp_path / f"{screen}.svg"
        assert main(["--demo", "--svg", str(file), "--size", "100x30", "--screen", screen]) == 0
        assert file.read_text().startswith("<svg")


def test_a_picture_shows_the_moment_the_trace_and_the_theme_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "a.svg"
    more = ["--at", "3", "--screen", "trace", "--trace", "7", "--theme", "light"]
    assert main([str(demo_run()), "--svg", str(file), *more]) == 0
    svg = file.read_text()
    assert "trace&#160;7" in svg
    assert "3.0&#160;s" in svg
    assert "#fbfbf9" in svg


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Give the folder of a run"),
        (["--demo", "runs/x"], "Give the folder of a run"),
        (["nowhere"], "nowhere holds no journal.jsonl"),
        (["nowhere", "--follow"], "nowhere holds no journal.jsonl"),
        (["--demo"], "This is not a terminal"),
        (["--demo", "--svg", "no/such/folder.svg"], "cannot be written"),
        (["--demo", "--svg", "a.svg", "--screen", "trace", "--trace", "64"], "no trace 64"),
    ],
)
def test_wrong_input_is_one_sentence_and_exit_2(
    arguments: list[str],
    said: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""


@pytest.mark.parametrize("size", ["120", "axb", "5x5", "99999x40"])
def test_a_size_that_is_none_is_refused(size: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["--demo", "--svg", "a.svg", "--size", size])
    assert left.value.code == 2
    assert "size" in capsys.readouterr().err


def test_an_empty_or_damaged_journal_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "journal.jsonl").write_text("")
    assert main([str(tmp_path), "--svg", "a.svg"]) == 1
    assert "empty journal" in capsys.readouterr().err
    (tmp_path / "journal.jsonl").write_text("nonsense\n")
    assert main([str(tmp_path), "--svg", "a.svg"]) == 1
    assert "does not begin with the header" in capsys.readouterr().err


def test_what_a_journal_holds_is_sanitized_in_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    header = (demo_run() / "journal.jsonl").read_text(encoding="utf-8").partition("\n")[0]
    event = '{"type": "\\u001b]52;c;aGk=\\u0007"}'
    (tmp_path / "journal.jsonl").write_text(f"{header}\n{event}\n{event}\n", encoding="utf-8")
    assert main([str(tmp_path), "--svg", "a.svg"]) == 1
    told = capsys.readouterr().err
    assert "␛]52;c;aGk=␇" in told
    assert "\x1b" not in told


def test_a_wheel_without_the_recorded_run_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(
        "tui.sources.recording.__file__", str(tmp_path / "tui" / "sources" / "recording.py")
    )
    assert main(["--demo"]) == 2
    assert "reinstall" in capsys.readouterr().err


def test_an_interrupt_before_the_screen_is_up_exits_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(arguments: object) -> Never:
        raise KeyboardInterrupt

    monkeypatch.setattr("tui.cli._run", interrupted)
    assert main(["--demo"]) == 130


def test_on_a_terminal_the_app_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setattr("tui.app.DeepPruneApp.run", lambda app: shown.append(app.theme))
    monkeypatch.delenv("TEXTUAL_DRIVER", raising=False)
    assert main(["--demo", "--theme", "light"]) == 0
    assert shown == ["deepprune-light"]


def test_the_web_serves_the_same_command(monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[tuple[list[str], str, int, list[str]]] = []

    def serve(command: list[str], host: str, port: int, *, allowed_hosts: list[str]) -> None:
        served.append((command, host, port, allowed_hosts))

    monkeypatch.setattr("tui.export.web.serve", serve)
    assert main(["--demo", "--follow", "--web", "--port", "9000", "--allow-host", "proxy"]) == 0
    ((command, host, port, allowed_hosts),) = served
    assert command[:3] == [sys.executable, "-m", "tui.cli"]
    assert command[3] == str(demo_run())
    assert "--follow" in command
    assert (host, port, allowed_hosts) == ("127.0.0.1", 9000, ["proxy"])


def test_a_taken_port_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert main(["--demo", "--web", "--port", port]) == 2
    assert "another --port" in capsys.readouterr().err
