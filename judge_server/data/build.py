"""A folder of pairs from traces: `deepprune-judge pairs`. Read it from top to bottom.

The rule: the folder appears when it is complete, and pairs pass through one at a time, so memory grows with the
number of traces (a few bytes each) and never with the number of pairs.
"""

import contextlib
import hashlib
import json
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from judge_server.data.alpaca import dataset_info, record_of, write_json
from judge_server.data.build_options import DatasetSettings
from judge_server.data.card import render_card
from judge_server.data.labels import AnswerEquality
from judge_server.data.pairs import Equality, Pair, TraceGroup, both_orders, draw_pairs, times_shown
from judge_server.data.splits import Split, split_of
from judge_server.data.spool import Spool
from judge_server.data.stats import PairStats
from judge_server.data.traces import read_traces, source_files
from judge_server.data.truncation import PairRules, cut_trace
from orchestrator import __version__
from orchestrator.errors import ConfigError, DatasetError
from orchestrator.terminal.progress import Progress

__all__ = ["CARD_FILE", "write_dataset"]

CARD_FILE = "card.json"


def write_dataset(settings: DatasetSettings) -> dict[str, Any]:
    """Writes the folder `settings.out`, and returns its card.

    Raises:
        ConfigError: a setting cannot be followed, or the folder cannot be written.
        DatasetError: the traces cannot be read, or do not give pairs of both classes.
    """
    spec = settings.spec()
    rules = settings.rules(spec)
    files = input_files(settings.traces)
    stats = PairStats()
    with (
        new_folder(settings.out) as folder,
        Spool(folder.parent) as spool,
        AnswerEquality(workers=settings.workers) as equal,
    ):
        # 1. Every trace is read once and cut.
        with Progress("traces read") as progress:
            for path in settings.traces:
                for row in read_traces(path, answer_regex=settings.answer_regex):
                    spool.add(row, cut_trace(row, rules))
                    progress.advance()
        check_test_models(settings.test_model, spool.models)

        # 2. Question by question, pairs are drawn, labelled and written for their split, one a line.
        with contextlib.ExitStack() as open_files, Progress("pairs written") as progress:
            lines = {
                split: open_files.enter_context(lines_file(folder, split).open("wb"))
                for split in stats.splits
            }
            encoder = msgspec.json.Encoder()
            for split, pair in pairs_with_splits(spool, rules, settings, equal=equal, stats=stats):
                lines[split].write(encoder.encode(record_of(pair, spec)) + b"\n")
                progress.advance()
        check_classes(stats)

        # 3. The lines become the files that LLaMA-Factory loads; now it is known which class is the rarer.
        for split, part in stats.splits.items():
            counts = part.total()
            times = times_shown(
                same=counts.same,
                different=counts.pairs - counts.same,
                factor=settings.oversample if split == "train" else 1,
            )
            part.records = write_json(lines_file(folder, split), folder / f"{split}.json", times)
            lines_file(folder, split).unlink()
        filled = [split for split, part in stats.splits.items() if part.records]
        write_object(folder / "dataset_info.json", dataset_info(filled))

        # 4. What the pairs are made of, beside them.
        card = {
            "deepprune": __version__,
            "settings": settings.as_dict(),
            "word_list": None if rules.tokens else list(rules.word_list),
            "judge": spec.model_dump(mode="json"),
            "inputs": [file_record(file) for file in files],
            "outputs": [file_record(folder / f"{split}.json", folder) for split in stats.splits],
            "questions": spool.questions,
            "repeated_questions": spool.repeated_questions,
            **stats.as_dict(),
        }
        write_object(folder / CARD_FILE, card)
        (folder / "README.md").write_text(render_card(card), encoding="utf-8")
    return card


def pairs_with_splits(
    spool: Spool, rules: PairRules, settings: DatasetSettings, *, equal: Equality, stats: PairStats
) -> Iterator[tuple[Split, Pair]]:
    """Every pair with its split, training pairs in both orders if that is asked for; adds to `stats`.

    The draws of a question and model depend on the seed and on their traces alone.
    """
    for groups in spool.groups():
        for group, split in with_splits(groups, settings):
            if split is None:
                stats.left_out_traces += len(group.traces)
                continue
            part = stats.splits[split]
            counts = part.counts_of(group.model)
            for pair in draw_pairs(group, rules, equal=equal, seed=settings.seed, counts=counts):
                part.add(pair)
                is_turned = settings.both_orders and split == "train"
                for ordered in both_orders([pair]) if is_turned else [pair]:
                    yield split, ordered


def with_splits(
    groups: Sequence[TraceGroup], settings: DatasetSettings
) -> Iterator[tuple[TraceGroup, Split | None]]:
    """The split of each model's traces of one question; None for those that may not be used.

    Traces of a model that is kept for testing are used where the question is a test question, or is not asked
    of any other model: a question is never in two splits.
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
    """Raises ConfigError for a name that no trace bears."""
    for name in wanted:
        if name not in models:
            raise ConfigError(
                f"--test-model {name}: the traces are by {', '.join(sorted(models)) or 'nobody'}; "
                "choose among these."
            )


def check_classes(stats: PairStats) -> None:
    """Raises DatasetError unless a judge can learn from, or be measured on, these pairs."""
    counts = stats.total()
    if counts.unanswered == counts.traces:
        raise DatasetError(
            f"None of the {counts.traces:,} traces gives an answer; an answer stands in \\boxed{{}}, "
            "in a field 'answer', or where --answer-regex finds it."
        )
    if not counts.pairs:
        raise DatasetError(
            f"The {counts.traces:,} traces make no pair: {counts.unanswered:,} give no answer and "
            f"{counts.shows_answer:,} show it before the cut; give several traces of a question, "
            "cut earlier, or add --keep-trivial."
        )
    learned = stats.splits["train"].total()
    for name, part in (("", counts), ("training ", learned)):
        if part.pairs and part.same in (0, part.pairs):
            kind = "the same answer" if part.same else "different answers"
            raise DatasetError(
                f"All {part.pairs:,} {name}pairs have {kind}, and a judge needs both classes; "
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
    """A folder that becomes `out` when the block ends in order, and of which nothing is left otherwise.

    Raises:
        ConfigError: `out` holds something already, or the disk refuses.
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
            f"{out} cannot be written ({error.strerror or error}); make room, or give another folder with --out."
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
    """JSON for people and programs."""
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
