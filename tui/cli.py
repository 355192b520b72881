"""`deepprune-tui`: replays a recorded run, or follows one that is still running.

Textual is imported only after the flags are parsed, so that `--help` is fast.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator import __version__
from orchestrator.cli.program import run_program
from orchestrator.errors import ConfigError

if TYPE_CHECKING:
    from tui.sources.base import Source

__all__ = ["main"]

_SCREENS = ("live", "trace", "questions")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code; expected errors are printed as one sentence."""
    return run_program("deepprune-tui", argv, _prepare)


def _prepare(words: list[str]) -> Callable[[], int]:
    arguments = _parser().parse_args(words)
    return lambda: _run(arguments)


def _run(arguments: argparse.Namespace) -> int:
    source = _source(arguments)
    if arguments.web:
        return _serve(arguments)
    if arguments.svg is not None:
        return _save_svg(source, arguments)
    served = "TEXTUAL_DRIVER" in os.environ  # started by --web for one page
    if not served and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise ConfigError("This is not a terminal: save the screen with --svg FILE, or use --web.")
    from tui.app import DeepPruneApp

    app = DeepPruneApp(source, theme=f"deepprune-{arguments.theme}")
    app.run()
    if app.failure is not None:
        raise app.failure
    return 0


def _serve(arguments: argparse.Namespace) -> int:
    from tui.export.web import serve

    command = [sys.executable, "-m", "tui.cli", str(_run_folder(arguments).resolve())]
    command += ["--theme", arguments.theme, *(["--follow"] if arguments.follow else [])]
    try:
        serve(
            command,
            arguments.host,
            arguments.port,
            allowed_hosts=arguments.allow_host,
        )
    except OSError as error:
        raise ConfigError(
            f"{arguments.host}:{arguments.port} cannot be used ({error.strerror}): give another --port."
        ) from error
    return 0


def _source(arguments: argparse.Namespace) -> "Source":
    if arguments.serve is not None:
        return _served(arguments)
    from tui.sources.following import Following
    from tui.sources.recording import Recording

    run = _run_folder(arguments)
    if arguments.follow:
        return Following(run)
    recording = Recording(run, playing=arguments.svg is None)
    recording.open(0)
    return recording


def _served(arguments: argparse.Namespace) -> "Source":
    """The questions of a server.

    Raises:
        ConfigError: a run is named as well, or a browser is to show them.
    """
    from orchestrator.config.keys import SERVE_KEY, key_from
    from tui.sources.served import Served

    if arguments.run is not None or arguments.demo or arguments.follow:
        raise ConfigError("Give either --serve or a run.")
    if arguments.web:
        raise ConfigError(
            "--serve is for a terminal: leave out --web, or open the server's page /runs."
        )
    return Served(arguments.serve, key_from(os.environ, SERVE_KEY))


def _run_folder(arguments: argparse.Namespace) -> Path:
    if arguments.demo == (arguments.run is not None):
        raise ConfigError("Give the folder of a run, such as runs/2026-…, or --demo.")
    if arguments.demo:
        from tui.sources.recording import demo_run

        return demo_run()
    run: Path = arguments.run
    return run


def _save_svg(source: "Source", arguments: argparse.Namespace) -> int:
    from tui.export.svg import Shot, save_svg

    shot = Shot(
        screen=arguments.screen,
        size=arguments.size,
        at=arguments.at,
        trace=arguments.trace,
        theme=f"deepprune-{arguments.theme}",
    )
    save_svg(source, shot, arguments.svg)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="deepprune-tui",
        description="Replay a recorded run, or follow one that is still running.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"deepprune {__version__}")
    parser.add_argument("run", nargs="?", type=Path, metavar="RUN", help="a run's folder")
    parser.add_argument(
        "--demo", action="store_true", help="the recorded run that is part of deepprune"
    )
    parser.add_argument(
        "--follow", action="store_true", help="show a run that another process is writing"
    )
    parser.add_argument(
        "--serve",
        metavar="URL",
        help="show the questions that run in a deepprune-serve, such as http://127.0.0.1:8080; "
        "its key is taken from DEEPPRUNE_SERVE_API_KEY",
    )
    parser.add_argument("--theme", choices=("dark", "light"), default="dark")
    page = parser.add_argument_group("a browser instead of a terminal")
    page.add_argument("--web", action="store_true", help="serve the screens as a page")
    page.add_argument("--host", default="127.0.0.1", help="default: this machine only")
    page.add_argument("--port", type=int, default=8021)
    page.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="another name by which browsers may address the page, e.g. a proxy's; repeatable",
    )
    shot = parser.add_argument_group("a picture instead of a terminal")
    shot.add_argument("--svg", type=Path, metavar="FILE", help="save the screen and exit")
    shot.add_argument(
        "--size", type=_size, default=(120, 40), metavar="WxH", help="default: 120x40"
    )
    shot.add_argument("--screen", choices=_SCREENS, default="live")
    shot.add_argument(
        "--at", type=float, metavar="SECONDS", help="moment of the run; default: its end"
    )
    shot.add_argument("--trace", type=int, default=0, metavar="N", help="with --screen trace")
    return parser


def _size(text: str) -> tuple[int, int]:
    width, _x, height = text.partition("x")
    try:
        size = int(width), int(height)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size: write it as 120x40") from None
    if not (20 <= size[0] <= 1000 and 5 <= size[1] <= 500):
        raise argparse.ArgumentTypeError(f"the size {text} is out of range: give 20x5 to 1000x500")
    return size


if __name__ == "__main__":
    sys.exit(main())
