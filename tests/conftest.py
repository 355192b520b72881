"""Fixtures that several packages share: real vLLM servers with the bundled nano models."""

import asyncio
import contextlib
import os

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, settings

from orchestrator.client.local import serve_vllm
from orchestrator.fleet import nano_models

settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("default")


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch):
    """A developer's own keys and settings must not change what a test sees."""
    for variable in list(os.environ):
        if variable.startswith(("DEEPPRUNE_", "OPENAI_")):
            monkeypatch.delenv(variable)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def vllm_servers(tmp_path_factory):
    """Base URLs of a reasoner and a judge, started side by side once for all tests."""
    logs = tmp_path_factory.mktemp("vllm")
    models = nano_models(with_judge=True)
    async with contextlib.AsyncExitStack() as stack:
        urls = await asyncio.gather(
            *(
                stack.enter_async_context(serve_vllm(model, log=logs / f"{role}.log"))
                for role, model in models.items()
            )
        )
        yield dict(zip(models, urls, strict=True))


@pytest.fixture
def reasoner_url(vllm_servers):
    return vllm_servers["reasoner"]


@pytest.fixture
def judge_url(vllm_servers):
    return vllm_servers["judge"]
