"""What `deepprune-judge serve` starts: the judge's spec and model, with the flags that suit it and the hardware.

The rule: a judge reads long prompts and writes one token, or none; its context holds a pair of its spec's
longest segments, because a longer pair is refused.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.config.shipped import configs_folder, judge_spec
from orchestrator.core.judging import JudgeSpec
from orchestrator.errors import ConfigError
from orchestrator.local_vllm.command import LocalModel
from orchestrator.local_vllm.hardware import Hardware

__all__ = ["Arguments", "find_judge", "judge_model", "spec_source"]

SPEC_FILE = "judge.yaml"
"""What training writes beside the weights."""
CHARS_PER_TOKEN = 2
"""Mathematical text has about three."""
QUESTION_CHARS = 4_000
LEAST_CONTEXT = 2_048
CPU_KV_CACHE_GIB = 4
GPU_BATCHED_TOKENS = 16_384
"""Prompt tokens in one step; vLLM's default of 2,048 on most GPUs is made for writing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """The command line; None leaves a choice to the hardware, the spec or vLLM."""

    judge: str
    spec: str | None = None
    host: str = "127.0.0.1"
    port: int = 0
    dtype: str | None = None
    tensor_parallel_size: int | None = None
    gpu_memory_utilization: float = 0.9
    max_model_len: int | None = None
    threads: int | None = None
    log: Path | None = None
    start_seconds: float = 1800.0
    vllm_flags: tuple[str, ...] = ()


def judge_model(
    arguments: Arguments, hardware: Hardware, api_key: str | None = None
) -> tuple[JudgeSpec, LocalModel]:
    """How to ask the judge, and what vLLM is to serve.

    Raises ConfigError for a judge that is no folder, shipped name or name on the hub, or lacks its spec.
    """
    spec, source = find_judge(arguments.judge, arguments.spec)
    config = _model_config(source)
    return spec, LocalModel(
        source,
        spec.name,
        max_model_len=arguments.max_model_len
        or _context(spec, config.get("max_position_embeddings")),
        kv_cache_gib=CPU_KV_CACHE_GIB if hardware.is_cpu else None,
        gpu_memory_utilization=arguments.gpu_memory_utilization,
        dtype=arguments.dtype or (None if hardware.is_cpu else "bfloat16"),
        threads=arguments.threads,
        host=arguments.host,
        port=arguments.port,
        pooling=spec.kind == "classification",
        flags=(*_more_flags(arguments, hardware, spec, config), *arguments.vllm_flags),
        api_key=api_key,
    )


def find_judge(judge: str, spec_name: str | None) -> tuple[JudgeSpec, Path | str]:
    """A judge's spec, and its model as a folder or as a name on the hub; see `spec_source`."""
    spec = judge_spec(spec_source(judge, spec_name))
    is_model = spec_name is not None or _holds_model(Path(judge))
    return spec, _find_model(judge if is_model else spec.model)


def spec_source(judge: str, spec_name: str | None) -> str:
    """What `judge.spec` must be for this judge: a shipped name, or a YAML file.

    A model folder has its spec in judge.yaml, unless one is named; without a folder, `judge` itself is a
    shipped name or a YAML file, whose model is taken. Raises ConfigError where that leaves nothing.
    """
    path = Path(judge)
    if spec_name is not None:
        return spec_name
    if _holds_model(path):
        if not (path / SPEC_FILE).is_file():
            raise ConfigError(
                f"{judge} has no {SPEC_FILE}, so nobody knows how to ask this judge: add --spec NAME."
            )
        return str(path / SPEC_FILE)
    if path.parent.name and path.suffix not in (".yaml", ".yml"):
        raise ConfigError(
            f"{judge} is no model folder (config.json is missing); for a name on the hub, add --spec NAME."
        )
    return judge


def _find_model(name: str) -> Path | str:
    """A folder seen from here or from where deepprune is installed, else a name on the hub."""
    for folder in (Path(name), _installation() / name):
        if _holds_model(folder):
            return folder
    if re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", name) and not Path(name).exists():
        return name
    raise ConfigError(
        f"{name} is no model folder (config.json is missing) and no name on the hub (org/name): give the "
        "judge's folder, as in deepprune-judge serve DIR --spec NAME."
    )


def _holds_model(folder: Path) -> bool:
    return (folder / "config.json").is_file()


def _installation() -> Path:
    """What holds the bundled folders: a checkout, or site-packages."""
    configs = configs_folder()
    return configs.parents[1] if configs.parent.name == "orchestrator" else configs.parent


def _model_config(source: Path | str) -> dict[str, Any]:
    """The model's config.json, or nothing for a model that is not here."""
    if not isinstance(source, Path):
        return {}
    file = source / "config.json"
    try:
        config: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        raise ConfigError(f"{file} is not valid JSON; name a complete model folder.") from None
    return config


def _context(spec: JudgeSpec, longest: int | None) -> int | None:
    """Tokens that have room for a pair and its label; None, the model's own, where it has no more."""
    around = len(spec.markup_before + spec.query + spec.item + spec.markup_after + spec.instruction)
    question = QUESTION_CHARS if "{question}" in spec.query else 0
    chars = 2 * spec.max_segment_chars + around + question
    needed = max(LEAST_CONTEXT, chars // CHARS_PER_TOKEN + 1)
    return needed if longest is None or needed < longest else None


def _more_flags(
    arguments: Arguments, hardware: Hardware, spec: JudgeSpec, config: dict[str, Any]
) -> list[str]:
    flags = []
    gpus = arguments.tensor_parallel_size or _shared_by(hardware, spec, config)
    if gpus > 1:
        flags += ["--tensor-parallel-size", str(gpus)]
    if not hardware.is_cpu:
        flags += ["--max-num-batched-tokens", str(GPU_BATCHED_TOKENS)]
        if spec.kind == "generative":
            flags.append("--enable-prefix-caching")
    return flags


def _shared_by(hardware: Hardware, spec: JudgeSpec, config: dict[str, Any]) -> int:
    """The most GPUs, as a power of two, that divide the attention heads; a classifier is small: one."""
    heads = config.get("num_attention_heads")
    size = 1
    while size * 2 <= hardware.gpus and (heads is None or heads % (size * 2) == 0):
        size *= 2
    return size if spec.kind == "generative" else 1
