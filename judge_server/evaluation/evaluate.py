"""How well judges tell same-answer pairs from the others: `deepprune-judge evaluate`.

All judges of one command are scored on the same pairs. With a judge that was trained here these are of
questions that its training never used, unless the caller chooses otherwise. Nothing is written here.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from judge_server.data.pairs import DrawnPairs, Pair, PairCounts
from judge_server.data.truncation import Truncation
from judge_server.evaluation.candidates import Candidate, QueryOptions, find_candidates
from judge_server.evaluation.comparison import (
    JudgeDifference,
    difference_of,
    too_few_questions,
)
from judge_server.evaluation.figures import Figures
from judge_server.evaluation.forced_answers import forced_answer_figures
from judge_server.evaluation.measure import (
    CommonPairs,
    EvaluationOptions,
    EvaluationPairs,
    JudgeResult,
    common_pairs,
    measure,
    score_pairs,
)
from judge_server.evaluation.pair_source import (
    FilePairSource,
    PairSource,
    SamplingOptions,
    TracePairSource,
    unused_questions,
)
from judge_server.evaluation.scoring import say
from judge_server.model_folder import SPEC_FILE
from orchestrator.core.judging import JudgeSpec
from orchestrator.errors import ConfigError, DatasetError

__all__ = ["Evaluation", "EvaluationRequest", "check_answered", "check_writable", "evaluate"]


@dataclass(frozen=True, kw_only=True)
class EvaluationRequest:
    """The command line; `judge_server.cli.evaluate` describes each flag.

    Raises:
        ConfigError: flags that contradict each other.
    """

    judges: Sequence[str]
    query: QueryOptions
    sources: Sequence[Path]
    is_pairs: bool
    sampling: SamplingOptions
    split: str
    cut: Truncation | None
    truncations: Sequence[Truncation]
    word_lists: Sequence[str] = ()
    probes: Sequence[Path] = ()
    options: EvaluationOptions
    out: Path | None

    @property
    def source_name(self) -> str:
        """The names of the files."""
        return " and ".join(file.name for file in self.sources)

    @property
    def percents(self) -> list[int]:
        """The shares of the traces, in per cent, among the other cuts."""
        return sorted({cut.count for cut in self.truncations if cut.unit == "percent"})

    def __post_init__(self) -> None:
        if self.probes and not self.percents:
            raise ConfigError(
                "--probes is measured by the share of a trace; add --truncations percent:10,percent:20,percent:40,percent:60."
            )
        if self.is_pairs and (self.cut or self.truncations or self.word_lists):
            raise ConfigError(
                "The pairs of a file are cut already; --words, --tokens, --truncations and --word-lists need --traces."
            )


class CalibratedSpec(NamedTuple):
    """A judge's spec with its new calibration, and the file to write it to."""

    spec: JudgeSpec
    file: Path


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """The results of all judges on the same pairs, and where these come from.

    `reach_cut` is the fraction of the answered traces that reaches each other cut. `differences` are each further judge
    against the first. `unread` are the pairs that were drawn and that one of the judges could not read, so that they are not in `pairs`.
    `forced` are the figures of forced answers by file and share in per cent.
    """

    request: EvaluationRequest
    cut: Truncation
    pairs: Sequence[Pair]
    counts: PairCounts
    reach_cut: dict[str, float]
    unread: int
    results: list[JudgeResult]
    differences: list[JudgeDifference]
    warnings: list[str]
    new_spec: CalibratedSpec | None
    forced: dict[str, dict[int, Figures]]


