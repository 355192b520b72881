"""A finished judge as a folder that transformers, vLLM and the tools here load.

The rule: a folder with a config.json holds a complete judge. The files are written elsewhere and moved in one
by one, config.json first out and last in.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path

import torch
import yaml
from torch import Tensor
from transformers import AutoConfig

from judge_server.models.base import LocalJudge
from judge_server.models.load import load_judge
from judge_server.training.lora import add_adapters
from judge_server.training.settings import TrainSettings
from orchestrator.core.judging import JudgeSpec

__all__ = ["export", "write_weights"]

TOKENIZER_FILES = (
    "tokenizer*",
    "vocab*",
    "merges*",
    "special_tokens*",
    "chat_template*",
    "generation_config*",
)


def write_weights(
    folder: Path,
    init: str,
    spec: JudgeSpec,
    settings: TrainSettings,
    learned: Mapping[str, Tensor],
) -> None:
    """Model, tokenizer and judge.yaml: `init` with the learned weights put in, adapters merged.

    The weights have the type of `init`'s. Adapters are also written, unmerged, to `adapter/`.
    """
    judge = load_judge(init, spec, new_head=True, device=torch.device("cpu"))
    adapters = add_adapters(judge, settings) if settings.lora_rank else None
    unknown = judge.network.load_state_dict(dict(learned), strict=False).unexpected_keys
    if unknown:
        raise RuntimeError(f"learned weights without a place in the model: {unknown}")
    model = judge.model
    if adapters is not None:
        adapters.save_pretrained(folder / "adapter")
        model = adapters.merge_and_unload()
    model.to(AutoConfig.from_pretrained(init).dtype or torch.float32).save_pretrained(folder)
    _write_tokenizer(judge, init, folder)
    content = spec.model_dump(mode="json")
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120)
    (folder / "judge.yaml").write_text(text, encoding="utf-8")


def export(written: Path, out: Path) -> None:
    """Moves a complete judge from one folder to another, over what an earlier training left there."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "config.json").unlink(missing_ok=True)
    for stale in [*out.glob("*.safetensors"), *out.glob("*.safetensors.index.json")]:
        stale.unlink()
    shutil.rmtree(out / "adapter", ignore_errors=True)
    for file in sorted(written.iterdir(), key=lambda path: path.name == "config.json"):
        file.replace(out / file.name)


def _write_tokenizer(judge: LocalJudge, init: str, folder: Path) -> None:
    """The tokenizer's files as they were; one from the hub is saved anew."""
    if not Path(init).is_dir():
        judge.tokenizer.save_pretrained(folder)
        return
    for pattern in TOKENIZER_FILES:
        for file in Path(init).glob(pattern):
            shutil.copyfile(file, folder / file.name)
