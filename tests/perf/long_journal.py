"""Memory and bytes of a long run: writes a journal of many traces, replays it, and prints what both took.

python -m tests.perf.long_journal --traces 2000 --tokens 8000
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from orchestrator.core.engine import Engine
from orchestrator.core.events import Event, RunFinished, TokensArrived, TraceFinished, TraceStarted
from orchestrator.journal.archive import compress_journal
from orchestrator.journal.journal import JournalWriter
from orchestrator.journal.run_dir import COMPRESSED_JOURNAL_FILE, JOURNAL_FILE
from orchestrator.settings import Settings
from tests.support.world import run_started

_WORDS = [
    "so",
    "the",
    "sum",
    "of",
    "both",
    "is",
    "wait",
    "that",
    "gives",
    "again",
    "seven",
    "times",
    "eleven",
    "then",
    "we",
    "have",
    "it",
]


def write_journal(folder: Path, traces: int, tokens: int, chunk: int) -> None:
    """Writes the journal of a plain vote whose traces arrive in turn, `chunk` tokens an event."""
    settings = Settings.model_validate({"policy": {"name": "consensus", "traces": traces}})
    started = run_started(settings)
    engine = Engine(started)
    with JournalWriter.create(folder) as journal:

        def feed(event: Event) -> None:
            outcome = engine.feed(event)
            for entry in (event, *outcome.events, *outcome.commands):
                journal.write(entry)

        feed(started)
        for trace in range(traces):
            feed(
                TraceStarted(
                    at=0.1, trace=trace, endpoint="e", prompt_tokens=9, cached_prompt_tokens=0
                )
            )
        for done in range(chunk, tokens + 1, chunk):
            at = done / 40.0
            for trace in range(traces):
                ids = tuple((trace * 31 + done + n) * 7919 % 150_000 for n in range(chunk))
                text = " ".join(_WORDS[each % len(_WORDS)] for each in ids)
                feed(TokensArrived(at=at, trace=trace, text=text, tokens=done, token_ids=ids))
        at = tokens / 40.0 + 1.0
        for trace in range(traces):
            feed(
                TraceFinished(
                    at=at,
                    trace=trace,
                    answer="7",
                    raw_answer="7",
                    finish_reason="stop",
                    tokens=tokens,
                )
            )
        feed(
            RunFinished(at=at, correct_answers=(), server_generated_tokens=None, interrupted=False)
        )


def _measure(words: list[str]) -> str:
    """The CPU seconds and the peak memory of a command that reads the run."""
    code = (
        "import resource, runpy, sys; sys.argv = sys.argv[1:]\n"
        "try: runpy.run_module(sys.argv[0], run_name='__main__')\n"
        "except SystemExit as end: status = end.code\n"
        "used = resource.getrusage(resource.RUSAGE_SELF)\n"
        "print(f'exit {status}, {used.ru_maxrss / 1024:.0f} MB, {used.ru_utime:.1f} CPU s', file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    return done.stderr.strip()


def main() -> None:
    """Writes, replays and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--traces", type=int, default=2000)
    parser.add_argument("--tokens", type=int, default=8000)
    parser.add_argument("--chunk", type=int, default=4, help="tokens an event")
    arguments = parser.parse_args()
    total = arguments.traces * arguments.tokens
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root) / "run"
        write_journal(folder, arguments.traces, arguments.tokens, arguments.chunk)
        plain = (folder / JOURNAL_FILE).stat().st_size
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(
            f"journal: {plain / 1e6:.0f} MB, {plain / total:.1f} bytes per token; {peak:.0f} MB to write it"
        )
        print("deepprune-replay:", _measure(["orchestrator.cli.replay", str(folder)]))
        begun = time.process_time()
        compress_journal(folder)
        packed = (folder / COMPRESSED_JOURNAL_FILE).stat().st_size
        print(
            f"compressed: {packed / 1e6:.0f} MB, {packed / total:.1f} bytes per token, "
            f"{time.process_time() - begun:.1f} CPU s"
        )
        print("deepprune-replay, compressed:", _measure(["orchestrator.cli.replay", str(folder)]))


if __name__ == "__main__":
    main()