def evaluate(request: EvaluationRequest) -> Evaluation:
    """Measures every judge.

    Raises:
        ConfigError: flags or names that cannot be used.
        DatasetError: a file that cannot be used, or pairs of one class only.
        EndpointError, JudgeError: a server that fails.
    """
    if request.out is not None:
        check_writable(request.out)
    candidates = find_candidates(request.judges, request.query)
    forced = _forced_answers(request)
    to_calibrate = _to_calibrate(candidates, request.out) if request.options.calibrate else None
    cut = request.cut or _own_cut(candidates)
    _check_only_cuts(request, candidates, cut)
    source = _open_source(request, candidates)
    questions = unused_questions(source, candidates, request.split)
    drawn = source.pairs(questions, cut)
    _check_both_classes(request.source_name, drawn.counts)
    say(
        f"{drawn.counts.pairs:,} pairs of {len({pair.question_id for pair in drawn.pairs})} questions, "
        f"{drawn.counts.same / drawn.counts.pairs:.1%} with the same answer."
    )
    others = _pairs_of_other_cuts(request, source, questions, cut, drawn)
    pairs = EvaluationPairs(
        pairs=drawn.pairs,
        truncated={name: found.pairs for name, found in others.items()},
        validation=_validation_pairs(source, to_calibrate, questions, cut),
    )
    raw = [score_pairs(candidate, pairs, request.options) for candidate in candidates]
    common = common_pairs(pairs, raw)
    _check_common(common)
    results = [
        measure(candidate, common.pairs, scores, request.options)
        for candidate, scores in zip(candidates, common.scores, strict=True)
    ]
    differences = _differences(results)
    warnings = _warnings(results, differences)
    for warning in warnings:
        say(warning)
    return Evaluation(
        request=request,
        cut=cut,
        pairs=common.pairs.pairs,
        counts=drawn.counts,
        reach_cut={name: found.counts.reach_cut for name, found in others.items()},
        unread=common.left_out,
        results=results,
        differences=differences,
        warnings=warnings,
        new_spec=_new_spec(to_calibrate, results, request.out),
        forced=forced,
    )


def _pairs_of_other_cuts(
    request: EvaluationRequest,
    source: PairSource,
    questions: list[str],
    cut: Truncation,
    drawn: DrawnPairs,
) -> dict[str, DrawnPairs]:
    """The pairs of the table of cuts, by the cut's name; `drawn` are those of `cut` itself."""
    return {
        _cut_name(other, words): drawn
        if other == cut and words is None
        else source.pairs(questions, other, words)
        for other, words in _other_cuts(request, cut)
    }


def _forced_answers(request: EvaluationRequest) -> dict[str, dict[int, Figures]]:
    """The figures of each file of probes, which may be that of the traces."""
    sampling = request.sampling
    return {
        file.name: forced_answer_figures(
            file,
            request.percents,
            pairs_per_question=sampling.pairs_per_question,
            seed=sampling.seed,
        )
        for file in request.probes
    }


def _differences(results: list[JudgeResult]) -> list[JudgeDifference]:
    """Each further judge against the first one."""
    first = results[0]
    return [difference_of(one.name, one.figures, first.name, first.figures) for one in results[1:]]


def _warnings(results: list[JudgeResult], differences: list[JudgeDifference]) -> list[str]:
    """What makes the intervals say little."""
    warnings = too_few_questions(differences, results[0].figures.questions)
    if results[0].figures.questions == 1:
        warnings.append(
            "All pairs are of one question, so the intervals say nothing about others; give more questions."
        )
    return warnings


def _other_cuts(
    request: EvaluationRequest, cut: Truncation
) -> Iterator[tuple[Truncation, str | None]]:
    """Every other cut with every word list, None for the list of the pairs themselves; other units need no list."""
    for other in request.truncations or ([cut] if request.word_lists else ()):
        if other.unit != "words":
            yield other, None
        else:
            yield from ((other, words) for words in request.word_lists or (None,))


def _cut_name(cut: Truncation, word_list: str | None) -> str:
    return f"{cut}" if word_list is None else f"{cut} of {word_list}"


def check_writable(out: Path) -> None:
    """Raises ConfigError if no folder can be written there; writes nothing."""
    place = next(path for path in (out.absolute(), *out.absolute().parents) if path.exists())
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        raise ConfigError(f"{out} cannot be written; name another folder with --out.")


