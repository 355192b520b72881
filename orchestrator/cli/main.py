"""`deepprune-orchestrate`: flags become a session, its end becomes an exit code.

Nothing heavy is imported before the flags are read, so `--help` answers at once.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator import __version__
from orchestrator.cli.flags import (
    add_method_arguments,
    add_prompt_arguments,
    add_server_arguments,
    add_setting_arguments,
    preset_of,
    settings_of_flags,
)
from orchestrator.cli.program import run_program, take_write_error, text_from_stdin
from orchestrator.errors import EXIT_INTERRUPTED, ConfigError

if TYPE_CHECKING:
    from orchestrator.questions import Question
    from orchestrator.session.display import Display, PlainLines
    from orchestrator.session.session import Session, SessionResult
    from orchestrator.settings import Settings

__all__ = ["PROGRAM", "main", "prepare"]

PROGRAM = "deepprune-orchestrate"

_EXIT_NO_ANSWER = 3
"""The session ended in order, but at least one question has no answer (too few votes)."""

_EPILOG = """\
keys:    OPENAI_API_KEY for the reasoner, DEEPPRUNE_JUDGE_API_KEY for the judge, DEEPPRUNE_REWARD_API_KEY for the
         reward model
network: HTTP_PROXY, HTTPS_PROXY, NO_PROXY, SSL_CERT_FILE and SSL_CERT_DIR, for every server alike
stdout:  the answer (with several questions: id, tab, answer), or JSON with --json
exit:    0 answered, 1 the run failed, 2 wrong input, 3 a question has no answer, 130 interrupted
"""


def main(
    argv: Sequence[str] | None = None,
    *,
    screen: "Callable[[PlainLines], Display] | None" = None,
) -> int:
    """Runs the command and returns the exit code; a foreseen error is one sentence on stderr, never a traceback."""
    return run_program(PROGRAM, argv, lambda words: prepare(words, screen))


def prepare(
    words: list[str], screen: "Callable[[PlainLines], Display] | None" = None
) -> Callable[[], int]:
    """Reads the arguments, the settings and the questions; the result asks them and returns the exit code.

    `screen` makes a display that takes the whole terminal, for a user who has one; it shows the given lines once it
    has left the terminal.
    """
    arguments = _parser().parse_args(words)
    session = _session(arguments)

    import asyncio

    from orchestrator.session.display import PlainLines
    from orchestrator.session.output import Output

    def work() -> int:
        lines = PlainLines(quiet=arguments.quiet)
        wanted = screen if _wants_screen(arguments) else None
        display = lines if wanted is None else wanted(lines)
        output = Output(
            display,
            json=arguments.json,
            quiet=arguments.quiet,
            several=len(session.questions) > 1,
        )
        result = asyncio.run(session.run(output, display))
        unwritten = _exit_unwritten(result)
        return _exit_code(result) or unwritten

    return work


def _exit_code(result: "SessionResult") -> int:
    """The exit code of a session that ended in order."""
    if result.interrupted:
        return EXIT_INTERRUPTED
    return _EXIT_NO_ANSWER if any(report.answer is None for report in result.reports) else 0


def _exit_unwritten(result: "SessionResult") -> int:
    """1 if stdout did not take what the session has found, with a sentence that says where it is; else 0."""
    error = take_write_error()
    if error is None:
        return 0
    folders = [Path(report.run_dir) for report in result.reports if report.run_dir]
    place = folders[0] / "report.json" if len(folders) == 1 else folders[0].parent
    print(
        f"{PROGRAM}: The answer could not be written to stdout ({error.strerror}); read it in {place}.",
        file=sys.stderr,
    )
    return 1


def _wants_screen(arguments: argparse.Namespace) -> bool:
    """Whether a person sits at a terminal that can be drawn on, and has not asked for plain lines."""
    if arguments.no_tui or arguments.quiet or os.environ.get("TERM", "") in ("", "dumb"):
        return False
    if os.environ.get("CI", "").lower() not in ("", "0", "false"):
        return False
    return all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr))


def _session(arguments: argparse.Namespace) -> "Session":
    from orchestrator.runtime.endpoints import Keys
    from orchestrator.session.session import Session

    return Session(
        settings=_settings(arguments),
        questions=_questions(arguments),
        local=arguments.local,
        keys=Keys.of(os.environ),
        resume=arguments.resume,
    )


def _settings(arguments: argparse.Namespace) -> "Settings":
    from orchestrator.config.load import load_settings

    flags = settings_of_flags(arguments)
    if arguments.resume is not None:
        from orchestrator.journal.run_dir import settings_of

        given = (arguments.config, arguments.out, arguments.preset)
        if any(each is not None for each in given):
            raise ConfigError(
                "--resume continues a run with its own settings; leave out --config, --preset and --out."
            )
        return settings_of(
            arguments.resume,
            environ=os.environ,
            assignments=arguments.set,
            flags=flags,
            local=arguments.local,
        )
    return load_settings(
        file=arguments.config,
        environ=os.environ,
        assignments=arguments.set,
        flags=flags,
        preset=preset_of(arguments),
    )


def _questions(arguments: argparse.Namespace) -> "list[Question]":
    """The questions from the argument, stdin, a file or an earlier run; exactly one of these may be given."""
    from orchestrator.questions import Question, read_questions

    if arguments.resume is not None:
        from orchestrator.journal.run_dir import questions_of

        if arguments.question is not None or arguments.questions is not None:
            raise ConfigError("--resume asks the run's own questions; leave out others.")
        return questions_of(arguments.resume)
    if arguments.questions is not None:
        if arguments.question is not None:
            raise ConfigError("Give a question or --questions FILE, not both.")
        return read_questions(arguments.questions)
    text = text_from_stdin() if arguments.question == "-" else arguments.question
    if text is None or not text.strip():
        return []
    return [Question(id="1", question=text.strip())]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="deepprune-orchestrate",
        description="Ask one question many times, stop the traces that will end alike, and vote.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"deepprune {__version__}")
    _add_input(parser.add_argument_group("question"))
    add_server_arguments(parser.add_argument_group("servers"))
    add_method_arguments(parser.add_argument_group("method"))
    _add_output(parser.add_argument_group("configuration and output"))
    return parser


def _add_input(group: Any) -> None:
    group.add_argument("question", nargs="?", help='the question, or "-" to read it from stdin')
    group.add_argument(
        "--questions",
        type=Path,
        metavar="FILE",
        help="JSONL, JSON, CSV or Parquet: id, question or messages, answer",
    )
    group.add_argument(
        "--questions-at-once",
        metavar="N",
        help="how many of them run side by side; default: as many as have room for their first traces",
    )
    group.add_argument(
        "--budget",
        metavar="TOKENS",
        help="generated tokens for all of them together; --policy auto spends them where a trace is worth most",
    )
    add_prompt_arguments(group)
    group.add_argument(
        "--resume",
        type=Path,
        metavar="RUN",
        help="continue a run that was killed, from the tokens already paid for; takes the run's own questions and "
        "settings, only --endpoint, --judge-endpoint, --local and keys may be given anew",
    )


def _add_output(group: Any) -> None:
    add_setting_arguments(group)
    group.add_argument("--out", metavar="DIR", help="where run folders go; default: runs")
    group.add_argument("--json", action="store_true", help="one JSON report per question and line")
    group.add_argument("--no-tui", action="store_true", help="plain progress lines on stderr")
    group.add_argument("--quiet", action="store_true", help="nothing on stderr but errors")


if __name__ == "__main__":
    sys.exit(main())
