"""The sections for the servers: where they are, how they are asked, and how long they are waited for."""

from typing import Annotated, Literal

from pydantic import Field

from orchestrator.settings.mappings import Headers
from orchestrator.settings.section import (
    LOCATION,
    HeaderName,
    Number,
    OptionalUrls,
    OptionalWhole,
    Section,
    Template,
    Url,
    Urls,
    Whole,
)

__all__ = ["EndpointSettings", "JudgeDialect", "JudgeSettings", "RewardSettings"]

JudgeDialect = Literal[
    "auto", "generative_scoring", "completions", "chat", "classify", "embeddings"
]


class EndpointSettings(Section):
    """The reasoner's servers (OpenAI-compatible, base URL with /v1)."""

    urls: Annotated[Urls, LOCATION] = Field(
        default=(), description="base addresses with /v1, such as http://gpu:8000/v1"
    )
    model: Annotated[str | None, LOCATION] = Field(
        default=None, description="found from /v1/models when there is only one"
    )
    headers: Headers = Field(default={})
    metrics_url: Annotated[Urls, LOCATION] = Field(
        default=(),
        description="the engine behind a gateway, whose /metrics has the counters; several engines are added up",
    )
    check_cancellation: Annotated[bool, LOCATION] = Field(
        default=True,
        description="at the start a stream is closed, to see in the engine's counters that this stops it (at most three streams of 256 tokens)",
    )
    api: Literal["auto", "completions", "chat"] = Field(
        default="auto",
        description="auto takes completions where prompts can be rendered to token ids",
    )
    stall_seconds: Number = Field(
        default=300.0, gt=0, description="a stream silent for this long is broken"
    )
    connect_seconds: Number = Field(default=10.0, gt=0, description="for opening one connection")
    max_attempts: Whole = Field(
        default=4, ge=1, description="streams opened for one trace in a row without progress"
    )
    outage_seconds: Annotated[Number, LOCATION] = Field(
        default=600.0,
        ge=0,
        description="how long a server that is away or busy is waited for; then the run breaks off, and --resume continues it",
    )
    retry_after_seconds: Annotated[Number, LOCATION] = Field(
        default=120.0,
        ge=0,
        description="the longest wait that a server may ask for (Retry-After); a longer one fails the trace",
    )
    on_mismatch: Annotated[Literal["refuse", "leave-out"], LOCATION] = Field(
        default="refuse",
        description="what happens to one of several servers that has another model, tokenizer or context",
    )
    breaker_failures: Whole = Field(
        default=3, ge=1, description="broken streams in a row that put one of several servers out"
    )
    breaker_seconds: Number = Field(
        default=10.0, gt=0, description="until a server that is out is tried again"
    )
    health_seconds: Number = Field(
        default=2.0, gt=0, description="between the health checks of several servers"
    )
    session_header: Annotated[HeaderName | None, LOCATION] = Field(
        default="X-Session-ID",
        description="header that names the trace, for routers behind one address; null sends none",
    )
    request_header: Annotated[HeaderName | None, LOCATION] = Field(
        default="X-Request-ID",
        description="header that names the trace and the attempt; null sends none",
    )


class JudgeSettings(Section):
    """The judge's servers and how they are asked."""

    url: Annotated[OptionalUrls, LOCATION] = Field(
        default=None,
        description="base address with /v1, such as http://judge:8001/v1; a list of several that serve the same judge",
    )
    model: Annotated[str | None, LOCATION] = Field(
        default=None, description="found from /v1/models when there is only one"
    )
    headers: Headers = Field(default={})
    spec: str = Field(default="nano", description="a name in configs/judges, or a YAML file")
    dialect: JudgeDialect = Field(
        default="auto",
        description="the API through which it is asked; auto takes the best there is",
    )
    concurrency: Whole = Field(
        default=8, ge=1, description="requests to one server of the judge at once"
    )
    batch: Whole = Field(
        default=64,
        ge=1,
        description="members in one generative_scoring, classify or embeddings request",
    )
    timeout_seconds: Number = Field(default=60.0, gt=0, description="for one request")
    max_attempts: Whole = Field(
        default=3, ge=1, description="requests for one verdict before there is none"
    )
    breaker_failures: Whole = Field(
        default=3, ge=1, description="failed calls in a row that open the breaker"
    )
    breaker_seconds: Number = Field(
        default=30.0, gt=0, description="how long an open breaker asks nothing"
    )

    @property
    def urls(self) -> tuple[str, ...]:
        """The addresses of all its servers."""
        if self.url is None:
            return ()
        return (self.url,) if isinstance(self.url, str) else self.url


class RewardSettings(Section):
    """The reward model's server, and how its reward of a finished trace is asked for and read."""

    url: Annotated[Url | None, LOCATION] = Field(
        default=None, description="base address with /v1, such as http://HOST:8002/v1"
    )
    model: Annotated[str | None, LOCATION] = Field(
        default=None, description="found from /v1/models when there is only one"
    )
    headers: Headers = Field(default={})
    dialect: Literal["classify", "pooling"] = Field(
        default="classify",
        description="vLLM's /classify, or the last row of what /pooling gives (reward models by token or step)",
    )
    label: Whole = Field(
        default=-1, description="whose value is the reward: 0 is the first label, -1 the last one"
    )
    scale: Literal["probability", "logit"] = Field(
        default="probability", description="what the server gives; a logit becomes a probability"
    )
    template: Template | None = Field(
        default=None,
        description="text with {question} and {trace}; null: a chat of both, in the server's own template",
    )
    max_chars: OptionalWhole = Field(
        default=None, ge=1, description="a longer trace keeps its last characters; null cuts none"
    )
    concurrency: Whole = Field(default=8, ge=1, description="requests to the reward model at once")
    timeout_seconds: Number = Field(
        default=60.0, gt=0, description="for one reward, its retries included"
    )
    max_attempts: Whole = Field(
        default=3, ge=1, description="requests for one reward before there is none"
    )
