"""Models are policies: `NAME` is the server's own policy, `NAME:cons@16` another one.

A request's settings are the server's, with those of the policy that the model names and of the field `deepprune`.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from orchestrator.config.load import Assigned, resolve
from orchestrator.core.policies import (
    needs_confidences,
    needs_judge,
    needs_regenerations,
    needs_rewards,
)
from orchestrator.errors import ConfigError
from orchestrator.serve.errors import ApiError
from orchestrator.serve.request import Options, VoteRequest
from orchestrator.serve.sampling import sampling_of
from orchestrator.settings import POLICY_NAMES, Settings, policies_with

__all__ = ["PolicyModels", "given_settings"]

_ALIASES: Mapping[str, Mapping[str, Any]] = {
    "cons": {"policy.name": "consensus"},
    **{
        f"auto-{effort}": {"policy.name": "auto", "policy.effort": effort}
        for effort in ("low", "medium", "high")
    },
}
_LISTED = ("auto-low", "auto-medium", "auto-high", "cons@8", "cons@16", "pass1", "deepprune")
_FREE_SECTIONS = ("policy.", "checkpoint.")


class PolicyModels:
    """The models that a server offers, and the settings that each stands for.

    Args:
        settings: the server's.
        opened: those with which the servers behind were opened: they say what a policy can have.
        model: the name of the reasoner's model.
        api: through which the reasoner is asked, "chat" or "completions".
        max_traces: the most traces that a request may ask for.
        least_temperature: of a request; one with a lower temperature is sampled as the settings say.
    """

    def __init__(
        self,
        settings: Settings,
        opened: Settings,
        model: str,
        *,
        api: str,
        max_traces: int,
        least_temperature: float,
    ) -> None:
        self.model = model
        self._api = api
        self._settings = settings
        self._opened = opened
        self._max_traces = max_traces
        self._least_temperature = least_temperature
        self._base = dict(given_settings(settings))

    def names(self) -> list[str]:
        """All models, the server's own policy first."""
        return [self.model, *(f"{self.model}:{name}" for name in _LISTED if self._offers(name))]

    def check(self, name: str) -> None:
        """Raises ApiError, 404, for a model that is not there; those that are not listed are, too."""
        policy = name.removeprefix(f"{self.model}:")
        if name != self.model and (policy == name or not self._offers(policy)):
            raise self._unknown(name)

    def settings_for(self, request: VoteRequest) -> tuple[Settings, list[str]]:
        """The settings of a request, and what of it does not hold and why, for the reply.

        Raises:
            ApiError: 404 for a model that is not there, 400 for settings that are wrong.
        """
        if not request.model.startswith(self.model):
            raise self._unknown(request.model)
        suffix = request.model.removeprefix(self.model)
        if suffix and not suffix.startswith(":"):
            raise self._unknown(request.model)
        options = request.deepprune
        policy = options.policy or suffix.removeprefix(":")
        sampling = sampling_of(
            request, self._settings, least_temperature=self._least_temperature, api=self._api
        )
        changes = {**self._policy(policy), **sampling.settings, **_options(options)}
        return self._resolved(changes), sampling.notes

    def _offers(self, name: str) -> bool:
        try:
            self._resolved(self._policy(name))
        except ApiError:
            return False
        return True

    def _policy(self, text: str) -> dict[str, Any]:
        """The settings that a policy's name stands for, such as cons@16."""
        if not text:
            return {}
        head, at, number = text.partition("@")
        changes = dict(_ALIASES.get(head, {"policy.name": head}))
        if changes["policy.name"] not in POLICY_NAMES or head == "custom":
            raise self._unknown(f"{self.model}:{text}")
        if at:
            if not number.isascii() or not number.isdecimal() or int(number) < 1:
                raise self._unknown(f"{self.model}:{text}")
            changes["policy.traces"] = int(number)
        return changes

    def _resolved(self, changes: Mapping[str, Any]) -> Settings:
        name = changes.get("policy.name", self._settings.policy.name)
        base = {path: value for path, value in self._base.items() if _applies(path, name)}
        values = {**base, "policy.name": name, **changes}
        try:
            settings = resolve(
                Assigned(path, value, "the request") for path, value in values.items()
            )
        except ConfigError as error:
            raise ApiError(400, str(error), param="deepprune") from None
        self._check(settings)
        return settings

    def _check(self, settings: Settings) -> None:
        """Raises ApiError where a request wants more traces than allowed, or what the servers behind cannot give."""
        wanted = settings.policy.traces
        if wanted > max(self._max_traces, self._settings.policy.traces):
            raise ApiError(
                400,
                f"{wanted} traces are too many: ask for at most {self._max_traces}.",
                param="deepprune.traces",
            )
        for needs, what in _NEEDS:
            if needs(settings) and not needs(self._opened):
                raise ApiError(
                    400,
                    f"The policy {settings.policy.name} needs {what}, which this server was started without: "
                    "choose another policy.",
                    param="model",
                )

    def _unknown(self, name: str) -> ApiError:
        return ApiError(
            404,
            f"The model {name} does not exist: use {self.model}, or {self.model}:POLICY such as "
            f"{self.model}:cons@16.",
            param="model",
            code="model_not_found",
        )


_NEEDS = (
    (needs_judge, "a judge (--judge-endpoint)"),
    (needs_rewards, "a reward model (--reward-endpoint)"),
    (needs_confidences, "confidences (a policy or vote by confidence)"),
    (
        needs_regenerations,
        "a server that is known to continue token ids (policy.vote=prefix-consistency)",
    ),
)


def _options(options: Options) -> dict[str, Any]:
    """The settings in the field `deepprune`."""
    for path in options.settings:
        if not path.startswith(_FREE_SECTIONS):
            allowed = ", ".join(section.rstrip(".") for section in _FREE_SECTIONS)
            raise ApiError(
                400,
                f"A request may not change {path}: it may change the sections {allowed}.",
                param="deepprune.settings",
            )
    own = {
        "policy.traces": options.traces,
        "policy.effort": options.effort,
        "policy.min_ballots": options.min_ballots,
    }
    return {**options.settings, **{path: value for path, value in own.items() if value is not None}}


def _applies(path: str, policy: str) -> bool:
    """Whether a setting of the server holds for a policy."""
    section, _, key = path.partition(".")
    return section != "policy" or policy in policies_with(key)


def given_settings(section: BaseModel, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The settings that were given, by dotted path."""
    for name in section.model_fields_set:
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            yield from given_settings(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
