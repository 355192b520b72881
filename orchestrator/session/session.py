"""A whole invocation: servers are found or started, questions run one after the other, results come out.

The rule: everything that can be wrong with the user's input is found before a token is spent. stdout
carries results only; everything else goes to stderr.
"""

import asyncio
import contextlib
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import yaml

from orchestrator.core.policies import needs_judge
from orchestrator.errors import ConfigError, DeepPruneError
from orchestrator.interrupts import EXIT_INTERRUPTED, Interrupts
from orchestrator.journal.journal import (
    QUESTIONS_FILE,
    REPORT_FILE,
    SETTINGS_FILE,
    JournalWriter,
    new_run_dir,
    read_journal,
    write_run_file,
)
from orchestrator.questions import Question, to_jsonl
from orchestrator.report.report import Report, build_report, read_report, to_json_line
from orchestrator.report.view import RunView
from orchestrator.runtime.endpoints import (
    Endpoints,
    Keys,
    local_servers,
    open_endpoints,
    refuse_without_rewards,
)
from orchestrator.runtime.loop import run_question
from orchestrator.session.output import Output
from orchestrator.session.state import SessionState, Show
from orchestrator.settings import Settings
from orchestrator.terminal.sanitize import sanitize

__all__ = ["Job", "orchestrate", "refuse_total_failure"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What one call of the command line asks for; `keys` are never stored.

    `resume` is the folder of a run that broke off: its questions that have no report are gone on with.
    """

    settings: Settings
    questions: list[Question]
    local: bool
    json: bool
    quiet: bool
    keys: Keys
    resume: Path | None = None


async def orchestrate(job: Job, show: Show | None = None) -> int:
    """Carries the job out, writes results to stdout, and returns the exit code; `show` has the terminal.

    Raises:
        DeepPruneError: the job cannot start or go on; the message is one sentence with the remedy.
    """
    _check(job)
    session_state = SessionState(job.questions)
    output = Output(session_state, json=job.json, quiet=job.quiet, show=show)
    interrupts = Interrupts(output.note)
    try:
        with interrupts.listening():
            async with output.on_screen(interrupts):
                return await _carry_out(job, session_state, output, interrupts)
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


async def _carry_out(
    job: Job, session_state: SessionState, output: Output, interrupts: Interrupts
) -> int:
    out = Path(job.settings.run.out)
    run_dir = job.resume or new_run_dir(out, datetime.now().astimezone(), secrets.token_hex(3))
    folders = _folders(run_dir, job.questions)
    reports = []
    async with contextlib.AsyncExitStack() as stack:
        settings = job.settings
        if not all((folder / REPORT_FILE).exists() for folder in folders):
            if job.local:
                settings = await stack.enter_async_context(
                    local_servers(settings, run_dir, output.note)
                )
            if job.resume is None:
                write_run_file(run_dir, SETTINGS_FILE, _as_yaml(settings))
                write_run_file(run_dir, QUESTIONS_FILE, to_jsonl(job.questions))
            endpoints = await stack.enter_async_context(open_endpoints(settings, job.keys))
            stack.callback(output.tell_rewards)
            stack.callback(output.tell_comparisons, endpoints)
            output.describe(endpoints, settings)
        for number, (question, folder) in enumerate(
            zip(job.questions, folders, strict=True), start=1
        ):
            report = _finished_before(question, folder, session_state, output)
            reports.append(
                report
                or await _one_question(
                    question, number, folder, settings, endpoints, session_state, output, interrupts
                )
            )
            if interrupts.requested.is_set():
                break
    return output.conclude(reports, run_dir, interrupted=interrupts.requested.is_set())


def _finished_before(
    question: Question, folder: Path, session_state: SessionState, output: Output
) -> Report | None:
    """Shows the report of a question that an earlier process has finished; None if there is none."""
    report = read_report(folder / REPORT_FILE)
    if report is not None:
        run = session_state.begin(question, folder, None)
        run.report = report
        output.result(report)
    return report


async def _one_question(
    question: Question,
    number: int,
    folder: Path,
    settings: Settings,
    endpoints: Endpoints,
    session_state: SessionState,
    output: Output,
    interrupts: Interrupts,
) -> Report:
    view = RunView()
    run = session_state.begin(question, folder, view)
    with JournalWriter.open(folder) as journal, interrupts.graceful():
        async with output.progress(view, number):
            await run_question(
                question,
                settings=settings,
                endpoints=endpoints,
                journal=journal,
                view=view,
                interrupted=interrupts.requested,
                user_commands=run.user_commands,
                past=read_journal(folder),
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
            f"All {len(traces)} traces failed, the last one with: {sanitize(last.reason or '')}; "
            "see the server's log, then run again."
        )


def _folders(run_dir: Path, questions: Sequence[Question]) -> list[Path]:
    """The folder of each question: the run's own if there is only one."""
    if len(questions) == 1:
        return [run_dir]
    return [run_dir / _name(number, question) for number, question in enumerate(questions, start=1)]


def _name(number: int, question: Question) -> str:
    """A name that sorts by number and shows the (untrusted) id as far as is safe."""
    slug = re.sub(r"[^A-Za-z0-9]+", "-", question.id)[:40].strip("-")
    return f"{number:04d}-{slug}"


def _as_yaml(settings: Settings) -> str:
    return yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