def _to_calibrate(candidates: Sequence[Candidate], out: Path | None) -> Candidate:
    """The one judge among the candidates. Raises ConfigError if its calibration could not be saved."""
    judges = [candidate for candidate in candidates if candidate.spec is not None]
    if len(judges) != 1:
        raise ConfigError(
            "--calibrate is for one judge: name one folder or address, with or without baselines."
        )
    folder = judges[0].folder or out
    if folder is None:
        raise ConfigError(
            f"--calibrate saves the {SPEC_FILE} of an address in --out DIR; add --out."
        )
    check_writable(folder)
    return judges[0]


def _own_cut(candidates: Sequence[Candidate]) -> Truncation:
    """The cut of the first judge that has one; without such a judge, that of arXiv 2510.08483."""
    only = next((one.only_cut for one in candidates if one.only_cut is not None), None)
    if only is not None:
        return only
    spec = next((candidate.spec for candidate in candidates if candidate.spec is not None), None)
    return Truncation() if spec is None else Truncation.of_judge(spec)


def _check_only_cuts(
    request: EvaluationRequest, candidates: Sequence[Candidate], cut: Truncation
) -> None:
    """Raises ConfigError where a cross-validation's scores would be taken for those of other cuts."""
    for one in candidates:
        is_other = one.only_cut != cut or request.truncations or request.word_lists
        if one.only_cut is not None and (
            is_other or request.sampling.word_list or request.is_pairs
        ):
            raise ConfigError(
                f"{one.name} holds scores of traces cut after {one.only_cut} only; give --traces without --truncations and word "
                "lists, and judges of that cut."
            )


def _open_source(request: EvaluationRequest, candidates: Sequence[Candidate]) -> PairSource:
    if request.is_pairs:
        return FilePairSource(request.sources[0], request.sampling)
    folders = [candidate.folder for candidate in candidates if candidate.folder is not None]
    sampling = request.sampling
    if sampling.tokenizer is None and folders:
        sampling = replace(sampling, tokenizer=folders[0])
    return TracePairSource(request.sources, sampling)


def _check_both_classes(source: str, counts: PairCounts) -> None:
    check_answered(source, counts)
    if not counts.has_both_classes:
        raise DatasetError(
            f"{source} gives {counts.pairs} pairs, {counts.same} of them with the same answer; both classes are "
            "needed: give more questions or traces, fewer --words, --short keep, or --split all."
        )


def check_answered(source: str, counts: PairCounts) -> None:
    """Raises DatasetError if there are traces and none of them has an answer."""
    if counts.traces and counts.unanswered == counts.traces:
        raise DatasetError(
            f"None of the {counts.traces:,} traces of {source} has an answer; give whole traces, or their answers in the "
            "field answer."
        )


def _check_common(common: CommonPairs) -> None:
    """Says what is left out. Raises DatasetError unless pairs of both classes remain."""
    kept = common.pairs.pairs
    if common.left_out:
        say(
            f"{common.left_out:,} pairs are left out for every judge, because one of them cannot read so long a pair; "
            "lower max_segment_chars in its YAML to measure it on them too."
        )
    if not 0 < sum(pair.same for pair in kept) < len(kept):
        raise DatasetError(
            f"Of the pairs {common.left_out:,} are longer than a judge's context, and the other {len(kept):,} are not of "
            "both classes; lower max_segment_chars in the judge's YAML."
        )


def _validation_pairs(
    source: PairSource, judge: Candidate | None, tested: Sequence[str], cut: Truncation
) -> Sequence[Pair]:
    """Pairs of the questions that chose the judge's best epoch, if they are of both classes; else none."""
    if judge is None or judge.record is None:
        return ()
    record, others = judge.record, set(source.questions) - set(tested)
    drawn = source.pairs(
        [
            name
            for name in source.questions
            if name in others and record.split(name) == "validation"
        ],
        cut,
    )
    return drawn.pairs if drawn.counts.has_both_classes else ()


def _new_spec(
    judge: Candidate | None, results: Sequence[JudgeResult], out: Path | None
) -> CalibratedSpec | None:
    for result in results:
        folder = judge and (judge.folder or out)
        if judge and judge.spec and folder and result.calibration:
            spec = judge.spec.model_copy(update={"calibration": result.calibration.calibration})
            return CalibratedSpec(spec, folder / SPEC_FILE)
    return None
