"""Cut traces in a temporary file, read back by question and model.

The rule: memory holds one number for each trace, never its text.
"""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile
from types import TracebackType
from typing import Self

import msgspec

from judge_server.data.pairs import TraceGroup
from judge_server.data.traces import QuestionIndex, TraceRow
from judge_server.data.truncation import SegmentedTrace

__all__ = ["TraceStore"]


@dataclass(slots=True)
class _Offsets:
    """Where a question's text and its traces by each model are in the file, in bytes from its start."""

    question: int
    models: dict[str, "array[int]"] = field(default_factory=dict)


class TraceStore:
    """A temporary file of cut traces in `folder`; a context manager that removes it."""

    def __init__(self, folder: Path) -> None:
        self.traces = 0
        self._file = TemporaryFile(dir=folder)  # noqa: SIM115 - closed on exit
        self._questions: dict[str, _Offsets] = {}
        self._index = QuestionIndex()
        self._encoder = msgspec.json.Encoder()
        self._decoder = msgspec.json.Decoder(SegmentedTrace | None)

    @property
    def questions(self) -> int:
        """Different questions so far."""
        return len(self._questions)

    @property
    def models(self) -> set[str]:
        """The models that wrote the traces."""
        return {model for offsets in self._questions.values() for model in offsets.models}

    @property
    def repeated_questions(self) -> int:
        """Ids whose text was stored already under another id, which stands for both."""
        return self._index.repeated

    def add(self, row: TraceRow, cut: SegmentedTrace | None) -> None:
        """Stores a cut trace. Raises DatasetError if its question's id stands for another text."""
        question_id = self._index.id_of(row.question_id, row.question)
        if question_id not in self._questions:
            self._questions[question_id] = _Offsets(self._write(row.question))
        offsets = self._questions[question_id].models.setdefault(row.model, array("Q"))
        offsets.append(self._write(cut))
        self.traces += 1

    def groups(self) -> Iterator[list[TraceGroup]]:
        """For each question, in order of first appearance, its traces by model; one question is in memory."""
        for question_id, stored in self._questions.items():
            question = msgspec.json.decode(self._line(stored.question), type=str)
            yield [
                TraceGroup(
                    question_id=question_id,
                    question=question,
                    model=model,
                    traces=[self._decoder.decode(self._line(offset)) for offset in offsets],
                )
                for model, offsets in stored.models.items()
            ]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()

    def _write(self, value: SegmentedTrace | str | None) -> int:
        offset = self._file.tell()
        self._file.write(self._encoder.encode(value) + b"\n")
        return offset

    def _line(self, offset: int) -> bytes:
        self._file.seek(offset)
        return self._file.readline()
