"""Three vLLM servers with the nano reasoner, which can be killed and started again, and one with the judge."""

import contextlib
import dataclasses
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import deepprune
from orchestrator.local_vllm.server import LocalModel, VllmServer, run_vllm
from orchestrator.runtime.endpoints import nano_models
from tests.support.command import metric, until_idle

__all__ = ["Replica", "VllmFleet", "nano_fleet", "tell"]

_REPLICAS = 3
_BEGAN = time.monotonic()


@dataclass
class Replica:
    """A server of the reasoner; `stack` stops it."""

    server: VllmServer
    stack: contextlib.AsyncExitStack

    @property
    def url(self) -> str:
        """Its address with /v1, which stays when it is started again."""
        return self.server.url

    async def generated(self) -> int:
        """The tokens that it has written since its start, by its own count."""
        return int(await metric(self.url, "vllm:generation_tokens"))

    async def kill(self) -> None:
        """Ends it with SIGKILL, and all of its processes."""
        os.killpg(self.server.process.pid, signal.SIGKILL)
        await self.server.process.wait()

    async def start_again(self) -> None:
        """Starts a new process at the same address."""
        port = urlsplit(self.url).port
        if port is None:
            raise AssertionError(f"{self.url} has no port")
        model = dataclasses.replace(self.server.model, port=port)
        log = self.server.log.with_suffix(".again.log")
        self.server = await self.stack.enter_async_context(run_vllm(model, log=log))
        tell(f"{self.url} is back")


@dataclass(frozen=True)
class VllmFleet:
    """The replicas, and the judge's address."""

    replicas: Sequence[Replica]
    judge: str

    @property
    def urls(self) -> list[str]:
        """The replicas' addresses."""
        return [replica.url for replica in self.replicas]

    async def generated(self, *, but: Replica | None = None) -> list[int]:
        """What each replica but one has written, once nothing is running there."""
        asked = [replica for replica in self.replicas if replica is not but]
        for replica in asked:
            await until_idle(replica.url)
        return [await replica.generated() for replica in asked]


@contextlib.asynccontextmanager
async def nano_fleet() -> AsyncIterator[VllmFleet]:
    """Starts one server after the other: together they are no faster, and each may then wait for all."""
    models = nano_models(with_judge=True)
    async with contextlib.AsyncExitStack() as stack:
        logs = Path(stack.enter_context(tempfile.TemporaryDirectory()))

        async def serve(model: LocalModel, name: str) -> VllmServer:
            small = dataclasses.replace(model, kv_cache_gib=1, threads=1)
            server = await stack.enter_async_context(run_vllm(small, log=logs / f"{name}.log"))
            tell(f"{name} is ready at {server.url}")
            return server

        judge = await serve(models["judge"], "judge")
        replicas = [
            Replica(await serve(models["reasoner"], f"replica-{number}"), stack)
            for number in range(_REPLICAS)
        ]
        fleet = VllmFleet(replicas, judge.url)
        await _warm_up(fleet)
        yield fleet


async def _warm_up(fleet: VllmFleet) -> None:
    """Asks for log-probabilities once: the first such request holds an engine up while it compiles."""
    async with deepprune.Client(fleet.urls, policy="deepconf-low", preset="nano"):
        pass


def tell(sentence: str) -> None:
    """A line on stderr with the seconds since the start, since the whole takes minutes."""
    sys.stderr.write(f"{time.monotonic() - _BEGAN:5.0f} s  {sentence}\n")
