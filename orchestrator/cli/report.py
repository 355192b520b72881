"""`deepprune-report`: a run as one HTML file, to be sent to somebody."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from orchestrator import __version__
from orchestrator.cli.argtypes import positive
from orchestrator.cli.program import run_program
from orchestrator.errors import ConfigError

__all__ = ["main"]

_PROGRAM = "deepprune-report"


def main(argv: Sequence[str] | None = None) -> int:
    """Writes the page; returns the exit code."""
    return run_program(_PROGRAM, argv, _prepare)


def _prepare(words: list[str]) -> Callable[[], int]:
    parser = argparse.ArgumentParser(
        prog=_PROGRAM,
        description="Write a recorded run as one HTML file, which has no scripts and loads nothing.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"deepprune {__version__}")
    parser.add_argument("run", type=Path, metavar="RUN", help="a run's folder")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="default: NAME.html; - writes to stdout"
    )
    parser.add_argument(
        "--max-text",
        type=positive,
        metavar="CHARACTERS",
        help="of each trace before and after its checkpoint, beyond which the middle is left out; default: 20000",
    )
    arguments = parser.parse_args(words)
    return lambda: _write(arguments.run, arguments.output, arguments.max_text)


def _write(run: Path, output: Path | None, characters: int | None) -> int:
    from orchestrator.page.html_page import TEXT_CHARACTERS
    from orchestrator.page.recorded import recorded_page
    from orchestrator.terminal.safe_stream import write_line

    page = recorded_page(run, characters=characters or TEXT_CHARACTERS)
    if output == Path("-"):
        sys.stdout.write(page.html)
        return 0
    file = output or Path(f"{run.resolve().name}.html")
    try:
        file.write_text(page.html, encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"{file} cannot be written ({error.strerror}): give another file with --output."
        ) from error
    write_line(str(file), sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
