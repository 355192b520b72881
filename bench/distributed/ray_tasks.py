"""Benchmarks in Ray tasks, one question per task, with the same outcomes as in one process.

The rule: tasks share nothing but the servers. A task gets its question, its policies and the plan, and all random numbers
in it depend on these alone; so the result depends neither on the order in which tasks end nor on the machines. A task of
a live benchmark fills the folders of its question, so the benchmark can be continued after a kill.
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
from orchestrator.extras import install_command
from orchestrator.interrupts import Interrupts
from orchestrator.runtime.budget import budget_of

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
        """The outcomes of `replay_policy`, in the same order; `advance` is called after each.

        Raises:
            ConfigError: the policy has a budget over all questions, which tasks do not share.
        """
        if budget_of(spec.settings) is not None:
            raise ConfigError(
                f"{spec.label} has a budget for all questions, which Ray tasks do not share; leave out --ray."
            )
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

    def run(self, plan: LivePlan, *, advance: Callable[[], None] = lambda: None) -> list[Outcome]:
        """The outcomes of `run_live`. A task runs one question under all policies, one after the other.

        The number of tasks at a time is the cluster's number of processors, at most `at_once`; they share the `streams`
        evenly. `out` must be on storage that all machines share.

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
        task = self.ray.remote(_run_question)
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
        """The task's return value; an error of the task is raised as it was raised there."""
        try:
            return self.ray.get(task)
        except self.ray.exceptions.RayTaskError as error:
            raise error.cause from None


def _replay_question(
    shared: tuple[PolicySpec, ReplayPlan], question: RecordedQuestion, file: str
) -> list[Outcome]:
    """A Ray task: the outcomes of one question."""
    spec, plan = shared
    return list(replay_policy(spec, [question], plan, file=file))


def _run_question(plan: LivePlan) -> int:
    """A Ray task: runs one question, whose reports it leaves in `plan.out`; returns how many of them are new."""
    if not (plan.out / PLAN_FILE).exists():
        raise ConfigError(
            f"{socket.gethostname()} does not see {plan.out}; with --ray, --out must be on storage that all machines share."
        )
    finished = count_finished(plan)
    asyncio.run(run_live(plan, Interrupts(lambda text: None), lambda: None))
    return count_finished(plan) - finished


@contextlib.contextmanager
def connect_ray(address: str) -> Iterator[RayCluster]:
    """The cluster at `address`: HOST:PORT, `auto` for the one of this machine, `local` for a new one on this machine.

    Raises:
        ConfigError: Ray is not installed, or the address is malformed.
        EndpointUnreachable: no cluster answers at the address.
    """
    try:
        import ray
    except ImportError as error:
        raise ConfigError(f"Ray is not installed; run: {install_command('ray')}") from error
    if ":" in address and "://" not in address:
        _check_reachable(address)
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise _unreachable(address) from error
    try:
        yield RayCluster(ray)
    finally:
        ray.shutdown()


def _check_reachable(address: str) -> None:
    """Finds in seconds that nothing listens at the address, which takes Ray minutes."""
    host, _, port = address.rpartition(":")
    if not port.isdecimal() or int(port) > 65535:
        raise ConfigError(f"{address} is not the address of a Ray cluster; write HOST:PORT.")
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except OSError as error:
        raise _unreachable(address) from error


def _unreachable(address: str) -> EndpointUnreachable:
    return EndpointUnreachable(
        f"No Ray cluster answers at {address}; start one with: ray start --head, set RAY_AUTH_TOKEN if it requires a "
        "token, or give --ray local."
    )
