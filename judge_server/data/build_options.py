"""The settings of `deepprune-judge pairs`, checked together, with the judge and the rules that follow from them."""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from judge_server.data.pairs import PairRules
from judge_server.data.truncation import (
    Truncation,
    TruncationRules,
    find_token_ends,
    read_word_list,
)
from orchestrator.config.shipped import judge_spec
from orchestrator.core.judging import JudgeSpec
from orchestrator.errors import ConfigError

__all__ = ["DatasetSettings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetSettings:
    """The command line; `judge_server.cli.pairs` describes each flag.

    Raises:
        ConfigError: two of them contradict each other, or `answer_regex` is not a regular expression.
    """

    traces: Sequence[Path]
    out: Path
    judge: str = "nano"
    words: int | None = None
    word_list: str | None = None
    tokens: int | None = None
    tokenizer: Path | None = None
    max_segment_chars: int | None = None
    short: Literal["keep", "drop"] = "keep"
    keep_trivial: bool = False
    pairs_per_question: int = 300
    validation_share: float = 0.07
    test_share: float = 0.18
    test_model: Sequence[str] = ()
    seed: int = 0
    oversample: int = 1
    both_orders: bool = False
    answer_regex: str | None = None
    trust_answer_class: bool = False
    workers: int = 1

    def __post_init__(self) -> None:
        if self.validation_share + self.test_share > 1.0:
            raise ConfigError(
                "--validation-share and --test-share are more than 1 together; lower one of them."
            )
        if self.words is not None and self.tokens is not None:
            raise ConfigError("Traces are cut by --words or by --tokens; give one of them.")
        try:
            re.compile(self.answer_regex or "")
        except re.error as error:
            raise ConfigError(
                f"--answer-regex {self.answer_regex} is not a regular expression ({error}); correct it."
            ) from None

    def spec(self) -> JudgeSpec:
        """How the judge is asked, with the truncation of the command line in place of its own."""
        spec = judge_spec(self.judge)
        by_own_tokens = self.words is None and self.tokens is None
        return spec.model_copy(
            update={
                "segment_words": self.words or spec.segment_words,
                "segment_tokens": spec.segment_tokens if by_own_tokens else self.tokens,
                "max_segment_chars": self.max_segment_chars or spec.max_segment_chars,
            }
        )

    def rules(self, spec: JudgeSpec) -> PairRules:
        """How traces become pairs for this judge.

        Raises:
            ConfigError: there is no such word list or tokenizer, or one that the truncation does not use.
        """
        truncation = Truncation.of_judge(spec)
        if truncation.unit == "words" and self.tokenizer is not None:
            raise ConfigError("--tokenizer is for traces cut by --tokens; give both or neither.")
        if truncation.unit == "tokens" and self.word_list is not None:
            raise ConfigError("--word-list is for traces cut by --words, not by tokens; remove it.")
        return PairRules(
            truncation=TruncationRules(
                truncation=truncation,
                word_list=read_word_list(self.word_list),
                token_ends=find_token_ends(truncation, self.tokenizer),
                max_segment_chars=spec.max_segment_chars,
                answer_regex=self.answer_regex,
                trust_answer_class=self.trust_answer_class,
            ),
            pairs_per_question=self.pairs_per_question,
            keep_trivial=self.keep_trivial,
            short=self.short,
        )

    def as_dict(self) -> dict[str, Any]:
        """The settings as plain JSON, without the folder that is written."""
        values = {name: value for name, value in asdict(self).items() if name != "out"}
        values["traces"] = [str(path) for path in self.traces]
        values["tokenizer"] = None if self.tokenizer is None else str(self.tokenizer)
        return values
