"""The requests of one reasoner: prompts, and the body that asks for a stream."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from orchestrator.core.prompting import Message
from orchestrator.settings import SamplingSettings

__all__ = ["EXTRAS", "Prompt", "StreamRequests"]

_VLLM_EXTRAS: Mapping[str, Any] = {
    "return_token_ids": True,
    "stream_options": {"include_usage": True, "continuous_usage_stats": True},
}
_USAGE: Mapping[str, Any] = {"stream_options": {"include_usage": True}}
EXTRAS: tuple[Mapping[str, Any], ...] = (_VLLM_EXTRAS, _USAGE, {})
"""Fields of a stream request beyond OpenAI's required ones, best first; the probe finds which are accepted."""


_NOT_SENT = {"max_tokens", "extra", "chat_template_kwargs"}
"""Sampling settings that are not fields of a request as they are."""


class Prompt(msgspec.Struct, frozen=True):
    """A question as the server takes it: token ids for completions, messages for chat."""

    token_ids: tuple[int, ...] | None
    messages: tuple[Message, ...]


class StreamRequests(msgspec.Struct, frozen=True, kw_only=True):
    """How streams are asked for.

    `api` is "completions" or "chat"; `max_model_len` is the context in tokens, None if the server does not tell.
    """

    model: str
    api: str
    extras: Mapping[str, Any]
    max_model_len: int | None
    sampling: SamplingSettings

    @property
    def path(self) -> str:
        """The path below the server's base address."""
        return "completions" if self.api == "completions" else "chat/completions"

    def tokens_left(self, prompt: Prompt, generated_tokens: int) -> int | None:
        """Tokens that a trace may still generate; None leaves the limit to the server.

        A limit beyond the model's context is lowered to it, because servers refuse such a request.
        """
        limits = [] if self.sampling.max_tokens is None else [self.sampling.max_tokens]
        if prompt.token_ids is not None and self.max_model_len is not None:
            limits.append(self.max_model_len - len(prompt.token_ids))
        return min(limits) - generated_tokens if limits else None

    def body(
        self,
        prompt: Prompt,
        generated_ids: Sequence[int] = (),
        *,
        max_tokens: int | None,
        top_logprobs: int | None = None,
    ) -> dict[str, Any]:
        """The JSON that asks for a stream; `generated_ids` continue a trace of a completions prompt."""
        body: dict[str, Any] = {
            "model": self.model,
            "stream": True,
            **self.sampling.model_dump(exclude_none=True, exclude=_NOT_SENT),
            **self._extra_fields(len(generated_ids), max_tokens),
            **self.extras,
            **self._logprobs(top_logprobs),
        }
        if max_tokens is not None:
            body["max_tokens"] = max_tokens
        if self.api == "completions":
            body["prompt"] = [*(prompt.token_ids or ()), *generated_ids]
        elif generated_ids:
            raise ValueError("a chat stream cannot be resumed by token ids")
        else:
            body["messages"] = prompt.messages
            if self.sampling.chat_template_kwargs:
                body["chat_template_kwargs"] = self.sampling.chat_template_kwargs
        return body

    def _logprobs(self, top: int | None) -> dict[str, Any]:
        """Fields that ask for the `top` likeliest tokens beside each one.

        Completions name tokens by their text, which two tokens may share; vLLM names them by id on request.
        """
        if top is None:
            return {}
        if self.api == "chat":
            return {"logprobs": True, "top_logprobs": top}
        named_by_id = {"return_tokens_as_token_ids": True} if self.extras is _VLLM_EXTRAS else {}
        return {"logprobs": top, **named_by_id}

    def _extra_fields(self, generated: int, max_tokens: int | None) -> dict[str, Any]:
        """The user's further fields, for a stream behind so many tokens that may write `max_tokens` more.

        vLLM holds text back that may become a stop text, which a pause would lose, unless stop texts are part of the
        output; and it refuses a `min_tokens` above `max_tokens`.
        """
        fields = dict(self.sampling.extra)
        if fields.get("stop") and self.extras is _VLLM_EXTRAS:
            fields["include_stop_str_in_output"] = True
        if isinstance(least := fields.get("min_tokens"), int):
            left = max(0, least - generated)
            fields["min_tokens"] = left if max_tokens is None else min(left, max_tokens)
        return fields
