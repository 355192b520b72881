"""How every program starts and ends: its streams, its arguments, Ctrl-C, its errors and its exit code.

A standard stream may be closed, full, left by its reader, or unable to encode a text. None of these ends a run: what
cannot be written is dropped, and the program says so when it ends. This module imports little, so that Ctrl-C is
handled before the slow imports begin.
"""

import codecs
import contextlib
import errno
import io
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, TextIO

from orchestrator.cli.leaving import leave_at_once, leave_on_interrupt
from orchestrator.errors import EXIT_INTERRUPTED, ConfigError, DeepPruneError
from orchestrator.terminal.safe_stream import error_text, safe_stream

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

__all__ = ["Prepare", "run_program", "take_write_error", "text_from_stdin"]

_EXIT_UNWRITTEN = 1
_SHOWN_CHARACTERS = 60  # of an argument that is named in an error

Prepare = Callable[[list[str]], Callable[[], int]]
"""Imports what the program needs and reads its arguments; the result does the work and returns the exit code."""


def run_program(program: str, argv: Sequence[str] | None, prepare: Prepare) -> int:
    """Runs a program; returns its exit code. A foreseen error is one sentence on stderr, never a traceback.

    Args:
        program: its name, for its errors.
        argv: the arguments; None means those of this process.
        prepare: called while Ctrl-C still ends the process at once, as nothing can be lost yet.
    """
    is_guarded = signal.getsignal(signal.SIGINT) is leave_at_once
    with _standard_streams():
        try:
            with _leaving_at_once():
                words = _checked(sys.argv[1:] if argv is None else argv)
                work = prepare(words)
            code = work()
        except DeepPruneError as error:
            print(error_text(program, error), file=sys.stderr)
            code = error.exit_code
        except ModuleNotFoundError as error:
            from orchestrator.extras import missing_extra

            if (sentence := missing_extra(error, program)) is None:
                raise
            print(f"{program}: {sentence}", file=sys.stderr)
            code = ConfigError.exit_code
        except KeyboardInterrupt:
            return EXIT_INTERRUPTED
        except SystemExit as end:  # --help, --version, or a wrong flag
            if end.code or not (unwritten := _unwritten(program)):
                raise
            return unwritten
        finally:
            sys.stdout.flush()
            if is_guarded:  # nothing can be lost any more
                leave_on_interrupt()
        unwritten = _unwritten(program)  # said also of a run that ends with a code of its own
        return code or unwritten


def take_write_error() -> OSError | None:
    """Why something that was written to stdout is lost, for the one who tells the user; None if nothing is, or it is told."""
    sys.stdout.flush()
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    if not isinstance(raw, _Sink) or raw.is_told:
        return None
    raw.is_told = raw.error is not None
    return raw.error


def text_from_stdin() -> str:
    """All of stdin, as UTF-8.

    Raises:
        ConfigError: stdin cannot be read, or is not UTF-8.
    """
    try:
        data = getattr(sys.stdin, "buffer", sys.stdin).read()
        return data if isinstance(data, str) else data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"stdin is not UTF-8 (byte {error.start + 1}): convert the text to UTF-8."
        ) from error
    except OSError as error:
        raise ConfigError(
            f"stdin cannot be read ({error.strerror}): give the question as an argument."
        ) from error


def _unwritten(program: str) -> int:
    """The exit code for the output: 1 with a sentence if it is lost, else 0."""
    error = take_write_error()
    if error is None:
        return 0
    if error.errno != errno.EPIPE:  # a reader that has left, such as head, wants no more
        print(
            f"{program}: The output could not be written to stdout ({error.strerror}): write it elsewhere.",
            file=sys.stderr,
        )
    return _EXIT_UNWRITTEN


def _checked(words: Sequence[str]) -> list[str]:
    """The arguments. Those with bytes that are not UTF-8 cannot be stored in a run's files, so they are refused."""
    for word in words:
        try:
            word.encode()
        except UnicodeEncodeError:
            shown = os.fsencode(word).decode("utf-8", "backslashreplace")[:_SHOWN_CHARACTERS]
            raise ConfigError(
                f"The argument {shown} is not UTF-8: give texts and file names in UTF-8."
            ) from None
    return list(words)


@contextlib.contextmanager
def _leaving_at_once() -> Iterator[None]:
    """Inside, Ctrl-C ends the process; an exception could surface anywhere in an import, and would be printed there."""
    leave_on_interrupt()
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGINT) is leave_at_once:
            signal.signal(signal.SIGINT, signal.default_int_handler)


class _Sink(io.FileIO):
    """A descriptor whose writes never fail: after the first error everything is dropped, and the error is kept."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self.error: OSError | None = None
        self.is_told = False

    def write(self, data: "ReadableBuffer", /) -> int:
        """Writes, or drops; returns how many bytes are done with."""
        if self.error is None:
            try:
                return super().write(data)
            except OSError as error:
                self.error = error
        return memoryview(data).nbytes


@contextlib.contextmanager
def _standard_streams() -> Iterator[None]:
    """Inside, stdin, stdout and stderr exist, writing to them never fails, and no text in them is interpreted."""
    before = sys.stdin, sys.stdout, sys.stderr
    _fill_closed_descriptors()
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    # others, such as a notebook or a test, have put streams of their own there
    if sys.stdout is sys.__stdout__:
        sys.stdout = _writer(1, sys.__stdout__)
    if sys.stderr is sys.__stderr__:
        sys.stderr = _writer(2, sys.__stderr__)
    sys.stdout, sys.stderr = safe_stream(sys.stdout), safe_stream(sys.stderr)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        sys.stdin, sys.stdout, sys.stderr = before


def _fill_closed_descriptors() -> None:
    """Takes the numbers 0 to 2 where they are closed, so that no file of a run gets one of them by chance."""
    # what is opened for reading only fails on every write, as a closed descriptor does
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDONLY)


def _writer(descriptor: int, old: TextIO | None) -> TextIO:
    sink = _Sink(descriptor)
    return io.TextIOWrapper(
        io.BufferedWriter(sink),
        encoding=old.encoding if old is not None else "utf-8",
        errors=_ESCAPE,
        line_buffering=sink.isatty() or descriptor == 2,
    )


def _escaped(error: UnicodeError) -> tuple[str, int]:
    r"""Characters that the stream cannot encode, as \uXXXX, which is also valid in JSON."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass")
    escapes = (f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
    return "".join(escapes), error.end


_ESCAPE = "deepprune-escape"
codecs.register_error(_ESCAPE, _escaped)
