"""A judge too small to know anything, and traces from which one can be learned."""

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from orchestrator.config.shipped import judge_spec
from orchestrator.core.judging import JudgeSpec

if TYPE_CHECKING:
    from judge_server.models.load import LocalJudge

MODELS = {"folder", "encoder", "judge"}
"""Fixtures that make or load a model. What is needed for it takes five seconds to import, so they import it themselves."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Marks the tests with a model as slow."""
    for item in items:
        here = item.path.is_relative_to(Path(__file__).parent)
        if here and isinstance(item, pytest.Function) and MODELS & set(item.fixturenames):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(autouse=True)
def _each_test_is_a_process_of_its_own() -> Iterator[None]:
    """accelerate keeps device and precision for as long as the process lives."""
    yield
    if "accelerate.state" in sys.modules:
        from accelerate.state import AcceleratorState, GradientState

        AcceleratorState._reset_state(reset_partial_state=True)
        GradientState._reset_state()


@pytest.fixture(scope="session")
def spec() -> JudgeSpec:
    return judge_spec("nano")


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained model of a few thousand parameters with a tokenizer of bytes and a few words."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

    folder = tmp_path_factory.mktemp("model")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(["identical not identical Solution A: B: Question:"] * 5, trainer)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>"
    ).save_pretrained(str(folder))
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=16,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
    )
    Qwen3ForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained encoder of a few thousand parameters, without a head, and a tokenizer of letters."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizer

    folder = tmp_path_factory.mktemp("encoder")
    letters = [chr(code) for code in range(ord("!"), ord("~") + 1)]
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "maybe", "so"]
    vocabulary = folder / "vocab.txt"
    vocabulary.write_text("\n".join([*words, *letters, *(f"##{letter}" for letter in letters)]))
    BertTokenizer(str(vocabulary), model_max_length=128).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(words) + 2 * len(letters),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=128,
    )
    BertModel(config).save_pretrained(folder)
    return folder


@pytest.fixture
def classification(spec: JudgeSpec) -> JudgeSpec:
    """A judge's spec for that encoder."""
    return spec.model_copy(
        update={
            "name": "tiny-classifier",
            "kind": "classification",
            "query": "{new} [SEP] ",
            "item": "{member}",
            "markup_before": "",
            "markup_after": "",
        }
    )


@pytest.fixture
def judge(folder: Path, spec: JudgeSpec) -> "LocalJudge":
    from judge_server.models.load import load_judge

    return load_judge(folder, spec)


@pytest.fixture
def traces(tmp_path: Path) -> Path:
    """40 questions x 4 traces: those that say "maybe" end in 1, the others in 2."""
    file = tmp_path / "traces.jsonl"
    with file.open("w") as lines:
        for question in range(40):
            for number in range(4):
                word = "maybe" if (question + number) % 3 else "so"
                text = f"{word} {number}. " * 30
                row = {
                    "question_id": f"q{question}",
                    "question": f"How many are {question}?",
                    "text": text,
                    "answer": "1" if word == "maybe" else "2",
                    "model": "made up",
                }
                lines.write(json.dumps(row) + "\n")
    return file
