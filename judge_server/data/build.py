"""A folder of pairs from traces: `deepprune-judge pairs`. Read it from top to bottom.

The rule: the folder appears when it is complete, and pairs are written one at a time, so memory grows with the
number of traces (a few bytes each) and never with the number of pairs.
"""

import contextlib
import hashlib
import json
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, get_args

import msgspec

from judge_server.data.alpaca import dataset_info, record_of, write_json
from judge_server.data.build_options import DatasetSettings
from judge_server.data.card import render_card
from judge_server.data.labels import AnswerEquality
from judge_server.data.pairs import (
    Equality,
    Pair,
    PairRules,
    TraceGroup,
    draw_pairs,
)
from judge_server.data.shown_pairs import both_orders, times_shown
from judge_server.data.splits import Split, split_of
from judge_server.data.stats import PairStats
from judge_server.data.trace_store import TraceStore
from judge_server.data.traces import read_traces, source_files
from judge_server.data.truncation import TruncationRules, cut_trace
from orchestrator import __version__
from orchestrator.core.judging import JudgeSpec
from orchestrator.errors import ConfigError, DatasetError
from orchestrator.terminal.progress import Progress

__all__ = ["CARD_FILE", "write_dataset"]

CARD_FILE = "card.json"


def write_dataset(settings: DatasetSettings) -> dict[str, Any]:
    """Writes the folder `settings.out`, and returns its card.

    Raises:
        ConfigError: a setting cannot be used, or the folder cannot be written.
        DatasetError: the traces cannot be read, or do not give pairs of both classes.
    """
    spec = settings.spec()
    rules = settings.rules(spec)
    files = input_files(settings.traces)
    stats = PairStats()
    with (
        new_folder(settings.out) as folder,
        TraceStore(folder.parent) as store,
        AnswerEquality(workers=settings.workers) as equal,
    ):
        # 1. Read and cut every trace, once.
        store_traces(store, settings, rules.truncation)
        check_test_models(settings.test_model, store.models)

        # 2. Draw the pairs question by question, label them, and write each to its split, one a line.
        pairs = pairs_with_splits(store, rules, settings, equal=equal, stats=stats)
        write_lines(pairs, spec, folder)
        check_classes(stats)

        # 3. Write the files that LLaMA-Factory loads; the rarer class of each split is known only now.
        write_splits(stats, folder, oversample=settings.oversample)

        # 4. Write the counts, settings and hashes beside them.
        card = {
            "deepprune": __version__,
            "settings": settings.as_dict(),
            "word_list": None if spec.segment_tokens else list(rules.truncation.word_list),
            "judge": spec.model_dump(mode="json"),
            "inputs": [file_record(file) for file in files],
            "outputs": [file_record(folder / f"{split}.json", folder) for split in stats.splits],
            "questions": store.questions,
            "repeated_questions": store.repeated_questions,
            **stats.as_dict(),
        }
        write_object(folder / CARD_FILE, card)
        (folder / "README.md").write_text(render_card(card), encoding="utf-8")
    return card


def store_traces(store: TraceStore, settings: DatasetSettings, rules: TruncationRules) -> None:
    """Reads the traces of all files, cuts them and stores them."""
    with Progress("traces read") as progress:
        for path in settings.traces:
            for row in read_traces(path, answer_regex=settings.answer_regex):
                store.add(row, cut_trace(row, rules))
                progress.advance()


def write_lines(pairs: Iterable[tuple[Split, Pair]], spec: JudgeSpec, folder: Path) -> None:
    """Writes each pair to the working file of its split, as JSON lines."""
    encoder = msgspec.json.Encoder()
    with contextlib.ExitStack() as open_files, Progress("pairs written") as progress:
        lines = {
            split: open_files.enter_context(lines_file(folder, split).open("wb"))
            for split in get_args(Split)
        }
        for split, pair in pairs:
            lines[split].write(encoder.encode(record_of(pair, spec)) + b"\n")
            progress.advance()


def write_splits(stats: PairStats, folder: Path, *, oversample: int) -> None:
    """Writes the file of each split from its working file, and LLaMA-Factory's list of them; counts the records."""
    for split, of_split in stats.splits.items():
        counts = of_split.total()
        times = times_shown(
            same=counts.same,
            different=counts.pairs - counts.same,
            factor=oversample if split == "train" else 1,
        )
        lines = lines_file(folder, split)
        of_split.records = write_json(lines, folder / f"{split}.json", times)
        lines.unlink()
    filled = [split for split, of_split in stats.splits.items() if of_split.records]
    write_object(folder / "dataset_info.json", dataset_info(filled))


