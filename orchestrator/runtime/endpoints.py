"""The servers of a run: bundled ones are started, all are connected and probed before a question is asked."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, Self

import msgspec

from orchestrator.answers.equality import AnswerChecker, Equality, QuestionEquality, SameText
from orchestrator.capabilities import JudgeCapabilities, ServerCapabilities
from orchestrator.client.answer_judge import AnswerJudgeClient, JudgedEquality
from orchestrator.client.http import parse_address
from orchestrator.client.judge.client import JudgeClient
from orchestrator.client.paced_answer import SocketTicks
from orchestrator.client.reasoner.client import ReasonerClient
from orchestrator.client.reward import RewardClient
from orchestrator.config.keys import JUDGE_KEY, REASONER_KEY, REWARD_KEY, key_from
from orchestrator.config.shipped import judge_spec
from orchestrator.core.judging import JudgeSpec
from orchestrator.core.policies import (
    Policy,
    needs_confidences,
    needs_judge,
    needs_regenerations,
    needs_rewards,
    wants_judge,
)
from orchestrator.errors import ConfigError, first_error
from orchestrator.local_vllm.server import LocalModel, nano_model, serve_vllm
from orchestrator.runtime.fleet import Fleet
from orchestrator.runtime.judges import JudgeFleet
from orchestrator.runtime.members import Member, find_members
from orchestrator.runtime.metering import EngineUse
from orchestrator.settings import Settings

__all__ = [
    "Endpoints",
    "Keys",
    "local_servers",
    "nano_models",
    "open_endpoints",
    "validate_endpoints",
    "validate_rewards",
]

_NANO_CONTEXT = 1280  # tokens with the prompt: enough for the longest useful traces


class Keys(NamedTuple):
    """The keys to the servers, never stored; None where a server wants none."""

    reasoner: str | None = None
    judge: str | None = None
    reward: str | None = None

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Self:
        """The keys in the environment; ConfigError where one cannot be sent."""
        return cls(*(key_from(environ, name) for name in (REASONER_KEY, JUDGE_KEY, REWARD_KEY)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """The servers of a run, probed and ready, and what a question needs besides."""

    reasoner: Fleet
    capabilities: ServerCapabilities
    judge: JudgeFleet | None
    judge_capabilities: JudgeCapabilities | None
    reward: RewardClient | None
    equality: Callable[[str], Equality]
    """How the answers to a question are compared."""
    same_answer: AnswerJudgeClient | None
    """The chat model that compares them, if one does."""
    shared_engines: frozenset[str] = frozenset()
    """The roles ("reasoner", "judge", ...) whose engine another role uses too: its counters belong to neither."""


@contextlib.asynccontextmanager
async def open_endpoints(
    settings: Settings, keys: Keys, *, direct: bool = False
) -> AsyncIterator[Endpoints]:
    """The clients of a run, connected and probed; the reasoner's probe generates one token or two.

    With `direct` no proxy stands before reasoner and judge, which this program has started.

    Raises ConfigError where the run needs confidences and the server gives none, and what the probes raise.
    """
    spec = judge_spec(settings.judge.spec) if needs_judge(settings) else None
    use = EngineUse()
    async with contextlib.AsyncExitStack() as stack:
        reasoner = await _open_reasoner(stack, settings, keys.reasoner, direct=direct)
        use.add("reasoner", reasoner)
        capabilities = _with_probes(reasoner.capabilities, settings)
        if settings.endpoint.check_cancellation and capabilities.metrics:
            stops = await reasoner.stop_when_closed()
            capabilities = msgspec.structs.replace(capabilities, stops_when_closed=stops)
        if needs_confidences(settings) and not capabilities.confidences:
            raise ConfigError(_no_confidences(settings, capabilities))
        if needs_regenerations(settings) and not capabilities.resumable:
            raise ConfigError(
                f"{capabilities.endpoint} cannot continue token ids, which a vote by prefix-consistency needs: "
                "use a server with vLLM's completions API, or choose another policy or vote."
            )
        judge: JudgeFleet | None = None
        found: JudgeCapabilities | None = None
        if spec is not None:
            judge = await _connect_judge(stack, settings, spec, keys.judge, direct=direct)
            found = await use.probed("judge", judge, judge.probe)
        reward = await _open_reward(stack, settings, keys.reward, use)
        same_answer = await _open_same_answer(stack, settings, keys.judge, use)
        yield Endpoints(
            reasoner=reasoner,
            capabilities=capabilities,
            judge=judge,
            judge_capabilities=found,
            reward=reward,
            equality=await _equality(stack, settings, same_answer),
            same_answer=same_answer,
            shared_engines=use.shared,
        )


def validate_endpoints(settings: Settings, *, local: bool, policy: Policy | None = None) -> None:
    """Raises ConfigError where the settings lack a server or a policy that the run needs; nothing is connected for it.

    `local` starts a reasoner, and a judge if one is needed. `policy` is a user's own.
    """
    urls, name = settings.endpoint.urls, settings.policy.name
    if name == "custom" and policy is None:
        raise ConfigError(
            "The policy custom is a Python object; give it to deepprune.Client, or choose another policy."
        )
    if not local and not urls:
        raise ConfigError(
            "No reasoner is given; name your server with --endpoint http://HOST:PORT/v1, "
            "or use --local for the bundled nano models."
        )
    if local and urls:
        raise ConfigError("--local starts its own servers; leave out either --local or --endpoint.")
    if needs_judge(settings) and not local and settings.judge.url is None:
        raise ConfigError(
            f"The policy {name} needs a judge; name its server with --judge-endpoint URL, "
            "or choose --policy consensus."
        )
    validate_rewards(settings, f"The policy {name}")


def validate_rewards(settings: Settings, who: str) -> None:
    """Raises ConfigError where the vote of `who` needs rewards and there is no endpoint to give them."""
    if needs_rewards(settings) and settings.reward.url is None:
        raise ConfigError(
            f"{who} votes by reward (policy.vote is {settings.policy.vote}); name a reward model's server with "
            "--reward-endpoint URL, or choose another vote."
        )


def _with_probes(found: ServerCapabilities, settings: Settings) -> ServerCapabilities:
    """The capabilities, with what the settings know of the model: how an answer is forced out of it."""
    able = found.resumable and settings.model.force_answer is not None
    return msgspec.structs.replace(found, probes=able)


async def _open_reasoner(
    stack: contextlib.AsyncExitStack, settings: Settings, api_key: str | None, *, direct: bool
) -> Fleet:
    """The reasoner's servers, probed and alike."""
    addresses = dict.fromkeys(parse_address(url).base for url in settings.endpoint.urls)
    ticks = SocketTicks()
    clients = [
        ReasonerClient(address, settings.endpoint, settings.sampling, api_key, ticks=ticks)
        for address in addresses
    ]
    if direct:
        for client in clients:
            client.reach_directly()
    members = [Member(client=await stack.enter_async_context(client)) for client in clients]
    top_logprobs = settings.policy.top_logprobs if needs_confidences(settings) else None
    found = await find_members(
        members,
        top_logprobs=top_logprobs,
        leave_out=settings.endpoint.on_mismatch == "leave-out",
    )
    return await stack.enter_async_context(
        Fleet(
            found.members,
            settings.endpoint,
            most=settings.run.concurrency,
            top_logprobs=top_logprobs,
            notes=found.notes,
        )
    )


