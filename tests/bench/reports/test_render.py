"""Comparisons as Markdown, CSV and JSON."""

import csv
import io
import json

from bench.reports.render import as_csv, as_json, as_markdown, build_comparison
from tests.support.outcomes import FOUR_VOTES, ONE_VOTE, outcomes


def test_names_from_files_cannot_break_a_table() -> None:
    comparison = build_comparison(outcomes("a|b\nc", [1], 5), judge_price=1.0)
    text = as_markdown(comparison._replace(findings=["x\ny"]))
    assert "| a\\|b c | 100.0% |" in text
    assert "- x y" in text


def test_the_csv_has_a_column_for_every_figure() -> None:
    rows = build_comparison([*ONE_VOTE, *FOUR_VOTES], judge_price=1.0).rows
    table = list(csv.DictReader(io.StringIO(as_csv(rows))))
    assert [row["policy"] for row in table] == ["cons@1", "cons@4"]
    assert table[0]["accuracy"] == "0.25"
    assert table[0]["difference"] == ""


def test_the_json_has_the_keys_that_scripts_read() -> None:
    swept = [
        each
        for tau in ("0.25", "0.5")
        for resample in (0, 1)
        for each in outcomes(f"d:tau={tau}", [1] * 4, 200, resample=resample)
    ]
    content = json.loads(as_json(build_comparison([*ONE_VOTE, *FOUR_VOTES, *swept], judge_price=1)))
    assert list(content) == [
        "judge_price",
        "rows",
        "frontier",
        "findings",
        "distributions",
        "series",
    ]
    (series,) = content["series"]
    assert list(series) == ["file", "policy", "setting", "values", "rows", "hindsight"]
    assert series["rows"] == ["d:tau=0.25", "d:tau=0.5"]
    assert series["hindsight"]["tokens"] == 200
    assert content["frontier"] == {"f": ["cons@1", "d:tau=0.25"]}
