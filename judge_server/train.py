"""Makes a judge from a language model and traces: `deepprune-judge train`. Read it from top to bottom.

The recipe is that of arXiv 2510.08483: pairs of truncated traces, labels by answer equality, focal loss on
the label tokens, the rarer class twice. Test questions are not touched here; `deepprune-judge
evaluate` finds them from the settings saved beside the weights.
"""

import hashlib
import json
import math
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from judge_server.loss import focal_loss
from judge_server.metrics import ScoredPairs, auroc
from judge_server.model import LocalJudge, load_judge
from judge_server.packing import IGNORED, Batch, Pack, collate, make_batches, make_packs
from judge_server.pairs import (
    Pair,
    PairCounts,
    PairRules,
    Split,
    both_orders,
    make_pairs,
    oversample_minority,
    same_text,
    split_of,
)
from judge_server.settings import TrainSettings, read_train_settings
from judge_server.traces import TraceRow, group_by_question, read_traces
from orchestrator.config import judge_spec
from orchestrator.core.judging import JudgeSpec
from orchestrator.errors import DatasetError

__all__ = ["Arguments", "train"]

TOKENIZER_FILES = (
    "tokenizer*",
    "vocab*",
    "merges*",
    "special_tokens*",
    "chat_template*",
    "generation_config*",
)
REPORT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class EpochResult:
    """The smoothed training loss at an epoch's end, and the AUROC on validation questions."""

    loss: float
    auroc: float


@dataclass(frozen=True, slots=True)
class Arguments:
    """The command line."""

    config: Path
    settings: Path | None
    traces: Path
    init: Path
    out: Path


def train(arguments: Arguments) -> None:
    """The stages in order."""
    spec = judge_spec(str(arguments.config))
    settings = read_train_settings(
        arguments.settings or arguments.config.with_name(f"{arguments.config.stem}-train.yaml")
    )
    torch.manual_seed(settings.seed)

    # 1. Pairs: one set to learn from, one that chooses the best epoch.
    groups = group_by_question(read_traces(arguments.traces))
    learned, counts = pairs_of_split(groups, "train", spec, settings)
    chosen_by, _ = pairs_of_split(groups, "validation", spec, settings)
    for split, pairs in (("training", learned), ("validation", chosen_by)):
        check_both_classes(split, pairs)
    print(
        f"{len(groups):,} questions; training {counts.as_dict()}; {len(chosen_by):,} validation pairs"
    )

    # 2. The model, and the pairs as token ids.
    judge = load_judge(arguments.init, spec)
    ordered = both_orders(learned) if settings.both_orders else learned
    shown = oversample_minority(ordered, settings.oversample)
    packs = make_packs(shown, spec, judge.encode, longest=min(settings.pack_tokens, judge.context))
    tokens = sum(pack.tokens for pack in packs)
    print(f"{len(shown):,} pairs shown an epoch, {tokens:,} tokens in {len(packs):,} packs")

    # 3. Epochs; the weights with the best validation AUROC are kept.
    optimiser = torch.optim.AdamW(
        judge.model.parameters(),
        lr=settings.learning_rate,
        betas=(0.9, 0.98),
        weight_decay=settings.weight_decay,
        fused=True,
    )
    body = torch.compile(judge.model.model, dynamic=True) if settings.compile else judge.model.model
    rng = Random(settings.seed)
    epochs = [
        make_batches(packs, tokens=settings.batch_tokens, rng=rng) for _ in range(settings.epochs)
    ]
    progress = Progress(steps=sum(len(batches) for batches in epochs))
    same = torch.tensor([pair.same for pair in shown])
    results: list[EpochResult] = []
    for batches in epochs:
        for batch in batches:
            set_learning_rate(optimiser, progress.done, progress.steps, settings)
            loss = train_step(judge, body, optimiser, batch, same, settings)
            progress.step(loss)
        results.append(EpochResult(progress.loss, validation_auroc(judge, chosen_by)))
        print(f"epoch {len(results)}: {results[-1]}", flush=True)
        if results[-1].auroc == max(result.auroc for result in results):
            save(judge, arguments)

    # 4. What made the weights, beside them.
    record = {
        "judge": spec.model_dump(),
        "settings": settings.model_dump(),
        "traces_sha256": hash_file(arguments.traces),
        "init_sha256": hash_file(arguments.init / "model.safetensors"),
        "training_pairs": counts.as_dict(),
        "epochs": [asdict(result) for result in results],
        "minutes": round(progress.seconds / 60, 1),
        "torch": torch.__version__,
    }
    (arguments.out / "training.json").write_text(json.dumps(record, indent=2) + "\n")


