"""How a journal is encoded: a header line that names format and version, then one JSON object per entry.

A journal may come from elsewhere. What is decoded here can be folded into a view and shown: it begins with the one
start of a run, its times and counts are bounded, and it names only traces and clusters that exist.
"""

from pathlib import Path
from typing import Any

import msgspec
from pydantic import ValidationError

from orchestrator.config.explain import explain
from orchestrator.core.commands import AskJudge, Command, StartTrace
from orchestrator.core.events import (
    ClusterOpened,
    Event,
    JudgeFailed,
    PairsJudged,
    RunStarted,
    TraceJoined,
    UserCommandReceived,
)
from orchestrator.errors import JournalError
from orchestrator.settings import Settings

__all__ = ["HEADER_LINE", "VERSION", "Decoder", "check_header", "entry_encoder"]

FORMAT = "deepprune-journal"
VERSION = 2


class _Header(msgspec.Struct, frozen=True):
    format: str
    version: int


HEADER_LINE = msgspec.json.encode(_Header(FORMAT, VERSION)) + b"\n"


def check_header(path: Path, line: bytes) -> None:
    """Checks the first line of a journal.

    Raises:
        JournalError: the file is no journal, or one of another version.
    """
    try:
        header = msgspec.json.decode(line, type=_Header)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        header = None
    if header is None or header.format != FORMAT:
        raise JournalError(
            f"{path} does not begin with the header of a journal: it was damaged or written before version 0.2 of "
            "DeepPrune; start a new run."
        )
    if header.version != VERSION:
        raise JournalError(
            f"{path} is a journal of version {header.version} and this program reads version {VERSION}: "
            "read it with the DeepPrune that wrote it, or start a new run."
        )


class _NotAnEntry(Exception):
    """Why a line that is valid JSON is no entry at its place."""


class Decoder:
    """Decodes the lines of one journal behind its header, in their order."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lines = 1  # the header
        self._decoder: msgspec.json.Decoder[Event | Command] = msgspec.json.Decoder(
            Event | Command, dec_hook=_settings_from_json
        )
        self._planned = 0
        self._regenerations: set[int] = set()
        self._clusters: set[int] = set()

    def decode(self, line: bytes) -> Event | Command:
        """The entry in the next line.

        Raises:
            JournalError: the line, named by its number, is damaged, or is no entry that can stand there.
        """
        self._lines += 1
        try:
            entry = self._decoder.decode(line)
            self._check(entry)
        except (msgspec.DecodeError, UnicodeDecodeError, _NotAnEntry) as error:
            raise self._error(str(error)) from error
        except RecursionError as error:
            raise self._error("it is nested too deep") from error
        return entry

    def _check(self, entry: Event | Command) -> None:
        """Raises _NotAnEntry for what refers to nothing."""
        if isinstance(entry, RunStarted):
            if self._planned:
                raise _NotAnEntry("a second start of the run")
            self._planned = entry.planned
            return
        if not self._planned:
            raise _NotAnEntry("the start of the run is missing before it")
        if isinstance(entry, UserCommandReceived):  # may name any trace, and is then ignored
            return
        if isinstance(entry, StartTrace) and entry.of is not None and 0 <= entry.of < self._planned:
            self._regenerations.add(self._planned + entry.of)
        trace = getattr(entry, "trace", None)
        known = trace is None or 0 <= trace < self._planned or trace in self._regenerations
        if not known:
            raise _NotAnEntry(f"trace {trace} of {self._planned}")
        if isinstance(entry, ClusterOpened):
            self._clusters.add(entry.cluster)
        elif isinstance(entry, TraceJoined) and entry.cluster not in self._clusters:
            raise _NotAnEntry(f"cluster {entry.cluster} was never opened")
        elif isinstance(entry, AskJudge | PairsJudged | JudgeFailed):
            self._check_members(entry)

    def _check_members(self, entry: AskJudge | PairsJudged | JudgeFailed) -> None:
        if not all(0 <= member < self._planned for member in entry.members):
            raise _NotAnEntry(f"members beside {self._planned} traces")
        if isinstance(entry, PairsJudged) and len(entry.members) != len(entry.probabilities):
            raise _NotAnEntry("not one probability for each member")

    def _error(self, reason: str) -> JournalError:
        return JournalError(
            f"Line {self._lines} of {self._path} is not a journal entry ({reason}): it was damaged or written by "
            "another version of DeepPrune; start a new run."
        )


def entry_encoder() -> msgspec.json.Encoder:
    """Encodes entries as JSON without a line break."""
    return msgspec.json.Encoder(enc_hook=_settings_to_json)


def _settings_to_json(value: Any) -> Any:
    """Settings as plain JSON; they are the only part of an entry that msgspec cannot encode itself."""
    if isinstance(value, Settings):
        return value.model_dump(mode="json")
    raise NotImplementedError(f"an entry cannot hold {type(value).__name__}")


def _settings_from_json(kind: type, value: Any) -> Any:
    if kind is not Settings:
        raise NotImplementedError(f"an entry cannot hold {kind.__name__}")
    try:
        return Settings.model_validate(value)
    except ValidationError as error:
        raise _NotAnEntry(explain(error, Settings, {}, "the journal").rstrip(".")) from error
