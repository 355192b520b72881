"""Measures what asking questions side by side gains: wall-clock seconds of a file on the nano model, one after the other and by default.

    python -m tests.perf.questions_at_once [QUESTIONS] [ROUNDS]

Both ways take turns on one vLLM server (forwards, then backwards), so that what else the machine does concerns both.
"""

import asyncio
import json
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from statistics import fmean
from typing import Any

from orchestrator.local_vllm.server import serve_vllm
from orchestrator.runtime.endpoints import nano_models
from tests.support.command import orchestrate

QUESTIONS = Path("nano/data/questions.jsonl")
WAYS: dict[str, tuple[object, ...]] = {
    "one after the other": ("--questions-at-once", 1),
    "side by side": (),
}


async def measured(url: str, questions: Path, way: str) -> dict[str, Any]:
    """The summary of one run over the file."""
    ended = await orchestrate(
        *("--endpoint", url, "--preset", "nano", "--policy", "auto"),
        *("--questions", questions, "--json", "--quiet", *WAYS[way]),
        cwd=questions.parent,
    )
    summary: dict[str, Any] = ended.reports[-1]["summary"]
    return summary


async def main(count: int, rounds: int) -> None:
    """Prints each run, and the ratio of the mean times."""
    seconds = defaultdict[str, list[float]](list)
    with tempfile.TemporaryDirectory() as folder:
        questions = Path(folder) / "questions.jsonl"
        questions.write_text("\n".join(QUESTIONS.read_text().splitlines()[:count]) + "\n")
        model = nano_models(with_judge=False)["reasoner"]
        async with serve_vllm(model, log=Path(folder) / "vllm.log") as url:
            for turn in range(rounds):
                for way in list(WAYS)[:: -1 if turn % 2 else 1]:
                    summary = await measured(url, questions, way)
                    seconds[way].append(summary["wall_seconds"])
                    bill = summary["ledger"]["reasoner"]
                    print(
                        f"{way}: {summary['wall_seconds']:.1f} s, {bill['generated_tokens']:,} tokens"
                        f" (the server: {bill['server_generated_tokens']}), accuracy {summary['accuracy']}",
                        flush=True,
                    )
    slow, fast = (fmean(seconds[way]) for way in WAYS)
    print(json.dumps({"seconds": seconds, "ratio": round(slow / fast, 2)}))


if __name__ == "__main__":
    asyncio.run(main(*(int(word) for word in [*sys.argv[1:], "50", "2"][:2])))