def pairs_with_splits(
    store: TraceStore,
    rules: PairRules,
    settings: DatasetSettings,
    *,
    equal: Equality,
    stats: PairStats,
) -> Iterator[tuple[Split, Pair]]:
    """Every pair with its split, training pairs in both orders if the settings say so; adds to `stats`."""
    for groups in store.groups():
        for group, split in with_splits(groups, settings):
            if split is None:
                stats.left_out_traces += len(group.traces)
                continue
            of_split = stats.splits[split]
            counts = of_split.counts_of(group.model)
            for pair in draw_pairs(group, rules, equal=equal, seed=settings.seed, counts=counts):
                of_split.add(pair)
                in_both_orders = settings.both_orders and split == "train"
                for ordered in both_orders([pair]) if in_both_orders else [pair]:
                    yield split, ordered


def with_splits(
    groups: Sequence[TraceGroup], settings: DatasetSettings
) -> Iterator[tuple[TraceGroup, Split | None]]:
    """The split of each model's traces of one question; None for those that may not be used.

    Traces of a test model are used where the question is a test question, or was given to no other model: a
    question is never in two splits.
    """
    for_test = [group.model in settings.test_model for group in groups]
    split: Split = "test"
    if not all(for_test):
        split = split_of(
            groups[0].question_id,
            validation=settings.validation_share,
            test=settings.test_share,
            seed=settings.seed,
        )
    for group, is_for_test in zip(groups, for_test, strict=True):
        yield group, None if is_for_test and split != "test" else split


def check_test_models(wanted: Sequence[str], models: set[str]) -> None:
    """Raises ConfigError for the name of a model that wrote none of the traces."""
    for name in wanted:
        if name not in models:
            raise ConfigError(
                f"--test-model {name}: the traces are by {', '.join(sorted(models)) or 'no model'}; "
                "choose one of these."
            )


def check_classes(stats: PairStats) -> None:
    """Raises DatasetError unless a judge can be trained and measured on these pairs."""
    counts = stats.total()
    if counts.unanswered == counts.traces:
        raise DatasetError(
            f"None of the {counts.traces:,} traces gives an answer; write answers in \\boxed{{}} or in a field "
            "'answer', or add --answer-regex."
        )
    if not counts.pairs:
        raise DatasetError(
            f"The {counts.traces:,} traces make no pair: {counts.unanswered:,} give no answer and "
            f"{counts.shows_answer:,} show it before the cut; give several traces of a question, "
            "cut earlier, or add --keep-trivial."
        )
    training = stats.splits["train"].total()
    for name, counted in (("", counts), ("training ", training)):
        if counted.pairs and counted.same in (0, counted.pairs):
            kind = "the same answer" if counted.same else "different answers"
            raise DatasetError(
                f"All {counted.pairs:,} {name}pairs have {kind}, and a judge needs both classes; "
                "give traces of more questions."
            )


def input_files(paths: Sequence[Path]) -> list[Path]:
    """The files behind the paths. Raises ConfigError if one is given twice."""
    files = [file for path in paths for file in source_files(path)]
    seen: set[Path] = set()
    for file in files:
        if file.resolve() in seen:
            raise ConfigError(f"{file} is given twice with --traces; name it once.")
        seen.add(file.resolve())
    return files


@contextlib.contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """A folder that becomes `out` when the block ends, and is removed if it raises.

    Raises:
        ConfigError: `out` is not empty, or cannot be written.
    """
    out = out.resolve()
    try:
        if out.exists() and not (out.is_dir() and not any(out.iterdir())):
            raise ConfigError(f"{out} exists already; give another folder with --out.")
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as work:
            folder = Path(work) / out.name
            folder.mkdir()
            yield folder
            folder.replace(out)
    except OSError as error:
        raise ConfigError(
            f"{out} cannot be written ({error.strerror or error}); free disk space, or give another folder with --out."
        ) from None


def lines_file(folder: Path, split: Split) -> Path:
    """The working file of a split, outside the folder that is kept."""
    return folder.parent / f"{split}.lines"


def file_record(file: Path, folder: Path | None = None) -> dict[str, Any]:
    """A file's name (within `folder`), length in bytes and SHA-256."""
    with file.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    name = file.relative_to(folder) if folder else file
    return {"file": str(name), "bytes": file.stat().st_size, "sha256": digest}


def write_object(path: Path, content: object) -> None:
    """Writes indented JSON."""
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
