"""Trains the reasoner: `python -m nano.train`. Read it from top to bottom.

Fresh problems and teacher traces (slips included) are generated from one seed, so nothing is downloaded and no trace
is used twice. The fixed questions never occur among them.

Two stages, one pass each. The first trains reading, calculating and checking on a careless teacher with many slips
and corrections. The second uses a more careful one, which sets the error rate of the finished model.
`--refine FOLDER` runs the second stage alone, on the weights in FOLDER.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer

from nano.model import ModelSize, make_model
from nano.questions import fixed_question_texts
from nano.task import problems
from nano.teacher import write_trace
from nano.tokenizer import JUDGE_WORDS, save_tokenizer, train_tokenizer
from orchestrator.local_vllm.hardware import hide_unfit_torch_companions

if TYPE_CHECKING:
    from transformers import Qwen3ForCausalLM

__all__ = ["TrainingSettings", "TrainingStage", "main"]

WEIGHTS = Path(__file__).parent / "weights" / "reasoner"
IGNORED = -100


@dataclass(frozen=True, slots=True)
class TrainingStage:
    """One pass over fresh traces; `care` scales the teacher's chance of a slip.

    `cut_share` is the fraction of traces that are cut after `cut_tokens`. Reasoning is in the first pass, and
    checking is mostly copying, so the same time is spent on more problems. A cut has no end token, so it does not
    change the distribution of the text before it.
    """

    name: str
    seed: int
    traces: int
    care: float
    learning_rate: float
    warmup_steps: int
    cut_share: float = 0.0
    cut_tokens: int = 150


LEARN = TrainingStage(
    "learn", seed=7, traces=66_000, care=1.0, learning_rate=3e-3, warmup_steps=150
)
REFINE = TrainingStage(
    "refine", seed=9, traces=20_000, care=0.45, learning_rate=1e-3, warmup_steps=30, cut_share=0.65
)


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """Everything that decides the weights besides the stages; saved beside the weights."""

    seed: int = 7
    tokens_per_step: int = 9_000
    longest_trace_tokens: int = 1_150
    final_learning_rate: float = 3e-5
    weight_decay: float = 0.05
    gradient_clip: float = 1.0
    size: ModelSize = field(default_factory=ModelSize)
    tokenizer_texts: int = 8_000


@dataclass(frozen=True, slots=True)
class Example:
    """One trace as token ids; the first `prompt_tokens` have no loss."""

    ids: list[int]
    prompt_tokens: int


def main() -> None:
    """Trains the reasoner and writes a folder that transformers and vLLM load."""
    hide_unfit_torch_companions()
    parser = argparse.ArgumentParser(
        prog="python -m nano.train", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--out", type=Path, default=WEIGHTS, help="folder for the model")
    parser.add_argument("--refine", type=Path, help="a folder that holds the first stage's weights")
    arguments = parser.parse_args()
    settings, folder = TrainingSettings(), arguments.out
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(settings.seed)
    torch.set_num_threads(2)

    # 1. The tokenizer, from text of the same generator.
    texts = (
        f"{question}\n{trace}"
        for question, trace in itertools.islice(
            draw_texts(LEARN.seed + 1, LEARN.care), settings.tokenizer_texts
        )
    )
    judge_texts = itertools.repeat(JUDGE_WORDS, settings.tokenizer_texts // 4)
    tokenizer = train_tokenizer(itertools.chain(texts, judge_texts))
    save_tokenizer(tokenizer, folder)

    # 2. The model, untrained or as the first stage left it.
    model = make_model(settings.size, tokenizer)
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters")
    stages = [LEARN, REFINE]
    if arguments.refine is not None:
        load_weights(model, arguments.refine)
        stages = [REFINE]

    # 3. The stages; the record of each is saved beside the weights.
    record_file = folder / "training.json"
    records = json.loads(record_file.read_text())["stages"][:1] if arguments.refine else []
    for stage in stages:
        records.append(run_stage(stage, model, tokenizer, settings))
        save(model, folder)
        record = {
            "settings": asdict(settings),
            "stages": records,
            "torch": torch.__version__,
        }
        record_file.write_text(json.dumps(record, indent=2) + "\n")


def run_stage(
    stage: TrainingStage, model: Qwen3ForCausalLM, tokenizer: Tokenizer, settings: TrainingSettings
) -> dict[str, Any]:
    """One pass over the stage's traces, in batches of similar length; returns the stage's record."""
    examples = make_examples(stage, settings, tokenizer)
    batches = make_batches(examples, settings, Random(stage.seed))
    tokens = sum(len(example.ids) for example in examples)
    print(f"{stage.name}: {len(examples):,} traces, {tokens:,} tokens, {len(batches):,} steps")
    optimiser = torch.optim.AdamW(
        model.parameters(),
        stage.learning_rate,
        betas=(0.9, 0.98),
        weight_decay=settings.weight_decay,
        fused=True,
    )
    body = torch.compile(model.model, dynamic=True)
    started = time.monotonic()
    recent_loss = math.nan
    for number, batch in enumerate(batches, start=1):
        rate = learning_rate(number, len(batches), stage, settings)
        for group in optimiser.param_groups:
            group["lr"] = rate
        loss = train_step(model, body, optimiser, batch, settings)
        recent_loss = loss if math.isnan(recent_loss) else 0.95 * recent_loss + 0.05 * loss
        if number % 25 == 0 or number == len(batches):
            seconds = time.monotonic() - started
            left = seconds / number * (len(batches) - number)
            print(
                f"step {number}/{len(batches)} loss {recent_loss:.4f} ETA {left / 60:.1f} min",
                flush=True,
            )
    return {
        "stage": asdict(stage),
        "data_sha256": hash_examples(examples),
        "steps": len(batches),
        "final_loss": round(recent_loss, 5),
        "minutes": round((time.monotonic() - started) / 60, 1),
    }


def draw_texts(seed: int, care: float) -> Iterator[tuple[str, str]]:
    """Endless (question, trace) texts; never one of the fixed questions."""
    rng = Random(seed)
    for problem in problems(rng, exclude=fixed_question_texts()):
        trace = write_trace(problem, rng, care)
        yield problem.text, trace.text + ("" if trace.answer is None else "<|im_end|>")


def make_examples(
    stage: TrainingStage, settings: TrainingSettings, tokenizer: Tokenizer
) -> list[Example]:
    """Tokenised traces; one that never ends is cut at the longest length, without an end token."""
    texts = itertools.islice(draw_texts(stage.seed, stage.care), stage.traces)
    cuts = Random(stage.seed)
    examples = []
    while chunk := list(itertools.islice(texts, 2_000)):
        prompts = tokenizer.encode_batch(
            [
                f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n"
                for question, _ in chunk
            ]
        )
        traces = tokenizer.encode_batch([trace for _, trace in chunk])
        for prompt, trace in zip(prompts, traces, strict=True):
            is_cut = cuts.random() < stage.cut_share
            most = stage.cut_tokens if is_cut else settings.longest_trace_tokens
            examples.append(Example(prompt.ids + trace.ids[:most], len(prompt.ids)))
    return examples


def make_batches(
    examples: list[Example], settings: TrainingSettings, rng: Random
) -> list[list[Example]]:
    """Batches of about `tokens_per_step` padded tokens, in random order.

    Traces are sorted by length within pools of 4,000, so little is padding.
    """
    batches: list[list[Example]] = []
    for start in range(0, len(examples), 4_000):
        batch: list[Example] = []
        for example in sorted(examples[start : start + 4_000], key=lambda e: len(e.ids)):
            if len(example.ids) * (len(batch) + 1) > settings.tokens_per_step:
                batches.append(batch)
                batch = []
            batch.append(example)
        batches.append(batch)
    rng.shuffle(batches)
    return batches


def learning_rate(step: int, steps: int, stage: TrainingStage, settings: TrainingSettings) -> float:
    """Linear warm-up, then a cosine down to the final rate."""
    if step <= stage.warmup_steps:
        return stage.learning_rate * step / stage.warmup_steps
    progress = (step - stage.warmup_steps) / max(1, steps - stage.warmup_steps)
    span = stage.learning_rate - settings.final_learning_rate
    return settings.final_learning_rate + span * (1 + math.cos(math.pi * progress)) / 2


def train_step(
    model: Qwen3ForCausalLM,
    body: Callable[..., Any],
    optimiser: torch.optim.Optimizer,
    batch: list[Example],
    settings: TrainingSettings,
) -> float:
    """Makes one step of the optimiser; returns the batch's mean loss per target token.

    Padding is on the right and attention is causal, so no attention mask is needed.
    """
    length = max(len(example.ids) for example in batch)
    ids = torch.zeros(len(batch), length, dtype=torch.long)  # (batch, seq)
    labels = torch.full((len(batch), length), IGNORED)  # (batch, seq): the token after each place
    for row, example in enumerate(batch):
        start, end = example.prompt_tokens, len(example.ids)
        ids[row, :end] = torch.tensor(example.ids)
        labels[row, start - 1 : end - 1] = torch.tensor(example.ids[start:])
    is_target = labels != IGNORED  # (batch, seq)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        hidden = body(input_ids=ids).last_hidden_state  # (batch, seq, hidden)
        logits = model.lm_head(hidden[is_target])  # (targets, vocabulary)
    loss = torch.nn.functional.cross_entropy(logits.float(), labels[is_target])
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), settings.gradient_clip)
    optimiser.step()
    return loss.item()


def load_weights(model: Qwen3ForCausalLM, folder: Path) -> None:
    """Puts saved weights into the model; the shared embedding is in the file once."""
    model.load_state_dict(load_file(folder / "model.safetensors"), strict=False)
    model.tie_weights()


def save(model: Qwen3ForCausalLM, folder: Path) -> None:
    """Writes weights and configuration."""
    model.config.use_cache = True
    model.save_pretrained(str(folder))
    model.config.use_cache = False


def hash_examples(examples: list[Example]) -> str:
    """SHA-256 over all token ids in order."""
    digest = hashlib.sha256()
    for example in examples:
        digest.update(np.asarray(example.ids, dtype=np.uint16).tobytes())
    return digest.hexdigest()


if __name__ == "__main__":
    main()
