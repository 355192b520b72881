"""Questions spread over Ray tasks, one question each, with the outcomes that one process would give.

The rule: tasks share nothing. A task gets its question, its policies and the plan, and every draw in it depends on
these alone; so neither the order in which tasks end nor the machine they ran on can be seen in the result.
"""

import contextlib
import logging
import socket
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from bench.outcomes import Outcome
from bench.policies import PolicySpec
from bench.recorded import RecordedQuestion
from bench.replaying import ReplayPlan, replay_policy
from orchestrator.errors import ConfigError, EndpointUnreachable

__all__ = ["RayReplay", "connected"]


class RayReplay(NamedTuple):
    """A connected Ray cluster; `ray` is its module."""

    ray: Any

    def replay(
        self,
        spec: PolicySpec,
        questions: Sequence[RecordedQuestion],
        plan: ReplayPlan,
        *,
        file: str,
        advance: Callable[[], None] = lambda: None,
    ) -> Iterator[Outcome]:
        """What `replay_policy` yields, in the same order; `advance` is called when an outcome arrives."""
        task = self.ray.remote(_replay_question)
        shared = self.ray.put((spec, plan))
        pending = [task.remote(shared, question, file) for question in questions]
        try:
            for each in pending:
                for outcome in self.ray.get(each):
                    advance()
                    yield outcome
        finally:
            for each in pending:
                self.ray.cancel(each, force=False)


def _replay_question(
    shared: tuple[PolicySpec, ReplayPlan], question: RecordedQuestion, file: str
) -> list[Outcome]:
    """One task."""
    spec, plan = shared
    return list(replay_policy(spec, [question], plan, file=file))


@contextlib.contextmanager
def connected(address: str) -> Iterator[RayReplay]:
    """The cluster at `address`: HOST:PORT, `auto` for the one this machine belongs to, `local` for one of its own.

    Raises:
        ConfigError: Ray is not installed, or the address is none.
        EndpointUnreachable: nothing answers at the address.
    """
    try:
        import ray
    except ImportError as error:
        raise ConfigError(
            "Ray is not installed; install it with: pip install 'deepprune[ray]'."
        ) from error
    if ":" in address and "://" not in address:
        _knock(address)
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise _unreachable(address) from error
    try:
        yield RayReplay(ray)
    finally:
        ray.shutdown()


def _knock(address: str) -> None:
    """Finds in seconds that nobody listens, which Ray itself finds in minutes."""
    host, _, port = address.rpartition(":")
    if not port.isdecimal() or int(port) > 65535:
        raise ConfigError(f"{address} is no address of a Ray cluster; write HOST:PORT.")
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except OSError as error:
        raise _unreachable(address) from error


def _unreachable(address: str) -> EndpointUnreachable:
    return EndpointUnreachable(
        f"No Ray cluster answers at {address}; start one with: ray start --head, or give --ray local."
    )
