"""The settings tree: one section for each part of a run. Reading files and flags is `orchestrator.config`'s part.

Keys to servers never enter the tree: they are read from the environment where the request is made.
"""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from orchestrator.settings.mappings import ExtraFields, TemplateArguments
from orchestrator.settings.model import ModelSettings, PromptSettings
from orchestrator.settings.policies import AnyPolicySettings, AutoSettings
from orchestrator.settings.section import (
    LOCATION,
    Number,
    OptionalNumber,
    OptionalWhole,
    Pattern,
    Section,
    Url,
    Whole,
    Words,
    is_location,
)
from orchestrator.settings.servers import EndpointSettings, JudgeSettings, RewardSettings

__all__ = [
    "DEFAULT_REASONING_WORDS",
    "AnswerSettings",
    "CheckpointSettings",
    "PriceSettings",
    "RunSettings",
    "SamplingSettings",
    "Settings",
    "changed_setting",
    "without_locations",
]

DEFAULT_REASONING_WORDS = (
    "wait",
    "hmm",
    "but",
    "however",
    "actually",
    "alternatively",
    "maybe",
    "perhaps",
    "so",
    "thus",
    "hence",
    "therefore",
    "since",
    "because",
    "check",
)


class SamplingSettings(Section):
    """Sent with every trace; what is null is left to the server (the model's generation_config)."""

    temperature: OptionalNumber = Field(
        default=None, ge=0.0, description="with 0 all traces are equal, and a vote is useless"
    )
    top_p: OptionalNumber = Field(
        default=None, gt=0.0, le=1.0, description="probability mass of the tokens sampled from"
    )
    top_k: OptionalWhole = Field(
        default=None, ge=-1, description="number of tokens sampled from; -1: all"
    )
    min_p: OptionalNumber = Field(
        default=None, ge=0.0, le=1.0, description="least probability, as a fraction of the highest"
    )
    max_tokens: OptionalWhole = Field(
        default=None, ge=1, description="per trace; null fills the model's context"
    )
    extra: ExtraFields = Field(
        default={},
        description="further fields of the request, such as repetition_penalty or stop; null leaves one out",
    )
    chat_template_kwargs: TemplateArguments = Field(
        default={},
        description="arguments of the chat template, such as enable_thinking or reasoning_effort",
    )


class CheckpointSettings(Section):
    """Where a trace waits for the judge (arXiv 2510.08483: 25 reasoning words, or 500 tokens)."""

    unit: Literal["words", "tokens"] = Field(
        default="words", description="what is counted up to the checkpoint"
    )
    words: Whole = Field(
        default=25, ge=1, description="reasoning words before the checkpoint, with unit: words"
    )
    tokens: Whole = Field(
        default=500, ge=1, description="tokens before the checkpoint, with unit: tokens"
    )
    word_list: Words = Field(
        default=DEFAULT_REASONING_WORDS,
        min_length=1,
        description="the reasoning words: whole words, in any case",
    )
    at: Literal["pause", "run"] = Field(
        default="pause", description="pause closes the stream, run writes on"
    )


class AnswerSettings(Section):
    """How answers are read from text and compared."""

    regex: Pattern | None = Field(
        default=None,
        description="its first group (or all it matches) is the answer; tried before the others",
    )
    timeout_seconds: Number = Field(default=5.0, gt=0, description="for one equivalence check")
    workers: Whole = Field(default=1, ge=1, description="processes that check equivalence")
    equality: Literal["math", "text", "llm"] = Field(
        default="math",
        description="answers are equal by mathematics, by spelling, or if a chat model says so in both orders",
    )
    llm_url: Annotated[Url | None, LOCATION] = Field(
        default=None, description="the chat model's address with /v1; null: the judge's server"
    )
    llm_model: Annotated[str | None, LOCATION] = Field(
        default=None, description="found from /v1/models when there is only one"
    )
    llm_timeout_seconds: Number = Field(
        default=60.0, gt=0, description="for one comparison by the chat model"
    )