def pairs_of_split(
    groups: dict[str, list[TraceRow]], split: Split, spec: JudgeSpec, settings: TrainSettings
) -> tuple[list[Pair], PairCounts]:
    """The pairs of one side of the split, cut as the judge will see them online."""
    rules = PairRules(
        words=spec.segment_words,
        pairs_per_question=settings.pairs_per_question,
        keep_trivial=settings.keep_trivial,
    )
    wanted = [
        rows
        for question_id, rows in groups.items()
        if split_of(
            question_id,
            validation=settings.validation_share,
            test=settings.test_share,
            seed=settings.seed,
        )
        == split
    ]
    return make_pairs(wanted, rules, equal=same_text, rng=Random(settings.seed))


def check_both_classes(split: str, pairs: Sequence[Pair]) -> None:
    """Raises DatasetError unless there are pairs of both classes."""
    if len({pair.same for pair in pairs}) < 2:
        raise DatasetError(
            f"The {split} pairs ({len(pairs)}) are not of both classes; give traces of more questions, "
            "several of each, with answers."
        )


def set_learning_rate(
    optimiser: torch.optim.Optimizer, done: int, steps: int, settings: TrainSettings
) -> None:
    """Warm-up over the first share of the steps, then a cosine down to nothing."""
    warmup = max(1, round(settings.warmup_share * steps))
    if done < warmup:
        factor = (done + 1) / warmup
    else:
        factor = 0.5 * (1.0 + math.cos(math.pi * (done - warmup) / max(1, steps - warmup)))
    for group in optimiser.param_groups:
        group["lr"] = settings.learning_rate * factor


def train_step(
    judge: LocalJudge,
    body: Callable[..., Any],
    optimiser: torch.optim.Optimizer,
    packs: Sequence[Pack],
    same: Tensor,
    settings: TrainSettings,
) -> float:
    """The loss of one step, taken. `same` holds the labels of all pairs: (all pairs,)."""
    judge.model.train()
    batch = collate(packs, padding_id=judge.padding_id)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=settings.bf16):
        hidden = judge.hidden(batch, body)  # (packs, seq, hidden)
        logits = judge.label_logits(hidden, batch)  # (pairs, 2)
        reading = reading_loss(judge, hidden, batch) if settings.reading_weight else 0.0
    loss = focal_loss(logits, same[batch.pairs], gamma=settings.gamma, alpha=settings.alpha)
    optimiser.zero_grad(set_to_none=True)
    (loss + settings.reading_weight * reading).backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(judge.model.parameters(), settings.gradient_clip)
    optimiser.step()
    return float(loss.detach())


def reading_loss(judge: LocalJudge, hidden: Tensor, batch: Batch) -> Tensor:
    """Cross entropy of each member's next token, given the new trace and the member so far.

    A model that foretells what the member writes from what the new trace wrote has found the matching
    places; the mean over tokens in nats.
    """
    learned = batch.next_ids != IGNORED  # (packs, seq)
    logits = judge.model.lm_head(hidden[learned])  # (learned, vocabulary)
    return cross_entropy(logits.float(), batch.next_ids[learned])


def validation_auroc(judge: LocalJudge, pairs: Sequence[Pair]) -> float:
    """The AUROC pooled over the validation questions."""
    return auroc(
        ScoredPairs.of(
            [pair.question_id for pair in pairs], [pair.same for pair in pairs], judge.scores(pairs)
        )
    )


@dataclass
class Progress:
    """A line on the way: steps, smoothed loss and the time left."""

    steps: int
    done: int = 0
    loss: float = math.nan
    started: float = field(default_factory=time.monotonic)
    reported: float = -math.inf

    @property
    def seconds(self) -> float:
        """Since the first step."""
        return time.monotonic() - self.started

    def step(self, loss: float) -> None:
        """Counts a step, and says so every few seconds."""
        self.done += 1
        self.loss = loss if math.isnan(self.loss) else 0.98 * self.loss + 0.02 * loss
        if self.seconds - self.reported >= REPORT_SECONDS or self.done == self.steps:
            self.reported = self.seconds
            left = self.seconds / self.done * (self.steps - self.done)
            print(
                f"step {self.done}/{self.steps} loss {self.loss:.5f} ETA {left / 60:.1f} min",
                flush=True,
            )


def save(judge: LocalJudge, arguments: Arguments) -> None:
    """The weights, and the tokenizer's files as they were."""
    arguments.out.mkdir(parents=True, exist_ok=True)
    judge.model.save_pretrained(arguments.out)
    for pattern in TOKENIZER_FILES:
        for file in arguments.init.glob(pattern):
            shutil.copyfile(file, arguments.out / file.name)


def hash_file(path: Path) -> str:
    """The SHA-256 of a file, so that a reader can tell which data made the weights."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
