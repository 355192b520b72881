"""The confidence of each token, from the log-probabilities that a server sends with it.

The rule: the likeliest tokens count, however many the server sends and whatever it calls them. Which token was
written makes no difference.
"""

from collections.abc import Iterable, Iterator
from heapq import nlargest

from orchestrator.client.sse import Logprobs

__all__ = ["token_confidences"]

_DECIMALS = 3  # as in the public code; it keeps a journal's line short


def token_confidences(logprobs: Logprobs, top: int) -> list[float]:
    """Minus the mean log-probability (nats) of the `top` likeliest tokens, for each new token.

    A sure model leaves little to the other candidates, so its confidence is high (arXiv 2508.15260, section 2). A
    server may send one candidate more than it was asked for, the token that was written: it is left out.
    """
    found = [nlargest(top, position) for position in _positions(logprobs)]
    return [round(-sum(likely) / len(likely), _DECIMALS) for likely in found if likely]


def _positions(logprobs: Logprobs) -> Iterator[Iterable[float]]:
    """The log-probabilities at each new token."""
    for by_text in logprobs.top_logprobs or ():
        yield (by_text or {}).values()
    for position in logprobs.content or ():
        yield [candidate.logprob for candidate in position.top_logprobs]
