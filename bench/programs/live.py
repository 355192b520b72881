"""A live benchmark from what its flags say: the plan of it, and its run in this process or in Ray tasks."""

import asyncio
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bench.data.datasets import HUB, read_named
from bench.live.plan import LivePlan, count_finished
from bench.live.run import run_live
from bench.results.outcomes import Outcome
from bench.specs.policy_spec import parse_policies
from orchestrator.config.presets import LOCAL_PRESET
from orchestrator.errors import ConfigError
from orchestrator.interrupts import Interrupts
from orchestrator.runtime.endpoints import Keys
from orchestrator.terminal.progress import Progress

__all__ = ["LiveOptions", "run_live_benchmark"]


class LiveOptions(NamedTuple):
    """What a user says about servers and questions.

    `questions` is a file or the name of a benchmark. `flags` are settings by their path, such as `endpoint.urls`; they take
    precedence over `assignments` (`a.b=c`), those over `config`, a YAML file, and that over `preset`, a name in
    configs/models or a YAML file. `streams` are shared by all questions. `ray` is the
    address of a Ray cluster, None to run in this process.
    """

    questions: str | None
    preset: str | None
    flags: Mapping[str, Any]
    assignments: Sequence[str]
    config: Path | None
    local: bool
    at_once: int
    streams: int
    ray: str | None


def run_live_benchmark(
    options: LiveOptions,
    policies: Sequence[str],
    *,
    traces: int,
    out: Path,
    environ: Mapping[str, str],
) -> list[Outcome]:
    """The outcomes of every question under every policy; shows its progress on stderr.

    Raises:
        KeyboardInterrupt: the user interrupted it; the same call continues later.
        ConfigError: servers or questions are missing, a setting or policy is wrong, or as for `prepare`.
        EndpointUnreachable, DatasetError: the questions or the Ray cluster cannot be reached.
        DeepPruneError: all traces of a question failed.
    """
    plan = _make_plan(options, policies, traces=traces, out=out, environ=environ)
    interrupts = Interrupts(lambda text: print(text, file=sys.stderr))
    total, done = len(plan.questions) * len(plan.specs), count_finished(plan)
    with Progress("questions x policies", total, done=done) as progress:
        if options.ray is not None:
            from bench.distributed.ray_tasks import connect_ray

            with connect_ray(options.ray) as cluster:
                return cluster.run(plan, advance=progress.advance)
        outcomes = asyncio.run(run_live(plan, interrupts, progress.advance))
    if interrupts.requested.is_set():
        raise KeyboardInterrupt
    return outcomes


def _make_plan(
    options: LiveOptions,
    policies: Sequence[str],
    *,
    traces: int,
    out: Path,
    environ: Mapping[str, str],
) -> LivePlan:
    if options.questions is None:
        raise ConfigError("There are no questions; give --questions FILE or a name such as aime24.")
    if options.local and options.ray is not None:
        raise ConfigError(
            "--local serves this machine alone; with --ray, name servers that all machines reach with --endpoint URL."
        )
    if not options.local and not options.flags["endpoint.urls"]:
        raise ConfigError(
            "No reasoner is given; name its server with --endpoint URL, or use --local."
        )
    known = HUB.get(options.questions.lower())
    specs = parse_policies(
        policies,
        options.assignments,
        file=options.config,
        environ=environ,
        flags=options.flags,
        preset=options.preset or (LOCAL_PRESET if options.local else None),
        defaults=() if known is None else [f"prompt.name={known.prompt}"],
    )
    questions = read_named(options.questions)
    return LivePlan(
        questions=questions,
        specs=specs,
        out=out,
        traces=traces,
        at_once=options.at_once,
        streams=options.streams,
        local=options.local,
        keys=Keys.of(environ),
    )
