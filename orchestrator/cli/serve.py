"""`deepprune-serve`: an OpenAI-compatible address whose answers are voted on."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator import __version__
from orchestrator.cli.argtypes import least_temperature, port, positive
from orchestrator.cli.flags import (
    add_method_arguments,
    add_prompt_arguments,
    add_server_arguments,
    add_setting_arguments,
    preset_of,
    settings_of_flags,
)
from orchestrator.cli.program import run_program
from orchestrator.config.keys import SERVE_KEY
from orchestrator.errors import ConfigError

if TYPE_CHECKING:
    from orchestrator.serve.server import ServeOptions
    from orchestrator.settings import Settings

__all__ = ["main"]

PROGRAM = "deepprune-serve"

_EPILOG = f"""\
Clients use it as any OpenAI-compatible server. Its models are policies: NAME, NAME:auto-low, NAME:cons@16,
NAME:deepprune (see /v1/models). Keys: {SERVE_KEY} is what clients must send; OPENAI_API_KEY is sent to
the reasoner, DEEPPRUNE_JUDGE_API_KEY to the judge."""


def main(argv: Sequence[str] | None = None) -> int:
    """Serves until it is interrupted; returns the exit code."""
    return run_program(PROGRAM, argv, _prepare)


def _prepare(words: list[str]) -> Callable[[], int]:
    arguments = _parser().parse_args(words)

    import asyncio
    import contextlib

    from orchestrator.interrupts import Interrupts
    from orchestrator.runtime.endpoints import Keys
    from orchestrator.serve.server import served

    def announce(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    async def serve() -> None:
        interrupts = Interrupts(announce)
        settings, keys, options = _settings(arguments), Keys.of(os.environ), _options(arguments)
        with contextlib.suppress(asyncio.CancelledError), interrupts.listening():
            async with served(
                settings, keys, options, local=arguments.local, announce=announce
            ) as url:
                print(url, flush=True)
                await asyncio.Event().wait()

    def work() -> int:
        asyncio.run(serve())
        return 0

    return work


def _settings(arguments: argparse.Namespace) -> "Settings":
    from orchestrator.config.load import load_settings
    from orchestrator.runtime.budget import budget_of

    settings = load_settings(
        file=arguments.config,
        environ=os.environ,
        assignments=arguments.set,
        flags=settings_of_flags(arguments),
        preset=preset_of(arguments),
    )
    if budget_of(settings) is not None:
        raise ConfigError("policy.budget is for the questions of a file; leave it out.")
    return settings


def _options(arguments: argparse.Namespace) -> "ServeOptions":
    """How clients reach the server.

    Raises:
        ConfigError: a key is wanted and there is none.
    """
    from orchestrator.config.keys import key_from
    from orchestrator.serve.server import ServeOptions

    key = key_from(os.environ, SERVE_KEY)
    if arguments.api_key and key is None:
        raise ConfigError(f"--api-key wants a key from clients: set {SERVE_KEY} to it.")
    return ServeOptions(
        host=arguments.host,
        port=arguments.port,
        api_key=key,
        allowed_hosts=arguments.allow_host,
        allowed_origins=arguments.allow_origin,
        questions_at_once=arguments.at_once,
        queue=arguments.queue,
        max_body=arguments.max_body,
        max_traces=arguments.max_traces,
        min_temperature=arguments.min_temperature,
        keep_runs=arguments.keep_runs,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Serve voted answers at an OpenAI-compatible address.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"deepprune {__version__}")
    add_server_arguments(parser.add_argument_group("servers"))
    method = parser.add_argument_group("method of the model NAME; NAME:POLICY has another policy")
    add_method_arguments(method)
    add_prompt_arguments(method)
    add_setting_arguments(parser.add_argument_group("configuration"))
    _add_address(parser.add_argument_group("address"))
    _add_bounds(parser.add_argument_group("bounds"))
    return parser


def _add_address(group: Any) -> None:
    group.add_argument("--host", default="127.0.0.1", help="default: this machine only")
    group.add_argument("--port", type=port, default=8080, help="default: 8080; 0: a free one")
    group.add_argument(
        "--api-key", action="store_true", help=f"refuse to start without a key in {SERVE_KEY}"
    )
    group.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="another name of this server, for one without a key; repeatable",
    )
    group.add_argument(
        "--allow-origin",
        action="append",
        default=[],
        metavar="ORIGIN",
        help="a site whose pages may ask, such as https://chat.example.org; * allows all; repeatable",
    )


def _add_bounds(group: Any) -> None:
    group.add_argument(
        "--questions-at-once",
        dest="at_once",
        type=positive,
        default=8,
        metavar="N",
        help="default: 8",
    )
    group.add_argument(
        "--queue",
        type=positive,
        default=64,
        metavar="N",
        help="questions that may wait; default: 64",
    )
    group.add_argument(
        "--max-body", type=positive, default=4 << 20, metavar="BYTES", help="default: 4 MiB"
    )
    group.add_argument(
        "--max-traces", type=positive, default=512, metavar="N", help="per request; default: 512"
    )
    group.add_argument(
        "--min-temperature",
        type=least_temperature,
        default=0.1,
        metavar="T",
        help="traces of a request with a lower temperature are sampled as the settings say; default: 0.1; "
        "never: those of all requests are",
    )
    group.add_argument(
        "--keep-runs", type=Path, metavar="DIR", help="keep a run folder per question here"
    )


if __name__ == "__main__":
    sys.exit(main())
