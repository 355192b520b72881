"""One or several servers of the same judge: each call goes to the one with the fewest pairs before it.

A judge holds no cache that is worth sticking to, so a call that fails is made again on another server.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from orchestrator.capabilities import JudgeCapabilities
from orchestrator.client.judge.client import JudgeClient, JudgeScores
from orchestrator.client.server_counters import ServerCounters, counters_of
from orchestrator.errors import ConfigError, DeepPruneError, JudgeError
from orchestrator.runtime.members import NOT_THERE

__all__ = ["JudgeFleet"]


class JudgeFleet:
    """The judge's servers, as an async context manager; call `probe` first.

    Args:
        clients: one for each server; they are open.
        leave_out: a server that differs from the first one, or refuses, is left out instead of refused.
        again_seconds: between the probes of a server that did not answer.
    """

    def __init__(
        self, clients: Sequence[JudgeClient], *, leave_out: bool, again_seconds: float
    ) -> None:
        self._clients = clients
        self._leave_out = leave_out
        self._again_seconds = again_seconds
        self._ready: list[JudgeClient] = []
        self._found: JudgeCapabilities | None = None
        self._notes: list[str] = []
        self._pending = dict.fromkeys(clients, 0)
        self._served = dict.fromkeys(clients, 0)
        self._probing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._probing is not None:
            self._probing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._probing

    @property
    def notes(self) -> list[str]:
        """Sentences for the user about the servers."""
        return [*self._notes, *(note for client in self._clients for note in client.notes)]

    async def probe(self) -> JudgeCapabilities:
        """What the judge can do; the address is that of the first server that answers.

        One of several that does not answer is probed again until it does.

        Raises:
            ConfigError, EndpointRejected: a server refuses, or differs from the first one.
            EndpointError: no server answers.
        """
        if len(self._clients) == 1:
            self._found = await self._clients[0].probe()
            self._ready = list(self._clients)
            return self._found
        results = await asyncio.gather(
            *(client.probe() for client in self._clients), return_exceptions=True
        )
        missing: list[tuple[JudgeClient, DeepPruneError]] = []
        for client, result in zip(self._clients, results, strict=True):
            error = result if isinstance(result, BaseException) else self._join(client, result)
            if isinstance(error, NOT_THERE):
                missing.append((client, error))
                self._notes.append(f"{client.address} is left out until it answers: {error}")
            elif isinstance(error, DeepPruneError) and self._leave_out:
                self._notes.append(f"{error} It is left out.")
            elif isinstance(error, BaseException):
                raise error
        if self._found is None:
            raise missing[0][1] if missing else ConfigError(self._notes[0])
        if missing:
            absent = [client for client, _ in missing]
            self._probing = asyncio.create_task(self._probe_again(absent), name="probe the judges")
        return self._found

    async def score(self, *, question: str, new: str, members: Sequence[str]) -> JudgeScores:
        """p(identical) of segment `new` with each of `members`, from the server with the fewest pairs before it.

        Raises:
            JudgeError: every server failed; the message is that of the last one.
        """
        tried: set[JudgeClient] = set()
        while True:
            client = min(
                (each for each in self._ready if each not in tried),
                key=lambda each: (self._pending[each], self._served[each]),
            )
            tried.add(client)
            self._pending[client] += len(members)
            self._served[client] += len(members)
            try:
                return await client.score(question=question, new=new, members=members)
            except JudgeError:
                if tried.issuperset(self._ready):
                    raise
            finally:
                self._pending[client] -= len(members)

    async def counters(self) -> ServerCounters | None:
        """The counters of all servers together; None where one has none."""
        return await counters_of(self._clients)

    @property
    def counter_urls(self) -> frozenset[str]:
        """The pages that the counters are read from."""
        return frozenset().union(*(client.counter_urls for client in self._clients))

    def _join(self, client: JudgeClient, found: JudgeCapabilities) -> ConfigError | None:
        """Takes a server in; the error where it differs from the first one."""
        first = self._found = self._found or found
        then = (first.model, first.dialect, first.label_token_ids)
        if then != (found.model, found.dialect, found.label_token_ids):
            return ConfigError(
                f"The judge at {found.endpoint} is {found.model} ({found.dialect}), and the one at {first.endpoint} is "
                f"{first.model} ({first.dialect}); give servers of the same judge, or set endpoint.on_mismatch to "
                "leave-out."
            )
        self._ready.append(client)
        return None

    async def _probe_again(self, absent: list[JudgeClient]) -> None:
        """Takes in servers that answer late; one that differs then stays out."""
        while absent:
            await asyncio.sleep(self._again_seconds)
            for client in list(absent):
                client.notes.clear()
                try:
                    self._join(client, await client.probe())
                except NOT_THERE:
                    continue
                except DeepPruneError:
                    pass
                absent.remove(client)
