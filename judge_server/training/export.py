"""A finished judge as a folder that transformers, vLLM and `deepprune-judge` load.

The rule: a folder with a config.json holds a complete judge. The files are written elsewhere and moved one by one;
an old config.json is removed first, and the new one is moved last.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import torch
from torch import Tensor
from transformers import AutoConfig, AutoModel, AutoTokenizer

from judge_server.model_folder import HEAD_FILE, NO_CODE, SPEC_FILE, replace_file, write_spec
from judge_server.models.embedding_head import head_from_weights
from judge_server.models.load import load_judge
from judge_server.training.lora import add_adapters
from judge_server.training.settings import TrainSettings
from orchestrator.core.judging import JudgeSpec

__all__ = ["export_judge", "write_head_judge", "write_judge"]

MODEL_FILES = ("config.json", "*.safetensors", "*.safetensors.index.json")
TOKENIZER_FILES = (
    "tokenizer*",
    "vocab*",
    "merges*",
    "special_tokens*",
    "chat_template*",
    "generation_config*",
)


def write_judge(
    folder: Path,
    init: str,
    spec: JudgeSpec,
    settings: TrainSettings,
    trained: Mapping[str, Tensor],
) -> None:
    """Writes model, tokenizer and judge.yaml: `init` with the trained weights put in, adapters merged.

    The weights keep the data type of `init`. Adapters are also written, unmerged, to `adapter/`.
    """
    judge = load_judge(init, spec, new_head=True, device=torch.device("cpu"))
    adapters = add_adapters(judge, settings) if settings.lora_rank else None
    unknown = judge.network.load_state_dict(dict(trained), strict=False).unexpected_keys
    if unknown:
        raise RuntimeError(f"trained weights that the model does not have: {unknown}")
    model = judge.model
    if adapters is not None:
        adapters.save_pretrained(folder / "adapter")
        model = adapters.merge_and_unload()
    model.to(AutoConfig.from_pretrained(init, **NO_CODE).dtype or torch.float32).save_pretrained(
        folder
    )
    _write_tokenizer(judge.tokenizer, init, folder)
    write_spec(spec, folder / SPEC_FILE)


def export_judge(written: Path, out: Path) -> None:
    """Moves a complete judge from one folder to another, replacing the judge of an earlier training."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "config.json").unlink(missing_ok=True)
    (out / HEAD_FILE).unlink(missing_ok=True)
    for stale in [*out.glob("*.safetensors"), *out.glob("*.safetensors.index.json")]:
        stale.unlink()
    shutil.rmtree(out / "adapter", ignore_errors=True)
    for file in sorted(written.iterdir(), key=lambda path: path.name == "config.json"):
        file.replace(out / file.name)


def write_head_judge(
    folder: Path, init: str, spec: JudgeSpec, trained: Mapping[str, Tensor]
) -> None:
    """Writes the frozen model as it was, its tokenizer, head.json and judge.yaml."""
    if Path(init).is_dir():
        for pattern in MODEL_FILES:
            for file in Path(init).glob(pattern):
                shutil.copyfile(file, folder / file.name)
        _write_tokenizer(None, init, folder)
    else:
        AutoModel.from_pretrained(init, use_safetensors=True, **NO_CODE).save_pretrained(folder)
        _write_tokenizer(AutoTokenizer.from_pretrained(init, **NO_CODE), init, folder)
    replace_file(folder / HEAD_FILE, msgspec.json.encode(head_from_weights(trained)))
    write_spec(spec.model_copy(update={"head": HEAD_FILE}), folder / SPEC_FILE)


def _write_tokenizer(tokenizer: Any, init: str, folder: Path) -> None:
    """Copies the tokenizer's files unchanged; saves one from the hub."""
    if not Path(init).is_dir():
        tokenizer.save_pretrained(folder)
        return
    for pattern in TOKENIZER_FILES:
        for file in Path(init).glob(pattern):
            shutil.copyfile(file, folder / file.name)
