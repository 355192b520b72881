"""Writes traces that were probed on live servers, in the forms that `--replay` reads."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from bench.data.readers.probe_matrix import MatrixQuestion
from bench.data.recorded import NO_ANSWER
from bench.live.probing import ProbedQuestion
from orchestrator.errors import DatasetError

__all__ = ["write_probed"]


def write_probed(path: Path, questions: Sequence[ProbedQuestion]) -> None:
    """Writes traces with their texts if the file ends in .jsonl, otherwise a probe matrix.

    Raises:
        DatasetError: the file cannot be written.
    """
    encoder = msgspec.json.Encoder()
    if path.suffix == ".jsonl":
        content = encoder.encode_lines(line for each in questions for line in _lines(each))
    else:
        content = encoder.encode([_matrix(each) for each in questions])
    try:
        path.write_bytes(content)
    except OSError as error:
        raise DatasetError(
            f"Cannot write {path}: {error.strerror or error}; choose another file with --out."
        ) from error


def _lines(probed: ProbedQuestion) -> list[dict[str, object]]:
    question = probed.question
    return [
        {
            "question_id": question.id,
            "question": question.question,
            "gold": question.gold,
            "text": trace.text,
            "tokens": trace.tokens,
            "answer": trace.answer,
            "probe_freq": probed.every,
            "probes": [None if named == NO_ANSWER else named for named in trace.named],
        }
        for trace in probed.traces
    ]


def _matrix(probed: ProbedQuestion) -> MatrixQuestion:
    return MatrixQuestion(
        probed.question.question,
        probed.question.gold or "",
        probed.every,
        [([*trace.named], trace.tokens, trace.answer or NO_ANSWER) for trace in probed.traces],
    )
