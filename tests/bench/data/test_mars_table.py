"""The published traces of MARS, a Parquet table, and what becomes of tables that are something else."""

from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from bench.data.readers import read_recorded
from bench.data.recorded import NO_ANSWER
from bench.replay.replay import ReplayPlan, replay_policy
from bench.specs.policy_spec import parse_policies
from orchestrator.errors import DatasetError


def trace(question: int, number: int, tokens: int, answer: str | None, **probes: str | None) -> Any:
    """A row; probes are named by where they were asked: `at_2048="7"`."""
    return {
        "qid": question,
        "trace_idx": number,
        "ground_truth": "70",
        "extracted_answer": answer,
        "confs": [0.5] * tokens,
        "probes": [
            {
                "position": int(name.removeprefix("at_")),
                "answer": said,
                "is_correct": said == "70",
                "raw_text": "text",
                "avg_conf": 0.5,
            }
            for name, said in probes.items()
        ],
    }


def written(folder: Path, rows: list[Any], name: str = "traces.parquet") -> Path:
    path = folder / name
    parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    return path


ROWS = [
    trace(2, 1, 5000, "70.0", at_2048="", at_4096="70", at_5000="70.0"),
    trace(2, 0, 4096, "7", at_2048="7", at_4096="7"),
    trace(1, 0, 2047, "70"),
    trace(1, 2, 0, None),
    trace(1, 1, 6000, None, at_4096="12"),
]


def refusal(path: Path) -> str:
    with pytest.raises(DatasetError) as refused:
        read_recorded(path)
    return str(refused.value)


def test_traces_stand_in_order_with_their_probes_on_the_common_grid(tmp_path: Path) -> None:
    first, second = read_recorded(written(tmp_path, ROWS))
    assert (first.id, first.correct, first.probe_tokens) == ("1", frozenset({"70"}), 2048)
    assert [(each.tokens, each.answer, each.probes) for each in first.traces] == [
        (2047, "70", ()),
        (6000, None, (NO_ANSWER, "12")),
    ]
    assert (second.id, second.correct) == ("2", frozenset({"70.0"}))
    assert [(each.tokens, each.answer, each.probes) for each in second.traces] == [
        (4096, "7", ("7", "7")),
        (5000, "70.0", (NO_ANSWER, "70")),
    ]


def test_policies_that_probe_can_be_replayed_on_it(tmp_path: Path) -> None:
    questions = read_recorded(written(tmp_path, ROWS))
    specs = parse_policies(["auto@2", "mars", "cons@2"])
    for spec in specs:
        outcomes = list(replay_policy(spec, questions, ReplayPlan(resamples=2), file="mars"))
        assert len(outcomes) == 4
        assert all(outcome.tokens for outcome in outcomes)


def test_a_pickle_is_refused_and_not_opened(tmp_path: Path) -> None:
    for name in ("aggregated_traces.pkl", "traces.PICKLE", "traces.pkl.gz"):
        assert "pickle, which can run any program" in refusal(tmp_path / name)


def test_a_table_without_a_column_is_refused_with_the_columns(tmp_path: Path) -> None:
    rows = [{key: value for key, value in row.items() if key != "confs"} for row in ROWS]
    assert "ground_truth, extracted_answer, probes and confs" in refusal(written(tmp_path, rows))


def test_a_row_without_a_gold_answer_is_refused(tmp_path: Path) -> None:
    rows = [*ROWS, {**trace(3, 0, 9, "1"), "ground_truth": None}]
    assert "has a row that is no trace" in refusal(written(tmp_path, rows))


def test_what_is_no_table_or_is_missing_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "other.parquet"
    other.write_text("no table", encoding="utf-8")
    assert "is not a table of MARS traces" in refusal(other)
    assert "check the path" in refusal(tmp_path / "missing.parquet")
    assert "no traces" in refusal(written(tmp_path, [trace(1, 2, 0, None)], "empty.parquet"))
