"""The client: servers that stay connected, and the questions that are asked on them."""

import asyncio
import contextlib
import copy
import os
import tempfile
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, Unpack

from orchestrator.api.asked import Asked, as_question
from orchestrator.config.keys import usable_key
from orchestrator.config.keywords import SettingKeywords, settings_from_keywords
from orchestrator.config.presets import LOCAL_PRESET
from orchestrator.core.policies import Policy
from orchestrator.errors import ConfigError, QuestionRefused
from orchestrator.journal.run_dir import (
    REPORT_FILE,
    make_run_dir,
    question_dirs,
    write_inputs,
    write_run_file,
)
from orchestrator.questions import Question
from orchestrator.report import savings
from orchestrator.report.report import to_json_line
from orchestrator.report.result import Result
from orchestrator.runtime.endpoints import (
    Endpoints,
    Keys,
    local_servers,
    open_endpoints,
    validate_endpoints,
)
from orchestrator.runtime.event_stream import EventStream, cancel_all
from orchestrator.runtime.loop import run_question
from orchestrator.runtime.question_run import QuestionRun
from orchestrator.runtime.schedule import InOrder
from orchestrator.runtime.side_by_side import SideBySide
from orchestrator.settings import Settings

__all__ = ["Client", "ClientArguments"]


def _ignore(text: str) -> None:
    pass


class ClientArguments(SettingKeywords, total=False):
    """The keyword arguments of `Client`."""

    judge: str | Sequence[str] | None
    reward: str | None
    policy: str | Policy | None
    local: bool
    settings: Settings | Mapping[str, Any] | None
    config: str | Path | None
    preset: str | None
    api_key: str | None
    judge_api_key: str | None
    reward_api_key: str | None
    out: str | Path | None
    logs: Path | None
    announce: Callable[[str], None]


