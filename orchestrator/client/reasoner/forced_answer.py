"""Asks for the answer of an unfinished trace: its tokens are continued behind a forced ending, greedily and shortly.

The request is one of its own, so the trace's stream goes on undisturbed; the server's prefix cache holds most of what it
reads.
"""

from collections.abc import Sequence

import msgspec

from orchestrator.client.http import HttpClient
from orchestrator.client.usage import Usage
from orchestrator.errors import StreamBroken

__all__ = ["ForcedAnswer", "force_answer"]

MAX_TOKENS = 24
"""Enough for an answer and the end of its line; a longer one is cut and cannot be read."""

_STOPS = ["\n", "}.", "}$"]  # at most four are allowed


class ForcedAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What the model wrote behind the forced ending.

    `text` ends where the brace closes that the ending has opened, or is all that was written; it is not `whole` if the
    brace does not close. `logprob` is the sum over
    the tokens of `text`, in nats, None where the server gives none. `tokens` were generated, those behind `text` included.
    """

    text: str
    whole: bool
    tokens: int
    prompt_tokens: int
    cached_prompt_tokens: int
    logprob: float | None


class _Logprobs(msgspec.Struct):
    tokens: list[str] = []
    token_logprobs: list[float | None] = []


class _Choice(msgspec.Struct):
    text: str = ""
    logprobs: _Logprobs | None = None


class _Completion(msgspec.Struct):
    choices: list[_Choice]
    usage: Usage


async def force_answer(
    http: HttpClient,
    model: str,
    ids: Sequence[int],
    ending: Sequence[int],
    *,
    opens_brace: bool,
    logprobs: bool,
) -> ForcedAnswer:
    """What `model` writes behind `ids` (prompt and generated tokens) and the ids of the forced `ending`.

    `opens_brace` says that the answer ends where a brace closes that the ending has opened. `logprobs` asks for the
    log-probabilities of its tokens; the first request for them may hold up a whole engine while it compiles.

    Raises:
        EndpointError: the server refuses the request, fails, or sends no completion.
    """
    url = f"{http.address.base}/completions"
    found = await http.json(
        "POST",
        url,
        _Completion,
        {
            "model": model,
            "prompt": [*ids, *ending],
            "max_tokens": MAX_TOKENS,
            "temperature": 0.0,
            "stop": _STOPS,
            "include_stop_str_in_output": True,
            **({"logprobs": 1} if logprobs else {}),
        },
    )
    tokens = found.usage.completion
    if len(found.choices) != 1 or tokens is None or tokens > MAX_TOKENS:
        raise StreamBroken(f"{url} sent no completion of at most {MAX_TOKENS} tokens.", "decode")
    choice = found.choices[0]
    end = _end(choice.text) if opens_brace else len(choice.text)
    text = choice.text[:end]
    return ForcedAnswer(
        text=text,
        whole=end is not None,
        tokens=tokens,
        prompt_tokens=len(ids) + len(ending),
        cached_prompt_tokens=min(found.usage.cached, len(ids) + len(ending)),
        logprob=_logprob(choice.logprobs, len(text)),
    )


def _end(text: str) -> int | None:
    """The length up to the brace that closes the one opened before the text; None if none does."""
    depth, escaped = 1, False
    for at, character in enumerate(text):
        if escaped:
            escaped = False
        elif character == "\\":
            escaped = True
        elif character in "{}":
            depth += 1 if character == "{" else -1
            if depth == 0:
                return at + 1
    return None


def _logprob(logprobs: _Logprobs | None, characters: int) -> float | None:
    """The sum over the tokens of the first characters; None where one of them has none."""
    if logprobs is None or not logprobs.tokens:
        return None
    total, seen = 0.0, 0
    for token, logprob in zip(logprobs.tokens, logprobs.token_logprobs, strict=False):
        if seen >= characters:
            break
        if logprob is None:
            return None
        total += logprob
        seen += len(token)
    return total if seen >= characters else None
