"""What a caller of the Python API may ask: a text, a chat, or a question with an id and a gold answer."""

from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.errors import ConfigError
from orchestrator.questions import Question, question_of_messages

__all__ = ["Asked", "as_question"]

Asked = Question | str | Sequence[Mapping[str, Any]]
"""A question: a text, a chat as a list of messages with role and content, or an object with an id and a gold answer."""


def as_question(question: Asked, number: str, gold: str | None = None) -> Question:
    """The question that is asked, by default numbered `number` and without a gold answer.

    Raises:
        ConfigError: an empty text, or a chat that cannot be sent.
    """
    if isinstance(question, Question):
        return question
    if not isinstance(question, str):
        try:
            return question_of_messages(question, id=number, gold=gold)
        except ValueError as error:
            raise ConfigError(
                f'This chat cannot be sent: {error}; give a list such as [{{"role": "user", "content": "..."}}].'
            ) from error
    if not question.strip():
        raise ConfigError("There is no question; give a text that is not empty.")
    return Question(id=number, question=question.strip(), gold=gold)
