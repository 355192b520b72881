"""`deepprune-serve` with the nano models on real vLLM, as a process, and what it has kept of its runs."""

import contextlib
import json
import os
import re
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["KEY", "MODEL", "QUESTIONS", "ROOT", "Server", "serving"]

ROOT = Path(__file__).parents[2]
BIN = Path(os.environ.get("DEEPPRUNE_BIN", ROOT / ".venv" / "bin"))
MODEL = "nano-reasoner"
KEY = "a-key-of-a-test"

QUESTIONS: list[dict[str, str]] = [
    json.loads(line)
    for line in (ROOT / "nano" / "data" / "questions.jsonl").read_text("utf-8").splitlines()[:20]
]
"""Twenty questions with their right answers (`question`, `answer`)."""


@dataclass(frozen=True)
class Server:
    """A server that runs."""

    url: str
    runs: Path
    process: int

    def kept(self) -> set[str]:
        """The names of the runs so far."""
        return {path.name for path in self.runs.glob("*-*")}

    def score(self, before: set[str]) -> float:
        """The fraction of `QUESTIONS` that the runs since then have answered rightly, by the server's own records.

        Raises:
            AssertionError: they are not the answers of exactly these questions.
        """
        given: dict[str, str | None] = {}
        for name in self.kept() - before:
            [line] = (self.runs / name / "questions.jsonl").read_text("utf-8").splitlines()
            question = json.loads(line)
            text = question.get("question") or question["messages"][-1]["content"]
            given[text.strip()] = json.loads((self.runs / name / "report.json").read_text())[
                "answer"
            ]
        right = {each["question"].strip(): each["answer"] for each in QUESTIONS}
        assert set(given) == set(right)
        return sum(given[text] == gold for text, gold in right.items()) / len(right)

    def billed(self) -> float:
        """The generated tokens of all questions so far, by the server's own counters."""
        page = self.url.removesuffix("/v1") + "/metrics"
        return _total(page, "deepprune_generated_tokens_total")

    def engine(self, name: str) -> float:
        """A counter of the reasoner's engine, which knows nothing of questions."""
        journal = next(self.runs.glob("*/journal.jsonl")).read_text("utf-8")
        found = re.search(r'"endpoint":"(http://[^"]+)/v1"', journal)
        assert found is not None
        return _total(found[1] + "/metrics", name)

    def memory(self) -> int:
        """Bytes of memory that the server's process holds."""
        status = Path(f"/proc/{self.process}/status").read_text()
        [kibibytes] = re.findall(r"VmRSS:\s+(\d+) kB", status)
        return 1024 * int(kibibytes)


def _total(url: str, name: str) -> float:
    """A value of a page in Prometheus' form, over all labels."""
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {KEY}"})
    with urllib.request.urlopen(request, timeout=30) as reply:
        lines = reply.read().decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{name}{{"))


@contextlib.contextmanager
def serving(folder: Path, *flags: str) -> Iterator[Server]:
    """A server with the nano reasoner, which ends with the block."""
    runs = folder / "runs"
    runs.mkdir()
    words = ["--local", "--port", "0", "--keep-runs", str(runs), "--policy", "consensus"]
    log = folder / "serve.log"
    with log.open("w") as errors:
        process = subprocess.Popen(
            [BIN / "python", "-m", "orchestrator.cli.serve", *words, *flags],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "DEEPPRUNE_SERVE_API_KEY": KEY},
        )
    assert process.stdout is not None
    try:
        url = process.stdout.readline().strip()
        assert url, log.read_text()
        yield Server(url, runs, process.pid)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)
        process.stdout.close()
