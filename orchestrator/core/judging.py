"""The judge's prompt and the reading of its score: one pure module for training, evaluation and the client.

Whoever shows a pair to a judge builds the text here, and whoever reads a verdict reads it here.
Everything that differs between judges (wording, chat markup, labels, truncation) is data: a `JudgeSpec`,
loaded from `configs/judges/*.yaml`.

A prompt has two parts, so that one new trace can be compared with many members at the price of one
shared prefix: `query` (everything up to and including the new trace) and `item` (the member and what
follows). The full prompt is `query + item`. How it becomes tokens depends on the kind of judge, in training
as in serving, so that every dialect shows the model the same token ids:

- **generative**: the parts are tokenised **separately**, with no special tokens added, and concatenated;
  p(identical) is the softmax over the first tokens of the two labels.
- **classification**: `query + item` is **one** text, tokenised in one go with the special tokens that the
  model's tokenizer adds (`tokenizer(query + item)`: no sentence pair, every token of type 0; a template may
  hold "[SEP]" as text). The head has two labels, label 0 = `labels[0]` = identical, label 1 = `labels[1]`, and
  p(identical) is its softmax at label 0. A pair longer than the model's context is refused, never cut:
  `max_segment_chars` keeps it short enough.
- **embedding-head**: `query` and `item` are the same text around two segments, and the model reads each **alone**,
  with the special tokens that its tokenizer adds, so a segment costs one pass however many it is compared with. The
  two vectors go into a small trained head (`orchestrator.core.embedding_head`).

From a judge's raw score to a probability that means what it says: fitted by evaluation, applied by the client.

A calibration never changes the order of two scores (isotonic ones may make them equal).
"""

import math
import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = [
    "Calibration",
    "Isotonic",
    "JudgeSpec",
    "PairPrompt",
    "Temperature",
    "fill",
    "pair_prompt",
    "probability_identical",
]


_CONTROL_TOKEN = re.compile(
    r"<(?=\|[^\s<>|]{1,40}\|>)"  # <|im_end|>
    r"|<(?=｜[^\s<>｜]{1,40}｜>)"  # <｜User｜>
    r"|<(?=/?(?:s|bos|eos|pad|unk|mask|sep|cls|(?:start|end)_of_turn)>)"
    r"|\[(?=/?(?:INST|SYS|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|SYSTEM_PROMPT|CLS|SEP|PAD|MASK|UNK|BOS|EOS)\])",
)
"""The first character of what the tokenizers of judges read as one token with a meaning."""


class Temperature(BaseModel):
    """Divides the log-odds by `temperature` (Guo et al., arXiv 1706.04599)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Literal["temperature"] = "temperature"
    temperature: float = Field(gt=0.0)

    def apply(self, p: float) -> float:
        """The calibrated probability of raw score `p`, both in 0..1."""
        if p in (0.0, 1.0):
            return p
        log_odds = (math.log(p) - math.log1p(-p)) / self.temperature
        if log_odds >= 0.0:  # either way exp cannot overflow
            return 1.0 / (1.0 + math.exp(-log_odds))
        return math.exp(log_odds) / (1.0 + math.exp(log_odds))


class Isotonic(BaseModel):
    """A rising line through (`scores`, `probabilities`), level beyond its ends."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Literal["isotonic"] = "isotonic"
    scores: tuple[float, ...] = Field(min_length=1)
    probabilities: tuple[float, ...]

    @model_validator(mode="after")
    def _rises(self) -> "Isotonic":
        if len(self.scores) != len(self.probabilities):
            raise ValueError("scores and probabilities must be of equal length")
        if list(self.scores) != sorted(set(self.scores)):
            raise ValueError("scores must rise")
        if list(self.probabilities) != sorted(self.probabilities):
            raise ValueError("probabilities must not fall")
        if not 0.0 <= self.probabilities[0] <= self.probabilities[-1] <= 1.0:
            raise ValueError("probabilities must lie in 0..1")
        return self

    def apply(self, p: float) -> float:
        """The calibrated probability of raw score `p`, both in 0..1."""
        after = bisect_right(self.scores, p)
        if after == 0:
            return self.probabilities[0]
        if after == len(self.scores):
            return self.probabilities[-1]
        left, right = self.scores[after - 1], self.scores[after]
        low, high = self.probabilities[after - 1], self.probabilities[after]
        return low + (high - low) * (p - left) / (right - left)


Calibration = Annotated[Temperature | Isotonic, Field(discriminator="method")]


