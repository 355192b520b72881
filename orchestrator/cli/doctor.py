"""`deepprune-doctor`: tries what servers can do, and says what limits runs on them."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from orchestrator import __version__
from orchestrator.cli.argtypes import positive_number, whole
from orchestrator.cli.flags import (
    add_endpoint_arguments,
    add_preset_argument,
    add_setting_arguments,
    settings_of_flags,
)
from orchestrator.cli.program import run_program
from orchestrator.errors import ConfigError

if TYPE_CHECKING:
    from orchestrator.doctor.verdict import Diagnosis

__all__ = ["main"]

PROGRAM = "deepprune-doctor"

_EPILOG = """\
Exit codes: 0 all is well, 3 something limits runs or cannot be told, 1 no run is possible, 2 wrong input.
Keys: OPENAI_API_KEY is sent to the reasoner, DEEPPRUNE_JUDGE_API_KEY to the judge.
The servers generate some thousand tokens for the checks, and what they can write in the seconds of the load ramp."""


def main(argv: Sequence[str] | None = None) -> int:
    """Tests the servers; returns the exit code."""
    return run_program(PROGRAM, argv, _prepare)


def _prepare(words: list[str]) -> Callable[[], int]:
    arguments = _parser().parse_args(words)

    import asyncio

    from orchestrator.config.load import load_settings
    from orchestrator.doctor.examination import Load, examine
    from orchestrator.doctor.verdict import exit_code
    from orchestrator.runtime.endpoints import Keys

    settings = load_settings(
        file=arguments.config,
        environ=os.environ,
        assignments=arguments.set,
        flags=settings_of_flags(arguments),
        preset=arguments.preset,
    )
    if not settings.endpoint.urls and not settings.judge.urls:
        raise ConfigError(
            "No server is given; name one with --endpoint http://HOST:PORT/v1 or --judge-endpoint."
        )
    keys = Keys.of(os.environ)
    load = Load(arguments.ramp, arguments.level_seconds)

    def work() -> int:
        diagnosis = asyncio.run(examine(settings, keys, load, _announce))
        _print(diagnosis, json=arguments.json)
        return exit_code(diagnosis.verdict)

    return work


def _announce(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _print(diagnosis: "Diagnosis", *, json: bool) -> None:
    import msgspec

    from orchestrator.doctor.table import render_diagnosis
    from orchestrator.terminal.safe_stream import write_line

    if json:
        write_line(msgspec.json.encode(diagnosis).decode(), sys.stdout)
        return
    from rich.console import Console

    write_line(render_diagnosis(diagnosis, Console(file=sys.stdout)), sys.stdout)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Test what servers can do: cancellation, exact continuation, caches, load.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"deepprune {__version__}")
    add_endpoint_arguments(parser.add_argument_group("servers"))
    load = parser.add_argument_group("load ramp")
    load.add_argument(
        "--ramp", type=whole, default=64, metavar="N", help="streams at most; 0: none; default: 64"
    )
    load.add_argument(
        "--level-seconds",
        type=positive_number,
        default=3.0,
        metavar="S",
        help="for each number of streams (1, 2, 4, ...); default: 3",
    )
    configuration = parser.add_argument_group("configuration")
    add_preset_argument(configuration)
    add_setting_arguments(configuration)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    return parser


if __name__ == "__main__":
    sys.exit(main())
