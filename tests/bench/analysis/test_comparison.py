import csv
import io
import json
from pathlib import Path

import pytest

from bench.analysis.comparison import compare_policies, frontier
from bench.analysis.diagnostics import findings
from bench.analysis.distributions import distributions
from bench.analysis.sweeps import setting_series
from bench.cli.main import main
from bench.reports.render import as_csv, as_markdown, build_comparison
from bench.results.outcomes import Outcome, write_outcomes


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


def test_the_rival_is_the_mixture_of_votes_that_costs_the_same() -> None:
    found = rows(FOUR, ONE, outcomes("mine", [1, 1, 1, 1], 250))
    mine = found["mine"]
    assert mine.rival_votes == pytest.approx(2.5)
    assert mine.difference == pytest.approx(1.0 - 0.5)  # halfway between 1/4 and 3/4
    assert mine.difference_low > 0
    assert mine.saved == pytest.approx(1 - 250 / 400)
    assert list(found) == ["cons@1", "mine", "cons@4"]


def test_the_judges_tokens_count_at_their_price() -> None:
    mine = outcomes("mine", [1, 1, 1, 1], 100, judge_tokens=300)
    assert rows(ONE, FOUR, mine)["mine"].cost == 400
    assert rows(ONE, FOUR, mine, judge_price=0.5)["mine"].rival_votes == pytest.approx(2.5)


def test_beyond_the_votes_that_were_measured_there_is_no_rival() -> None:
    mine = rows(ONE, FOUR, outcomes("mine", [1, 1, 1, 1], 500))["mine"]
    assert (mine.rival_votes, mine.difference, mine.p_value) == (None, None, None)
    assert rows(outcomes("mine", [1], 5))["mine"].saved is None


def test_a_vote_is_not_compared_with_itself() -> None:
    assert rows(ONE, FOUR)["cons@4"].difference is None


def test_other_questions_are_no_comparison() -> None:
    assert rows(ONE, FOUR, outcomes("mine", [1, 1], 250))["mine"].difference is None


def test_a_difference_that_chance_explains_is_not_significant() -> None:
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


def test_questions_are_matched_by_their_ids() -> None:
    mine = outcomes("mine", [0, 1, 1, 1], 100)[::-1]
    (difference,) = [rows(mine, ONE, FOUR)["mine"]]
    assert difference.accuracy == 0.75


def test_clusters_are_summed_up() -> None:
    mine = rows(ONE, FOUR, outcomes("mine", [1] * 4, 200, clusters=(3, 1)))["mine"]
    assert (mine.clusters, mine.largest_cluster) == (2.0, 0.75)


# --- signatures -----------------------------------------------------------------------------------


def found(*groups):
    return findings(list(rows(*groups).values()))


def test_each_signature_is_recognised() -> None:
    good = outcomes("good", [1, 1, 1, 0], 150, clusters=(3, 1))
    worse = outcomes("worse", [1, 0, 0, 0], 150, clusters=(3, 1))
    dear = outcomes("dear", [1, 1, 1, 0], 150, judge_tokens=200, clusters=(3, 1))
    alone = outcomes("alone", [1, 1, 1, 0], 150, clusters=(1, 1, 1, 1))
    alike = outcomes("alike", [1, 1, 1, 0], 150, clusters=(4,))
    assert found(ONE, FOUR, good) == []
    assert "lost: worse (50.0 below cons@4). Raise tau" in found(ONE, FOUR, worse)[0]
    assert "counted: dear (12%). The judge is too" in found(ONE, FOUR, dear)[0]
    assert "cluster: alone (4 clusters of 4 traces). The judge" in found(ONE, FOUR, alone)[0]
    assert "one cluster: alike (100%). If answers differ" in found(ONE, FOUR, alike)[0]


def test_the_advice_against_lost_points_fits_the_policy() -> None:
    lost = [1, 0, 0, 0]
    auto, esc = found(ONE, FOUR, outcomes("auto@32", lost, 150), outcomes("esc", lost, 160))
    assert "auto@32 (50.0 below cons@4). Raise --effort." in auto
    assert "esc (50.0 below cons@4). Allow more traces" in esc


def test_policies_with_one_complaint_share_its_sentence() -> None:
    bad = [outcomes(f"d:tau={tau}", [1, 1, 1, 0], 150, clusters=(4,)) for tau in ("0.1", "0.2")]
    (text,) = found(ONE, FOUR, *bad)
    assert "d:tau=0.1 (100%), d:tau=0.2 (100%)" in text


def test_of_several_files_each_finding_names_its_own() -> None:
    alike = outcomes("alike", [1, 1, 1, 0], 150, clusters=(4,))
    other = outcomes("alike", [1, 1, 1, 0], 150, clusters=(4,), file="g")
    texts = findings(compare_policies([*ONE, *FOUR, *alike, *other], judge_price=1.0))
    assert [text.partition(":")[0] for text in texts] == ["f", "g"]


