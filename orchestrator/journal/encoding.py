"""How a journal is encoded: a header line that names format and version, then one JSON object per entry."""

from pathlib import Path
from typing import Any

import msgspec
from pydantic import ValidationError

from orchestrator.config.explain import explain
from orchestrator.core.events import Command, Event
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
    except (msgspec.DecodeError, UnicodeDecodeError):
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


class Decoder:
    """Decodes the lines of one journal behind its header."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lines = 1  # the header
        self._decoder: msgspec.json.Decoder[Event | Command] = msgspec.json.Decoder(
            Event | Command, dec_hook=_settings_from_json
        )

    def decode(self, line: bytes) -> Event | Command:
        """The entry in the next line.

        Raises:
            JournalError: the line, named by its number, is damaged.
        """
        self._lines += 1
        try:
            return self._decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise JournalError(
                f"Line {self._lines} of {self._path} is not a journal entry ({error}): the file was damaged; "
                "start a new run."
            ) from error


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
        raise ValueError(explain(error, Settings, {}, "the journal")) from error
