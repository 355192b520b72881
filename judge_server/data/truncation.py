"""Where a trace is cut before a judge reads it: after so many reasoning words or tokens, as the online client does it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from judge_server.data.traces import TraceRow
from orchestrator.config.load import load_settings
from orchestrator.config.shipped import configs_folder
from orchestrator.core.answer import extract_answer
from orchestrator.core.segment import Segmenter
from orchestrator.errors import ConfigError
from orchestrator.settings import DEFAULT_REASONING_WORDS

__all__ = [
    "PairRules",
    "SegmentedTrace",
    "TokenEnds",
    "Truncation",
    "cut_trace",
    "read_word_list",
    "token_ends",
]

TokenEnds = Callable[[str], Sequence[int]]
"""Where each token of a text ends, in characters from its start."""


@dataclass(frozen=True)
class Truncation:
    """Where traces are cut: after so many reasoning words, or tokens."""

    count: int
    unit: Literal["words", "tokens"] = "words"

    def __str__(self) -> str:
        return f"{self.count} {self.unit}"


@dataclass(frozen=True, slots=True)
class PairRules:
    """How traces become pairs.

    A trace is cut after `words` reasoning words or, with `tokens` and `token_ends`, after so many tokens; of a
    longer segment the last `max_segment_chars` are kept, as the judge is shown them. `short` says what to do with
    traces that ended before the cut. `pairs_per_question` is a cap on the C(n, 2) of one question and model. A
    pair is trivial if one of its segments already shows an answer.
    """

    words: int = 25
    word_list: tuple[str, ...] = DEFAULT_REASONING_WORDS
    pairs_per_question: int = 300
    keep_trivial: bool = False
    tokens: int | None = None
    token_ends: TokenEnds | None = None
    max_segment_chars: int | None = None
    short: Literal["keep", "drop"] = "keep"
    answer_regex: str | None = None
    trust_answer_class: bool = False

    def __post_init__(self) -> None:
        if (self.tokens is None) != (self.token_ends is None):
            raise ValueError("tokens and token_ends go together")


@dataclass(frozen=True, slots=True)
class SegmentedTrace:
    """A trace up to its checkpoint, and the answer that it went on to give.

    `ended_before`: the trace was over before the cut. `shows_answer`: an answer can be read in what was written
    up to the cut, before it was shortened to the judge's length. `answer_class` takes the place of `answer`.
    """

    segment: str
    answer: str
    ended_before: bool
    shows_answer: bool
    answer_class: str | int | None = None


def cut_trace(row: TraceRow, rules: PairRules) -> SegmentedTrace | None:
    """The trace up to its checkpoint, or all of it if it ended before; None if it gave no answer."""
    if row.answer is None:
        return None
    segment, ended_before = _cut(row.text, rules)
    is_whole_with_answer = ended_before and row.answer in segment
    shows_answer = is_whole_with_answer or bool(extract_answer(segment, regex=rules.answer_regex))
    return SegmentedTrace(
        segment=segment if rules.max_segment_chars is None else segment[-rules.max_segment_chars :],
        answer=row.answer,
        ended_before=ended_before,
        shows_answer=shows_answer,
        answer_class=row.answer_class if rules.trust_answer_class else None,
    )


def _cut(text: str, rules: PairRules) -> tuple[str, bool]:
    """The segment, and whether the text ended before its cut."""
    if rules.tokens is not None and rules.token_ends is not None:
        ends = rules.token_ends(text)
        is_short = len(ends) < rules.tokens
        return text if is_short else text[: ends[rules.tokens - 1]], is_short
    segmenter = Segmenter(words=rules.words, word_list=rules.word_list)
    segmenter.feed(text, 0)
    cut = segmenter.finish()
    return text[: cut.chars], cut.words < rules.words


def read_word_list(name_or_path: str) -> tuple[str, ...]:
    """The words in a settings file (`checkpoint.word_list`), which the client takes with --config too.

    A shipped list is known by its name in `configs/words`.

    Raises:
        ConfigError: no such list or file, or one that holds no word list.
    """
    path = Path(name_or_path)
    if path.suffix not in (".yaml", ".yml") and not path.parent.name:
        path = _shipped_list(name_or_path)
    checkpoint = load_settings(file=path, environ={}, assignments=(), flags={}).checkpoint
    if "word_list" not in checkpoint.model_fields_set:
        raise ConfigError(
            f"{path} holds no word list; write it as 'checkpoint: {{word_list: [wait, thus]}}'."
        )
    return checkpoint.word_list


def token_ends(folder: Path) -> TokenEnds:
    """A function that tells where each token of a text ends, by the tokenizer in a model's folder.

    Nothing is downloaded and no special tokens are added. The tokens of a finished text may differ by a few from
    those in which a model once wrote it.

    Raises:
        ConfigError: there is no tokenizer, or one that keeps no offsets.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise ConfigError(
            f"{folder} holds no tokenizer ({reason}); name a model's folder with --tokenizer."
        ) from None
    if not tokenizer.is_fast:
        raise ConfigError(
            f"The tokenizer in {folder} cannot tell where its tokens end; it needs a tokenizer.json."
        )

    def ends(text: str) -> Sequence[int]:
        encoded = tokenizer(
            text, add_special_tokens=False, return_offsets_mapping=True, verbose=False
        )
        return [end for _, end in encoded["offset_mapping"]]

    return ends


def _shipped_list(name: str) -> Path:
    folder = configs_folder() / "words"
    names = sorted(path.stem for path in folder.glob("*.yaml"))
    if name not in names:
        raise ConfigError(
            f"There is no word list '{name}'; choose one of {', '.join(names)}, or give a YAML file."
        )
    return folder / f"{name}.yaml"
