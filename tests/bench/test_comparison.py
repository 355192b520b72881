import csv
import io
import json

import pytest

from bench.cli import main
from bench.comparison import compare_policies
from bench.outcomes import Outcome, write_outcomes
from bench.signatures import findings
from bench.written import as_csv, as_markdown


def outcomes(policy, corrects, tokens, **changes):
    """One outcome per question; `corrects` says which were right."""
    return [
        Outcome(
            **{
                "file": "f",
                "policy": policy,
                "question_id": str(number),
                "resample": 0,
                "answer": "1",
                "correct": bool(correct),
                "tokens": tokens,
                "cut_tokens": 0,
                "sequential_tokens": 10.0,
                "judge_tokens": 0,
                "seconds": 1.0,
                "traces": 4,
                **changes,
            }
        )
        for number, correct in enumerate(corrects)
    ]


ONE = outcomes("cons@1", [1, 0, 0, 0], 100)
FOUR = outcomes("cons@4", [1, 1, 1, 0], 400)


def rows(*groups, judge_price=1.0):
    flat = [outcome for group in groups for outcome in group]
    return {row.policy: row for row in compare_policies(flat, judge_price=judge_price)}


def test_the_rival_is_the_mixture_of_votes_that_costs_the_same():
    found = rows(FOUR, ONE, outcomes("mine", [1, 1, 1, 1], 250))
    mine = found["mine"]
    assert mine.rival_votes == pytest.approx(2.5)
    assert mine.difference == pytest.approx(1.0 - 0.5)  # halfway between 1/4 and 3/4
    assert mine.difference_low > 0
    assert mine.saved == pytest.approx(1 - 250 / 400)
    assert list(found) == ["cons@1", "mine", "cons@4"]


def test_the_judges_tokens_count_at_their_price():
    mine = outcomes("mine", [1, 1, 1, 1], 100, judge_tokens=300)
    assert rows(ONE, FOUR, mine)["mine"].cost == 400
    assert rows(ONE, FOUR, mine, judge_price=0.5)["mine"].rival_votes == pytest.approx(2.5)


def test_beyond_the_votes_that_were_measured_there_is_no_rival():
    mine = rows(ONE, FOUR, outcomes("mine", [1, 1, 1, 1], 500))["mine"]
    assert (mine.rival_votes, mine.difference, mine.p_value) == (None, None, None)
    assert rows(outcomes("mine", [1], 5))["mine"].saved is None


def test_a_vote_is_not_compared_with_itself():
    assert rows(ONE, FOUR)["cons@4"].difference is None


def test_other_questions_are_no_comparison():
    assert rows(ONE, FOUR, outcomes("mine", [1, 1], 250))["mine"].difference is None


def test_a_difference_that_chance_explains_is_not_significant():
    right = [1, 0] * 20
    same = rows(
        outcomes("cons@1", right, 100), outcomes("cons@4", right, 400), outcomes("m", right, 200)
    )["m"]
    assert same.p_value == 1.0
    better = rows(
        outcomes("cons@1", [0] * 40, 100),
        outcomes("cons@4", [0] * 40, 400),
        outcomes("m", right, 200),
    )["m"]
    assert better.p_value < 0.01


def test_questions_are_matched_by_their_ids():
    mine = outcomes("mine", [0, 1, 1, 1], 100)[::-1]
    (difference,) = [rows(mine, ONE, FOUR)["mine"]]
    assert difference.accuracy == 0.75


def test_clusters_are_summed_up():
    mine = rows(ONE, FOUR, outcomes("mine", [1] * 4, 200, clusters=(3, 1)))["mine"]
    assert (mine.clusters, mine.largest_cluster) == (2.0, 0.75)


# --- signatures -----------------------------------------------------------------------------------


def found(policy, *groups):
    return [text for text in findings(list(rows(*groups).values())) if text.startswith(policy)]


def test_each_signature_is_recognised():
    good = outcomes("good", [1, 1, 1, 0], 150, clusters=(3, 1))
    worse = outcomes("worse", [1, 0, 0, 0], 150)
    dear = outcomes("dear", [1, 1, 1, 0], 150, judge_tokens=200, clusters=(3, 1))
    alone = outcomes("alone", [1, 1, 1, 0], 150, clusters=(1, 1, 1, 1))
    alike = outcomes("alike", [1, 1, 1, 0], 150, clusters=(4,))
    assert found("good", ONE, FOUR, good) == []
    assert "50.0 points below cons@4" in found("worse", ONE, FOUR, worse)[0]
    assert "saves 12%" in found("dear", ONE, FOUR, dear)[0]
    assert "alone in its cluster" in found("alone", ONE, FOUR, alone)[0]
    assert "100% of the traces fall into one cluster" in found("alike", ONE, FOUR, alike)[0]


def test_without_a_vote_only_the_judge_can_be_found_fault_with():
    assert found("worse", outcomes("worse", [0], 10)) == []


# --- what is written ------------------------------------------------------------------------------


def test_names_from_files_cannot_break_a_table():
    text = as_markdown(list(rows(outcomes("a|b\nc", [1], 5)).values()), ["x\ny"])
    assert "| a\\|b c | 100.0% |" in text
    assert "- x y" in text


def test_csv_has_a_column_for_every_figure():
    table = list(csv.DictReader(io.StringIO(as_csv(list(rows(ONE, FOUR).values())))))
    assert [row["policy"] for row in table] == ["cons@1", "cons@4"]
    assert table[0]["accuracy"] == "0.25"
    assert table[0]["difference"] == ""


def test_compare_writes_tables_plots_and_a_page_that_needs_no_network(tmp_path, capsys):
    evil = outcomes("<script>alert(1)</script>", [1, 1, 1, 1], 250, clusters=(4,))
    write_outcomes(tmp_path / "o.jsonl", [*ONE, *FOUR, *evil])
    out = tmp_path / "report"
    assert main(["compare", str(tmp_path / "o.jsonl"), "--out", str(out)]) == 0
    assert "cons@4" in capsys.readouterr().out
    names = {"table.md", "table.csv", "table.json", "page.html", "pareto-1.png", "pareto-1.svg"}
    assert {path.name for path in out.iterdir()} == names
    page = (out / "page.html").read_text(encoding="utf-8")
    assert "<script>alert" not in page
    assert "src=" not in page.split("</head>")[0]
    assert 'src="http' not in page
    table = json.loads((out / "table.json").read_text())
    assert len(table["rows"]) == 3
    assert table["findings"]
    assert (out / "pareto-1.png").read_bytes().startswith(b"\x89PNG")


def test_a_folder_that_cannot_be_made_is_named(tmp_path, capsys):
    write_outcomes(tmp_path / "o.jsonl", ONE)
    (tmp_path / "file").write_text("")
    assert main(["compare", str(tmp_path / "o.jsonl"), "--out", str(tmp_path / "file")]) == 2
    assert "cannot be made" in capsys.readouterr().err
