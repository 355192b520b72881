"""Where traces are cut, and the segments that remain: as the online client cuts them at their checkpoints."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from judge_server.data.traces import TraceRow
from judge_server.model_folder import NO_CODE, own_code_refusal
from orchestrator.config.load import load_settings
from orchestrator.config.shipped import configs_folder
from orchestrator.core.answer import extract_answer
from orchestrator.core.judging import JudgeSpec
from orchestrator.core.segment import Segmenter
from orchestrator.errors import ConfigError
from orchestrator.settings import DEFAULT_REASONING_WORDS

__all__ = [
    "SegmentedTrace",
    "TokenEnds",
    "TruncatedText",
    "Truncation",
    "TruncationRules",
    "cut_text",
    "cut_trace",
    "find_token_ends",
    "read_cuts",
    "read_word_list",
]

PAPER_WORDS = 25
"""arXiv 2510.08483 cuts after 25 reasoning words."""

TokenEnds = Callable[[str], Sequence[int]]
"""The end of each token of a text, in characters from the text's start."""


@dataclass(frozen=True, slots=True)
class Truncation:
    """Where a trace is cut: after so many reasoning words, tokens, or per cent of its characters.

    Only a finished trace has a percentage, so no client cuts there; it tells what is known at which part of a trace.
    """

    count: int = PAPER_WORDS
    unit: Literal["words", "tokens", "percent"] = "words"

    @classmethod
    def of_judge(cls, spec: JudgeSpec) -> "Truncation":
        """Where the judge's spec cuts."""
        if spec.segment_tokens is not None:
            return cls(spec.segment_tokens, "tokens")
        return cls(spec.segment_words)

    def __str__(self) -> str:
        return f"{self.count} {self.unit}"


@dataclass(frozen=True, slots=True)
class TruncationRules:
    """How a trace becomes a segment.

    `word_list` counts reasoning words, `token_ends` counts tokens. Of a longer segment the last
    `max_segment_chars` are kept, as the judge is shown them. `answer_regex` also finds answers that a segment
    shows already. With `trust_answer_class`, equal answers are those of one `answer_class`.
    """

    truncation: Truncation = Truncation()
    word_list: tuple[str, ...] = DEFAULT_REASONING_WORDS
    token_ends: TokenEnds | None = None
    max_segment_chars: int | None = None
    answer_regex: str | None = None
    trust_answer_class: bool = False

    def __post_init__(self) -> None:
        if self.truncation.unit == "tokens" and self.token_ends is None:
            raise ValueError("a truncation by tokens needs token_ends")


class TruncatedText(NamedTuple):
    """The text up to the cut; `ended_before`: the text was over before the cut, so this is all of it."""

    text: str
    ended_before: bool


@dataclass(frozen=True, slots=True)
class SegmentedTrace:
    """A trace up to its checkpoint, and its final answer.

    `ended_before`: the trace was over before the cut. `shows_answer`: an answer can be read in the text up to the
    cut, before it was shortened to the judge's length. `answer_class` takes the place of `answer` where it is set.
    """

    segment: str
    answer: str
    ended_before: bool
    shows_answer: bool
    answer_class: str | int | None = None


def cut_trace(row: TraceRow, rules: TruncationRules) -> SegmentedTrace | None:
    """The trace up to its checkpoint, or all of it if it ended before; None if it gave no answer."""
    if row.answer is None:
        return None
    text, ended_before = cut_text(row.text, rules)
    is_whole_with_answer = ended_before and row.answer in text
    shows_answer = is_whole_with_answer or bool(extract_answer(text, regex=rules.answer_regex))
    return SegmentedTrace(
        segment=text if rules.max_segment_chars is None else text[-rules.max_segment_chars :],
        answer=row.answer,
        ended_before=ended_before,
        shows_answer=shows_answer,
        answer_class=row.answer_class if rules.trust_answer_class else None,
    )


def cut_text(text: str, rules: TruncationRules) -> TruncatedText:
    """The text up to its checkpoint, whole, without regard to the judge's length."""
    count = rules.truncation.count
    if rules.truncation.unit == "percent":
        return TruncatedText(text[: len(text) * count // 100], ended_before=False)
    if rules.truncation.unit == "tokens" and rules.token_ends is not None:
        ends = rules.token_ends(text)
        is_short = len(ends) < count
        return TruncatedText(text if is_short else text[: ends[count - 1]], is_short)
    segmenter = Segmenter(words=count, word_list=rules.word_list)
    segmenter.feed(text, 0)
    cut = segmenter.finish()
    return TruncatedText(text[: cut.chars], cut.words < count)


def read_cuts(text: str, *, flag: str) -> list[Truncation]:
    """The cuts in a list such as 15,words:25,tokens:500,percent:20. Raises ConfigError that names the flag."""
    units: dict[str, Literal["words", "tokens", "percent"]] = {
        "": "words",
        "words": "words",
        "tokens": "tokens",
        "percent": "percent",
    }
    cuts = []
    for item in filter(None, (item.strip() for item in text.split(","))):
        name, _, count = item.rpartition(":")
        unit = units.get(name)
        most = 99 if unit == "percent" else math.inf
        if unit is None or not count.isdecimal() or not 1 <= int(count) <= most:
            raise ConfigError(
                f"{flag} cannot hold {item!r}; write it as 15,25,35,tokens:500,percent:20."
            )
        cuts.append(Truncation(int(count), unit))
    return cuts


def read_word_list(name_or_path: str | None) -> tuple[str, ...]:
    """The words in a settings file (`checkpoint.word_list`), which the client takes with --config too.

    A shipped list is known by its name in `configs/words`; None stands for the default words.

    Raises:
        ConfigError: no such list or file, or one that holds no word list.
    """
    if name_or_path is None:
        return DEFAULT_REASONING_WORDS
    path = Path(name_or_path)
    if path.suffix not in (".yaml", ".yml") and not path.parent.name:
        path = _shipped_list(name_or_path)
    checkpoint = load_settings(file=path, environ={}, assignments=(), flags={}).checkpoint
    if "word_list" not in checkpoint.model_fields_set:
        raise ConfigError(
            f"{path} holds no word list; write it as 'checkpoint: {{word_list: [wait, thus]}}'."
        )
    return checkpoint.word_list


def find_token_ends(truncation: Truncation, tokenizer: Path | None) -> TokenEnds | None:
    """The token ends by the tokenizer in a model's folder; None where the truncation counts words.

    Nothing is downloaded and no special tokens are added. The tokens of a finished text may differ by a few from
    those that the model generated.

    Raises:
        ConfigError: there is no tokenizer, or it keeps no offsets.
    """
    if truncation.unit != "tokens":
        return None
    if tokenizer is None:
        raise ConfigError(
            "To cut by tokens, name the folder of the reasoner's tokenizer with --tokenizer."
        )
    return _token_ends(tokenizer)


def _token_ends(folder: Path) -> TokenEnds:
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, **NO_CODE)
    except (OSError, ValueError) as error:
        if "custom code" in str(error):
            raise ConfigError(own_code_refusal(folder)) from None
        reason = str(error).partition("\n")[0]
        raise ConfigError(
            f"{folder} holds no tokenizer ({reason}); name a model's folder with --tokenizer."
        ) from None
    if not tokenizer.is_fast:
        raise ConfigError(
            f"The tokenizer in {folder} does not report where tokens end; name a folder with a tokenizer.json."
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
