"""A grid of policies replayed over recorded files into a folder, one file of outcomes per policy and recording.

A part that the folder already holds is not replayed again, so a sweep that was stopped continues.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple
from urllib.parse import quote

from bench.data.sampling import Half
from bench.programs.replay import RecordedFile, open_replayer, read_files, validate_files
from bench.replay.replay import ReplayPlan
from bench.results.folder import claim_folder
from bench.results.outcomes import policy_line, read_outcomes, write_outcomes
from bench.specs.grid import Grid, expand_grid
from bench.specs.policy_spec import PolicySpec, parse_policies
from orchestrator.terminal.progress import Progress

__all__ = ["run_sweep"]

_GRID_FILE = "grid.json"


class _Part(NamedTuple):
    """One policy on one recorded file, and where its outcomes are kept."""

    path: Path
    spec: PolicySpec
    file: RecordedFile


def run_sweep(
    grid: Grid,
    recordings: Sequence[Path],
    *,
    half: Half | Literal["all"],
    out: Path,
    ray: str | None = None,
) -> Iterator[dict[str, Any]]:
    """The agreed line of every policy and file, each as soon as it is known; shows its progress.

    Raises:
        ConfigError: `out` belongs to a sweep with other files, seeds or judges, or a policy is none.
        DatasetError: a recording cannot be read, or lacks what a policy needs.
    """
    specs = parse_policies(expand_grid(grid))
    plan = ReplayPlan(
        max_traces=grid.max_traces,
        resamples=grid.resamples,
        seed=grid.seed,
        judge_auroc=grid.judge_auroc,
        checkpoint_tokens=grid.checkpoint_tokens,
    )
    claim_folder(out, _GRID_FILE, _identity(grid, recordings, half))
    files = read_files(recordings, half)
    validate_files(specs, files)
    parts = [
        _Part(out / f"{number:02d}-{quote(spec.label, safe='')}.jsonl", spec, file)
        for number, file in enumerate(files)
        for spec in specs
    ]
    done = sum(part.path.exists() for part in parts)
    with (
        open_replayer(ray) as replay,
        Progress("policies", len(parts), done=done) as progress,
    ):
        for path, spec, file in parts:
            if not path.exists():
                write_outcomes(path, replay(spec, file.questions, plan, file=file.name))
                progress.advance()
            yield policy_line(read_outcomes(path))


def _identity(grid: Grid, recordings: Sequence[Path], half: str) -> str:
    """All that the outcomes depend on except the policies: a sweep may get more of them."""
    fixed = grid.model_dump(mode="json", exclude={"policies"})
    files = [str(path) for path in recordings]
    return json.dumps({"replay": files, "half": half, **fixed})
