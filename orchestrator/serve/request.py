"""What a client asks for: the body of a request, checked and bounded.

Fields that are not read here reach the traces (`further_fields`); an unknown key of `deepprune` is refused, because it
would be a setting that silently does not hold.
"""

from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from orchestrator.serve.errors import ApiError

__all__ = [
    "ChatRequest",
    "CompletionRequest",
    "Message",
    "Options",
    "VoteRequest",
    "parse",
    "pass_through_reason",
]

M = TypeVar("M", bound=BaseModel)

_HELPER_PROMPT = "### Task:"  # how chat pages ask for titles, tags and follow-ups
_STRUCTURES = (  # of vLLM, SGLang and llama.cpp, beside OpenAI's response_format
    "structured_outputs",
    "guided_json",
    "guided_regex",
    "guided_choice",
    "guided_grammar",
    "json_schema",
    "regex",
    "ebnf",
    "grammar",
)


class Options(BaseModel):
    """The field `deepprune` of a request.

    Attributes:
        policy: as a model's suffix, such as "auto", "cons@16" or "deepprune".
        seconds: after so long the traces that have finished vote.
        progress: whether the reasoning of a streamed reply tells how the traces stand; by default it does.
        reasoning: whether the reply has the reasoning of the winning trace.
        settings: further settings by dotted path, of the sections policy and checkpoint.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    policy: str | None = None
    traces: int | None = Field(default=None, ge=1)
    effort: Literal["low", "medium", "high"] | None = None
    min_ballots: int | None = Field(default=None, ge=1)
    seconds: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    progress: bool | None = None
    reasoning: bool = False
    settings: dict[str, str | float | int | bool | None] = Field(default_factory=dict)


class StreamOptions(BaseModel):
    """How a reply is streamed."""

    model_config = ConfigDict(frozen=True)

    include_usage: bool | None = None


class VoteRequest(BaseModel):
    """What chat and text completions have in common; `model_extra` has the fields that are not named here."""

    model_config = ConfigDict(frozen=True, extra="allow")

    model: str
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: int | None = Field(default=None, ge=1)
    temperature: float | None = Field(default=None, ge=0)
    top_p: float | None = Field(default=None, gt=0, le=1)
    top_k: int | None = Field(default=None, ge=-1)
    min_p: float | None = Field(default=None, ge=0, le=1)
    frequency_penalty: float | None = Field(default=None, ge=-2, le=2)
    presence_penalty: float | None = Field(default=None, ge=-2, le=2)
    repetition_penalty: float | None = Field(default=None, gt=0)
    logit_bias: dict[str, float] | None = None
    seed: int | None = Field(default=None, ge=-(2**63), lt=2**63)
    stop: str | list[str] | None = None
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    logprobs: bool | int | None = None
    deepprune: Options = Field(default_factory=Options)

    @field_validator("deepprune", mode="before")
    @classmethod
    def _without_options(cls, value: object) -> object:
        return {} if value is None else value

    @property
    def stops(self) -> tuple[str, ...]:
        """The texts that end the final answer."""
        given = [self.stop] if isinstance(self.stop, str) else self.stop or []
        return tuple(text for text in given if text)

    @property
    def limit(self) -> int | None:
        """The most tokens of the final answer."""
        return self.max_completion_tokens or self.max_tokens


class TextPart(BaseModel):
    """A part of a message; only text can be voted on."""

    model_config = ConfigDict(frozen=True)

    type: str
    text: str = ""


class Message(BaseModel):
    """One message of a chat."""

    model_config = ConfigDict(frozen=True)

    role: str
    content: str | list[TextPart] | None = None
    tool_calls: list[Any] | None = None

    @property
    def text(self) -> str:
        """The text of all parts."""
        if isinstance(self.content, list):
            return "\n".join(part.text for part in self.content)
        return self.content or ""

    @property
    def is_text(self) -> bool:
        """Whether the message holds nothing but text."""
        return not isinstance(self.content, list) or all(p.type == "text" for p in self.content)


class ChatRequest(VoteRequest):
    """The body of `POST /v1/chat/completions`."""

    messages: list[Message] = Field(min_length=1)
    tools: list[Any] | None = None
    functions: list[Any] | None = None
    response_format: dict[str, Any] | None = None


class CompletionRequest(VoteRequest):
    """The body of `POST /v1/completions`; the prompt is asked as a question."""

    prompt: str | list[str]
    echo: bool | None = None
    suffix: str | None = None

    @property
    def question(self) -> str:
        """The prompt.

        Raises:
            ApiError: there are several, or fields that only fit the continuation of a text.
        """
        for name in ("echo", "suffix"):
            if getattr(self, name):
                raise ApiError(
                    400, f"{name} has no meaning for a voted answer: leave it out.", param=name
                )
        prompts = [self.prompt] if isinstance(self.prompt, str) else self.prompt
        if len(prompts) != 1:
            raise ApiError(400, "Give one prompt per request.", param="prompt")
        return prompts[0]


def parse(body: bytes, kind: type[M]) -> M:
    """The request in a body.

    Raises:
        ApiError: 400, the body is no JSON, or a field is missing or wrong.
    """
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        if first["type"] == "json_invalid":
            raise ApiError(400, f"The body is no JSON: {_reason(first)}.") from None
        place = ".".join(str(each) for each in first["loc"])
        raise ApiError(400, f"{place or 'The body'}: {_reason(first)}.", param=place) from None


def _reason(error: Any) -> str:
    if error["type"] == "extra_forbidden":
        known = ", ".join(Options.model_fields)
        return f"there is no such key; there are {known}"
    return str(error["msg"]).removesuffix(".")


def pass_through_reason(request: ChatRequest) -> str | None:
    """Why a request is answered by one trace as it is, since its answers cannot be voted on; None if they can."""
    if request.tools or request.functions:
        return "tools"
    if request.response_format and request.response_format.get("type") != "text":
        return "response_format"
    further = request.model_extra or {}
    if any(further.get(name) for name in _STRUCTURES):
        return "structured output"
    if further.get("web_search_options") is not None:
        return "tools"
    if any(
        message.role in ("tool", "function") or message.tool_calls for message in request.messages
    ):
        return "tools"
    if not all(message.is_text for message in request.messages):
        return "content that is not text"
    if request.messages[-1].text.lstrip().startswith(_HELPER_PROMPT):
        return "helper prompt"
    return None
