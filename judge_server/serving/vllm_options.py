"""The options of `deepprune-judge serve`: the judge's spec and model, with vLLM's flags for it and the hardware.

A judge reads long prompts and writes one token, or none. Its context holds a pair of its spec's longest segments,
because a longer pair is refused.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from judge_server.model_folder import (
    SPEC_FILE,
    check_model_folder,
    is_model_folder,
    read_json_object,
)
from orchestrator.config.shipped import configs_folder, judge_spec
from orchestrator.core.judging import JudgeSpec
from orchestrator.errors import ConfigError
from orchestrator.local_vllm.command import LocalModel
from orchestrator.local_vllm.hardware import Hardware

__all__ = ["ServeOptions", "find_judge", "judge_model", "spec_source"]

CHARS_PER_TOKEN = 2
"""Mathematical text has about three."""
QUESTION_CHARS = 4_000
LEAST_CONTEXT = 2_048
CPU_KV_CACHE_GIB = 4
TASKS: dict[str, Literal["generate", "classify", "embed"]] = {
    "generative": "generate",
    "classification": "classify",
    "embedding-head": "embed",
}
"""What vLLM serves each kind of judge for."""
SAFETENSORS_FORMATS = ("safetensors", "fastsafetensors", "runai_streamer", "runai_streamer_sharded")
"""vLLM's formats of weights that read no pickle, the one that is used first."""
GPU_BATCHED_TOKENS = 16_384
"""Prompt tokens in one step; vLLM's default of 2,048 on most GPUs is meant for generation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions:
    """The command line; None leaves the choice to the hardware, the spec or vLLM."""

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
    options: ServeOptions, hardware: Hardware, api_key: str | None = None
) -> tuple[JudgeSpec, LocalModel]:
    """How to ask the judge, and the model that vLLM serves.

    Raises ConfigError for a judge that is not a folder, a shipped name or a name on the hub, or lacks its spec.
    """
    _check_vllm_flags(options.vllm_flags)
    spec, source = find_judge(options.judge, options.spec)
    config = _model_config(source)
    return spec, LocalModel(
        source,
        spec.name,
        max_model_len=options.max_model_len
        or _context(spec, config.get("max_position_embeddings")),
        kv_cache_gib=CPU_KV_CACHE_GIB if hardware.is_cpu else None,
        gpu_memory_utilization=options.gpu_memory_utilization,
        dtype=options.dtype or (None if hardware.is_cpu else "bfloat16"),
        threads=options.threads,
        host=options.host,
        port=options.port,
        task=TASKS[spec.kind],
        flags=(*_more_flags(options, hardware, spec, config), *options.vllm_flags),
        api_key=api_key,
    )


def _check_vllm_flags(flags: Sequence[str]) -> None:
    """Raises ConfigError for flags that let the model's folder run code."""
    for place, flag in enumerate(flags):
        name, _, value = flag.partition("=")
        name = name.replace("_", "-")
        if name.startswith("--trust"):
            raise ConfigError(
                f"{flag} would run Python code of the model's author, which this command never does; name a model "
                "whose architecture is part of vLLM."
            )
        if (
            name == "--load-format"
            and (value or next(iter(flags[place + 1 :]), "")) not in SAFETENSORS_FORMATS
        ):
            raise ConfigError(
                f"{flag} would read weights that can run code; give the model as safetensors and remove the flag."
            )


def find_judge(judge: str, spec_name: str | None) -> tuple[JudgeSpec, Path | str]:
    """A judge's spec, and its model as a folder or as a name on the hub; see `spec_source`."""
    if Path(judge).suffix == ".gguf":
        check_model_folder(Path(judge))
    spec = judge_spec(spec_source(judge, spec_name))
    is_model = spec_name is not None or is_model_folder(Path(judge))
    return spec, _find_model(judge if is_model else spec.model)


def spec_source(judge: str, spec_name: str | None) -> str:
    """What `judge.spec` must be for this judge: a shipped name, or a YAML file.

    A model folder has its spec in judge.yaml, unless one is named; without a folder, `judge` itself is a
    shipped name or a YAML file, whose model is used. Raises ConfigError if none of these applies.
    """
    path = Path(judge)
    if spec_name is not None:
        return spec_name
    if is_model_folder(path):
        if not (path / SPEC_FILE).is_file():
            raise ConfigError(
                f"{judge} has no {SPEC_FILE}, which says how to ask the judge; add --spec NAME."
            )
        return str(path / SPEC_FILE)
    if path.parent.name and path.suffix not in (".yaml", ".yml"):
        raise ConfigError(
            f"{judge} is not a model folder (config.json is missing); for a name on the hub, add --spec NAME."
        )
    return judge


def _find_model(name: str) -> Path | str:
    """A folder, relative to the working folder or to the installation, else a name on the hub."""
    for folder in (Path(name), _installation() / name):
        if is_model_folder(folder):
            return folder
    if re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", name) and not Path(name).exists():
        return name
    raise ConfigError(
        f"{name} is neither a model folder (config.json is missing) nor a name on the hub (org/name); give the "
        "judge's folder, as in deepprune-judge serve DIR --spec NAME."
    )


def _installation() -> Path:
    """The folder that holds the bundled folders: a checkout, or site-packages."""
    configs = configs_folder()
    return configs.parents[1] if configs.parent.name == "orchestrator" else configs.parent


def _model_config(source: Path | str) -> dict[str, Any]:
    """The model's config.json; empty for a model that is not on this machine.

    Raises ConfigError for a folder that could run code, or is not whole.
    """
    if not isinstance(source, Path):
        return {}
    check_model_folder(source)
    return read_json_object(source / "config.json")


def _context(spec: JudgeSpec, longest: int | None) -> int | None:
    """The context for what is read at once, in tokens; None, the model's own, where that is not larger."""
    around = len(spec.markup_before + spec.query + spec.item + spec.markup_after + spec.instruction)
    question = QUESTION_CHARS if "{question}" in spec.query else 0
    segments = 1 if spec.kind == "embedding-head" else 2
    chars = segments * spec.max_segment_chars + around + question
    needed = max(LEAST_CONTEXT, chars // CHARS_PER_TOKEN + 1)
    return needed if longest is None or needed < longest else None


def _more_flags(
    options: ServeOptions, hardware: Hardware, spec: JudgeSpec, config: dict[str, Any]
) -> list[str]:
    flags = ["--load-format", SAFETENSORS_FORMATS[0]]
    if spec.kind == "embedding-head":
        pooling = json.dumps({"pooling_type": spec.pooling.upper()})
        flags += ["--pooler-config", pooling]
    gpus = options.tensor_parallel_size or _tensor_parallel_size(hardware, spec, config)
    if gpus > 1:
        flags += ["--tensor-parallel-size", str(gpus)]
    if not hardware.is_cpu:
        flags += ["--max-num-batched-tokens", str(GPU_BATCHED_TOKENS)]
        if spec.kind == "generative":
            flags.append("--enable-prefix-caching")
    return flags


def _tensor_parallel_size(hardware: Hardware, spec: JudgeSpec, config: dict[str, Any]) -> int:
    """The largest power of two of GPUs that divides the attention heads; 1 for other kinds, which are small."""
    heads = config.get("num_attention_heads")
    size = 1
    while size * 2 <= hardware.gpus and (heads is None or heads % (size * 2) == 0):
        size *= 2
    return size if spec.kind == "generative" else 1
