"""The files of a judge's folder: the model's configuration and weights, the judge's spec, the record of its training.

A folder may come from anybody. Weights are read from safetensors only, which hold numbers and nothing else; a folder
that needs a pickle or Python code of its own is refused, because reading it would run what its author wrote.
"""

import json
from pathlib import Path
from typing import Any

import yaml

from orchestrator.core.judging import JudgeSpec
from orchestrator.errors import ConfigError

__all__ = [
    "HEAD_FILE",
    "NO_CODE",
    "RECORD_FILE",
    "SPEC_FILE",
    "check_model_folder",
    "is_model_folder",
    "own_code_refusal",
    "read_json_object",
    "replace_file",
    "write_spec",
]

MODEL_FILE = "config.json"
ADAPTER_FILE = "adapter_config.json"
SPEC_FILE = "judge.yaml"
"""How the judge is asked; training writes it beside the weights."""
HEAD_FILE = "head.json"
"""The trained head of an embedding-head."""
RECORD_FILE = "training.json"
"""Everything that decided the weights, with the results of each epoch."""

NO_CODE: dict[str, Any] = {"trust_remote_code": False}
"""For every `from_pretrained`: without it transformers asks on the terminal whether to run the folder's code."""

_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.pickle", "*.h5", "*.msgpack")
_INDEX = ".safetensors.index.json"
_MAX_JSON_BYTES = 1 << 26


def is_model_folder(folder: Path) -> bool:
    """Whether the folder holds a model that transformers and vLLM load."""
    return (folder / MODEL_FILE).is_file()


def check_model_folder(folder: Path) -> None:
    """Raises ConfigError if the folder holds no model, or one that is not read because it could run code."""
    if gguf := _gguf_in(folder):
        raise ConfigError(
            f"{gguf} is a GGUF file, and a judge is a folder of safetensors: run deepprune-judge convert {gguf} DIR."
        )
    if not is_model_folder(folder):
        raise ConfigError(
            f"{folder} holds no model ({MODEL_FILE} is missing); name a model folder."
        )
    if (folder / ADAPTER_FILE).is_file():
        raise ConfigError(
            f"{folder} holds an adapter ({ADAPTER_FILE}), which changes the weights of another model; merge the two "
            "with peft's merge_and_unload(), save the model, and name its folder."
        )
    _check_weights(folder)
    if _has_own_code(folder):
        raise ConfigError(own_code_refusal(folder))


def own_code_refusal(source: Path | str) -> str:
    """Why a model with Python code of its own is refused, and what to do."""
    return (
        f"{source} has Python code of its own (auto_map), which is never run here; name a model whose architecture "
        "is part of transformers."
    )


def read_json_object(file: Path) -> dict[str, Any]:
    """The object in a JSON file of at most 64 MiB. Raises OSError, or ValueError for anything else."""
    with file.open("rb") as opened:
        content = opened.read(_MAX_JSON_BYTES + 1)
    if len(content) > _MAX_JSON_BYTES:
        raise ValueError("it is larger than 64 MiB")
    try:
        value = json.loads(content.decode("utf-8-sig"))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError("it holds no object")
    return value


def write_spec(spec: JudgeSpec, file: Path) -> None:
    """Writes the whole spec as YAML, a head in the same folder by its name; a file that is there already is replaced in one step."""
    if spec.head is not None and Path(spec.head).parent.resolve() == file.parent.resolve():
        spec = spec.model_copy(update={"head": Path(spec.head).name})
    text = yaml.safe_dump(
        spec.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=120
    )
    replace_file(file, text.encode())


def replace_file(file: Path, content: bytes) -> None:
    """Writes a file that is whole under its name at any time; one that is there already is replaced in one step."""
    temporary = file.with_name(f".{file.name}.part")
    temporary.write_bytes(content)
    temporary.replace(file)


def _gguf_in(path: Path) -> Path | None:
    """The GGUF file that stands for a model here, if there is no other form of it."""
    if path.is_file():
        return path if path.suffix == ".gguf" else None
    return None if is_model_folder(path) else next(iter(sorted(path.glob("*.gguf"))), None)


def _check_weights(folder: Path) -> None:
    if any(folder.glob("*.safetensors")):
        pickled = next(filter(None, map(_other_file_of, folder.glob(f"*{_INDEX}"))), None)
        if pickled is None:
            return
    else:
        files = (file.name for kind in _PICKLES for file in sorted(folder.glob(kind)))
        pickled = next(files, None)
    if pickled is not None:
        raise ConfigError(
            f"{folder} has its weights in {pickled}, a format that can run code when it is read, so it is not read; "
            "give the same model as safetensors (model.save_pretrained writes them)."
        )
    raise ConfigError(
        f"{folder} has no weights (model.safetensors is missing); name a complete model folder."
    )


def _other_file_of(index: Path) -> str | None:
    """A file of weights in another format that the index of a model in several files names."""
    try:
        files = read_json_object(index)["weight_map"].values()
        return next((str(file) for file in files if not str(file).endswith(".safetensors")), None)
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise ConfigError(
            f"{index} is not an index of weights ({error!r}); name a complete model folder."
        ) from None


def _has_own_code(folder: Path) -> bool:
    """Whether only code in the folder, or code that it names, could load the model."""
    try:
        config = read_json_object(folder / MODEL_FILE)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{folder / MODEL_FILE} is not valid JSON ({error}); name a complete model folder."
        ) from None
    if "auto_map" not in config:
        return False
    from transformers import CONFIG_MAPPING

    return config.get("model_type") not in CONFIG_MAPPING
