"""A judge of vectors: a frozen model reads each segment once, and a small trained head compares two vectors.

Only the head is trained. Its projection starts as the principal components of the training segments, each of variance 1.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from judge_server.data.pairs import Pair
from judge_server.models.base import Judgement, LocalJudge
from judge_server.models.packing import IGNORED, Batch, Pack
from judge_server.models.vectors import SegmentVectors
from orchestrator.core.embedding_head import EmbeddingHead
from orchestrator.core.judging import JudgeSpec, pair_prompt
from orchestrator.errors import ConfigError

__all__ = ["EmbeddingHeadJudge", "HeadNetwork", "head_from_weights"]


class HeadNetwork(nn.Module):
    """Label logits of two rows of a table of vectors; `width` numbers of each vector are compared."""

    def __init__(self, width: int, hidden: int, table: Callable[[], Tensor]) -> None:
        super().__init__()
        self.project = nn.Linear(hidden, width)
        self.score = nn.Linear(4 * width, 1)
        nn.init.zeros_(self.score.weight)
        nn.init.zeros_(self.score.bias)
        self._table = table

    def forward(self, batch: Batch) -> Judgement:
        """The judgement of every pair of the batch, whose ids are rows of the table, (pairs, 2)."""
        table = self._table().to(self.project.weight.device)
        both = self.project(table[batch.ids[batch.rows]].float())  # (pairs, 2, width)
        a, b = both[:, 0], both[:, 1]
        features = torch.cat([a, b, (a - b).abs(), a * b], dim=-1)  # (pairs, 4 * width)
        score = self.score(features)  # (pairs, 1)
        return Judgement(torch.cat([score, torch.zeros_like(score)], dim=-1))


class EmbeddingHeadJudge(LocalJudge):
    """A frozen model with its tokenizer, and a head; without a head it must be prepared before it scores."""

    network: HeadNetwork

    def __init__(
        self,
        spec: JudgeSpec,
        model: Any,
        tokenizer: Any,
        head: EmbeddingHead | None,
        vectors: SegmentVectors,
    ) -> None:
        self.spec = spec
        self.tokenizer = tokenizer
        self.vectors = vectors
        self.context = vectors.context
        self._hidden = int(model.config.get_text_config().hidden_size)
        self.network = HeadNetwork(
            1 if head is None else len(head.projection), self._hidden, self._table
        )
        if head is not None:
            self._load(head)

    @property
    def model(self) -> Any:
        """The trained part, which is no transformers model."""
        return self.network

    def prepare(self, pairs: Sequence[Pair], width: int) -> None:
        """A new head whose projection is fitted to the segments of the training pairs. Their labels are not used.

        Raises ConfigError where too few segments differ.
        """
        rows = {row for pack in self.packs(pairs, longest=None) for row in pack.items[0]}
        seen = self._table()[sorted(rows)]  # (segments, hidden)
        mean = seen.mean(0)
        _, deviations, components = torch.linalg.svd(seen - mean, full_matrices=False)
        kept = int((deviations > 1e-5 * max(1.0, float(deviations[0]))).sum())
        kept = min(width, kept)
        if kept == 0:
            raise ConfigError(
                "The model gives all training segments the same vector; give more traces, or another model."
            )
        scale = deviations[:kept, None] / max(1, len(seen) - 1) ** 0.5
        network = HeadNetwork(kept, self._hidden, self._table)
        with torch.no_grad():
            network.project.weight.copy_(components[:kept] / scale)
            network.project.bias.copy_(-(network.project.weight @ mean))
        self.network = network

    def packs(
        self, pairs: Sequence[Pair], *, longest: int | None, leave_out_long: bool = False
    ) -> list[Pack]:
        """See `LocalJudge.packs`; an item holds the rows of the pair's two vectors, not token ids."""
        prompts = [
            pair_prompt(self.spec, question=pair.question, new=pair.new, member=pair.member)
            for pair in pairs
        ]
        texts = [text for prompt in prompts for text in (prompt.query, prompt.item)]
        rows = self.vectors.rows(texts, leave_out_long=leave_out_long)
        packs = []
        for number, (new, member) in enumerate(zip(rows[::2], rows[1::2], strict=True)):
            if new is not None and member is not None:
                packs.append(Pack([], [[new, member]], [(number, 0)]))
        return packs

    def collate(self, packs: Sequence[Pack]) -> Batch:
        """See `LocalJudge.collate`; without the loop over tokens, of which there are none."""
        ids = torch.tensor([pack.items[0] for pack in packs])  # (pairs, 2)
        rows = torch.arange(len(packs))
        return Batch(
            ids=ids,
            positions=torch.zeros_like(ids),
            is_token=torch.ones_like(ids, dtype=torch.bool),
            mask=None,
            rows=rows,
            ends=torch.ones_like(rows),
            pairs=torch.tensor([pack.pairs[0][0] for pack in packs]),
            next_ids=torch.full_like(ids, IGNORED),
        )

    def compile(self) -> None:
        """See `LocalJudge.compile`; there is nothing to compile in a head."""

    def _table(self) -> Tensor:
        return self.vectors.table

    def _load(self, head: EmbeddingHead) -> None:
        with torch.no_grad():
            self.network.project.weight.copy_(torch.tensor(head.projection))
            self.network.project.bias.copy_(torch.tensor(head.offset))
            self.network.score.weight.copy_(torch.tensor([head.weights]))
            self.network.score.bias.fill_(head.bias)


def head_from_weights(weights: Mapping[str, Tensor]) -> EmbeddingHead:
    """The head as the client reads it, from the weights of a `HeadNetwork`."""
    return EmbeddingHead(
        projection=weights["project.weight"].tolist(),
        offset=weights["project.bias"].tolist(),
        weights=weights["score.weight"][0].tolist(),
        bias=float(weights["score.bias"][0]),
    )