def test_without_a_vote_only_the_judge_can_be_found_fault_with() -> None:
    assert found(outcomes("worse", [0], 10)) == []


# --- what is written ------------------------------------------------------------------------------


def test_names_from_files_cannot_break_a_table() -> None:
    comparison = build_comparison(outcomes("a|b\nc", [1], 5), judge_price=1.0)
    text = as_markdown(comparison._replace(findings=["x\ny"]))
    assert "| a\\|b c | 100.0% |" in text
    assert "- x y" in text


def test_csv_has_a_column_for_every_figure() -> None:
    table = list(csv.DictReader(io.StringIO(as_csv(list(rows(ONE, FOUR).values())))))
    assert [row["policy"] for row in table] == ["cons@1", "cons@4"]
    assert table[0]["accuracy"] == "0.25"
    assert table[0]["difference"] == ""


def test_compare_writes_tables_plots_and_a_page_that_needs_no_network(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evil = outcomes("<script>alert(1)</script>", [1, 1, 1, 1], 250, clusters=(4,))
    write_outcomes(tmp_path / "o.jsonl", [*ONE, *FOUR, *evil])
    out = tmp_path / "report"
    assert main(["compare", str(tmp_path / "o.jsonl"), "--out", str(out)]) == 0
    assert "cons@4" in capsys.readouterr().out
    names = {"table.md", "table.csv", "table.json", "page.html"}
    pictures = ("pareto-1", "difference-1")
    names |= {f"{name}.{ending}" for name in pictures for ending in ("png", "svg")}
    assert {path.name for path in out.iterdir()} == names
    page = (out / "page.html").read_text(encoding="utf-8")
    assert "<script>alert" not in page
    assert "src=" not in page.split("</head>")[1]
    assert 'src="http' not in page
    table = json.loads((out / "table.json").read_text())
    assert len(table["rows"]) == 3
    assert table["findings"]
    assert (out / "pareto-1.png").read_bytes().startswith(b"\x89PNG")


def test_a_folder_that_cannot_be_made_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_outcomes(tmp_path / "o.jsonl", ONE)
    (tmp_path / "file").write_text("")
    assert main(["compare", str(tmp_path / "o.jsonl"), "--out", str(tmp_path / "file")]) == 2
    assert "Cannot make the folder" in capsys.readouterr().err


def test_a_wrong_price_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for price in ("-1", "much", "inf", "nan"):
        with pytest.raises(SystemExit) as caught:
            main(["compare", "x.jsonl", "--out", str(tmp_path), f"--judge-price={price}"])
        assert caught.value.code == 2
        assert "is not a number of at least 0" in capsys.readouterr().err


# --- what to choose -------------------------------------------------------------------------------


def test_the_front_holds_what_nothing_beats_in_both() -> None:
    dear = outcomes("dear", [1, 1, 1, 0], 900)
    found = rows(ONE, FOUR, dear, outcomes("mine", [1, 1, 0, 0], 200))
    assert [row.policy for row in frontier(list(found.values()))] == ["cons@1", "mine", "cons@4"]


def test_a_verdict_needs_more_than_chance() -> None:
    right = [1, 0] * 20
    none = outcomes("cons@1", [0] * 40, 100), outcomes("cons@4", [0] * 40, 400)
    all_right = outcomes("cons@1", [1] * 40, 100), outcomes("cons@4", [1] * 40, 400)
    assert rows(*none, outcomes("m", right, 200))["m"].verdict == "better"
    assert rows(*all_right, outcomes("m", right, 200))["m"].verdict == "worse"
    assert rows(ONE, FOUR, outcomes("m", [1, 1, 0, 0], 200))["m"].verdict == "level"
    assert rows(ONE, FOUR, outcomes("m", [1] * 4, 500))["m"].verdict == "costs more than every vote"
    assert rows(ONE, FOUR, outcomes("m", [1] * 4, 50))["m"].verdict == "no vote to compare with"
    assert rows(ONE, FOUR)["cons@4"].verdict == ""


# --- distributions and swept settings -------------------------------------------------------------


def test_traces_are_counted_by_length_and_fate() -> None:
    lengths = {"finished": (100, 100), "pruned": (10, 0)}
    (found,) = distributions(outcomes("m", [1, 0], 210, lengths=lengths, clusters=(2, 1)))
    assert {fate: sum(counts) for fate, counts in found.traces.items()} == {
        "finished": 4,
        "pruned": 2,
    }
    assert found.tokens == {"finished": 200.0, "pruned": 10.0}
    assert found.clusters == {1: 2, 2: 2}
    assert distributions(outcomes("m", [1], 5)) == []


def test_a_setting_that_alone_differs_makes_a_series() -> None:
    swept = rows(
        ONE,
        FOUR,
        outcomes("d@8:tau=0.5", [1], 10),
        outcomes("d@8:tau=0.25", [1], 20),
        outcomes("d@16:tau=0.25", [1], 30),
        outcomes("other:tau=0.1", [1], 30),
    )
    found = {(each.policy, each.setting): each for each in setting_series(list(swept.values()))}
    assert {key: list(each.values) for key, each in found.items()} == {
        ("d@8", "tau"): ["0.25", "0.5"],
        ("d:tau=0.25", "traces"): ["8", "16"],
    }
    assert [row.policy for row in found["d@8", "tau"].rows] == ["d@8:tau=0.25", "d@8:tau=0.5"]


def test_values_that_are_words_stand_from_the_cheapest_to_the_dearest() -> None:
    swept = rows(outcomes("auto:effort=high", [1], 30), outcomes("auto:effort=low", [1], 10))
    (series,) = setting_series(list(swept.values()))
    assert list(series.values) == ["low", "high"]


def test_a_sweep_is_shown_in_all_forms(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lengths = {"finished": (100,), "pruned": (30,)}
    swept = [
        outcome
        for tau in ("0.25", "0.5")
        for outcome in outcomes(f"d:tau={tau}", [1] * 4, 200, clusters=(3, 1), lengths=lengths)
    ]
    write_outcomes(tmp_path / "o.jsonl", [*ONE, *FOUR, *swept])
    out = tmp_path / "report"
    assert main(["compare", str(tmp_path / "o.jsonl"), "--out", str(out)]) == 0
    assert "### tau of d\n\n| tau | accuracy |" in capsys.readouterr().out
    assert "<h3>tau of d</h3>" in (out / "page.html").read_text(encoding="utf-8")
    assert json.loads((out / "table.json").read_text())["series"][0]["values"] == ["0.25", "0.5"]
    for name in ("sweep-1.png", "distributions-1.svg"):
        assert (out / name).stat().st_size > 1000


# --- the oracle ------------------------------------------------------------------


def drawn(policy, corrects, tokens):
    """One question, a draw for each of `corrects`."""
    return [
        outcome
        for resample, correct in enumerate(corrects)
        for outcome in outcomes(policy, [correct], tokens, resample=resample)
    ]


def oracle(*groups):
    flat = [outcome for group in groups for outcome in group]
    (series,) = build_comparison(flat, judge_price=1.0).series
    return series.oracle


def test_the_oracle_takes_what_was_right_on_the_other_draws() -> None:
    found = oracle(drawn("d:tau=0.5", [1, 1, 1], 30), drawn("d:tau=0.9", [0, 0, 1], 10))
    assert (found.accuracy, found.tokens) == (1.0, 30)


def test_the_oracle_takes_the_cheapest_of_equals() -> None:
    found = oracle(drawn("d:tau=0.5", [1, 1, 1], 30), drawn("d:tau=0.9", [1, 1, 1], 10))
    assert found.tokens == 10


def test_luck_on_the_draw_itself_does_not_count() -> None:
    found = oracle(drawn("d:tau=0.5", [1, 0], 10), drawn("d:tau=0.9", [0, 1], 20))
    assert found.accuracy == 0.0  # whichever was right on one draw is wrong on the other


def test_the_oracle_stands_against_the_vote_of_equal_cost() -> None:
    votes = (drawn("cons@1", [0, 0], 10), drawn("cons@4", [1, 1], 40))
    swept = (drawn("d:tau=0.5", [1, 1], 25), drawn("d:tau=0.9", [0, 0], 25))
    found = oracle(*votes, *swept)
    assert found.rival_votes == pytest.approx(2.5)
    assert found.difference == pytest.approx(0.5)


@pytest.mark.parametrize("other", [[1], [1, 1, 1]])
def test_one_draw_or_unlike_draws_give_no_oracle(other) -> None:
    one = drawn("d:tau=0.5", [1], 10)
    assert oracle(one, drawn("d:tau=0.9", other, 10)) is None


def test_the_oracle_is_shown_in_all_forms(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    swept = [*drawn("d:tau=0.5", [1, 1], 25), *drawn("d:tau=0.9", [0, 0], 25)]
    write_outcomes(tmp_path / "o.jsonl", swept)
    assert main(["compare", str(tmp_path / "o.jsonl"), "--out", str(tmp_path)]) == 0
    assert "| oracle: the best for each question | 100.0% |" in capsys.readouterr().out
    assert "An oracle that knows the best value for each question: 100.0%" in (
        tmp_path / "page.html"
    ).read_text("utf-8")
    assert (
        json.loads((tmp_path / "table.json").read_text())["series"][0]["hindsight"]["tokens"] == 25
    )
