"""The published traces of MARS (arXiv 2606.12935): a Parquet table, one row a trace, with its probes.

The columns are those of `docs/data_format.md` and `mars/parquet_loader.py` of the public code (Wenbo11/MARS): `qid`, `trace_idx`,
`ground_truth`, `extracted_answer`, `confs` with a confidence per token, and `probes` with `position` and `answer`. Of the probes, those
at multiples of 2,048 tokens are read, as there: the others are where single traces ended. The confidences tell how
long a trace is and are not kept: for 512 traces of tens of thousands of tokens they need gigabytes for each question.

The same data is published as pickles. Those are not read, because a pickle can run any program when it is loaded.
"""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from bench.data.grading import Graded, Spellings, grade
from bench.data.recorded import RecordedQuestion, RecordedTrace
from orchestrator.errors import DatasetError

__all__ = ["read_mars_table"]

_PROBE_TOKENS = 2048

_COLUMNS = ["qid", "trace_idx", "ground_truth", "extracted_answer", "probes"]


class _Probe(msgspec.Struct, frozen=True):
    position: int
    answer: str | None


class _Row(msgspec.Struct, frozen=True):
    qid: int | str
    trace_idx: int
    ground_truth: str
    extracted_answer: str | None
    probes: list[_Probe]


class _Trace(NamedTuple):
    """A row, and how many tokens its trace has."""

    row: _Row
    tokens: int


def read_mars_table(path: Path) -> list[RecordedQuestion]:
    """The questions of the table, those with smaller ids first; a trace of 0 tokens is left out.

    Raises:
        DatasetError: pyarrow is not installed, or the file cannot be read or is not of this form.
    """
    groups: defaultdict[str, list[_Trace]] = defaultdict(list)
    for trace in _traces(path):
        if trace.tokens:
            groups[str(trace.row.qid)].append(trace)
    graded = grade(
        Spellings(
            [trace.row.extracted_answer for trace in traces], traces[0].row.ground_truth, question
        )
        for question, traces in groups.items()
    )
    return [
        RecordedQuestion(
            id=question,
            question=question,
            correct=grades.correct,
            traces=_recorded(traces, grades),
            probe_tokens=_PROBE_TOKENS,
        )
        for (question, traces), grades in zip(groups.items(), graded, strict=True)
    ]


def _traces(path: Path) -> list[_Trace]:
    """Every row of the file, by question and number of the trace."""
    try:
        from pyarrow import ArrowException, compute, parquet
    except ImportError as error:
        raise DatasetError(
            f"{path} needs pyarrow to be read; run pip install pyarrow, or convert the file to .jsonl."
        ) from error
    try:
        table = parquet.read_table(path, columns=[*_COLUMNS, "confs"])
        lengths: list[int | None] = compute.list_value_length(table["confs"]).to_pylist()
        rows: list[dict[str, Any]] = table.select(_COLUMNS).to_pylist()
    except OSError as error:
        raise DatasetError(
            f"Cannot read {path}: {error.strerror or error}; check the path."
        ) from error
    except (ArrowException, KeyError) as error:
        raise DatasetError(
            f"{path} is not a table of MARS traces ({error}); give a Parquet file with the columns "
            f"{', '.join(_COLUMNS)} and confs."
        ) from error
    try:
        read = msgspec.convert(rows, list[_Row])
    except msgspec.ValidationError as error:
        raise DatasetError(f"{path} has a row that is no trace ({error}); correct it.") from error
    traces = [_Trace(row, tokens or 0) for row, tokens in zip(read, lengths, strict=True)]
    return sorted(traces, key=lambda trace: (*_order(trace.row.qid), trace.row.trace_idx))


def _order(question: int | str) -> tuple[int, str]:
    """Numbers by their size, before names."""
    return (question, "") if isinstance(question, int) else (0, question)


def _recorded(traces: Sequence[_Trace], grades: Graded) -> tuple[RecordedTrace, ...]:
    recorded = []
    for trace, answer in zip(traces, grades.classes, strict=True):
        said = {probe.position: probe.answer for probe in trace.row.probes}
        positions = range(_PROBE_TOKENS, trace.tokens + 1, _PROBE_TOKENS)
        probes = tuple(grades.probed(said.get(position)) for position in positions)
        recorded.append(RecordedTrace(tokens=trace.tokens, answer=answer, probes=probes))
    return tuple(recorded)
