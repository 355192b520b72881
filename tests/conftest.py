"""Fixtures that several packages share: real vLLM servers with the bundled nano models."""

import os
import re
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Literal

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, settings

import deepprune
from orchestrator.local_vllm.hardware import hide_unfit_torch_companions
from tests.support.local_client import LocalClient
from tests.support.story import Story

collect_ignore = ["clients"]
"""They need packages of their own: `make test-clients`."""

hide_unfit_torch_companions()  # before a test imports transformers
os.environ.setdefault("OMP_NUM_THREADS", "1")
"""Read when torch is first imported. Its models here are tiny: more threads would only wait for each other."""

os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
"""vLLM runs the model in the engine's process, as it does on one GPU: a start imports vLLM twice, not three times."""

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
"""A shell makes what it starts in its background ignore Ctrl-C, which some tests send to programs of their own."""

settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("fast", settings.get_profile("default"), max_examples=10)
"""For `make test-fast`: pytest's --hypothesis-profile chooses it."""
settings.load_profile("default")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> Literal[True] | None:
    """Leaves out a file whose every test is deselected by its mark: importing torch alone takes five seconds."""
    given = {Path(argument.partition("::")[0]).resolve() for argument in config.args}
    expression = config.getoption("markexpr")
    if collection_path.suffix != ".py" or collection_path in given or " or " in expression:
        return None
    unwanted = set(re.findall(r"\bnot (\w+)", expression))
    source = collection_path.read_text(encoding="utf-8")
    marks = "".join(re.findall(r"^pytestmark = .*(?:\n .*)*", source, re.MULTILINE))
    return True if unwanted & set(re.findall(r"mark\.(\w+)", marks)) else None


@pytest.fixture(scope="session", autouse=True)
def _no_settings_from_outside() -> Iterator[None]:
    """A developer's own keys and settings must not change what a test sees."""
    ours = ("DEEPPRUNE_", "OPENAI_")
    with pytest.MonkeyPatch.context() as patch:
        for variable in list(os.environ):
            if variable.startswith(ours) or variable.lower().endswith("_proxy"):
                patch.delenv(variable)
        yield


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def local_client(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalClient]:
    """Its servers, a reasoner and a judge, are those of all tests on vLLM: a start costs 30 CPU seconds."""
    announced: list[str] = []
    logs = tmp_path_factory.mktemp("vllm")
    client = deepprune.Client(
        local=True, policy="deepprune", traces=8, logs=logs, announce=announced.append
    )
    async with client:
        yield LocalClient(client, announced)


@pytest.fixture
def reasoner_url(local_client: LocalClient) -> str:
    return local_client.reasoner_url


@pytest.fixture
def judge_url(local_client: LocalClient) -> str:
    return local_client.judge_url


@pytest.fixture
def story() -> type[Story]:
    """`story(planned, ...)` begins the events of a run."""
    return Story


@pytest.fixture
def pruned_story() -> Story:
    """Four traces: two alike, of which one is pruned; one of another cluster is stopped; one fails."""
    told = Story(4, gold="42", settings={"prices": {"judge_token": 0.5, "judge_prompt_token": 0.5}})
    told.start(0, 1, 2, 3, cached=16)
    for trace in range(4):
        told.tokens(trace, 30)
    told.checkpoint(0, 30).pause(0, 30).open_cluster(0, 0)
    told.checkpoint(1, 30).judged(1, 0).join(1, 0).stop(1, 36)
    told.checkpoint(2, 30).judged(2, 0, p=0.1).open_cluster(2, 1).stop(2, 30, "straggler")
    told.fail(3, 34).resume(0).tokens(0, 100).finish(0, 100)
    return told.vote("42", a42=1).end("42", counted=200)
