r"""Pairs as instruction, input and output: the JSON that LLaMA-Factory loads, written and read as a stream.

A model trained on such a file sees what the client sends. LLaMA-Factory shows the model `instruction`, a
line break and `input` (only `input` where there is no instruction), and that text is the user message of
`orchestrator.core.judging.pair_prompt`, character for character:

- a judge whose `query` begins with "{instruction}\n" gives its instruction as `instruction`, and the rest of its
  user message as `input`;
- any other judge gives no `instruction`, and all of its user message as `input`.

Such a file cannot hold the chat markup around the message (`markup_before`, `markup_after`): it comes from
LLaMA-Factory's own template, which must be that of the judge's model. Segments are as the judge is shown them, so
the file serves judges with the same `max_segment_chars` or a smaller one.

LLaMA-Factory reads these three fields only. Each record also holds its question and model, the label, and the
places of the two segments in `input` (characters from its start, end excluded), so that the pair can be rebuilt.
"""

import codecs
import gzip
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import msgspec

from judge_server.data.pairs import Pair
from judge_server.data.plain_pairs import read_plain_pairs
from orchestrator.core.judging import JudgeSpec, pair_prompt
from orchestrator.errors import DatasetError

__all__ = ["PairRecord", "dataset_info", "read_pairs", "record_of", "write_json"]


class PairRecord(msgspec.Struct, frozen=True):
    """One record of a pairs file; `new` and `member` are the places of the segments in `input`."""

    instruction: str
    input: str
    output: str
    question_id: str
    question: str
    model: str
    same: bool
    new: tuple[int, int]
    member: tuple[int, int]

    def pair(self) -> Pair:
        """The pair that the record was made from. Raises ValueError if the segments' places are outside `input`."""
        for start, end in (self.new, self.member):
            if not 0 <= start <= end <= len(self.input):
                raise ValueError("a segment is outside the input")
        return Pair(
            question_id=self.question_id,
            question=self.question,
            new=self.input[slice(*self.new)],
            member=self.input[slice(*self.member)],
            same=self.same,
            model=self.model,
        )


def record_of(pair: Pair, spec: JudgeSpec) -> PairRecord:
    """The pair as `spec` shows it to its judge."""
    shown = pair_prompt(spec, question=pair.question, new=pair.new, member=pair.member)
    new, member = (text[-spec.max_segment_chars :] for text in (pair.new, pair.member))
    message = shown.user_message
    new_at = len(_message_before_new(spec, pair.question))
    item_at = len(shown.query) - len(spec.markup_before)
    member_at = item_at + spec.item.index("{member}")
    instruction, offset = _instruction(spec, message)
    return PairRecord(
        instruction=instruction,
        input=message[offset:],
        output=spec.labels[0] if pair.same else spec.labels[1],
        question_id=pair.question_id,
        question=pair.question,
        model=pair.model,
        same=pair.same,
        new=(new_at - offset, new_at - offset + len(new)),
        member=(member_at - offset, member_at - offset + len(member)),
    )


def read_pairs(path: Path) -> Iterator[Pair]:
    """The pairs in a file of `deepprune-judge pairs`, one by one; also JSON lines of the same records (and .gz).

    A file whose records have instruction, input and output alone is read by `judge_server.data.plain_pairs`.

    Raises:
        DatasetError: the file cannot be read, or a line is not such a record.
    """
    decoder = msgspec.json.Decoder(PairRecord)
    is_first = True
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                record = line.removeprefix(codecs.BOM_UTF8).strip().removesuffix(b",")
                if record in (b"", b"[", b"]", b"[]"):
                    continue
                try:
                    yield decoder.decode(record).pair()
                    is_first = False
                except (
                    msgspec.DecodeError,
                    UnicodeDecodeError,
                    ValueError,
                    RecursionError,
                ) as error:
                    plain = read_plain_pairs(path) if is_first else None
                    if plain is not None:
                        yield from plain
                        return
                    raise DatasetError(
                        f"{path} line {number} is not a pair as `deepprune-judge pairs` writes it, one record "
                        f"a line ({error}); make the file again."
                    ) from None
    except (OSError, EOFError, zlib.error) as error:
        raise DatasetError(
            f"{path} cannot be read ({error}); check the path and the file."
        ) from None


def write_json(lines: Path, target: Path, times: Mapping[bool, int]) -> int:
    """Writes the records in `lines`, one a line, as a JSON list, each as often as `times` says for its `same`.

    Returns how many were written.
    """
    decoder = msgspec.json.Decoder(_Label)
    written = 0
    with lines.open("rb") as records, target.open("wb") as file:
        file.write(b"[")
        for record in records:
            for _ in range(times[decoder.decode(record).same]):
                file.write(b",\n" if written else b"\n")
                file.write(record.rstrip(b"\n"))
                written += 1
        file.write(b"\n]\n")
    return written


def dataset_info(splits: Iterable[str]) -> dict[str, object]:
    """The content of LLaMA-Factory's `dataset_info.json` for the files SPLIT.json beside it."""
    return {
        f"deepprune_{split}": {
            "file_name": f"{split}.json",
            "formatting": "alpaca",
            "columns": {"prompt": "instruction", "query": "input", "response": "output"},
        }
        for split in splits
    }


class _Label(msgspec.Struct):
    same: bool


def _message_before_new(spec: JudgeSpec, question: str) -> str:
    """The user's message up to the new segment."""
    before = spec.query[: spec.query.index("{new}")]
    head = spec.model_copy(update={"query": before + "{new}", "item": "{member}"})
    return pair_prompt(head, question=question, new="", member="").user_message


def _instruction(spec: JudgeSpec, message: str) -> tuple[str, int]:
    """The record's instruction, and where in the message its input begins."""
    length = len(spec.instruction) + 1
    if spec.instruction and spec.query.startswith("{instruction}\n") and len(message) > length:
        return spec.instruction, length
    return "", 0
