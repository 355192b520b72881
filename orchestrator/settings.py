"""The settings tree: defaults < YAML file < environment < --set < flags, validated once, at the edge.

The rule: unknown keys are refused with their path and the nearest valid key. Keys to servers never
enter the tree: they are read from the environment where the request is made.
"""

import re
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
)
from pydantic_core import PydanticCustomError

__all__ = [
    "DEFAULT_REASONING_WORDS",
    "AnswerSettings",
    "CheckpointSettings",
    "EndpointSettings",
    "JudgeDialect",
    "JudgeSettings",
    "PolicySettings",
    "PriceSettings",
    "RewardSettings",
    "RunSettings",
    "SamplingSettings",
    "Settings",
    "VotingRule",
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


def _http_url(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be an address such as http://gpu:8000/v1")
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not hold a user or password; keys are read from the environment")
    return url


def _pattern(regex: str) -> str:
    try:
        re.compile(regex)
    except re.error as error:
        raise ValueError(f"must be a regular expression ({error})") from error
    return regex


def _with_trace(template: str) -> str:
    if "{trace}" not in template:
        raise ValueError("must contain {trace}")
    return template


def _as_list(value: Any) -> Any:
    """A single text where a list of texts is wanted, so that `--set endpoint.urls=URL` works."""
    return (value,) if isinstance(value, str) else value


Url = Annotated[str, AfterValidator(_http_url)]
Word = Annotated[str, Field(pattern=r"^\w+$")]
Pattern = Annotated[str, AfterValidator(_pattern)]
Probability = Annotated[float, Field(ge=0.0, le=1.0)]
JudgeDialect = Literal["auto", "generative_scoring", "completions", "chat", "classify"]
PolicyName = Literal[
    "pass1",
    "consensus",
    "deepprune",
    "auto",
    "adaptive-consistency",
    "esc",
    "race",
    "short",
    "random-k",
    "deepconf-low",
    "deepconf-high",
    "deepconf-offline",
    "custom",
]
VotingRule = Literal["majority", "confidence", "cluster-size", "reward", "best-of-n"]
TraceMeasure = Literal["lowest", "bottom", "tail", "mean"]
Effort = Literal["low", "medium", "high"]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_value_for_a_number(cls, value: Any, info: ValidationInfo) -> Any:
        """YAML's `yes` and `true` would pass as the number 1."""
        if (
            isinstance(value, bool)
            and cls.model_fields[str(info.field_name)].annotation is not bool
        ):
            raise PydanticCustomError("not_a_truth_value", "not a truth value")
        return value


class EndpointSettings(_Section):
    """The reasoner's servers (OpenAI-compatible, base URL with /v1)."""

    urls: Annotated[tuple[Url, ...], BeforeValidator(_as_list)] = ()
    model: str | None = Field(
        default=None, description="found from /v1/models when there is only one"
    )
    api: Literal["auto", "completions", "chat"] = Field(
        default="auto",
        description="auto takes completions where prompts can be rendered to token ids",
    )
    stall_seconds: float = Field(
        default=300.0, gt=0, description="a stream silent for this long is broken"
    )
    connect_seconds: float = Field(default=10.0, gt=0)
    max_attempts: int = Field(
        default=4, ge=1, description="streams opened for one trace in a row without progress"
    )


class SamplingSettings(_Section):
    """Sent with every trace; what is null is left to the server (the model's generation_config)."""

    temperature: float | None = Field(default=None, ge=0.0)
    top_p: float | None = Field(default=None, gt=0.0, le=1.0)
    top_k: int | None = Field(default=None, ge=-1)
    min_p: float | None = Field(default=None, ge=0.0, le=1.0)
    max_tokens: int | None = Field(
        default=None, ge=1, description="per trace; null fills the model's context"
    )


class CheckpointSettings(_Section):
    """Where a trace waits for the judge (arXiv 2510.08483: 25 reasoning words, or 500 tokens)."""

    unit: Literal["words", "tokens"] = "words"
    words: int = Field(default=25, ge=1)
    tokens: int = Field(default=500, ge=1)
    word_list: Annotated[tuple[Word, ...], BeforeValidator(_as_list)] = Field(
        default=DEFAULT_REASONING_WORDS, min_length=1
    )
    at: Literal["pause", "run"] = Field(
        default="pause", description="pause closes the stream, run writes on"
    )


class JudgeSettings(_Section):
    """The judge's server and how it is asked."""

    url: Url | None = None
    model: str | None = Field(
        default=None, description="found from /v1/models when there is only one"
    )
    spec: str = Field(default="nano", description="a name in configs/judges, or a YAML file")
    dialect: JudgeDialect = "auto"
    concurrency: int = Field(default=8, ge=1, description="requests to the judge at once")
    batch: int = Field(
        default=64, ge=1, description="members in one generative_scoring or classify request"
    )
    timeout_seconds: float = Field(default=60.0, gt=0)
    max_attempts: int = Field(default=3, ge=1)
    breaker_failures: int = Field(
        default=3, ge=1, description="failed calls in a row that open the breaker"
    )
    breaker_seconds: float = Field(
        default=30.0, gt=0, description="how long an open breaker asks nothing"
    )


class RewardSettings(_Section):
    """The reward model's server, and how its reward of a finished trace is asked for and read."""

    url: Url | None = None
    model: str | None = Field(
        default=None, description="found from /v1/models when there is only one"
    )
    dialect: Literal["classify", "pooling"] = Field(
        default="classify",
        description="vLLM's /classify, or the last row of what /pooling gives (reward models by token or step)",
    )
    label: int = Field(
        default=-1, description="whose value is the reward: 0 is the first label, -1 the last one"
    )
    scale: Literal["probability", "logit"] = Field(
        default="probability", description="what the server gives; a logit becomes a probability"
    )
    template: Annotated[str, AfterValidator(_with_trace)] | None = Field(
        default=None,
        description="text with {question} and {trace}; null: a chat of both, in the server's own template",
    )
    max_chars: int | None = Field(
        default=None, ge=1, description="a longer trace keeps its last characters; null cuts none"
    )
    concurrency: int = Field(default=8, ge=1, description="requests to the reward model at once")
    timeout_seconds: float = Field(
        default=60.0, gt=0, description="for one reward, its retries included"
    )
    max_attempts: int = Field(default=3, ge=1)


class PolicySettings(_Section):
    """What decides. The letters are those of arXiv 2510.08483."""

    name: PolicyName = Field(
        default="auto", description="unless named: deepprune where judge.url is, else auto"
    )
    traces: int = Field(
        default=64, ge=1, le=4096, description="N, the traces planned for a question"
    )
    tau: Probability = Field(
        default=0.5, description="a trace joins the best cluster above this similarity"
    )
    max_clusters: int = Field(default=32, ge=1, description="K")
    sample_members: int = Field(
        default=10, ge=1, description="K1, members compared with in each cluster"
    )
    survivors: int = Field(
        default=10,
        ge=1,
        description="K2, traces of the largest cluster that finish; random-k finishes as many",
    )
    singleton_survivors: int = Field(
        default=10, ge=1, description="K3, random traces if no two were alike"
    )
    when_full: Literal["join", "drop"] = Field(
        default="join",
        description="an unmatched trace at K clusters: joins the most similar, or is pruned",
    )
    bounds: bool = Field(
        default=True, description="leave out judge calls that cannot change the assignment"
    )
    lookahead: int = Field(default=8, ge=1, description="waiting traces judged side by side")
    min_ballots: int = Field(default=1, ge=1, description="with fewer, the answer is null")
    effort: Effort = Field(default="medium", description="auto: how much a sure vote may cost")
    trace_price: float | None = Field(
        default=None,
        gt=0.0,
        description="auto: what one more trace must bring, as expected share of agreement; null: by effort",
    )
    confidence: Probability = Field(
        default=0.95,
        description="adaptive-consistency, race: end when the leader stays ahead with this probability",
    )
    posterior: Literal["beta", "dirichlet"] = Field(
        default="beta",
        description="adaptive-consistency: from the two leading counts, or from all",
    )
    window: int = Field(default=5, ge=1, description="esc, race: traces started together")
    enough: int = Field(default=3, ge=1, description="short: ballots that end the run")
    vote: VotingRule | None = Field(
        default=None,
        description="what a ballot weighs: 1, the trace's confidence, the size of its cluster, or its reward; "
        "best-of-n: the best reward decides alone; null: confidence for deepconf, majority for all others",
    )
    trace_confidence: TraceMeasure = Field(
        default="lowest",
        description="a trace's confidence: its lowest group, the bottom tenth of its groups, its tail, or its mean",
    )
    confidence_window: int = Field(
        default=2048, ge=1, description="tokens in a group, and in the tail"
    )
    top_logprobs: int = Field(
        default=20, ge=1, description="log-probabilities that make the confidence of one token"
    )
    warm_up: int = Field(
        default=16,
        ge=1,
        description="deepconf-low, deepconf-high: traces that run to their end and set the bar",
    )
    consensus_share: Probability = Field(
        default=0.95,
        description="deepconf-low, deepconf-high: end when one answer has this share of the weight",
    )
    kept_share: float = Field(
        default=0.1, gt=0.0, le=1.0, description="deepconf-offline: the surest share, which votes"
    )

    @field_validator("vote")
    @classmethod
    def _clusters_to_weigh_by(
        cls, vote: VotingRule | None, info: ValidationInfo
    ) -> VotingRule | None:
        name = info.data.get("name")
        if vote == "cluster-size" and name != "deepprune":
            raise ValueError(f"{name} makes no clusters; only deepprune does")
        return vote


class AnswerSettings(_Section):
    """How answers are read from text and compared."""

    regex: Pattern | None = Field(
        default=None,
        description="its first group (or all it matches) is the answer; tried before the others",
    )
    timeout_seconds: float = Field(default=5.0, gt=0, description="for one equivalence check")
    workers: int = Field(default=1, ge=1, description="processes that check equivalence")
    equality: Literal["math", "text", "llm"] = Field(
        default="math",
        description="answers are equal by mathematics, by spelling, or if a chat model says so in both orders",
    )
    llm_url: Url | None = Field(
        default=None, description="the chat model's address with /v1; null: the judge's server"
    )
    llm_model: str | None = Field(
        default=None, description="found from /v1/models when there is only one"
    )
    llm_timeout_seconds: float = Field(default=60.0, gt=0)


class PriceSettings(_Section):
    """Costs in units of one generated reasoner token; they weigh the judge in `net_saved`."""

    judge_token: float = Field(
        default=1.0,
        ge=0.0,
        description="one judge token that was computed: judge parameters / reasoner parameters",
    )
    judge_cached_token: float = Field(
        default=0.0, ge=0.0, description="one judge prompt token from the cache"
    )
    million_tokens: float | None = Field(
        default=None, ge=0.0, description="money for a million generated reasoner tokens"
    )


class RunSettings(_Section):
    """How a run is carried out and where it is kept."""

    concurrency: int = Field(default=64, ge=1, description="reasoner streams open at once")
    seed: int = Field(
        default=0, ge=0, description="for the policy's own draws; servers are never sent a seed"
    )
    keep_confidences: bool = Field(
        default=False,
        description="record the confidence of every token, so that a replay can judge by it",
    )
    out: str = Field(default="runs", description="folder that receives one folder per run")


class Settings(_Section):
    """The whole tree; `configs/default.yaml` shows the same with the same defaults."""

    endpoint: EndpointSettings = EndpointSettings()
    sampling: SamplingSettings = SamplingSettings()
    checkpoint: CheckpointSettings = CheckpointSettings()
    judge: JudgeSettings = JudgeSettings()
    reward: RewardSettings = RewardSettings()
    policy: PolicySettings = PolicySettings()
    answers: AnswerSettings = AnswerSettings()
    prices: PriceSettings = PriceSettings()
    run: RunSettings = RunSettings()
