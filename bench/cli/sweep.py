"""Replay a whole grid of policies and settings, and keep every outcome; goes on where it was stopped.

deepprune-bench sweep configs/sweeps/frontier.yaml --replay aime24.json --out sweeps/aime
"""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from bench.cli.run import add_ray_argument

if TYPE_CHECKING:
    from bench.specs.grid import Grid

__all__ = ["add_arguments", "run"]

_GRID_FILE = "grid.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of this command."""
    parser.add_argument("grid", type=Path, help="YAML: policies, and other flags of run")
    parser.add_argument("--replay", type=Path, action="append", required=True, metavar="FILE")
    parser.add_argument("--half", choices=("tune", "report", "all"), default="all")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    add_ray_argument(parser)


def run(arguments: argparse.Namespace) -> None:
    """Plays what the folder does not hold yet; prints one JSON line per policy and file."""
    from bench.cli.run import read_half, replayer
    from bench.replay.replay import ReplayPlan, validate_recordings
    from bench.results.outcomes import policy_line, read_outcomes, write_outcomes
    from bench.specs.grid import expand_grid, read_grid
    from bench.specs.policy_spec import parse_policy
    from orchestrator.terminal.progress import progress_bar

    grid = read_grid(arguments.grid)
    specs = [parse_policy(text) for text in expand_grid(grid)]
    plan = ReplayPlan(
        max_traces=grid.max_traces,
        resamples=grid.resamples,
        seed=grid.seed,
        judge_auroc=grid.judge_auroc,
        checkpoint_tokens=grid.checkpoint_tokens,
    )
    _claim(arguments.out, _identity(arguments, grid))
    files = [(str(path), read_half(path, arguments.half)) for path in arguments.replay]
    for file, questions in files:
        for spec in specs:
            validate_recordings(spec, questions, file)
    parts = [
        (arguments.out / f"{number:02d}-{quote(spec.label, safe='')}.jsonl", spec, file, questions)
        for number, (file, questions) in enumerate(files)
        for spec in specs
    ]
    done = sum(kept.exists() for kept, *_ in parts)
    with (
        replayer(arguments.ray) as replay,
        progress_bar(len(parts), "policies", done=done) as advance,
    ):
        for kept, spec, file, questions in parts:
            if not kept.exists():
                write_outcomes(kept, replay(spec, questions, plan, file=file))
                advance()
            print(json.dumps(policy_line(read_outcomes(kept))), flush=True)


def _identity(arguments: argparse.Namespace, grid: "Grid") -> str:
    """All that the outcomes depend on but the policies, which may be added to."""
    fixed = grid.model_dump(mode="json", exclude={"policies"})
    files = [str(path) for path in arguments.replay]
    return json.dumps({"replay": files, "half": arguments.half, **fixed})


def _claim(folder: Path, grid: str) -> None:
    """Makes the folder this grid's own.

    Raises:
        ConfigError: it belongs to a sweep with other files, seeds or judges.
    """
    from orchestrator.errors import ConfigError
    from orchestrator.journal.journal import write_run_file

    folder.mkdir(parents=True, exist_ok=True)
    mark = folder / _GRID_FILE
    if not mark.exists():
        write_run_file(folder, _GRID_FILE, grid)
    elif mark.read_text(encoding="utf-8") != grid:
        raise ConfigError(f"{folder} holds a sweep with other settings; give another --out.")