class JudgeSpec(BaseModel):
    """How to ask one judge, and how to read it.

    `markup_before` and `markup_after` are for servers that are asked by raw completion; chat endpoints get the
    user's message alone.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="for messages, and as the name of the served model")
    kind: Literal["generative", "classification", "embedding-head"] = Field(
        default="generative",
        description="a language model that writes a label, a classifier of text pairs, or a model that gives each "
        "segment a vector, with a small head on two vectors",
    )
    model: str = Field(description="model name or folder that a judge server loads")
    instruction: str = Field(description="what the judge is asked to do")
    query: str = Field(
        description="the message up to the other segment; may use {instruction}, {question} and {new}"
    )
    item: str = Field(description="the rest of the message; uses {member}, the other segment")
    markup_before: str = Field(
        default="", description="the chat template's text before the user's message"
    )
    markup_after: str = Field(
        default="", description="the chat template's text after the user's message"
    )
    labels: tuple[str, str] = Field(
        default=("identical", "not identical"), description="what the judge says, in this order"
    )
    segment_words: int = Field(
        default=25, ge=1, description="reasoning words before the checkpoint that it was trained on"
    )
    segment_tokens: int | None = Field(
        default=None, ge=1, description="tokens before the checkpoint; overrides segment_words"
    )
    max_segment_chars: int = Field(
        default=8000,
        ge=1,
        description="a longer segment keeps its last characters (the newest reasoning)",
    )
    pooling: Literal["last", "mean"] = Field(
        default="last",
        description="of an embedding-head: a segment's vector is the last hidden state of its last token, or the mean over all tokens",
    )
    head: str | None = Field(
        default=None,
        description="of an embedding-head: the file of the trained head, beside this one",
    )
    calibration: Calibration | None = Field(
        default=None,
        description="fitted by `deepprune-judge evaluate --calibrate`; applied to every score",
    )

    def calibrated(self, p: float) -> float:
        """p(identical) of a raw score, both in 0..1."""
        return p if self.calibration is None else self.calibration.apply(p)

    @model_validator(mode="after")
    def _has_both_traces(self) -> "JudgeSpec":
        if "{new}" not in self.query or "{member}" not in self.item:
            raise ValueError("the judge's query must contain {new} and its item {member}")
        if self.kind == "embedding-head" and self.query.replace("{new}", "{member}") != self.item:
            raise ValueError(
                "the query and the item of an embedding-head must differ in {new} and {member} only"
            )
        return self


class PairPrompt(BaseModel):
    """One comparison as text: `query + item` is what the model reads before it writes a label.

    An embedding-head's model reads `query` and `item` one by one.
    """

    model_config = ConfigDict(frozen=True)

    query: str
    item: str
    user_message: str = Field(description="the same pair without chat markup, for chat endpoints")


def pair_prompt(spec: JudgeSpec, *, question: str, new: str, member: str) -> PairPrompt:
    """The prompt that asks whether segment `new` and segment `member` will end in the same answer.

    Segments longer than `spec.max_segment_chars` keep their end. Braces in the texts are left alone. What looks like a
    control token of a chat or of a pair of texts gets a space inside, so that it stays text for every tokenizer.
    """
    query = fill(
        spec.query,
        {
            "instruction": spec.instruction,
            "question": _without_control_tokens(question),
            "new": _without_control_tokens(new)[-spec.max_segment_chars :],
        },
    )
    is_read_alone = spec.kind == "embedding-head"
    item = fill(
        spec.item,
        {
            "member": _without_control_tokens(member)[-spec.max_segment_chars :],
            **(
                {"instruction": spec.instruction, "question": _without_control_tokens(question)}
                if is_read_alone
                else {}
            ),
        },
    )
    return PairPrompt(
        query=spec.markup_before + query + (spec.markup_after if is_read_alone else ""),
        item=(spec.markup_before if is_read_alone else "") + item + spec.markup_after,
        user_message=query + item,
    )


def _without_control_tokens(text: str) -> str:
    return _CONTROL_TOKEN.sub(lambda found: found[0] + " ", text)


def probability_identical(label_logprobs: Sequence[float]) -> float:
    """p(identical), in 0..1: the softmax over the two labels' first tokens.

    `label_logprobs` are (identical, not identical); minus infinity stands for a label that the server did
    not report. Raises ValueError when neither is finite, because then there is no verdict.
    """
    identical, different = label_logprobs
    if not (math.isfinite(identical) or math.isfinite(different)):
        raise ValueError("neither label has a probability")
    if identical >= different:
        return 1.0 / (1.0 + math.exp(different - identical))
    odds = math.exp(identical - different)
    return odds / (1.0 + odds)


def fill(template: str, values: Mapping[str, str]) -> str:
    """`template` with each {name} replaced in one pass, so that braces in a trace stay as they are."""
    parts = []
    rest = template
    while rest:
        head, brace, tail = rest.partition("{")
        parts.append(head)
        name, closing, after = tail.partition("}")
        if brace and closing and name in values:
            parts.append(values[name])
            rest = after
        else:
            parts.append(brace)
            rest = tail
    return "".join(parts)
