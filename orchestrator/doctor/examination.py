"""All checks of all servers, in order; a check that cannot be made is left out or says why."""

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from orchestrator.client.http import parse_address
from orchestrator.client.judge.client import JudgeClient
from orchestrator.client.reasoner.client import ReasonerClient
from orchestrator.config.shipped import judge_spec
from orchestrator.doctor.access import access
from orchestrator.doctor.advice import settings_to_take
from orchestrator.doctor.cancellation import check_cancellation
from orchestrator.doctor.continuation import check_cache, check_continuation
from orchestrator.doctor.judge import diagnose_judge
from orchestrator.doctor.load import check_ramp, levels, ramp, read_rate
from orchestrator.doctor.server import ServerUnderTest, open_under_test
from orchestrator.doctor.streams import check_pace, check_probe, check_token_prompts
from orchestrator.doctor.verdict import Check, Diagnosis, RampStep, Rates, ServerDiagnosis
from orchestrator.errors import EndpointError
from orchestrator.runtime.endpoints import Keys
from orchestrator.runtime.members import PROBE_TEXT, Member, difference
from orchestrator.settings import Settings

__all__ = ["Load", "examine", "together"]

Announce = Callable[[str], None]

_READ_AT_ONCE = 8  # prompts


class Load(NamedTuple):
    """The load ramp: at most so many streams (0: none), so many seconds for each of its levels."""

    streams: int
    level_seconds: float

    @property
    def seconds(self) -> float:
        """At most, for one server."""
        return (len(levels(self.streams)) + 1) * self.level_seconds


async def examine(
    settings: Settings, keys: Keys, load: Load, announce: Announce, *, seed: int = 0
) -> Diagnosis:
    """The checks of every server, one server after the other, so that they do not load each other.

    Args:
        settings: of a run with these servers.
        keys: to the servers.
        load: bounds of the load ramp.
        announce: receives a sentence before anything that takes time.
        seed: of the prompts and of the moments at which streams are closed.
    """
    servers: list[ServerDiagnosis] = []
    members: list[Member] = []
    for url in dict.fromkeys(parse_address(url).base for url in settings.endpoint.urls):
        announce(f"{url} is tested; this takes some seconds.")
        client = ReasonerClient(url, settings.endpoint, settings.sampling, keys.reasoner)
        async with client:
            member = Member(client=client)
            servers.append(await _reasoner(member, settings, keys, load, announce, seed))
        if member.found is not None:
            members.append(member)
    for url in dict.fromkeys(parse_address(url).base for url in settings.judge.urls):
        announce(f"The judge {url} is tested.")
        one = settings.judge.model_copy(update={"url": url})
        async with JudgeClient(one, judge_spec(one.spec), keys.judge) as judge:
            servers.append(
                await diagnose_judge(
                    judge,
                    has_key=keys.judge is not None,
                    load_seconds=load.level_seconds if load.streams else 0.0,
                )
            )
    return Diagnosis.of(servers, together(members), settings_to_take(servers))


def together(members: Sequence[Member]) -> list[Check]:
    """Whether traces can go from the first server to each of the others."""
    if len(members) < 2:
        return []
    reference, *others = members
    differences = [sentence for other in others if (sentence := difference(reference, other))]
    if not differences:
        shown = f"{len(members)} servers have the same model, tokenizer and context."
        return [Check("alike", "well", shown)]
    return [
        Check("alike", "unusable", sentence, "Give servers of the same model.")
        for sentence in differences
    ]


async def _reasoner(
    member: Member,
    settings: Settings,
    keys: Keys,
    load: Load,
    announce: Announce,
    seed: int,
) -> ServerDiagnosis:
    """All about one server of the reasoner."""
    client, address = member.client, member.address
    opened = await access(client, settings.policy.top_logprobs, has_key=keys.reasoner is not None)
    if opened.found is None:
        return ServerDiagnosis(role="reasoner", endpoint=address, checks=tuple(opened.checks))
    member.found = opened.found
    member.token_ids = await client.tokenize(PROBE_TEXT)
    server = await open_under_test(client, opened.found, settings, seed)
    checks = opened.checks + await _of_streams(server)
    steps: tuple[RampStep, ...] = ()
    rates = Rates()
    if load.streams:
        announce(
            f"{address} is put under load: up to {load.streams} streams for {load.seconds:.0f} seconds at most."
        )
        found = await ramp(server, most=load.streams, level_seconds=load.level_seconds)
        checks.append(check_ramp(found))
        steps = found.steps
        written = max(step.tokens_per_second for step in steps)
        read = await read_rate(
            server, at_once=min(_READ_AT_ONCE, found.streams), seconds=load.level_seconds
        )
        rates = Rates(written=written, read=read)
    return ServerDiagnosis(
        role="reasoner",
        endpoint=address,
        model=opened.found.model,
        checks=tuple(checks),
        ramp=steps,
        rates=rates,
    )


async def _of_streams(server: ServerUnderTest) -> list[Check]:
    """The checks that need whole streams; those of token ids only where prompts are token ids."""
    by_ids = server.found.api == "completions"
    checks = (
        [*await _tried("token-id prompts", _one(check_token_prompts(server)))] if by_ids else []
    )
    checks += await _tried("stream", _one(check_pace(server)))
    checks += await _tried("cancellation", _one(check_cancellation(server)))
    if server.found.resumable:
        checks += await _tried("exact continuation", _one(check_continuation(server)))
        checks += await _tried("prefix cache", check_cache(server))
        checks += await _tried("probe", _one(check_probe(server)))
    return checks


async def _one(check: Awaitable[Check]) -> list[Check]:
    return [await check]


async def _tried(name: str, checks: Awaitable[list[Check]]) -> list[Check]:
    """The checks; where the server fails in one, that is what was found."""
    try:
        return await checks
    except EndpointError as error:
        return [Check(name, "limited", str(error), "See the log of the server, and try again.")]
