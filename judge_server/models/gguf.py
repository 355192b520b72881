"""A GGUF file as the folder of safetensors that every other command reads: `deepprune-judge convert`."""

import tempfile
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from judge_server.model_folder import NO_CODE
from orchestrator.errors import ConfigError

__all__ = ["convert_gguf"]


def convert_gguf(file: Path, out: Path) -> None:
    """Writes weights (float32) and tokenizer of a language model in a GGUF file to a new folder.

    Raises ConfigError for a file that is no such model, a folder that exists, or a package that is missing.
    """
    if not out.parent.is_dir():
        raise ConfigError(f"There is no folder {out.parent}; make it first.")
    if out.exists():
        raise ConfigError(f"{out} exists already; name a new folder.")
    if not file.is_file():
        raise ConfigError(f"There is no file {file}; check the path.")
    source = {"pretrained_model_name_or_path": file.parent, "gguf_file": file.name, **NO_CODE}
    try:
        tokenizer = AutoTokenizer.from_pretrained(**source)
        model = AutoModelForCausalLM.from_pretrained(**source, dtype=torch.float32)
    except ImportError as error:
        raise ConfigError(
            "GGUF files are read by the package gguf; run pip install gguf."
        ) from error
    except Exception as error:  # the readers of the format raise what comes first
        reason = str(error).strip().partition("\n")[0].rstrip(".")
        raise ConfigError(
            f"{file} cannot be read as a language model ({reason}); give a GGUF file of an architecture that "
            "transformers reads."
        ) from None
    # the weights are unpacked, so they can be saved as any others
    model.hf_quantizer = None  # type: ignore[assignment]
    model.config.__dict__.pop("quantization_config", None)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as folder:
        written = Path(folder, out.name)
        model.save_pretrained(written)
        tokenizer.save_pretrained(written)
        written.rename(out)
