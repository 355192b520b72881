"""Grids of policies in YAML."""

from pathlib import Path

import pytest

from bench.specs.grid import Grid, expand_grid, read_grid
from orchestrator.errors import ConfigError


def test_every_combination_of_the_settings_is_measured_once() -> None:
    grid = Grid.model_validate(
        {
            "policies": [
                "esc",
                {"cons": {"traces": [1, 2]}},
                {"deepprune": {"tau": [0.25, 0.5], "survivors": 5}},
                "cons@1",
            ],
        }
    )
    assert expand_grid(grid) == [
        "esc",
        "cons@1",
        "cons@2",
        "deepprune:tau=0.25,survivors=5",
        "deepprune:tau=0.5,survivors=5",
    ]


@pytest.mark.parametrize(
    "text", ["", "- a", "policies: []", "resamples: 3", "policies: [a]\nhalf: all"]
)
def test_a_file_that_is_not_a_grid_is_refused_by_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "grid.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_grid(path)
    assert "grid.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)
