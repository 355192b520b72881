"""A whole invocation: servers are found or started, questions run one after the other, results come out.

The rule: everything that can be wrong with the user's input is found before a token is spent. stdout
carries results only; everything else goes to stderr.
"""

import asyncio
import contextlib
import re
import secrets
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from orchestrator.board import Board, Show
from orchestrator.config import Settings
from orchestrator.core.policies import needs_judge
from orchestrator.errors import ConfigError, DeepPruneError
from orchestrator.fleet import Fleet, Keys, local_servers, open_fleet, refuse_without_rewards
from orchestrator.interrupts import EXIT_INTERRUPTED, Interrupts
from orchestrator.journal import (
    REPORT_FILE,
    SETTINGS_FILE,
    JournalWriter,
    new_run_dir,
    write_run_file,
)
from orchestrator.output import Output
from orchestrator.questions import Question
from orchestrator.report import build_report, to_json_line
from orchestrator.run import run_question
from orchestrator.untrusted import plain
from orchestrator.view import RunView

__all__ = ["Job", "orchestrate", "refuse_total_failure"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What one call of the command line asks for; `keys` are never stored."""

    settings: Settings
    questions: list[Question]
    local: bool
    json: bool
    quiet: bool
    keys: Keys


async def orchestrate(job: Job, show: Show | None = None) -> int:
    """Carries the job out, writes results to stdout, and returns the exit code; `show` has the terminal.

    Raises:
        DeepPruneError: the job cannot start or go on; the message is one sentence with the remedy.
    """
    _check(job)
    board = Board(job.questions)
    output = Output(board, json=job.json, quiet=job.quiet, show=show)
    interrupts = Interrupts(output.note)
    try:
        with interrupts.listening():
            async with output.on_screen(interrupts):
                return await _carry_out(job, board, output, interrupts)
    except asyncio.CancelledError:
        if interrupts.requested.is_set():
            return EXIT_INTERRUPTED
        raise


def _check(job: Job) -> None:
    """Refuses a job that cannot work, before anything is started."""
    settings = job.settings
    if not job.questions:
        raise ConfigError(
            'There is no question; give one as "text", - for stdin, or --questions FILE.'
        )
    if not job.local and not settings.endpoint.urls:
        raise ConfigError(
            "No reasoner is given; name your server with --endpoint http://HOST:PORT/v1, "
            "or use --local for the bundled nano models."
        )
    if job.local and settings.endpoint.urls:
        raise ConfigError("--local starts its own servers; leave out either --local or --endpoint.")
    if len(settings.endpoint.urls) > 1:
        raise ConfigError(
            "Several endpoints are not routed yet; give one --endpoint, for example a load balancer's."
        )
    if needs_judge(settings) and not job.local and settings.judge.url is None:
        raise ConfigError(
            f"The policy {settings.policy.name} needs a judge; name its server with --judge-endpoint URL, "
            "or choose --policy consensus."
        )
    refuse_without_rewards(settings, f"The policy {settings.policy.name}")


async def _carry_out(job: Job, board: Board, output: Output, interrupts: Interrupts) -> int:
    out = Path(job.settings.run.out)
    run_dir = new_run_dir(out, datetime.now().astimezone(), secrets.token_hex(3))
    async with contextlib.AsyncExitStack() as stack:
        settings = job.settings
        if job.local:
            settings = await stack.enter_async_context(
                local_servers(settings, run_dir, output.note)
            )
        write_run_file(run_dir, SETTINGS_FILE, _as_yaml(settings))
        fleet = await stack.enter_async_context(open_fleet(settings, job.keys))
        output.describe(fleet, settings)
        reports = []
        for number, question in enumerate(job.questions, start=1):
            folder = (
                run_dir if len(job.questions) == 1 else _question_dir(run_dir, number, question)
            )
            reports.append(
                await _one_question(
                    question, number, folder, settings, fleet, board, output, interrupts
                )
            )
            if interrupts.requested.is_set():
                break
        output.tell_comparisons(fleet)
        output.tell_rewards()
    return output.conclude(reports, run_dir, interrupted=interrupts.requested.is_set())


async def _one_question(
    question: Question,
    number: int,
    folder: Path,
    settings: Settings,
    fleet: Fleet,
    board: Board,
    output: Output,
    interrupts: Interrupts,
) -> dict[str, Any]:
    view = RunView()
    run = board.begin(question, folder, view)
    with JournalWriter.create(folder) as journal, interrupts.graceful():
        async with output.progress(view, number):
            await run_question(
                question,
                settings=settings,
                fleet=fleet,
                journal=journal,
                view=view,
                interrupted=interrupts.requested,
                acts=run.acts,
            )
    report = run.report = build_report(view, run_dir=str(folder))
    write_run_file(folder, REPORT_FILE, to_json_line(report) + "\n")
    output.result(report)
    output.count_rewards(view)
    refuse_total_failure(view)
    return report


def refuse_total_failure(view: RunView) -> None:
    """A question all of whose traces failed is a failed run, not a question without an answer.

    Raises:
        DeepPruneError: there are traces, and every one of them failed.
    """
    traces = view.traces.values()
    if traces and all(trace.ending == "failed" for trace in traces):
        last = max(traces, key=lambda trace: trace.ended_at or 0.0)
        raise DeepPruneError(
            f"All {len(traces)} traces failed, the last one with: {plain(last.reason or '')}; "
            "see the server's log, then run again."
        )


def _question_dir(run_dir: Path, number: int, question: Question) -> Path:
    """A folder whose name sorts by number and shows the (untrusted) id as far as is safe."""
    slug = re.sub(r"[^A-Za-z0-9]+", "-", question.id)[:40].strip("-")
    folder = run_dir / f"{number:04d}-{slug}"
    folder.mkdir()
    return folder


def _as_yaml(settings: Settings) -> str:
    return yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
