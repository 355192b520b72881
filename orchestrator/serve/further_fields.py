"""The fields of a request that a vote does not read itself: each one reaches the traces, or is refused.

A field that silently did not hold would be a wrong answer. Those that this server does not know are sent with every trace,
since the reasoner may know them. Only fields that say something about the caller, and not about the text, are dropped.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from orchestrator.serve.errors import ApiError

__all__ = ["FurtherFields", "further_fields"]

_ABOUT_THE_CALLER = frozenset(
    {
        "include_reasoning",  # deepprune.reasoning says it here
        "metadata",
        "prediction",
        "prompt_cache_key",
        "prompt_cache_retention",
        "request_id",
        "safety_identifier",
        "service_tier",
        "session_id",
        "store",
        "user",
    }
)
_ABOUT_TOOLS = frozenset({"function_call", "parallel_tool_calls", "tool_choice", "tools"})
"""Requests that name tools are passed through; without any these say nothing."""

_REFUSED: Mapping[str, str] = {
    "add_special_tokens": "the server's chat template adds them",
    "audio": "an answer is text",
    "best_of": "ask for several independent answers with n",
    "chat_template": "a server takes its own template; give it arguments with chat_template_kwargs",
    "continue_final_message": "the last message must be the user's",
    "echo": "an answer does not have the question in it",
    "ignore_eos": "no trace would end with an answer",
    "include_stop_str_in_output": "the final answer ends before a stop text",
    "logprob_token_ids": "a voted answer has no logprobs",
    "prompt_embeds": "the question is a text",
    "prompt_logprobs": "a voted answer has no logprobs",
    "return_prompt_text": "an answer does not have the question in it",
    "return_token_ids": "the traces of a vote have no ids in common",
    "return_token_offsets": "the traces of a vote have no ids in common",
    "return_tokens_as_token_ids": "a voted answer has no logprobs",
    "top_logprobs": "a voted answer has no logprobs",
    "truncate_prompt_tokens": "a trace that goes on after a pause would lose its own start",
    "use_beam_search": "the traces of a vote are sampled",
}
_NOT_ASKED_FOR: tuple[object, ...] = (None, False, 0, "", [], {})
"""Values with which clients send a field that they do not want."""

_OF_THE_TEMPLATE = ("documents", "enable_thinking", "reasoning", "thinking")
"""Fields that change the prompt, which only a server that renders it itself can see."""


class FurtherFields(NamedTuple):
    """What reaches the traces: arguments of the chat template, and fields of their requests."""

    template: dict[str, Any]
    extra: dict[str, Any]


def further_fields(given: Mapping[str, Any], *, api: str) -> FurtherFields:
    """Sorts the further fields of a request.

    Args:
        given: by name.
        api: "chat" where the reasoner renders the chat itself, "completions" where it gets token ids.

    Raises:
        ApiError: 400, a field cannot hold for a voted answer.
    """
    fields = {
        name: value
        for name, value in given.items()
        if value is not None and name not in _ABOUT_THE_CALLER | _ABOUT_TOOLS
    }
    if fields.get("best_of") == 1:
        del fields["best_of"]
    for name in [each for each in fields if each in _REFUSED]:
        if fields.pop(name) not in _NOT_ASKED_FOR:
            raise _refusal(name, _REFUSED[name])
    if fields.pop("add_generation_prompt", True) is not True:
        raise _refusal("add_generation_prompt", "an answer is a new turn of the chat")
    if fields.pop("modalities", ["text"]) != ["text"]:
        raise _refusal("modalities", "an answer is text")
    template = fields.pop("chat_template_kwargs", {})
    if not isinstance(template, dict):
        raise ApiError(400, "chat_template_kwargs must be an object.", param="chat_template_kwargs")
    if api != "completions":
        return FurtherFields(template, fields)
    for name in _OF_THE_TEMPLATE:
        if name in fields:
            raise ApiError(
                400,
                f"{name} changes the prompt, which this server renders: put it into chat_template_kwargs, by the name "
                "that the model's chat template has for it.",
                param=name,
            )
    return FurtherFields(_effort(fields.pop("reasoning_effort", None)) | template, fields)


def _effort(effort: Any) -> dict[str, Any]:
    """What vLLM's chat API makes of `reasoning_effort` (vllm.entrypoints.openai.chat_completion.protocol, 0.32)."""
    if effort is None:
        return {}
    return {"reasoning_effort": effort, "enable_thinking": effort != "none"}


def _refusal(name: str, reason: str) -> ApiError:
    return ApiError(400, f"{name} cannot hold for a voted answer: {reason}.", param=name)
