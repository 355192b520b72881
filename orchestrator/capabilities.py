"""What the servers of a run can do, found by asking them; the plain data that policies and the report read."""

import msgspec

__all__ = ["Capabilities", "JudgeCapabilities", "ServerCapabilities"]


class ServerCapabilities(msgspec.Struct, frozen=True, kw_only=True):
    """One reasoner endpoint.

    `api` is "completions" (prompt sent as token ids) or "chat". `resumable` means that a closed stream can
    go on exactly: prompt ids and generated ids are both known and accepted.
    """

    endpoint: str
    model: str
    server: str
    """Name and version as far as the server tells, e.g. "vllm 0.32.0"."""
    api: str
    token_ids: bool
    continuous_usage: bool
    resumable: bool
    metrics: bool
    max_model_len: int | None
    final_usage: bool = False
    """It counts the tokens of a stream that runs to its end; `continuous_usage` also those of one that is closed."""
    stops_when_closed: bool | None = None
    """Closing a stream stops the generation, as an engine's counters have shown; None where that could not be told."""
    confidences: bool = False
    """It sent log-probabilities with its tokens when it was asked for them, which is only if the run needs them."""
    probes: bool = False
    """A running trace can be asked for its answer: prompts may be token ids, and the model's forced ending is known.

    Where it is false, policies do without probes.
    """


class JudgeCapabilities(msgspec.Struct, frozen=True, kw_only=True):
    """The judge endpoint: `dialect` is "generative_scoring", "completions", "chat", "classify" or "embeddings".

    `label_token_ids` is None for a classifier or an embedding-head, and where the server does not tokenise.
    """

    endpoint: str
    model: str
    dialect: str
    label_token_ids: tuple[int, int] | None
    metrics: bool


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """The servers of one run; `judge` is None where the policy asks no judge.

    Several servers of the reasoner (`replicas`, by address) are alike, and `reasoner` is the first of them.
    """

    reasoner: ServerCapabilities
    judge: JudgeCapabilities | None = None
    replicas: tuple[str, ...] = ()