async def _connect_judge(
    stack: contextlib.AsyncExitStack,
    settings: Settings,
    spec: JudgeSpec,
    api_key: str | None,
    *,
    direct: bool,
) -> JudgeFleet:
    """The judge's servers, not probed yet."""
    clients = [
        JudgeClient(settings.judge.model_copy(update={"url": url}), spec, api_key)
        for url in dict.fromkeys(parse_address(url).base for url in settings.judge.urls)
    ]
    for client in clients:
        if direct:
            client.reach_directly()
        await stack.enter_async_context(client)
    return await stack.enter_async_context(
        JudgeFleet(
            clients,
            leave_out=settings.endpoint.on_mismatch == "leave-out",
            again_seconds=settings.judge.breaker_seconds,
        )
    )


async def _open_reward(
    stack: contextlib.AsyncExitStack, settings: Settings, api_key: str | None, use: EngineUse
) -> RewardClient | None:
    """The reward model, asked once; None where the vote needs none."""
    if not needs_rewards(settings):
        return None
    client = await stack.enter_async_context(RewardClient(settings.reward, api_key))
    await use.probed("reward model", client, client.probe)
    return client


async def _open_same_answer(
    stack: contextlib.AsyncExitStack, settings: Settings, api_key: str | None, use: EngineUse
) -> AnswerJudgeClient | None:
    """The chat model that compares answers, asked once; None where none does."""
    answers = settings.answers
    if answers.equality != "llm":
        return None
    url = answers.llm_url or next(iter(settings.judge.urls), None)
    if url is None:
        raise ConfigError(
            "Answers are to be compared by a chat model (answers.equality is llm), and none is given; "
            "name its server with --set answers.llm_url=http://HOST:PORT/v1."
        )
    client = await stack.enter_async_context(
        AnswerJudgeClient(answers, url, api_key, settings.judge.headers)
    )
    await use.probed("comparison of answers", client, client.probe)
    return client


