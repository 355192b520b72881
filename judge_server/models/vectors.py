"""The vectors of segments: a frozen model reads each text once, and a file keeps them for the next training.

A vector is the last hidden state of the last token, or the mean over all tokens, brought to length 1; vLLM's
/v1/embeddings gives the same. The file has no texts: "keys" are the first 16 bytes of the SHA-256 of each text, and
"vectors" are (texts, hidden).
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn.functional import normalize
from torch.nn.utils.rnn import pad_sequence

from judge_server.models.packing import check_length
from orchestrator.core.judging import JudgeSpec
from orchestrator.errors import ConfigError
from orchestrator.terminal.progress import Progress

__all__ = ["SegmentVectors"]

KEY_BYTES = 16
TOKENS_PER_BATCH = {"cpu": 4_096}
GPU_TOKENS_PER_BATCH = 32_768
SHOWN_SEGMENTS = 512
"""Fewer take seconds, and a caller shows its own progress."""
SAVED_SEGMENTS = 128
"""The file is written after so many, so that a command that is interrupted goes on from there."""


class SegmentVectors:
    """The vectors of all texts that were asked for; `file` is read, and vectors that it lacks are added to it.

    `context` is the model's longest text in tokens. Raises ConfigError for a file that holds no vectors.
    """

    def __init__(
        self, spec: JudgeSpec, model: Any, tokenizer: Any, context: int, file: Path | None
    ) -> None:
        self._spec = spec
        self._model = model
        self._tokenizer = tokenizer
        self.context = context
        self._file = file
        self._rows: dict[bytes, int] = {}
        self.table = torch.zeros(0, model.config.get_text_config().hidden_size)
        if file is not None and file.exists():
            self._read(file)

    def rows(self, texts: Sequence[str], *, leave_out_long: bool) -> list[int | None]:
        """The row of each text in `table`, (all texts, hidden).

        None for a text longer than the context, with `leave_out_long`; otherwise that raises ConfigError.
        """
        new = [text for text in dict.fromkeys(texts) if _key(text) not in self._rows]
        if new:
            self._add(new, leave_out_long=leave_out_long)
        return [self._rows.get(_key(text)) for text in texts]

    def _add(self, texts: Sequence[str], *, leave_out_long: bool) -> None:
        ids = dict(
            zip(texts, self._tokenizer(list(texts), verbose=False)["input_ids"], strict=True)
        )
        fitting = [text for text in texts if len(ids[text]) <= self.context]
        if len(fitting) < len(texts) and not leave_out_long:
            check_length(None, max(map(len, ids.values())), self.context)
        if not fitting:
            return
        fitting.sort(key=lambda text: len(ids[text]))
        is_quick = len(fitting) < SHOWN_SEGMENTS
        with Progress("segments", len(fitting), title="vectors", quiet=is_quick) as progress:
            for start in range(0, len(fitting), SAVED_SEGMENTS):
                part = fitting[start : start + SAVED_SEGMENTS]
                found = self._embedded([ids[text] for text in part])
                for number, text in enumerate(part, start=len(self._rows)):
                    self._rows[_key(text)] = number
                self.table = torch.cat([self.table, found])
                if self._file is not None:
                    self._write(self._file)
                progress.update(start + len(part))

    @torch.inference_mode()
    def _embedded(self, ids: Sequence[list[int]]) -> Tensor:
        """Vectors of length 1 on the CPU, (texts, hidden), of texts in the order of their lengths."""
        device = next(self._model.parameters()).device
        most = TOKENS_PER_BATCH.get(device.type, GPU_TOKENS_PER_BATCH)
        found: list[Tensor] = []
        start = 0
        while start < len(ids):
            size = 1
            while start + size < len(ids) and len(ids[start + size]) * (size + 1) <= most:
                size += 1
            batch = [torch.tensor(one) for one in ids[start : start + size]]
            found.append(self._pooled(batch, device).cpu())
            start += size
        return torch.cat(found)

    def _pooled(self, batch: Sequence[Tensor], device: torch.device) -> Tensor:
        lengths = torch.tensor([len(one) for one in batch], device=device)  # (batch,)
        padded = pad_sequence(list(batch), batch_first=True).to(device)  # (batch, seq)
        places = torch.arange(padded.shape[1], device=device)
        is_token = places[None, :] < lengths[:, None]  # (batch, seq)
        hidden = self._model(
            input_ids=padded, attention_mask=is_token.long()
        ).last_hidden_state.float()  # (batch, seq, hidden)
        if self._spec.pooling == "last":
            pooled = hidden[torch.arange(len(hidden), device=device), lengths - 1]
        else:
            pooled = (hidden * is_token[:, :, None]).sum(1) / lengths[:, None]
        return normalize(pooled, dim=-1)

    def _read(self, file: Path) -> None:
        try:
            tensors = load_file(file)
            keys, vectors = tensors["keys"].numpy(), tensors["vectors"].float()
            if len(keys) != len(vectors) or vectors.shape[1:] != self.table.shape[1:]:
                raise ValueError("it is of another model")
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            raise ConfigError(
                f"{file} cannot be read as the vectors of this model ({error}); name a new file with --vectors."
            ) from None
        self._rows = {key.tobytes(): number for number, key in enumerate(keys)}
        self.table = vectors

    def _write(self, file: Path) -> None:
        keys = torch.tensor([list(key) for key in self._rows], dtype=torch.uint8)
        temporary = file.with_name(f".{file.name}.part")
        try:
            save_file({"keys": keys, "vectors": self.table}, temporary)
            temporary.replace(file)
        except (OSError, SafetensorError) as error:
            raise ConfigError(
                f"{file} cannot be written ({error}); name another file with --vectors."
            ) from None


def _key(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()[:KEY_BYTES]
