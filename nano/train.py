"""Makes the reasoner's weights: `python -m nano.train`. Read it from top to bottom.

Fresh problems and teacher traces (slips included) are drawn from one seed, so nothing is downloaded
and nothing is seen twice. The fixed questions never occur among them.
"""

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
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer

from nano.model import ModelSize, Qwen3ForCausalLM, make_model
from nano.questions import fixed_question_texts
from nano.task import problems
from nano.teacher import write_trace
from nano.tokenizer import JUDGE_WORDS, save_tokenizer, train_tokenizer

__all__ = ["Settings", "main"]

WEIGHTS = Path(__file__).parent / "weights" / "reasoner"
IGNORED = -100


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that decides the weights, saved beside them."""

    seed: int = 7
    traces: int = 66_000
    tokens_per_step: int = 9_000
    longest_trace_tokens: int = 1_150
    learning_rate: float = 3e-3
    final_learning_rate: float = 3e-5
    warmup_steps: int = 150
    weight_decay: float = 0.05
    gradient_clip: float = 1.0
    size: ModelSize = field(default_factory=ModelSize)
    tokenizer_texts: int = 8_000


@dataclass(frozen=True, slots=True)
class Example:
    """One trace as token ids; the first `prompt_tokens` of them are not learned."""

    ids: list[int]
    prompt_tokens: int


def main() -> None:
    """Trains the reasoner and writes a folder that transformers and vLLM load."""
    settings, folder = parse_arguments()
    torch.manual_seed(settings.seed)
    torch.set_num_threads(2)

    # 1. The tokenizer, from text of the same generator.
    texts = (
        f"{question}\n{trace}"
        for question, trace in itertools.islice(
            draw_texts(settings.seed + 1), settings.tokenizer_texts
        )
    )
    judge_texts = itertools.repeat(JUDGE_WORDS, settings.tokenizer_texts // 4)
    tokenizer = train_tokenizer(itertools.chain(texts, judge_texts))
    save_tokenizer(tokenizer, folder)

    # 2. The examples, and batches of traces of like length.
    examples = make_examples(settings, tokenizer)
    batches = make_batches(examples, settings, Random(settings.seed))
    print(
        f"{len(examples):,} traces, {sum(len(e.ids) for e in examples):,} tokens, {len(batches):,} steps"
    )

    # 3. The model and its optimiser.
    model = make_model(settings.size, tokenizer)
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters")
    optimiser = torch.optim.AdamW(
        model.parameters(),
        settings.learning_rate,
        betas=(0.9, 0.98),
        weight_decay=settings.weight_decay,
        fused=True,
    )
    body = torch.compile(model.model, dynamic=True)

    # 4. One pass over the batches.
    started = time.monotonic()
    recent_loss = math.nan
    for number, batch in enumerate(batches, start=1):
        rate = learning_rate(number, len(batches), settings)
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
        if number % 500 == 0:
            save(model, folder)

    # 5. The folder.
    save(model, folder)
    record = {
        "settings": asdict(settings),
        "data_sha256": hash_examples(examples),
        "steps": len(batches),
        "final_loss": round(recent_loss, 5),
        "minutes": round((time.monotonic() - started) / 60, 1),
        "torch": torch.__version__,
    }
    (folder / "training.json").write_text(json.dumps(record, indent=2) + "\n")


def parse_arguments() -> tuple[Settings, Path]:
    """The settings and the folder to write to."""
    defaults = Settings()
    parser = argparse.ArgumentParser(prog="python -m nano.train", description=__doc__)
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    parser.add_argument("--seed", type=int, default=defaults.seed)
    parser.add_argument("--traces", type=int, default=defaults.traces)
    parser.add_argument("--learning-rate", type=float, default=defaults.learning_rate)
    parser.add_argument("--tokens-per-step", type=int, default=defaults.tokens_per_step)
    given = vars(parser.parse_args())
    folder: Path = given.pop("out")
    folder.mkdir(parents=True, exist_ok=True)
    return Settings(**given), folder


def draw_texts(seed: int) -> Iterator[tuple[str, str]]:
    """Endless (question, trace) texts; never one of the fixed questions."""
    rng = Random(seed)
    for problem in problems(rng, exclude=fixed_question_texts()):
        trace = write_trace(problem, rng)
        yield problem.text, trace.text + ("" if trace.answer is None else "<|im_end|>")


def make_examples(settings: Settings, tokenizer: Tokenizer) -> list[Example]:
    """Tokenised traces; one that never ends is cut at the longest length, without an end token."""
    texts = itertools.islice(draw_texts(settings.seed), settings.traces)
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
            ids = prompt.ids + trace.ids[: settings.longest_trace_tokens]
            examples.append(Example(ids, len(prompt.ids)))
    return examples


def make_batches(examples: list[Example], settings: Settings, rng: Random) -> list[list[Example]]:
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


def learning_rate(step: int, steps: int, settings: Settings) -> float:
    """Linear warm-up, then a cosine down to the final rate."""
    if step <= settings.warmup_steps:
        return settings.learning_rate * step / settings.warmup_steps
    progress = (step - settings.warmup_steps) / max(1, steps - settings.warmup_steps)
    span = settings.learning_rate - settings.final_learning_rate
    return settings.final_learning_rate + span * (1 + math.cos(math.pi * progress)) / 2


def train_step(
    model: Qwen3ForCausalLM,
    body: Callable[..., Any],
    optimiser: torch.optim.Optimizer,
    batch: list[Example],
    settings: Settings,
) -> float:
    """The mean loss per learned token of one batch, after one step of the optimiser.

    Padding is on the right and attention is causal, so no attention mask is needed.
    """
    length = max(len(example.ids) for example in batch)
    ids = torch.zeros(len(batch), length, dtype=torch.long)  # (batch, seq)
    labels = torch.full((len(batch), length), IGNORED)  # (batch, seq): the token after each place
    for row, example in enumerate(batch):
        start, end = example.prompt_tokens, len(example.ids)
        ids[row, :end] = torch.tensor(example.ids)
        labels[row, start - 1 : end - 1] = torch.tensor(example.ids[start:])
    learned = labels != IGNORED  # (batch, seq)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        hidden = body(input_ids=ids).last_hidden_state  # (batch, seq, hidden)
        logits = model.lm_head(hidden[learned])  # (learned, vocabulary)
    loss = torch.nn.functional.cross_entropy(logits.float(), labels[learned])
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(model.parameters(), settings.gradient_clip)
    optimiser.step()
    return loss.item()


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
