"""Which question a trace belongs to: ids are names that people gave, and a text says what was asked.

The rule: one text under two ids is one question, so that it cannot be in two splits; two texts under one id are
refused.
"""

import hashlib

from orchestrator.errors import DatasetError

__all__ = ["QuestionBook", "fingerprint"]


def fingerprint(question_id: str, question: str) -> str:
    """What stands for a question's text, however it is spaced; for its id if it has no text. 32 hex digits."""
    text = " ".join(question.split())
    return hashlib.blake2b((text or question_id).encode(), digest_size=16).hexdigest()


class QuestionBook:
    """The questions met so far, by id and by text."""

    def __init__(self) -> None:
        self._prints: dict[str, str] = {}
        self._ids: dict[str, str] = {}

    @property
    def repeated(self) -> int:
        """Ids whose text was there already under another id, which stands for both."""
        return len(self._prints) - len(self._ids)

    def id_of(self, question_id: str, question: str) -> str:
        """The first id of this text. Raises DatasetError if the id stands for another text already."""
        found = fingerprint(question_id, question)
        if self._prints.setdefault(question_id, found) != found:
            raise DatasetError(
                f"The traces give two different questions the id '{question_id}'; "
                "give each question its own."
            )
        return self._ids.setdefault(found, question_id)
