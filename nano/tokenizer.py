"""The tokenizer of the nano models: byte-level BPE, so that any text is encoded and decoded unchanged."""

import json
from collections.abc import Iterable
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

__all__ = [
    "CHAT_TEMPLATE",
    "END",
    "JUDGE_WORDS",
    "PADDING",
    "VOCABULARY_SIZE",
    "save_tokenizer",
    "train_tokenizer",
]

VOCABULARY_SIZE = 1024
PADDING, START, END = SPECIAL_TOKENS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
THINK_TOKENS = ("<think>", "</think>")
"""Single tokens, but not special ones: they are part of the decoded text."""

JUDGE_WORDS = (
    "Do these two unfinished solutions end in the same answer? Reply identical or not identical.\n"
    "identical\nnot identical\nSolution A:\nSolution B:\nQuestion:\nFirst Second Trace 1 2\n"
    "system user assistant\n"
)
"""Text of the judge's prompts and labels; the judge has the same tokenizer."""

TOKENIZER_CLASS = "PreTrainedTokenizerFast"
"""A name that transformers 4 and 5 both load; 5 would write one that 4 refuses."""

CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def train_tokenizer(texts: Iterable[str]) -> Tokenizer:
    """A tokenizer in which common words are one token and every digit is one token."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY_SIZE - len(THINK_TOKENS),
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_tokens(list(THINK_TOKENS))
    return tokenizer


def save_tokenizer(tokenizer: Tokenizer, folder: Path) -> None:
    """Writes tokenizer.json and tokenizer_config.json, chat template included."""
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=END,
        pad_token=PADDING,
        model_max_length=2048,
        clean_up_tokenization_spaces=False,
    )
    wrapped.chat_template = CHAT_TEMPLATE
    wrapped.save_pretrained(str(folder), save_jinja_files=False)
    config_file = folder / "tokenizer_config.json"
    config = json.loads(config_file.read_text()) | {"tokenizer_class": TOKENIZER_CLASS}
    config_file.write_text(json.dumps(config, indent=2) + "\n")
