"""The servers behind several `--endpoint`s: probed at the start, compared with each other, and again when one returns.

A trace can go on elsewhere only if the other server reads its token ids in the same way, so model, tokenizer, context
and the form of requests must be equal.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from orchestrator.capabilities import ServerCapabilities
from orchestrator.client.reasoner.client import ReasonerClient
from orchestrator.errors import (
    ConfigError,
    EndpointBusy,
    EndpointError,
    EndpointRejected,
    EndpointUnreachable,
    StreamBroken,
)

__all__ = [
    "NOT_THERE",
    "PROBE_TEXT",
    "Found",
    "Member",
    "difference",
    "error_of_none",
    "find_members",
]

PROBE_TEXT = (
    "Let x = 3.14; so 12 * 7 = 84. Wait, naïve? Überprüfe 北京 👩‍🔬 \\boxed{-1/2}\n\n\t<think>"
)
"""Tokenised on every server: digits, words, other scripts, white space and a marker tell tokenizers apart."""

NOT_THERE = (EndpointUnreachable, EndpointBusy, StreamBroken)
"""The errors of a server that may be there later."""


@dataclass(slots=True, kw_only=True)
class Member:
    """One server; `found` and `token_ids` (of `PROBE_TEXT`) are None until it has been probed."""

    client: ReasonerClient
    found: ServerCapabilities | None = None
    token_ids: tuple[int, ...] | None = None
    has_health: bool = False
    """It has a /health page."""
    fault: str = ""
    """Why it could not be probed, or is out."""

    @property
    def address(self) -> str:
        """Its address with /v1."""
        return self.client.address.base

    async def probe(self, top_logprobs: int | None) -> None:
        """Finds out what the server can do; raises what `ReasonerClient.probe` raises."""
        self.client.notes.clear()
        self.found = await self.client.probe(top_logprobs)
        self.token_ids = await self.client.tokenize(PROBE_TEXT)
        self.has_health = await self.client.healthy() is True


class Found(NamedTuple):
    """The servers that are alike, and sentences about those that are not or were not there."""

    members: list[Member]
    notes: list[str]


async def find_members(
    members: Sequence[Member], *, top_logprobs: int | None, leave_out: bool
) -> Found:
    """Probes the servers side by side; one that does not answer stays a member, and is tried again later.

    Raises:
        EndpointError: none of them answers; for a single one what its probe raises.
        ConfigError, EndpointRejected: one refuses, or differs from the first that answers, unless `leave_out`.
    """
    if len(members) == 1:
        await members[0].probe(top_logprobs)
        return Found(list(members), [])
    errors = await asyncio.gather(
        *(member.probe(top_logprobs) for member in members), return_exceptions=True
    )
    kept, notes, problems = [], [], []
    reference: Member | None = None
    for member, error in zip(members, errors, strict=True):
        if isinstance(error, NOT_THERE):
            member.fault = str(error)
            notes.append(f"{member.address} is left out until it answers: {error}")
        elif isinstance(error, EndpointRejected | ConfigError):
            problems.append(error)
            continue
        elif error is not None:
            raise error
        elif reference is not None and (differs := difference(reference, member)) is not None:
            problems.append(ConfigError(differs))
            continue
        else:
            reference = reference or member
        kept.append(member)
    if problems and (not leave_out or reference is None):
        raise problems[0]
    if reference is None:
        raise error_of_none(kept)
    notes += [f"{problem} It is left out." for problem in problems]
    return Found(kept, notes)


def difference(reference: Member, member: Member) -> str | None:
    """The sentence that says how a server differs from another one; None if traces can go from one to the other."""
    for there, here in zip(_traits(reference), _traits(member), strict=True):
        if there != here:
            how = f"{here}, and {reference.address} {there}"
            break
    else:
        if reference.token_ids == member.token_ids:
            return None
        how = f"has another tokenizer than {reference.address}"
    return f"{member.address} {how}; give servers of the same model, or set endpoint.on_mismatch to leave-out."


def _traits(member: Member) -> list[str]:
    """What must be equal, as predicates of a sentence."""
    found = member.found
    if found is None:
        raise RuntimeError("a server must be probed before it is compared")
    context = (
        "an unknown context"
        if found.max_model_len is None
        else f"a context of {found.max_model_len} tokens"
    )
    return [
        f"serves the model {found.model}",
        f"has {context}",
        f"is asked through the {found.api} API",
        f"sends {'token' if found.token_ids else 'no token'} ids",
        f"sends {'exact' if found.continuous_usage else 'no exact'} token counts",
        f"sends {'log-probabilities' if found.confidences else 'no log-probabilities'}",
    ]


def error_of_none(members: Sequence[Member]) -> EndpointError:
    """The error where no server works."""
    addresses = ", ".join(member.address for member in members)
    return EndpointUnreachable(f"None of the servers {addresses} works. {members[0].fault}")
