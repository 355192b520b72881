"""What the core makes of a question that the server cannot take: a run without traces, or one all of whose traces fail.

Which of the two depends on when it is known: before the first stream where prompts are rendered to token ids, else by the
server's answers to all streams.
"""

from collections import deque
from collections.abc import Iterable, Iterator

import msgspec

from orchestrator.core.commands import Command, StartTrace
from orchestrator.core.engine import Engine
from orchestrator.core.events import Event, RunStarted, TraceFailed
from orchestrator.core.policies import Policy

__all__ = ["fail_traces", "start_refused"]


def start_refused(started: RunStarted, reason: str, policy: Policy | None) -> list[Event | Command]:
    """The entries of a run that starts no trace."""
    refused = msgspec.structs.replace(started, refusal=reason)
    outcome = Engine(refused, policy).feed(refused)
    return [refused, *outcome.events, *outcome.commands]


def fail_traces(
    engine: Engine, traces: Iterable[int], reason: str, at: float
) -> Iterator[Event | Command]:
    """The entries with which the open traces fail, and all that the policy starts in their place.

    Args:
        engine: decides.
        traces: the open ones; none has a token.
        reason: why they fail.
        at: the time.
    """
    failing = deque(traces)
    while failing:
        event = TraceFailed(
            at=at, trace=failing.popleft(), boundary="server", message=reason, tokens=0
        )
        outcome = engine.feed(event)
        failing.extend(each.trace for each in outcome.commands if isinstance(each, StartTrace))
        yield from (event, *outcome.events, *outcome.commands)
