"""stdout and stderr that neutralise every text on its way out, whoever prints it.

Names, errors and answers come from models, servers and files. A program's streams are wrapped once, at its start
(`orchestrator.cli.program`); only escape sequences that this program makes itself are `Trusted`.
"""

import re
from typing import Any, TextIO, cast

from orchestrator.terminal.sanitize import sanitize

__all__ = ["Trusted", "error_text", "safe_stream", "trusting", "write_line"]

_HARMLESS = re.compile(r"[\x20-\x7e\n\t]*")


class Trusted(str):
    """Text with escape sequences of this program's own, and in which everything else is sanitized."""

    __slots__ = ()


def _trusted(text: str) -> Trusted:
    """The text with all but line ends and tabs sanitized."""
    if isinstance(text, Trusted):
        return text
    if not _HARMLESS.fullmatch(text):
        text = "\t".join(sanitize(part, one_line=False) for part in text.split("\t"))
    return Trusted(text)


class _SafeStream:
    """Writes to `stream` what a terminal interprets in no way; all else is the stream's own.

    Line ends and tabs pass, since this program's output has them. Where a text may not begin a line, its writer makes
    it one line (`sanitize`).
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Writes the text, sanitized unless it is `Trusted`."""
        return self._stream.write(_trusted(text))

    def writelines(self, lines: list[str]) -> None:
        """Writes each of the texts."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def safe_stream(stream: TextIO) -> TextIO:
    """The stream with every text sanitized that is written to it."""
    return stream if isinstance(stream, _SafeStream) else cast(TextIO, _SafeStream(stream))


class _Trusting:
    """Marks what is written as `Trusted`, for a library that makes escape sequences, such as rich."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        return self._stream.write(Trusted(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def trusting(stream: TextIO) -> TextIO:
    """The stream for a library that draws with escape sequences; its texts must be sanitized before it gets them."""
    return cast(TextIO, _Trusting(stream))


def write_line(text: str, stream: TextIO) -> None:
    """Writes a line at once."""
    stream.write(_trusted(text))
    stream.write("\n")
    stream.flush()


def error_text(program: str, error: BaseException) -> str:
    """An error as it is printed: behind the program's name, each further line indented below it."""
    return f"{program}: " + sanitize(str(error), one_line=False).replace("\n", "\n  ")
