"""The bundled nano models, started by the client."""

from pathlib import Path

import pytest

from tests.support.local_client import LocalClient

QUESTION = (Path(__file__).parents[2] / "nano" / "data" / "demo-question.txt").read_text().strip()


@pytest.mark.vllm
@pytest.mark.timeout(600, func_only=True)
@pytest.mark.asyncio(loop_scope="session")
async def test_local_models_answer_without_a_server_of_ones_own(local_client: LocalClient) -> None:
    result = await local_client.client.ask(QUESTION)
    assert result.answer is not None
    assert result.usage.reasoner.generated_tokens > 0
    assert result.usage.judge.pairs > 0
    assert {trace.fate for trace in result.traces} <= {"finished", "pruned"}
    starting, *ready = local_client.announced
    assert starting.startswith("Starting nano-reasoner and nano-judge on local vLLM servers")
    assert sorted(ready) == ["nano-judge is ready.", "nano-reasoner is ready."]
