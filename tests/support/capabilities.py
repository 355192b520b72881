"""What the servers of an invented run can do."""

import msgspec

from orchestrator.capabilities import Capabilities, JudgeCapabilities, ServerCapabilities

REASONER = ServerCapabilities(
    endpoint="http://gpu:8000/v1",
    model="nano",
    server="vllm",
    api="completions",
    token_ids=True,
    continuous_usage=True,
    resumable=True,
    metrics=True,
    max_model_len=None,
)
JUDGE = JudgeCapabilities(
    endpoint="http://judge:8001/v1",
    model="nano-judge",
    dialect="generative_scoring",
    label_token_ids=None,
    metrics=True,
)


def capabilities(
    *,
    judge: JudgeCapabilities | None = None,
    replicas: tuple[str, ...] = (),
    **changes: object,
) -> Capabilities:
    """A reasoner with `changes`, and `judge`."""
    return Capabilities(
        reasoner=msgspec.structs.replace(REASONER, **changes), judge=judge, replicas=replicas
    )
