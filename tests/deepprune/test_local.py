"""The bundled nano models, started by the client."""

from pathlib import Path

import pytest

import deepprune

QUESTION = (Path(__file__).parents[2] / "nano" / "data" / "demo-question.txt").read_text().strip()


@pytest.mark.vllm
@pytest.mark.timeout(300)
async def test_local_models_answer_without_a_server_of_ones_own() -> None:
    announced: list[str] = []
    client = deepprune.Client(local=True, policy="consensus", traces=4, announce=announced.append)
    async with client:
        result = await client.ask(QUESTION)
    assert result.usage.reasoner.generated_tokens > 0
    assert {trace.fate for trace in result.traces} == {"finished"}
    assert announced[0].startswith("Starting nano-reasoner on local vLLM servers")
    assert announced[-1] == "nano-reasoner is ready."
