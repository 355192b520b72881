"""Several policies replayed over several recorded files, in this process or in Ray tasks."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from bench.data.readers import read_recorded
from bench.data.recorded import RecordedQuestion
from bench.data.sampling import Half, half_of
from bench.replay.replay import ReplayPlan, replay_policy, validate_recordings
from bench.results.outcomes import Outcome
from bench.specs.policy_spec import PolicySpec
from orchestrator.errors import DatasetError
from orchestrator.terminal.progress import Progress

__all__ = ["RecordedFile", "open_replayer", "read_files", "run_replay", "validate_files"]

Replayer = Callable[..., Iterator[Outcome]]
"""`replay_policy`, or `RayCluster.replay`, which takes the same arguments."""


class RecordedFile(NamedTuple):
    """The questions of a recorded file; `name` is its path as the user wrote it."""

    name: str
    questions: Sequence[RecordedQuestion]


def read_files(paths: Sequence[Path], half: Half | Literal["all"]) -> list[RecordedFile]:
    """The questions of every file that belong to the half.

    Raises:
        DatasetError: a file cannot be read, or none of its questions is in the half.
    """
    return [_read_file(path, half) for path in paths]


def _read_file(path: Path, half: Half | Literal["all"]) -> RecordedFile:
    questions = [
        question for question in read_recorded(path) if half == "all" or half_of(question) == half
    ]
    if not questions:
        raise DatasetError(f"{path} has no question in the half '{half}'; choose --half all.")
    return RecordedFile(str(path), questions)


def validate_files(specs: Sequence[PolicySpec], files: Sequence[RecordedFile]) -> None:
    """Checks that every policy can be replayed on every file.

    Raises:
        DatasetError: as for `validate_recordings`.
    """
    for file in files:
        for spec in specs:
            validate_recordings(spec, file.questions, file.name)


def run_replay(
    specs: Sequence[PolicySpec],
    files: Sequence[RecordedFile],
    plan: ReplayPlan,
    *,
    ray: str | None = None,
) -> list[Outcome]:
    """The outcomes of every policy on every file, file by file; shows its progress.

    Raises:
        DatasetError: as for `validate_files`.
        ConfigError, EndpointUnreachable: as for `connect_ray`, if `ray` is the address of a cluster.
    """
    validate_files(specs, files)
    total = len(specs) * plan.resamples * sum(len(file.questions) for file in files)
    with open_replayer(ray) as replay, Progress("runs", total) as progress:
        return [
            outcome
            for file in files
            for spec in specs
            for outcome in replay(
                spec, file.questions, plan, file=file.name, advance=progress.advance
            )
        ]


@contextlib.contextmanager
def open_replayer(ray: str | None) -> Iterator[Replayer]:
    """`replay_policy`, or what does the same in the tasks of the Ray cluster at this address."""
    if ray is None:
        yield replay_policy
        return
    from bench.distributed.ray_tasks import connect_ray

    with connect_ray(ray) as cluster:
        yield cluster.replay
