"""The training script: its data, without the fixed questions; its batches, rate and steps."""

import dataclasses
import itertools
from pathlib import Path
from random import Random

import pytest
import torch
from tokenizers import Tokenizer
from transformers import Qwen3ForCausalLM

from nano import train
from nano.model import ModelSize, make_model
from nano.questions import FIXED_SEED, fixed_question_texts
from nano.tokenizer import train_tokenizer

pytestmark = pytest.mark.slow  # imports torch

TINY = ModelSize(hidden_size=32, mlp_size=64, layers=1, heads=2, key_value_heads=1, head_size=16)
SMALL = train.TrainingSettings(tokens_per_step=4_000, size=TINY)
STAGE = dataclasses.replace(train.REFINE, traces=60)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    texts = (
        f"{question}\n{trace}"
        for question, trace in itertools.islice(train.draw_texts(1, 1.0), 200)
    )
    return train_tokenizer(texts)


def test_training_never_sees_a_fixed_question_even_from_its_seed() -> None:
    drawn = {question for question, _ in itertools.islice(train.draw_texts(FIXED_SEED, 1.0), 500)}
    assert not drawn & fixed_question_texts()


def test_only_the_assistants_text_has_a_loss(tokenizer: Tokenizer) -> None:
    for example in train.make_examples(STAGE, SMALL, tokenizer):
        prompt = tokenizer.decode(example.ids[: example.prompt_tokens], skip_special_tokens=False)
        trace = tokenizer.decode(example.ids[example.prompt_tokens :], skip_special_tokens=False)
        assert prompt.endswith("?<|im_end|>\n<|im_start|>assistant\n")
        assert trace.startswith("<think>\n")


def test_a_trace_is_cut_or_ends_with_the_end_token(tokenizer: Tokenizer) -> None:
    end = tokenizer.token_to_id("<|im_end|>")
    cuts = {STAGE.cut_tokens, SMALL.longest_trace_tokens}
    examples = train.make_examples(STAGE, SMALL, tokenizer)
    for example in examples:
        assert example.ids[-1] == end or len(example.ids) - example.prompt_tokens in cuts
    cut_fraction = sum(example.ids[-1] != end for example in examples) / len(examples)
    assert 0.4 < cut_fraction < 0.9


def test_batches_hold_every_example_once_and_keep_to_their_size(tokenizer: Tokenizer) -> None:
    examples = train.make_examples(STAGE, SMALL, tokenizer)
    batches = train.make_batches(examples, SMALL, Random(1))
    assert sorted(map(id, examples)) == sorted(id(e) for batch in batches for e in batch)
    for batch in batches:
        assert max(len(e.ids) for e in batch) * len(batch) <= SMALL.tokens_per_step


def test_the_same_seed_gives_the_same_data_hash(tokenizer: Tokenizer) -> None:
    first, again = (
        train.hash_examples(train.make_examples(STAGE, SMALL, tokenizer)) for _ in range(2)
    )
    other = train.hash_examples(
        train.make_examples(dataclasses.replace(STAGE, seed=8), SMALL, tokenizer)
    )
    assert first == again != other


def test_the_rate_warms_up_and_falls_to_its_end() -> None:
    rates = [train.learning_rate(step, 1_000, STAGE, SMALL) for step in range(1, 1_001)]
    assert max(rates) == pytest.approx(STAGE.learning_rate)
    assert rates[0] < rates[STAGE.warmup_steps - 1]
    assert rates[-1] == pytest.approx(SMALL.final_learning_rate)


def test_a_few_steps_lower_the_loss_and_the_saved_folder_loads(
    tokenizer: Tokenizer, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    model = make_model(SMALL.size, tokenizer)
    optimiser = torch.optim.AdamW(model.parameters(), 3e-3)
    batch = train.make_batches(train.make_examples(STAGE, SMALL, tokenizer), SMALL, Random(1))[0]
    losses = [train.train_step(model, model.model, optimiser, batch, SMALL) for _ in range(8)]
    assert losses[-1] < losses[0]
    train.save(model, tmp_path)
    loaded = Qwen3ForCausalLM.from_pretrained(tmp_path)
    ids = torch.tensor([batch[0].ids])
    with torch.no_grad():
        assert torch.allclose(loaded(ids).logits, model(ids).logits, atol=1e-4)
