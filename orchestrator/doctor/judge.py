"""One server of the judge: how it is asked, its first verdict, and the pairs that it judges in a second."""

import time
from collections.abc import Sequence
from typing import NamedTuple

from orchestrator.client.endpoint import all_of
from orchestrator.client.judge.client import JudgeClient, JudgeScores
from orchestrator.doctor.access import refused
from orchestrator.doctor.verdict import Check, Rates, ServerDiagnosis
from orchestrator.errors import DeepPruneError, EndpointRejected, JudgeError

__all__ = ["diagnose_judge"]

_QUESTION = "What is {a} + {b}? Explain each step."
_RIGHT = "We add {a} and {b}. So the answer is {c}."
_WRONG = "We take {a} from {b}. Wait, so the answer is {d}."
_CALLS = 8
_MEMBERS = 16
_BEST = ("generative_scoring", "classify", "embeddings")


class _Pace(NamedTuple):
    pairs: float
    read: float | None


async def diagnose_judge(
    client: JudgeClient, *, has_key: bool, load_seconds: float
) -> ServerDiagnosis:
    """All about one server of the judge; it is asked for about `load_seconds`, without if they are 0."""
    address = client.address.base
    try:
        found = await client.probe()
        first = await _verdict(client)
    except JudgeError as error:
        found_nothing = Check(
            "verdict", "unusable", str(error), "See the log of the server, and judge.spec."
        )
        return ServerDiagnosis(role="judge", endpoint=address, checks=(found_nothing,))
    except DeepPruneError as error:
        checks = refused(error)
        if isinstance(error, EndpointRejected) and error.status == 404:
            checks = [*checks[:-1], Check("dialect", "unusable", str(error), checks[-1].remedy)]
        return ServerDiagnosis(role="judge", endpoint=address, checks=tuple(checks))
    checks = [
        Check("reachable", "well", "It answers."),
        Check("key", "well", "The key is accepted." if has_key else "No key is wanted."),
        _dialect(found.dialect),
        first,
    ]
    pace = await _pace(client, load_seconds) if load_seconds else None
    if pace is not None:
        checks.append(Check("load", "well", f"{pace.pairs:,.0f} pairs per second."))
    return ServerDiagnosis(
        role="judge",
        endpoint=address,
        model=found.model,
        checks=tuple(checks),
        rates=Rates(pairs=pace and pace.pairs, read=pace and pace.read),
    )


def _dialect(dialect: str) -> Check:
    if dialect in _BEST:
        return Check("dialect", "well", f"{dialect}: one request judges many pairs.")
    return Check(
        "dialect",
        "limited",
        f"{dialect}: each pair is a request of its own.",
        "Serve the judge with vLLM, whose /generative_scoring judges many pairs in one request.",
    )


async def _verdict(client: JudgeClient) -> Check:
    began = time.monotonic()
    texts = {"a": "12", "b": "30", "c": "42", "d": "18"}
    scores = await client.score(
        question=_QUESTION.format(**texts),
        new=_RIGHT.format(**texts),
        members=[_RIGHT.format(**texts), _WRONG.format(**texts)],
    )
    same, other = scores.probabilities
    return _separation(same, other, time.monotonic() - began)


def _separation(same: float, other: float, seconds: float) -> Check:
    """What the probabilities of two equal and of two different segments say of the judge."""
    evidence = f"The first one after {seconds:.2f} s: {same:.2f} for equal segments, {other:.2f} for different ones."
    if same > other:
        return Check("verdict", "well", evidence)
    return Check(
        "verdict",
        "limited",
        f"{evidence} It does not tell them apart.",
        "Compare judge.spec with how the judge was trained, and measure it with deepprune-judge check.",
    )


async def _pace(client: JudgeClient, seconds: float) -> _Pace | None:
    """Pairs and computed prompt tokens per second, several calls at once; no two of them are about the same texts."""
    before = await client.counters()
    began = time.monotonic()
    found: list[JudgeScores] = []
    while time.monotonic() - began < seconds:
        try:
            calls = [_score(client, len(found) + call) for call in range(_CALLS)]
            found += await all_of(calls)
        except JudgeError:
            return None
    taken = time.monotonic() - began
    after = await client.counters()
    read = sum(each.prompt_tokens - each.cached_prompt_tokens for each in found)
    if (
        before is not None
        and after is not None
        and None not in (before.prompt_tokens_cached, after.prompt_tokens_cached)
    ):
        cached = (after.prompt_tokens_cached or 0) - (before.prompt_tokens_cached or 0)
        read = after.prompt_tokens - before.prompt_tokens - cached
    return _Pace(_pairs(found) / taken, read / taken if read > 0 else None)


def _pairs(found: Sequence[JudgeScores]) -> int:
    return sum(len(each.probabilities) for each in found)


async def _score(client: JudgeClient, number: int) -> JudgeScores:
    texts = [
        {"a": str(number), "b": str(member), "c": str(number + member), "d": str(member)}
        for member in range(1, _MEMBERS + 1)
    ]
    return await client.score(
        question=_QUESTION.format(**texts[0]),
        new=_RIGHT.format(**texts[0]),
        members=[_WRONG.format(**each) for each in texts],
    )
