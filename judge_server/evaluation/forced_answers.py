"""What forced answers (probes) know about "same", by the share of a trace that is written.

The file is as `deepprune-bench probes --out` writes it, a probe matrix or traces in .jsonl: of each trace its answers at every so
many tokens, its length and its final answer. A pair's score is 1 where the last probes up to the share name equal answers, 0 where they name
different ones, and 0.5 where one of them names none.
"""

from collections.abc import Iterable, Sequence
from itertools import combinations
from pathlib import Path
from random import Random
from typing import NamedTuple

import msgspec

from judge_server.data.labels import AnswerEquality
from judge_server.evaluation.figures import Figures, figures_of
from judge_server.metrics import ScoredPairs
from orchestrator.errors import DatasetError

__all__ = ["forced_answer_figures"]

Spelling = str | int | float | None
NO_ANSWER = ("", "ERR")


class _Question(msgspec.Struct):
    question: str
    probe_freq: int
    each_branch: list[tuple[list[Spelling], int, Spelling]]


class _Line(msgspec.Struct):
    question_id: str | int
    question: str
    tokens: int
    answer: Spelling
    probes: list[Spelling]
    probe_freq: int


class _Branch(NamedTuple):
    """A trace: what it named at each share, and its final answer."""

    named: list[str | None]
    final: str


class _Scored(NamedTuple):
    questions: list[str]
    same: list[bool]
    scores: list[list[float]]


def forced_answer_figures(
    file: Path, percents: Sequence[int], *, pairs_per_question: int, seed: int
) -> dict[int, Figures]:
    """The figures at each percentage of the traces' tokens, on the same pairs.

    Raises DatasetError for a file without probes, or one that gives pairs of one class only.
    """
    found = _Scored([], [], [[] for _ in percents])
    with AnswerEquality() as equal:
        for number, question in enumerate(_read(file)):
            branches = [
                _Branch(
                    [
                        _probe_at(probes, percent * tokens // 100, question.probe_freq)
                        for percent in percents
                    ],
                    final,
                )
                for probes, tokens, last in question.each_branch
                if (final := _answer(last)) is not None
            ]
            pairs = list(combinations(branches, 2))
            if len(pairs) > pairs_per_question:
                pairs = Random(f"{seed}:{number}").sample(pairs, pairs_per_question)
            for one, two in pairs:
                _add(found, str(number), one, two, equal)
    if len(set(found.same)) < 2:
        raise DatasetError(
            f"{file} gives {len(found.same)} pairs, which are not of both classes; give more questions with --probes."
        )
    return {
        percent: figures_of(ScoredPairs.of(found.questions, found.same, scores), seed=seed)
        for percent, scores in zip(percents, found.scores, strict=True)
    }


def _add(found: _Scored, question: str, one: _Branch, two: _Branch, equal: AnswerEquality) -> None:
    same = equal(one.final, two.final)
    if same is None:
        return
    found.questions.append(question)
    found.same.append(same)
    for scores, first, second in zip(found.scores, one.named, two.named, strict=True):
        is_equal = None if first is None or second is None else equal(first, second)
        scores.append(0.5 if is_equal is None else float(is_equal))


def _probe_at(probes: Sequence[Spelling], tokens: int, every: int) -> str | None:
    """What the last probe within so many tokens named; None without one or without an answer."""
    done = min(tokens // every, len(probes))
    return _answer(probes[done - 1]) if done else None


def _answer(spelling: Spelling) -> str | None:
    text = "" if spelling is None else str(spelling).strip()
    return None if text in NO_ANSWER else text


def _read(file: Path) -> list[_Question]:
    try:
        content = file.read_bytes()
        questions = (
            _grouped(msgspec.json.Decoder(_Line).decode_lines(content))
            if file.suffix == ".jsonl"
            else msgspec.json.decode(content, type=list[_Question])
        )
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise DatasetError(
            f"{file} cannot be read as a probe matrix or as traces with probes ({error}); give a file that deepprune-bench probes --out wrote."
        ) from None
    if any(question.probe_freq < 1 for question in questions):
        raise DatasetError(f"{file} has a probe_freq below 1; give the tokens between two probes.")
    return questions


def _grouped(lines: Iterable[_Line]) -> list[_Question]:
    """The traces of each question; those that were probed at other intervals are a question of their own."""
    groups: dict[tuple[str, int], _Question] = {}
    for line in lines:
        key = str(line.question_id), line.probe_freq
        question = groups.setdefault(key, _Question(line.question, line.probe_freq, []))
        question.each_branch.append((line.probes, line.tokens, line.answer))
    return list(groups.values())