async def _equality(
    stack: contextlib.AsyncExitStack, settings: Settings, same_answer: AnswerJudgeClient | None
) -> Callable[[str], Equality]:
    """How the answers to a question are compared."""
    if same_answer is not None:
        return lambda question: JudgedEquality(same_answer, question)
    if settings.answers.equality == "text":
        return lambda question: SameText()
    checker = await stack.enter_async_context(
        AnswerChecker(
            workers=settings.answers.workers, timeout_seconds=settings.answers.timeout_seconds
        )
    )
    return lambda question: QuestionEquality(checker, question)


@contextlib.asynccontextmanager
async def local_servers(
    settings: Settings, run_dir: Path, announce: Callable[[str], None] = lambda text: None
) -> AsyncIterator[Settings]:
    """The settings with the addresses of freshly started nano servers in them.

    `announce` receives a sentence for each server that is started, and when it is ready.
    """
    models = nano_models(with_judge=wants_judge(settings))
    names = " and ".join(model.name for model in models.values())
    announce(f"Starting {names} on local vLLM servers; they log to {run_dir} ...")
    async with contextlib.AsyncExitStack() as stack:
        urls = await _start_together(stack, models, run_dir, announce)
        endpoint = settings.endpoint.model_copy(
            update={"urls": (urls["reasoner"],), "model": models["reasoner"].name}
        )
        judge = settings.judge.model_copy(
            update={"url": urls.get("judge"), "model": None, "spec": "nano"}
        )
        yield settings.model_copy(update={"endpoint": endpoint, "judge": judge})


def nano_models(*, with_judge: bool) -> dict[str, LocalModel]:
    """The bundled models by role, sharing the processor's cores."""
    roles: list[Literal["reasoner", "judge"]] = (
        ["reasoner", "judge"] if with_judge else ["reasoner"]
    )
    threads = max(1, (os.cpu_count() or 1) // len(roles))
    return {
        role: LocalModel(
            nano_model(role), f"nano-{role}", max_model_len=_NANO_CONTEXT, threads=threads
        )
        for role in roles
    }


async def _start_together(
    stack: contextlib.AsyncExitStack,
    models: Mapping[str, LocalModel],
    run_dir: Path,
    announce: Callable[[str], None],
) -> dict[str, str]:
    """The servers' addresses by role; they start side by side and stop with `stack`."""

    async def start(role: str, model: LocalModel) -> str:
        url = await stack.enter_async_context(serve_vllm(model, log=run_dir / f"{role}.log"))
        announce(f"{model.name} is ready.")
        return url

    try:
        async with asyncio.TaskGroup() as group:
            starts = {role: group.create_task(start(role, model)) for role, model in models.items()}
    except BaseExceptionGroup as errors:
        raise first_error(errors) from None
    return {role: task.result() for role, task in starts.items()}


def _no_confidences(settings: Settings, found: ServerCapabilities) -> str:
    wanted = settings.policy.top_logprobs
    return (
        f"{found.endpoint} sends no {wanted} log-probabilities with a token, which this run needs for confidences: "
        f"start vLLM with --max-logprobs {wanted}, ask for fewer with policy.top_logprobs, or choose another policy or vote."
    )