class PriceSettings(Section):
    """Costs in units of one generated reasoner token; all bills, `net_saved` and the policy `auto` use them.

    The defaults hold for GPUs, where a token that is read costs a fraction of one that is written: a whole prompt is computed
    at once, while every written token reads the weights and the trace's cache from memory. DeepSeek's report of its own service
    (DeepSeek-V3/R1 Inference System Overview, 1 March 2025) gives 73,700 tokens read and 14,800 written per second and node of
    eight H800, a ratio of 0.20 (0.46 for tokens that its caches did not hold). For a dense model of 8 billion parameters on
    one H100 the arithmetic gives 0.07 (64 traces of 8,000 tokens) to 0.2 (2,000 tokens): a read token is bound by 16 GFLOP, a
    written one by 3.35 TB/s of memory. `deepprune-doctor` measures them on the servers in use.
    """

    judge_token: Number = Field(
        default=1.0,
        ge=0.0,
        description="one token that the judge writes: judge parameters / reasoner parameters",
    )
    judge_prompt_token: OptionalNumber = Field(
        default=None,
        ge=0.0,
        description="one token that the judge reads; null: judge_token x prompt_token",
    )
    judge_cached_token: Number = Field(
        default=0.0, ge=0.0, description="one token that the judge has in its cache"
    )
    prompt_token: Number = Field(
        default=0.2,
        ge=0.0,
        description="one token that the reasoner reads, for a probe or a continued trace",
    )
    cached_prompt_token: Number = Field(
        default=0.0, ge=0.0, description="one token that the reasoner has in its cache"
    )
    million_tokens: OptionalNumber = Field(
        default=None, ge=0.0, description="money for a million generated reasoner tokens"
    )

    @property
    def of_judge_prompt(self) -> float:
        """What one judge prompt token costs that is not in the cache."""
        if self.judge_prompt_token is None:
            return self.judge_token * self.prompt_token
        return self.judge_prompt_token


class RunSettings(Section):
    """How a run is carried out and where it is kept."""

    concurrency: Whole = Field(default=64, ge=1, description="reasoner streams open at once")
    questions_at_once: Annotated[OptionalWhole, LOCATION] = Field(
        default=None,
        ge=1,
        description="questions of a file that run side by side; null: as many as have room for their first traces",
    )
    seed: Whole = Field(
        default=0, ge=0, description="for the policy's own draws; servers are never sent a seed"
    )
    keep_confidences: bool = Field(
        default=False,
        description="record the confidence of every token, so that a replay can judge by it",
    )
    compress_journal: bool = Field(
        default=False,
        description="compress the journal (gzip) once the run is over; every command reads it as before",
    )
    out: Annotated[str, LOCATION] = Field(
        default="runs", description="folder that receives one folder per run"
    )


class Settings(Section):
    """The whole tree; `configs/default.yaml` shows the same with the same defaults."""

    endpoint: EndpointSettings = EndpointSettings()
    model: ModelSettings = ModelSettings()
    prompt: PromptSettings = PromptSettings()
    sampling: SamplingSettings = SamplingSettings()
    checkpoint: CheckpointSettings = CheckpointSettings()
    judge: JudgeSettings = JudgeSettings()
    reward: RewardSettings = RewardSettings()
    policy: AnyPolicySettings = AutoSettings()
    answers: AnswerSettings = AnswerSettings()
    prices: PriceSettings = PriceSettings()
    run: RunSettings = RunSettings()

    @model_validator(mode="before")
    @classmethod
    def _with_policy_name(cls, given: Any) -> Any:
        """Names the policy if the user did not: deepprune where a judge's server is given, else auto."""
        if not isinstance(given, dict):
            return given
        policy = given.get("policy", {})
        if not isinstance(policy, dict) or "name" in policy:
            return given
        judge = given.get("judge")
        url = judge.get("url") if isinstance(judge, dict) else getattr(judge, "url", None)
        return {**given, "policy": {"name": "deepprune" if url else "auto", **policy}}


def without_locations(settings: Settings) -> dict[str, Any]:
    """Every setting by its dotted path, except those that only say where servers and folders are."""
    return dict(_settings_that_decide(settings))


def changed_setting(then: Settings, now: Settings) -> str | None:
    """The path of the first setting that differs, locations aside; None if these are settings of the same run."""
    before, after = without_locations(then), without_locations(now)
    return next((path for path in before if path not in after or before[path] != after[path]), None)


def _settings_that_decide(settings: Settings) -> Iterator[tuple[str, Any]]:
    for name in Settings.model_fields:
        section = getattr(settings, name)
        for key, field in type(section).model_fields.items():
            if not is_location(field):
                yield f"{name}.{key}", getattr(section, key)
