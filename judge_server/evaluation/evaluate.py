"""How well judges tell same-answer pairs from the others: `deepprune-judge evaluate`.

The rules: all judges of one command are scored on the same pairs; with a judge that was trained here these are of
questions that its training never saw, unless the caller says otherwise; nothing is written here.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from judge_server.data.pairs import Pair, PairCounts
from judge_server.evaluation.candidates import SPEC_FILE, Asking, Contender, find_contenders
from judge_server.evaluation.measure import Manner, Measured, TestPairs, measure
from judge_server.evaluation.pair_source import Cut, Drawing, Material, PairMaterial, TraceMaterial
from judge_server.evaluation.scoring import say
from orchestrator.core.judging import JudgeSpec
from orchestrator.errors import ConfigError, DatasetError

__all__ = ["Evaluation", "Options", "evaluate"]

PAPER_WORDS = 25


@dataclass(frozen=True, kw_only=True)
class Options:
    """The command line; `judge_server.cli.evaluate` says what each flag means.

    Raises:
        ConfigError: flags that do not go together.
    """

    judges: Sequence[str]
    asking: Asking
    source: Path
    is_pairs: bool
    drawing: Drawing
    split: str
    cut: Cut | None
    truncations: Sequence[Cut]
    manner: Manner
    out: Path | None

    def __post_init__(self) -> None:
        if self.is_pairs and (self.cut or self.truncations):
            raise ConfigError(
                "The pairs of a file are cut already; --words, --tokens and --truncations need --traces."
            )


class NewSpec(NamedTuple):
    """A judge's spec with its new calibration, and the file that is to hold it."""

    spec: JudgeSpec
    file: Path


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """All judges on the same pairs, and where these come from."""

    options: Options
    cut: Cut
    pairs: list[Pair]
    counts: PairCounts
    measured: list[Measured]
    new_spec: NewSpec | None


def evaluate(options: Options) -> Evaluation:
    """Measures every judge.

    Raises:
        ConfigError: flags or names that cannot be used.
        DatasetError: a file that cannot be used, or pairs of one class only.
        EndpointError, JudgeError: a server that fails.
    """
    if options.out is not None:
        _check_writable(options.out)
    contenders = find_contenders(options.judges, options.asking)
    to_calibrate = _to_calibrate(contenders, options.out) if options.manner.calibrate else None
    cut = options.cut or _own_cut(contenders)
    material = _read(options, contenders)
    questions = _held_out(material, contenders, options.split)
    pairs, counts = material.pairs(questions, cut)
    _check_both_classes(options.source, counts)
    say(
        f"{counts.pairs:,} pairs of {len({pair.question_id for pair in pairs})} questions, "
        f"{counts.same / counts.pairs:.1%} with the same answer."
    )
    test = TestPairs(
        pairs=pairs,
        truncated={
            str(other): pairs if other == cut else material.pairs(questions, other)[0]
            for other in options.truncations
        },
        validation=_validation_pairs(material, to_calibrate, questions, cut)
        if to_calibrate is not None
        else (),
    )
    measured = [measure(contender, test, options.manner) for contender in contenders]
    return Evaluation(
        options=options,
        cut=cut,
        pairs=pairs,
        counts=counts,
        measured=measured,
        new_spec=_new_spec(to_calibrate, measured, options.out),
    )


def _check_writable(out: Path) -> None:
    """Raises ConfigError if no folder can be written there; writes nothing."""
    place = next(path for path in (out.absolute(), *out.absolute().parents) if path.exists())
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        raise ConfigError(f"{out} cannot be written; name another folder with --out.")


def _to_calibrate(contenders: Sequence[Contender], out: Path | None) -> Contender:
    """The one judge among the contenders. Raises ConfigError if its calibration could not be saved."""
    judges = [contender for contender in contenders if contender.spec is not None]
    if len(judges) != 1:
        raise ConfigError(
            "--calibrate is for one judge: name one folder or address; baselines may stand beside it."
        )
    folder = judges[0].folder or out
    if folder is None:
        raise ConfigError("--calibrate saves the judge.yaml of an address in --out DIR; name it.")
    _check_writable(folder)
    return judges[0]


def _own_cut(contenders: Sequence[Contender]) -> Cut:
    """The cut of the first judge that has one; without such a judge, that of arXiv 2510.08483."""
    spec = next((contender.spec for contender in contenders if contender.spec is not None), None)
    if spec is None:
        return Cut(PAPER_WORDS)
    return Cut(spec.segment_tokens, "tokens") if spec.segment_tokens else Cut(spec.segment_words)


def _read(options: Options, contenders: Sequence[Contender]) -> Material:
    if options.is_pairs:
        return PairMaterial(options.source, options.drawing)
    folders = [contender.folder for contender in contenders if contender.folder is not None]
    drawing = options.drawing
    if drawing.tokenizer is None and folders:
        drawing = replace(drawing, tokenizer=folders[0])
    return TraceMaterial(options.source, drawing)


def _held_out(material: Material, contenders: Sequence[Contender], split: str) -> list[str]:
    """The questions on the wanted side of every training.

    Raises DatasetError if there is none.
    """
    total = len(material.questions)
    records = {one.name: one.record for one in contenders if one.record is not None}
    names = " and ".join(records)
    seen = {
        question
        for question in material.questions
        if any(one.has_seen(question, material.text(question)) for one in records.values())
    }
    if split == "all" or not records:
        say(f"All {total} questions are used.")
        if seen:
            say(f"{len(seen)} of them were in the training of {names}, which flatters it.")
        return list(material.questions)
    questions = [
        question
        for question in material.questions
        if all(one.side(question) == split for one in records.values())
    ]
    if split == "test" and seen.intersection(questions):
        say(
            f"{len(seen.intersection(questions))} questions are left out: the training of {names} had them "
            "under other ids."
        )
        questions = [question for question in questions if question not in seen]
    if not questions:
        raise DatasetError(
            f"None of the {total} questions is on the {split} side of the training of {names}; "
            "add --split all if the training saw none of them."
        )
    say(
        f"{len(questions)} of {total} questions are used: the {split} side of the training of {names}."
    )
    return questions


def _check_both_classes(source: Path, counts: PairCounts) -> None:
    if not 0 < counts.same < counts.pairs:
        raise DatasetError(
            f"{source} gives {counts.pairs} pairs, {counts.same} of them with the same answer; both classes are "
            "needed: give more questions or traces, fewer --words, --short keep, or --split all."
        )


def _validation_pairs(
    material: Material, judge: Contender, tested: Sequence[str], cut: Cut
) -> list[Pair]:
    """Pairs of the questions that chose the judge's best epoch, if they are of both classes; else none."""
    record = judge.record
    if record is None:
        return []
    others = set(material.questions) - set(tested)
    questions = [
        name for name in material.questions if name in others and record.side(name) == "validation"
    ]
    pairs, counts = material.pairs(questions, cut)
    return pairs if 0 < counts.same < counts.pairs else []


def _new_spec(
    judge: Contender | None, measured: Sequence[Measured], out: Path | None
) -> NewSpec | None:
    for one in measured:
        folder = judge and (judge.folder or out)
        if judge and judge.spec and folder and one.calibrated:
            spec = judge.spec.model_copy(update={"calibration": one.calibrated.calibration})
            return NewSpec(spec, folder / SPEC_FILE)
    return None
