"""The settings tree: defaults < YAML file < environment < flags, validated once, at the edge.

The rule: unknown keys are refused with their path and the nearest valid key. Keys to servers never
enter the tree: they are read from the environment where the request is made.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from orchestrator.core.segment import DEFAULT_REASONING_WORDS

__all__ = [
    "AnswerSettings",
    "CheckpointSettings",
    "EndpointSettings",
    "JudgeSettings",
    "PolicySettings",
    "PriceSettings",
    "RunSettings",
    "SamplingSettings",
    "Settings",
]

Probability = Annotated[float, Field(ge=0.0, le=1.0)]
PolicyName = Literal["pass1", "consensus", "deepprune"]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class EndpointSettings(_Section):
    """The reasoner's servers (OpenAI-compatible, base URL with /v1)."""

    urls: tuple[str, ...] = ()
    model: str | None = Field(None, description="found from /v1/models when there is only one")
    api: Literal["auto", "completions", "chat"] = Field(
        "auto", description="auto takes completions where prompts can be rendered to token ids"
    )
    stall_seconds: float = Field(300.0, gt=0, description="a stream silent for this long is broken")
    connect_seconds: float = Field(10.0, gt=0)
    max_attempts: int = Field(4, ge=1, description="streams opened for one trace in a row without progress")


class SamplingSettings(_Section):
    """Sent with every trace; what is null is left to the server (the model's generation_config)."""

    temperature: float | None = Field(None, ge=0.0)
    top_p: float | None = Field(None, gt=0.0, le=1.0)
    top_k: int | None = Field(None, ge=-1)
    min_p: float | None = Field(None, ge=0.0, le=1.0)
    max_tokens: int | None = Field(None, ge=1, description="per trace; null fills the model's context")


class CheckpointSettings(_Section):
    """Where a trace waits for the judge (arXiv 2510.08483: 25 reasoning words, or 500 tokens)."""

    unit: Literal["words", "tokens"] = "words"
    words: int = Field(25, ge=1)
    tokens: int = Field(500, ge=1)
    word_list: tuple[str, ...] = DEFAULT_REASONING_WORDS
    at: Literal["pause", "run"] = Field("pause", description="pause closes the stream, run writes on")


class JudgeSettings(_Section):
    """The judge's server and how it is asked."""

    url: str | None = None
    model: str | None = Field(None, description="found from /v1/models when there is only one")
    spec: str = Field("nano", description="a name in configs/judges, or a YAML file")
    dialect: Literal["auto", "generative_scoring", "completions", "chat"] = "auto"
    concurrency: int = Field(8, ge=1, description="requests to the judge at once")
    batch: int = Field(64, ge=1, description="members in one generative_scoring request")
    timeout_seconds: float = Field(60.0, gt=0)
    max_attempts: int = Field(3, ge=1)
    breaker_failures: int = Field(3, ge=1, description="failed calls in a row that open the breaker")
    breaker_seconds: float = Field(30.0, gt=0, description="how long an open breaker asks nothing")


class PolicySettings(_Section):
    """What decides. The letters are those of arXiv 2510.08483."""

    name: PolicyName = "deepprune"
    traces: int = Field(64, ge=1, le=4096, description="N, the traces planned for a question")
    tau: Probability = Field(0.5, description="a trace joins the best cluster above this similarity")
    max_clusters: int = Field(32, ge=1, description="K")
    sample_members: int = Field(10, ge=1, description="K1, members compared with in each cluster")
    survivors: int = Field(10, ge=1, description="K2, traces of the largest cluster that finish")
    singleton_survivors: int = Field(10, ge=1, description="K3, random traces if no two were alike")
    when_full: Literal["join", "drop"] = Field(
        "join", description="an unmatched trace at K clusters: joins the most similar, or is pruned"
    )
    bounds: bool = Field(True, description="leave out judge calls that cannot change the assignment")
    lookahead: int = Field(8, ge=1, description="waiting traces judged side by side")
    min_ballots: int = Field(1, ge=1, description="with fewer, the answer is null")


class AnswerSettings(_Section):
    """How answers are read from text and compared."""

    regex: str | None = Field(None, description="its first group is the answer; tried before the others")
    timeout_seconds: float = Field(5.0, gt=0, description="for one equivalence check")
    workers: int = Field(1, ge=1, description="processes that check equivalence")


class PriceSettings(_Section):
    """Costs in units of one generated reasoner token; they weigh the judge in `net_saved`."""

    judge_token: float = Field(
        1.0, ge=0.0, description="one judge token that was computed: judge parameters / reasoner parameters"
    )
    judge_cached_token: float = Field(0.0, ge=0.0, description="one judge prompt token from the cache")


class RunSettings(_Section):
    """How a run is carried out and where it is kept."""

    concurrency: int = Field(64, ge=1, description="reasoner streams open at once")
    seed: int = Field(0, ge=0, description="for the policy's own draws; servers are never sent a seed")
    out: str = Field("runs", description="folder that receives one folder per run")


class Settings(_Section):
    """The whole tree; `configs/default.yaml` shows the same with the same defaults."""

    endpoint: EndpointSettings = EndpointSettings()
    sampling: SamplingSettings = SamplingSettings()
    checkpoint: CheckpointSettings = CheckpointSettings()
    judge: JudgeSettings = JudgeSettings()
    policy: PolicySettings = PolicySettings()
    answers: AnswerSettings = AnswerSettings()
    prices: PriceSettings = PriceSettings()
    run: RunSettings = RunSettings()
