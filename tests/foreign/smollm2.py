"""A real pretrained model from end to end: SmolLM2-135M-Instruct on vLLM, eight questions, three policies.

python -m tests.foreign.smollm2

The weights come inside a package, as a 4-bit GGUF file; transformers makes a float32 folder of them, which vLLM serves.
"""

import asyncio
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from orchestrator.local_vllm.server import LocalModel, run_vllm
from tests.foreign.environments import FOLDER, fetch_package, installed, python_of
from tests.support.command import orchestrate

__all__ = ["QUESTIONS", "gguf"]

POLICIES = ("consensus", "adaptive-consistency", "auto")
_TRACES = 8

_CONVERT = """
import sys
from pathlib import Path
from judge_server.models.gguf import convert_gguf
convert_gguf(*map(Path, sys.argv[1:]))
"""
"""`deepprune-judge convert`, in an environment that has what it needs and not all of this project's dependencies."""

QUESTIONS = {
    "What is 7 + 5?": "12",
    "What is 9 - 4?": "5",
    "What is 6 times 3?": "18",
    "Tom has 3 apples and buys 4 more. How many apples does he have?": "7",
    "How many days are there in two weeks?": "14",
    "What is half of 20?": "10",
    "A box holds 5 pens. How many pens do 3 boxes hold?": "15",
    "What is 100 - 1?": "99",
}


def gguf(package: Path) -> Path:
    """The model file in the package."""
    (found,) = package.rglob("*.gguf")
    return found.absolute()


async def float32_folder() -> Path:
    """The model as a folder that vLLM serves, made once."""
    folder = FOLDER / "smollm2-float32"
    if not (folder / "config.json").exists():
        await installed("transformers")
        model = gguf(await fetch_package("smollm2"))
        converting = await asyncio.create_subprocess_exec(
            str(python_of("transformers")), "-c", _CONVERT, str(model), str(folder)
        )
        if await converting.wait() != 0:
            raise RuntimeError("The model could not be converted.")
    return folder.absolute()


async def main() -> int:
    """Prints a line for each policy; the exit code is 1 unless every run ended with a bill that the engine confirms."""
    model = LocalModel(
        await float32_folder(), "SmolLM2-135M-Instruct", max_num_seqs=16, kv_cache_gib=1
    )
    is_right = True
    with tempfile.TemporaryDirectory(prefix="deepprune-smollm2-") as temporary:
        work = Path(temporary)
        questions = work / "questions.jsonl"
        questions.write_text(
            "".join(
                json.dumps({"question": question, "answer": answer}) + "\n"
                for question, answer in QUESTIONS.items()
            )
        )
        async with run_vllm(model, log=work / "vllm.log", start_seconds=900) as server:
            for policy in POLICIES:
                is_right &= await _run(server.url, questions, policy, work)
    return 0 if is_right else 1


async def _run(url: str, questions: Path, policy: str, work: Path) -> bool:
    ended = await orchestrate(
        *("--endpoint", url, "--questions", questions, "--policy", policy),
        *("--traces", _TRACES, "--max-tokens", 256, "--json", "--quiet"),
        cwd=work,
    )
    if ended.code not in (0, 3):
        print(f"{policy}: exit {ended.code}: {ended.err}")
        return False
    summary: dict[str, Any] = ended.reports[-1]["summary"]
    reasoner, traces = summary["ledger"]["reasoner"], summary["traces"]
    print(
        f"{policy}: {summary['correct']} of {summary['graded']} right, {summary['answered']} answered; "
        f"traces {traces['finished']} finished of {traces['started']} started, {traces['unreadable']} unreadable; "
        f"{reasoner['generated_tokens']} tokens, the engine counted {reasoner['server_generated_tokens']}; "
        f"saved {summary['saved']}; {summary['seconds']:.0f} s",
        flush=True,
    )
    counted, billed = reasoner["server_generated_tokens"], reasoner["generated_tokens"]
    return counted is not None and abs(counted - billed) <= 0.02 * billed


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