class Client:
    """Asks questions on servers that stay connected inside an `async with` block.

    All questions of a client share one budget of streams (`concurrency`), and may be asked side by side.

    Args:
        endpoint: the reasoner's server, such as "http://gpu:8000/v1", or several with the same model.
        judge: the judge's server, or several of the same judge.
        reward: the reward model's server, for votes by reward.
        policy: what decides, by name or as an object of your own; each question gets a copy of the object. Such runs
            have the policy `custom` in their settings, and can be neither resumed nor replayed. By default
            `deepprune` with a judge, else `auto`.
        local: starts the bundled nano models on local vLLM servers instead.
        settings: any setting, as sections or dotted paths, such as {"policy.survivors": 4}; or all of them.
        config: a YAML file with any of the settings; `settings` and the other arguments come before it.
        preset: settings for a family of models, by a name in configs/models or a YAML file; `config` comes before it. By
            default none, or `nano` with `local`.
        api_key: the key to the reasoner; by default OPENAI_API_KEY. `judge_api_key` and `reward_api_key` are by
            default DEEPPRUNE_JUDGE_API_KEY and DEEPPRUNE_REWARD_API_KEY.
        out: the folder that receives one folder per run, which `deepprune-tui` shows and `--resume` continues. By
            default nothing is written to disk.
        logs: the folder for the logs of local servers; by default a temporary one.
        announce: receives a sentence when local servers are started and when they are ready.
        keywords: settings with the names of the command-line flags, such as `traces=16`.

    Raises:
        ConfigError: an argument is wrong or a server is missing.
    """

    def __init__(
        self,
        endpoint: str | Sequence[str] | None = None,
        *,
        judge: str | Sequence[str] | None = None,
        reward: str | None = None,
        policy: str | Policy | None = None,
        local: bool = False,
        settings: Settings | Mapping[str, Any] | None = None,
        config: str | Path | None = None,
        preset: str | None = None,
        api_key: str | None = None,
        judge_api_key: str | None = None,
        reward_api_key: str | None = None,
        out: str | Path | None = None,
        logs: Path | None = None,
        announce: Callable[[str], None] = _ignore,
        **keywords: Unpack[SettingKeywords],
    ) -> None:
        self._policy = None if isinstance(policy, str) else policy
        named = {
            "endpoint.urls": endpoint,
            "judge.url": judge,
            "reward.url": reward,
            "policy.name": policy if self._policy is None else None,
        }
        if not isinstance(settings, Settings):
            if self._policy is not None:
                named["policy.name"] = "custom"
            settings = settings_from_keywords(
                keywords,
                named={**named, "run.out": None if out is None else str(out)},
                settings=settings or {},
                config=None if config is None else Path(config),
                preset=preset or (LOCAL_PRESET if local else None),
            )
        elif keywords or config or preset or any(named.values()):
            raise ConfigError("A whole Settings object takes no other settings beside it.")
        _validate(settings, self._policy, local=local)
        self.settings = settings
        """The settings of every question; with local servers, their addresses once they are started."""
        self._keys = _keys(api_key, judge_api_key, reward_api_key)
        self._local = local
        self._out = None if out is None else Path(out)
        self._logs = logs
        self._announce = announce
        self._running: set[QuestionRun] = set()
        self._tasks: set[asyncio.Task[Result]] = set()
        self._stack = contextlib.AsyncExitStack()
        self._endpoints: Endpoints | None = None

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(savings.load)
        async with contextlib.AsyncExitStack() as stack:
            if self._local:
                logs = self._logs or Path(stack.enter_context(tempfile.TemporaryDirectory()))
                self.settings = await stack.enter_async_context(
                    local_servers(self.settings, logs, self._announce)
                )
            self._endpoints = await stack.enter_async_context(
                open_endpoints(self.settings, self._keys, direct=self._local)
            )
            stack.push_async_callback(self._cancel_tasks)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._endpoints = None
        await self._stack.aclose()

    @property
    def endpoints(self) -> Endpoints:
        """The servers, connected and probed.

        Raises:
            ConfigError: the client is not open.
        """
        if self._endpoints is None:
            raise ConfigError(
                "The client is not open; use it in: async with Client(...) as client."
            )
        return self._endpoints

    async def ask(self, question: Asked, gold: str | None = None) -> Result:
        """The result of one question; `gold` is the right answer, if it is known.

        When the caller is cancelled, the streams are closed on the server.

        Raises:
            EndpointError: a server refuses the requests.
            DeepPruneError: every trace failed.
        """
        return await self.run(self._prepare_one(question, gold))

    def stream(self, question: Asked, gold: str | None = None) -> EventStream:
        """The events of one question as they happen; the result is at their end."""
        return EventStream(self._prepare_one(question, gold), self.start)

    async def ask_many(
        self, questions: Iterable[Asked], *, at_once: int | None = None, in_order: bool = True
    ) -> AsyncGenerator[Result]:
        """The results of many questions, in the order of the questions.

        They run side by side: the next one starts when its first traces have room, beside at most `at_once` - 1 others (by
        default `run.questions_at_once`). With `in_order=False` each result comes as soon as it is there.

        A question that the server cannot take, such as one longer than its context, has a result without an answer whose
        `report.error` says why. Otherwise ends with the first error; what runs is stopped then, and when the iterator is closed early.

        Raises:
            EndpointError: a server refuses the requests.
            DeepPruneError: every trace of a question failed.
        """
        asked = [as_question(each, str(n)) for n, each in enumerate(questions, start=1)]
        run_dir = self._make_run_dir(asked)
        folders = [None] * len(asked) if run_dir is None else question_dirs(run_dir, asked)
        runs = [
            self.prepare(question, folder=folder)
            for question, folder in zip(asked, folders, strict=True)
        ]
        most = self.settings.run.questions_at_once if at_once is None else at_once
        asking = SideBySide(runs, self.start, self.endpoints, at_once=most)
        results = InOrder[Result]()
        async with contextlib.aclosing(asking.ended()) as ended:
            async for number, task in ended:
                result = _result_of(task, runs[number])
                for each in results.add(number, result) if in_order else [result]:
                    yield each

    # --- for programs that show or steer a question, or keep it in a folder of their own -----------

    def prepare(
        self,
        question: Question,
        *,
        folder: Path | None = None,
        settings: Settings | None = None,
    ) -> QuestionRun:
        """A question that is ready for `run`.

        Args:
            question: what is asked.
            folder: receives the journal and the report; a journal that is there already is continued.
            settings: those of this question, for the servers of this client; by default the client's.
        """
        return QuestionRun(
            question=question,
            settings=settings or self.settings,
            policy=copy.deepcopy(self._policy),
            folder=folder,
        )

    async def run(self, run: QuestionRun) -> Result:
        """Runs a prepared question; `run.view` holds what is known of it meanwhile, `run.report` the report.

        Raises:
            QuestionRefused: the server cannot take this question; its report is there.
            EndpointError, DeepPruneError: as for `ask`.
            JournalError: the journal in its folder cannot be written, or does not fit.
        """
        endpoints = self.endpoints
        for other in self._running:
            other.exclusive = run.exclusive = False
        self._running.add(run)
        try:
            await run_question(run, endpoints)
        finally:
            self._running.discard(run)
        result = Result.of(run.view, run.folder)
        run.report = result.report
        if run.away is not None:
            raise run.away
        if run.folder is not None:
            write_run_file(run.folder, REPORT_FILE, to_json_line(result.report) + "\n")
        run.raise_if_refused()
        run.raise_if_all_failed()
        return result

    def start(self, run: QuestionRun) -> asyncio.Task[Result]:
        """A task that runs a prepared question; closing the client cancels it."""
        task = asyncio.create_task(self.run(run), name=f"question {run.question.id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _prepare_one(self, question: Asked, gold: str | None) -> QuestionRun:
        asked = as_question(question, "1", gold)
        return self.prepare(asked, folder=self._make_run_dir([asked]))

    def _make_run_dir(self, questions: Sequence[Question]) -> Path | None:
        if self._out is None:
            return None
        run_dir = make_run_dir(self._out)
        write_inputs(run_dir, self.settings, questions)
        return run_dir

    async def _cancel_tasks(self) -> None:
        await cancel_all(self._tasks)


def _result_of(task: asyncio.Task[Result], run: QuestionRun) -> Result:
    """The result of a question that has ended; that of one that the server cannot take has no answer."""
    try:
        return task.result()
    except QuestionRefused:
        return Result.of(run.view, run.folder)


def _validate(settings: Settings, policy: Policy | None, *, local: bool) -> None:
    """Raises ConfigError for settings without a server, or a policy object that does not go with them."""
    if isinstance(policy, type):
        raise ConfigError(f"{policy.__name__} is a class; give an object of it as the policy.")
    if policy is not None and settings.policy.name != "custom":
        raise ConfigError(
            "A policy object decides by itself; leave out policy.name, or set it to custom."
        )
    validate_endpoints(settings, local=local, policy=policy)


def _keys(reasoner: str | None, judge: str | None, reward: str | None) -> Keys:
    """The keys that are given; otherwise those of the environment."""
    environment = Keys.of(os.environ)
    return Keys(
        reasoner=usable_key(reasoner, "api_key") or environment.reasoner,
        judge=usable_key(judge, "judge_api_key") or environment.judge,
        reward=usable_key(reward, "reward_api_key") or environment.reward,
    )
