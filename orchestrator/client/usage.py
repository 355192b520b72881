"""The token counts of a server's answer, as far as they can be believed.

A count is a whole number of tokens that no context exceeds; anything else (negative, 1e19, a text) is no count.
"""

from typing import Any

import msgspec

__all__ = ["MOST_TOKENS", "Usage", "credible"]

MOST_TOKENS = 10**8
"""Far more than any model's context."""


def credible(count: Any) -> int | None:
    """The count; None for anything that cannot be one."""
    if type(count) is int:
        return count if 0 <= count <= MOST_TOKENS else None
    return credible(int(count)) if type(count) is float and count.is_integer() else None


class Usage(msgspec.Struct, gc=False):
    """Token counts of one request so far (continuous) or at its end, as the server writes them."""

    prompt_tokens: Any = None
    completion_tokens: Any = None
    prompt_tokens_details: Any = None

    @property
    def prompt(self) -> int | None:
        """Tokens of the prompt."""
        return credible(self.prompt_tokens)

    @property
    def completion(self) -> int | None:
        """Generated tokens."""
        return credible(self.completion_tokens)

    @property
    def cached(self) -> int:
        """Tokens of the prompt that came from the prefix cache: no more than it has, 0 where the server does not tell."""
        details = self.prompt_tokens_details
        if details is None:  # as in all events but the last
            return 0
        told = credible(details.get("cached_tokens")) if isinstance(details, dict) else None
        return min(told or 0, self.prompt or 0)
