"""Multiple-choice options beside a question: read from a record, put into its text, and the letter of the right one."""

import ast
import contextlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["LETTERS", "gold_letter", "labels_of", "options_of", "with_options"]

LETTERS = "ABCDEFGHIJ"

_MOST_LITERAL_CHARS = 100_000
_LIST_COLUMNS = ("options", "choices")
_COLUMN_FAMILIES = (
    "{letter}",
    "option_{lower}",
    "option{letter}",
    "option {letter}",
    "choice_{lower}",
    "choice{number}",
    "option{number}",
    "op{lower}",
)


def options_of(columns: Mapping[str, Any]) -> tuple[str, ...]:
    """The texts of the options that a record holds, in the order of their letters; empty if it holds none.

    Known forms: a list of texts, an object of letters and texts, an object with "text" and "label" (ARC), any of these in a CSV
    field as JSON or as Python writes it, and a column for each option (A, B, ... or option_a, choice1, ...).

    Raises:
        ValueError: there are options in another form, or more or fewer than two to ten; says what is wrong.
    """
    name, value = _list_column(columns)
    if name:
        return _checked(name, _listed(name, value))
    for family in _COLUMN_FAMILIES:
        names = _present(columns, family)
        if len(names) >= 2:
            return _checked(names[0], [columns[name] for name in names])
    return ()


def with_options(question: str, options: Sequence[str]) -> str:
    """The question followed by its lettered options, unless it lists them already."""
    if not options or all(option in question for option in options):
        return question
    lines = [f"({letter}) {option}" for letter, option in zip(LETTERS, options, strict=False)]
    return "\n".join([question, "", *lines])


def labels_of(columns: Mapping[str, Any]) -> tuple[str, ...]:
    """The labels that a record gives its options, such as 1, 2, 3 (ARC); empty where it gives none.

    Raises:
        ValueError: there are options in no form of `options_of`.
    """
    _, value = _list_column(columns)
    if isinstance(value, Mapping) and isinstance(value.get("label"), list | tuple):
        return tuple(str(label) for label in value["label"])
    if isinstance(value, list | tuple) and all(isinstance(each, Mapping) for each in value):
        return tuple(str(each.get("label", "")) for each in value)
    return ()


def gold_letter(gold: str | None, options: Sequence[str], labels: Sequence[str] = ()) -> str | None:
    """The right answer as a letter: by its label, as it stands, from an option's text, or from its index counted from 0."""
    if gold is None or not options:
        return gold
    letters = LETTERS[: len(options)]
    if gold.strip() in labels[: len(options)]:
        return letters[list(labels).index(gold.strip())]
    spelled = gold.strip().strip("()").rstrip(".").upper()
    if len(spelled) == 1 and spelled in letters:
        return spelled
    if gold.strip() in options:
        return letters[list(options).index(gold.strip())]
    if gold.isdigit() and int(gold) < len(options):
        return letters[int(gold)]
    return gold


def _present(columns: Mapping[str, Any], family: str) -> list[str]:
    """The names of a family's columns that the record fills, from the first option on."""
    known = {str(name).lower(): name for name in columns}
    names: list[str] = []
    for number, letter in enumerate(LETTERS, start=1):
        wanted = family.format(letter=letter, lower=letter.lower(), number=number).lower()
        name = known.get(wanted)
        if name is None or columns[name] in (None, ""):
            return names
        names.append(name)
    return names


def _list_column(columns: Mapping[str, Any]) -> tuple[str, Any]:
    """The first column that lists options, and what it holds; ("", None) where there is none."""
    for name in _LIST_COLUMNS:
        value = columns.get(name)
        if value not in (None, "", [], (), {}):
            return name, _decoded(name, value) if isinstance(value, str) else value
    return "", None


def _listed(name: str, value: Any) -> list[Any]:
    if isinstance(value, Mapping) and "text" in value:
        value = value["text"]
    if isinstance(value, Mapping):
        letters = [str(key).strip("(). ").upper() for key in value]
        if letters != list(LETTERS[: len(letters)]):
            raise ValueError(f"{name} must name its options A, B, C, ... in order")
        value = list(value.values())
    if not isinstance(value, list | tuple):
        raise ValueError(f"{name} must be a list of options")
    return [item.get("text", item) if isinstance(item, Mapping) else item for item in value]


def _decoded(name: str, text: str) -> Any:
    """What a CSV field holds: JSON, or a list as Python and pandas write it."""
    try:
        return json.loads(text, parse_int=str, parse_float=str)
    except ValueError:
        pass
    except RecursionError:
        raise ValueError(f"{name} is nested too deeply") from None
    if text.lstrip().startswith(("[", "(", "{")):
        with contextlib.suppress(ValueError, SyntaxError, RecursionError, MemoryError):
            return ast.literal_eval(text[:_MOST_LITERAL_CHARS])
    raise ValueError(f"{name} is neither a list nor JSON")


def _checked(name: str, options: Sequence[Any]) -> tuple[str, ...]:
    texts = [str(option).strip() for option in options if isinstance(option, str | int | float)]
    if len(texts) != len(options) or not all(texts):
        raise ValueError(f"{name} must hold texts or numbers, none of them empty")
    if not 2 <= len(texts) <= len(LETTERS):
        raise ValueError(
            f"{name} holds {len(texts)} options; between 2 and {len(LETTERS)} can be asked"
        )
    return tuple(_without_letters(texts))


def _without_letters(texts: Sequence[str]) -> Sequence[str]:
    """The options without letters of their own ("A. 42", "(A) 42"), if all of them have theirs."""
    stripped = []
    for letter, text in zip(LETTERS, texts, strict=False):
        for mark in (f"({letter}) ", f"{letter}) ", f"{letter}. ", f"{letter}: "):
            if text.startswith(mark):
                stripped.append(text.removeprefix(mark).strip())
                break
    return stripped if len(stripped) == len(texts) else texts
