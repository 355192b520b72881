"""`deepprune-bench judges`: which policy is best, by the judge and the price of its tokens."""

import json
from pathlib import Path
from typing import Any

import pytest

from bench.analysis.judge_grid import JudgeGrid, judge_grid
from bench.cli.main import main
from bench.results.outcomes import Outcome
from bench.specs.policy_spec import PolicySpec
from tests.support.outcomes import outcomes

RIGHT, HALF = [1, 1, 1, 1], [1, 1, 0, 0]


def test_the_best_policy_depends_on_the_judge_and_its_price() -> None:
    def replay(specs: list[PolicySpec]) -> list[Outcome]:
        made: list[Outcome] = []
        for spec in specs:
            if spec.label.startswith("cons@"):
                n = int(spec.label.removeprefix("cons@"))
                made += outcomes(spec.label, HALF, 100 * n)
            elif "judge_auroc=0.9" in spec.label:
                made += outcomes(spec.label, RIGHT, 150, judge_tokens=100)
            elif "judge_auroc" in spec.label:
                made += outcomes(spec.label, HALF, 150, judge_tokens=100)
            else:
                made += outcomes(spec.label, [1, 1, 1, 0], 150)
        return made

    grid = JudgeGrid(
        without=["cons@1", "cons@2", "auto"],
        with_judge=["auto:use_judge=true"],
        aurocs=["0.6", "0.9"],
        prices=[0.0, 1.0],
    )
    assert len(grid.specs) == 3 + 4
    cells = {(cell.auroc, cell.price): cell for cell in judge_grid(grid, replay)}
    best = {key: (cell.policy, cell.difference) for key, cell in cells.items()}
    assert best == {
        ("0.6", 0.0): ("auto", 0.25),
        ("0.9", 0.0): ("auto:use_judge=true", 0.5),
        ("0.6", 1.0): ("auto", 0.25),
        ("0.9", 1.0): ("auto", 0.25),  # with the judge's tokens it costs more than every vote
    }
    assert cells["0.9", 1.0].differences == {"auto": 0.25}
    assert cells["0.6", 0.0].differences == {"auto": 0.25, "auto:use_judge=true": 0.0}


def test_a_policy_whose_cost_is_beside_all_votes_is_not_compared() -> None:
    grid = JudgeGrid(["cons@1", "cons@2"], ["deepprune@2"], ["perfect"], [0.0])
    (cell,) = judge_grid(
        grid,
        lambda specs: [
            each
            for spec in specs
            for each in outcomes(spec.label, HALF, 100 if spec.label == "cons@1" else 900)
        ],
    )
    assert cell.policy in (None, "deepprune@2")


def test_the_command_prints_a_line_for_each_cell(
    matrix: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["judges", "--replay", str(matrix), "--resamples", "1", "--auroc", "0.8"]
    command += ["--policy", "deepprune@2", "--price", "0", "--price", "0.2"]
    assert main([*command, "--json"]) == 0
    lines: list[dict[str, Any]] = [
        json.loads(line) for line in capsys.readouterr().out.splitlines()
    ]
    assert [(line["auroc"], line["price"]) for line in lines] == [("0.8", 0.0), ("0.8", 0.2)]
    assert main(command) == 0
    shown = capsys.readouterr().out
    assert "price 0.2" in shown
    assert "0.8" in shown
