"""The bundled models, started by a client of the package: the servers of all tests on vLLM."""

from collections.abc import Sequence
from dataclasses import dataclass

import deepprune

__all__ = ["LocalClient"]


@dataclass(frozen=True)
class LocalClient:
    """A client that has started the bundled models itself, and what it announced meanwhile."""

    client: deepprune.Client
    announced: Sequence[str]

    @property
    def reasoner_url(self) -> str:
        (url,) = self.client.settings.endpoint.urls
        return url

    @property
    def judge_url(self) -> str:
        (url,) = self.client.settings.judge.urls
        return url
