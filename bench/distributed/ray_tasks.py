"""Questions spread over Ray tasks, one question each, with the outcomes that one process would give.

The rule: tasks share nothing but the servers. A task gets its question, its policies and the plan, and every draw in it
depends on these alone; so neither the order in which tasks end nor the machine they ran on can be seen in the result.
Live, each fills the folders of its question, so a spread benchmark goes on after a kill like any other.
"""

import asyncio
import contextlib
import itertools
import logging
import socket
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, NamedTuple

from bench.data.recorded import RecordedQuestion
from bench.live.plan import PLAN_FILE, LivePlan, count_finished, outcomes_of, prepare
from bench.live.run import run_live
from bench.replay.replay import ReplayPlan, replay_policy
from bench.results.outcomes import Outcome
from bench.specs.policy_spec import PolicySpec
from orchestrator.errors import ConfigError, EndpointUnreachable
from orchestrator.interrupts import Interrupts

__all__ = ["RayCluster", "connect_ray"]


class RayCluster(NamedTuple):
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
        pending = deque(task.remote(shared, question, file) for question in questions)
        try:
            while pending:
                outcomes = self._result(pending[0])
                pending.popleft()
                for outcome in outcomes:
                    advance()
                    yield outcome
        finally:
            self._cancel(pending, force=False)

    def play(self, plan: LivePlan, *, advance: Callable[[], None] = lambda: None) -> list[Outcome]:
        """What `run_live` returns. A task runs a question under all policies, one after the other.

        As many tasks as the cluster has processors, but at most `at_once`, share the `streams` evenly. `out` must lie on
        storage that all machines share.

        Raises:
            ConfigError, DatasetError: as for `prepare`, or a machine does not see `out`.
            DeepPruneError: all traces of a question failed.
        """
        plan = plan._replace(out=plan.out.resolve())
        prepare(plan)
        tasks = max(1, min(plan.at_once, int(self.ray.cluster_resources().get("CPU", 1))))
        shared = plan._replace(at_once=1, streams=max(1, plan.streams // tasks))
        parts = [
            shared._replace(questions=[question], first=number)
            for number, question in enumerate(plan.questions, start=plan.first)
        ]
        waiting = iter([part for part in parts if count_finished(part) < len(plan.specs)])
        task = self.ray.remote(_play_question)
        pending = [task.remote(part) for part in itertools.islice(waiting, tasks)]
        try:
            while pending:
                (ended,), pending = self.ray.wait(pending, num_returns=1)
                for _ in range(self._result(ended)):
                    advance()
                pending += [task.remote(part) for part in itertools.islice(waiting, 1)]
        finally:
            self._cancel(pending, force=True)  # what they have written can be continued
        return outcomes_of(plan)

    def _cancel(self, tasks: Collection[Any], *, force: bool) -> None:
        """Cancels the tasks that still run; Ray may crash when one that has ended is cancelled."""
        if not tasks:
            return
        _, running = self.ray.wait(list(tasks), num_returns=len(tasks), timeout=0)
        for task in running:
            self.ray.cancel(task, force=force)

    def _result(self, task: Any) -> Any:
        """What the task returned; an error of its own is raised as it was there."""
        try:
            return self.ray.get(task)
        except self.ray.exceptions.RayTaskError as error:
            raise error.cause from None


def _replay_question(
    shared: tuple[PolicySpec, ReplayPlan], question: RecordedQuestion, file: str
) -> list[Outcome]:
    """One task."""
    spec, plan = shared
    return list(replay_policy(spec, [question], plan, file=file))


def _play_question(plan: LivePlan) -> int:
    """One task; its outcomes are what it leaves in `plan.out`. Returns how many of them are new."""
    if not (plan.out / PLAN_FILE).exists():
        raise ConfigError(
            f"{socket.gethostname()} does not see {plan.out}; with --ray, --out must be on storage that all machines share."
        )
    finished = count_finished(plan)
    asyncio.run(run_live(plan, Interrupts(lambda text: None), lambda: None))
    return count_finished(plan) - finished


@contextlib.contextmanager
def connect_ray(address: str) -> Iterator[RayCluster]:
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
        yield RayCluster(ray)
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
