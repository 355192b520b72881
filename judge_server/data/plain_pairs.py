"""Pairs in the form of the published judge's data set (THU-KEG/DeepPrune): instruction, input and output, nothing else.

The two traces are found in the input by their marks, such as "Trace 1:" and "Trace 2:" or "Solution A:" and "Solution B:". There
are no question ids, so questions are told by text: two pairs that share a trace are of one question, and so are pairs with the
same text before the first mark. So no trace is in two splits.
"""

import codecs
import gzip
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec

from judge_server.data.pairs import Pair
from judge_server.data.traces import fingerprint
from orchestrator.errors import DatasetError

__all__ = ["read_plain_pairs"]

_MARK = re.compile(
    r"^\W{0,4}(?:[a-z]+ ){0,3}(?P<name>trace|solution|attempt|response|reasoning|answer|thought|path|process)"
    r"\s?#?(?P<number>[12ab])\b[^\S\n]*[:\]>*)]+",
    re.IGNORECASE | re.MULTILINE,
)
_LABELS = {"identical": True, "not identical": False}


class _Plain(msgspec.Struct, forbid_unknown_fields=True):
    """A record; `system` and `history` are LLaMA-Factory's other fields, which are not read."""

    instruction: str
    input: str
    output: str
    system: str = ""
    history: list[list[str]] = []


def read_plain_pairs(path: Path) -> Iterator[Pair] | None:
    """The pairs of a JSON list or of JSON lines of such records (also .gz); None if the file has another form.

    Says on stderr that the file has no question ids.

    Raises:
        DatasetError: a record does not mark its two traces, or has another output than the two labels.
    """
    records = _records(path)
    if records is None:
        return None
    pairs = [_pair(path, number, record) for number, record in enumerate(records, start=1)]
    questions = _questions(pairs)
    print(
        f"{path.name} has no question ids: its {len(pairs):,} pairs are split by text, into {len(set(questions)):,} questions.",
        file=sys.stderr,
        flush=True,
    )
    return (replace(pair, question_id=name) for pair, name in zip(pairs, questions, strict=True))


def _records(path: Path) -> list[_Plain] | None:
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        content = file.read().removeprefix(codecs.BOM_UTF8).strip()
    try:
        if content.startswith(b"["):
            return msgspec.json.decode(content, type=list[_Plain]) or None
        lines = [line for line in content.splitlines() if line.strip()]
        return [msgspec.json.decode(line, type=_Plain) for line in lines] or None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _pair(path: Path, number: int, record: _Plain) -> Pair:
    label = record.output.strip().rstrip(".").lower()
    if label not in _LABELS:
        raise DatasetError(
            f"{path} record {number} has the output {record.output[:40]!r}; write identical or not identical."
        )
    marks = _marks(record.input)
    if marks is None:
        raise DatasetError(
            f"{path} record {number} does not mark its two traces; write them behind lines such as "
            "'Trace 1:' and 'Trace 2:'."
        )
    first, second = marks
    return Pair(
        question_id="",
        question=record.input[: first.start()].strip(),
        new=record.input[first.end() : second.start()].strip(),
        member=record.input[second.end() :].strip(),
        same=_LABELS[label],
    )


def _marks(text: str) -> tuple[re.Match[str], re.Match[str]] | None:
    """The first mark of a first trace, and the next one of the second with the same name."""
    found = list(_MARK.finditer(text))
    for place, first in enumerate(found):
        wanted = {"1": "2", "a": "b"}.get(first["number"].lower())
        for second in found[place + 1 :]:
            if (second["name"].lower(), second["number"].lower()) == (
                first["name"].lower(),
                wanted,
            ):
                return first, second
    return None


def _questions(pairs: Sequence[Pair]) -> list[str]:
    """A name for the question of each pair: those that share a text are connected."""
    parents: dict[str, str] = {}

    def root(text: str) -> str:
        parents.setdefault(text, text)
        while parents[text] != text:
            parents[text] = parents[parents[text]]
            text = parents[text]
        return text

    for pair in pairs:
        texts = [f"trace {pair.new}", f"trace {pair.member}"]
        if pair.question:
            texts.append(f"question {pair.question}")
        for text in texts[1:]:
            parents[root(text)] = root(texts[0])
    return [f"text-{fingerprint('', root(f'trace {pair.new}'))[:12]}" for pair in pairs]
