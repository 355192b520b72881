"""Judges that are classifiers, asked through vLLM's /classify: many pairs in one request, two probabilities each.

A pair is one text, `query + item`, which the server tokenises with the model's special tokens; label 0 is
"identical" (`orchestrator.core.judging`).
"""

from collections.abc import Sequence

import msgspec

from orchestrator.client.judge.protocols import JudgeServer, Verdicts, in_order, verdicts
from orchestrator.client.usage import Usage
from orchestrator.core.judging import PairPrompt
from orchestrator.errors import EndpointRejected, JudgeError

__all__ = ["Class", "Classes", "Classification"]


class Class(msgspec.Struct):
    """The answer of /classify about one text; `probs` has one entry for each label."""

    index: int
    probs: list[float]
    label: str | None = None


class Classes(msgspec.Struct):
    """An answer of /classify."""

    data: list[Class]
    usage: Usage | None = None


class Classification:
    """vLLM's /classify: the softmax over a head with two labels."""

    name = "classify"
    batched = True

    def __init__(self, server: JudgeServer) -> None:
        self._server = server

    async def ask(self, prompts: Sequence[PairPrompt]) -> Verdicts:
        """See `JudgeProtocol.ask`. Raises JudgeError if the labels are not those of the judge spec."""
        body = {
            "model": self._server.model,
            "input": [prompt.query + prompt.item for prompt in prompts],
        }
        url = f"{self._server.http.address.root}/classify"
        try:
            answer = await self._server.http.json("POST", url, Classes, body)
        except EndpointRejected as error:
            raise _with_remedy(error) from None
        classes = in_order(answer.data, len(prompts))
        self._check_labels(classes)
        return verdicts([one.probs[0] for one in classes], answer.usage)

    def _check_labels(self, classes: Sequence[Class]) -> None:
        labels = self._server.spec.labels
        for one in classes:
            if len(one.probs) != 2:
                raise JudgeError(
                    f"The classifier at {self._server.http.address} gives {len(one.probs)} probabilities; serve a "
                    f"model with two labels, {labels[0]!r} and {labels[1]!r}."
                )
            likely = labels[one.probs[0] < one.probs[1]]
            if one.label in labels and one.label != likely:
                raise JudgeError(
                    f"The classifier at {self._server.http.address} has its labels in another order than "
                    f"the judge spec; make {labels[0]!r} label 0 in its config.json."
                )


def _with_remedy(error: EndpointRejected) -> EndpointRejected:
    if error.status != 400:
        return error
    return EndpointRejected(
        f"{str(error).rstrip('.')}; if a pair is too long, lower max_segment_chars in the judge spec.",
        error.status,
    )
