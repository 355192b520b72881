"""Pairs of a judge at scale: the least that prove an assignment, and what each way to match asks and moves."""

import itertools
import json
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bench.analysis.judge_scale import least_pairs, measure_scale, moved_fraction
from bench.cli.main import main
from tests.support.recordings import probe_matrix, recorded

VERDICT = st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])


def proves(
    verdicts: list[list[float]], asked: set[tuple[int, int]], chosen: int | None, tau: float
) -> bool:
    """Whether the asked verdicts leave no other assignment possible."""
    low, high = [], []
    for cluster, each in enumerate(verdicts):
        known = [p for member, p in enumerate(each) if (cluster, member) in asked]
        low.append(sum(known) / len(each))
        high.append((sum(known) + len(each) - len(known)) / len(each))
    if chosen is None:
        return max(high) <= tau
    others = [value for cluster, value in enumerate(high) if cluster != chosen]
    return low[chosen] > tau and all(value <= low[chosen] for value in others)


@given(st.lists(st.lists(VERDICT, min_size=1, max_size=3), min_size=1, max_size=3))
@example([[0.75], [0.5, 1.0, 1.0]])  # all verdicts on the other cluster do not exclude it
def test_no_smaller_choice_of_verdicts_proves_an_assignment(verdicts: list[list[float]]) -> None:
    means = [sum(each) / len(each) for each in verdicts]
    best = max(means)
    chosen = means.index(best) if best > 0.5 else None
    pairs = [
        (cluster, member) for cluster, each in enumerate(verdicts) for member in range(len(each))
    ]
    smallest = next(
        size
        for size in range(len(pairs) + 1)
        if any(
            proves(verdicts, set(asked), chosen, 0.5)
            for asked in itertools.combinations(pairs, size)
        )
    )
    assert least_pairs(verdicts, chosen, 0.5) == smallest


def test_clusters_are_paired_before_moved_traces_are_counted() -> None:
    assert moved_fraction({0: 0, 1: 0, 2: 1}, {0: 1, 1: 1, 2: 0}) == 0.0
    assert moved_fraction({0: 0, 1: 0, 2: 1, 3: 1}, {0: 0, 1: 0, 2: 0}) == 0.5
    assert moved_fraction({}, {}) == 0.0


def test_every_way_to_match_finds_the_clusters_of_a_perfect_judge_and_the_first_match_asks_least() -> (
    None
):
    question = recorded(*[(600, "1")] * 6, *[(700, "2")] * 3)
    lines = measure_scale("f", [question], "perfect", traces=60, seed=0, checkpoint_tokens=500)
    by_match = {line.match: line for line in lines}
    exact = by_match["most-similar"]
    assert all((line.moved, line.accuracy, line.clusters) == (0.0, 1.0, 2.0) for line in lines)
    assert exact.least <= exact.asked <= exact.exhaustive
    assert by_match["first, certainty 1"].asked < exact.least
    assert all(line.requests <= line.asked for line in lines)


def test_the_command_prints_a_line_for_each_way_to_match(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    none: list[str] = []
    branches = [(none, 600, "1")] * 4 + [(none, 700, "2")] * 2
    matrix = probe_matrix(tmp_path / "m.json", ("1", branches), ("2", branches))
    words = ["judge-scale", "--replay", str(matrix), "--traces", "12"]
    assert main([*words, "--auroc", "perfect", "--questions", "1", "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["match"] for line in lines][:1] == ["most-similar"]
    assert all(line["traces"] == 12 and line["questions"] == 1 for line in lines)
    assert main([*words, "--auroc", "0.8"]) == 0
    assert "most-similar" in capsys.readouterr().out
