"""A reward model on real vLLM gives the reward that transformers gives."""

from pathlib import Path

import pytest

from orchestrator.client.reward import RewardClient
from orchestrator.local_vllm.server import LocalModel, nano_model, serve_vllm
from orchestrator.settings import RewardSettings

import torch  # isort: skip
from transformers import AutoModelForSequenceClassification, AutoTokenizer  # isort: skip

TRACES = ("so 3 plus 4 is 7", "wait , so 9", "so 12 minus 5 is 7 wait , check : so 7")
TEMPLATE = "{question} {trace}"


def reward_model(folder: Path) -> Path:
    """The nano judge with a random head of one label on its last token."""
    source = nano_model("judge")
    model = AutoModelForSequenceClassification.from_pretrained(
        source, num_labels=1, dtype=torch.float32
    )
    torch.nn.init.normal_(model.score.weight, std=0.3)
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(source).save_pretrained(folder)
    return folder


@torch.inference_mode()
def local_rewards(folder: Path) -> list[float]:
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    prompts = [tokenizer(f"3 + 4 ? {trace}", return_tensors="pt") for trace in TRACES]
    return [float(model(**tokens).logits.sigmoid()[0, 0]) for tokens in prompts]


@pytest.mark.vllm
@pytest.mark.timeout(900)
async def test_a_served_reward_model_gives_the_local_rewards(tmp_path: Path) -> None:
    torch.manual_seed(0)
    folder = reward_model(tmp_path / "reward")
    model = LocalModel(folder, "reward", max_model_len=512, threads=1, pooling=True)
    async with serve_vllm(model, log=tmp_path / "vllm.log") as url:
        settings = RewardSettings(url=url, template=TEMPLATE, timeout_seconds=300)
        async with RewardClient(settings, None) as client:
            await client.probe()
            served = [await client.score(question="3 + 4 ?", trace=trace) for trace in TRACES]
    rewards = [reward.value for reward in served]
    assert rewards == pytest.approx(local_rewards(folder), abs=1e-3)
    assert max(rewards) - min(rewards) > 0.01  # the traces are not all alike to it
    assert all(reward.prompt_tokens > 5 for reward in served)
