"""How the traces of a request are asked for and sampled: as it says, unless that would make them all equal.

Many clients send temperature 0 and a seed unasked. One such trace is as good as a hundred, so a request that leaves
the sampler no choice is sampled as the server's settings say, and the reply says so.
"""

from typing import Any, NamedTuple

from orchestrator.serve.further_fields import further_fields
from orchestrator.serve.request import VoteRequest
from orchestrator.settings import Settings

__all__ = ["RequestSampling", "sampling_of"]

_FIELDS = ("temperature", "top_p", "top_k", "min_p")
_PENALTIES = ("frequency_penalty", "presence_penalty", "repetition_penalty", "logit_bias")
_LEAST_TOP_P = 0.1  # below, hardly more than the likeliest token is left


class RequestSampling(NamedTuple):
    """Settings by dotted path, and what of the request does not hold and why."""

    settings: dict[str, Any]
    notes: list[str]


def sampling_of(
    request: VoteRequest, settings: Settings, *, least_temperature: float, api: str
) -> RequestSampling:
    """The sampling of a request, with its further fields.

    Args:
        request: what the client asks for.
        settings: the server's.
        least_temperature: a lower one is not used; infinity uses nothing of any request.
        api: through which the reasoner is asked, "chat" or "completions".

    Raises:
        ApiError: 400, a field cannot hold for a voted answer.
    """
    given = _given(request, _FIELDS)
    penalties = _given(request, _PENALTIES)
    template, extra = further_fields(request.model_extra or {}, api=api)
    changes: dict[str, Any] = {}
    notes = []
    reason = _unusable(given, least_temperature)
    if reason is None:
        changes = {f"sampling.{name}": value for name, value in given.items()}
        extra |= penalties
    elif given or penalties:
        names = ", ".join([*given, *penalties])
        notes.append(f"{names} not used: {reason}; traces are sampled as the server's settings say")
    if extra:
        changes["sampling.extra"] = {**settings.sampling.extra, **extra}
    if template:
        own = settings.sampling.chat_template_kwargs
        changes["sampling.chat_template_kwargs"] = {**own, **template}
    if request.seed is not None:
        changes["run.seed"] = abs(request.seed)
        notes.append(
            "seed was not sent to the model, since all traces would be equal: it is the seed of the policy's own draws"
        )
    return RequestSampling(changes, notes)


def _given(request: VoteRequest, names: tuple[str, ...]) -> dict[str, Any]:
    """Those of the fields that change something; clients send zeros for what they do not want."""
    values = {name: getattr(request, name) for name in names}
    idle = {"frequency_penalty": 0, "presence_penalty": 0, "logit_bias": {}}
    return {
        name: value
        for name, value in values.items()
        if value is not None and not (name in idle and value == idle[name])
    }


def _unusable(given: dict[str, Any], least_temperature: float) -> str | None:
    """Why the sampling of a request is not used; None if it is."""
    if least_temperature == float("inf"):
        return "this server does not use the sampling of requests"
    if given.get("temperature", least_temperature) < least_temperature:
        return f"a temperature below {least_temperature:g} makes all traces equal"
    if given.get("top_k") == 1:
        return "top_k 1 makes all traces equal"
    if given.get("top_p", 1.0) < _LEAST_TOP_P:
        return f"top_p below {_LEAST_TOP_P:g} makes all traces equal"
    return None
