"""Every Python example in the documents runs, against servers in this process.

The ```python blocks of a page run in order and share their names, in an event loop of their own where they await.
`http://gpu:8000/v1` and `http://judge:8001/v1` stand for the servers, and `questions.jsonl` is in the working folder.
"""

import ast
import asyncio
import inspect
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import deepprune
from tests.support.paced_servers import PacedServers

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^( *)```python\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
QUESTIONS = (
    '{"id": "1", "question": "1?", "answer": "26"}\n{"id": "2", "question": "2?", "answer": "26"}\n'
)


def blocks_of(text: str) -> list[str]:
    """The Python blocks of a page, in order, behind as many empty lines as keep their line numbers."""
    return [
        "\n" * text[: match.start(2)].count("\n") + textwrap.dedent(match[2])
        for match in BLOCK.finditer(text)
    ]


def pages() -> Iterator[Any]:
    """Each page with Python in it, as (name, blocks)."""
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        name = str(path.relative_to(ROOT))
        if blocks := blocks_of(path.read_text(encoding="utf-8")):
            yield pytest.param(name, blocks, id=name)
    name = "deepprune/__init__.py"
    yield pytest.param(name, blocks_of(inspect.getdoc(deepprune) or ""), id=name)


def run_blocks(name: str, blocks: list[str]) -> dict[str, Any]:
    """Runs the blocks and returns their names."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    with asyncio.Runner() as runner:
        for block in blocks:
            code = compile(block, name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            if code.co_flags & inspect.CO_COROUTINE:
                runner.run(eval(code, namespace))
            else:
                exec(code, namespace)
    return namespace


async def run_page(name: str, blocks: list[str], folder: Path) -> dict[str, Any]:
    """Runs a page in a thread, beside its servers."""
    (folder / "questions.jsonl").write_text(QUESTIONS)
    paced = PacedServers(words=20, pause=0.002), PacedServers(words=20, pause=0.002)
    async with paced[0].serving() as servers, paced[1].serving() as others:
        addresses = {
            "http://gpu:8000/v1": servers.reasoner.url,
            "http://gpu1:8000/v1": servers.reasoner.url,
            "http://gpu2:8000/v1": others.reasoner.url,
            "http://judge:8001/v1": servers.judge.url,
        }
        for shown, url in addresses.items():
            blocks = [block.replace(shown, url) for block in blocks]
        return await asyncio.to_thread(run_blocks, name, blocks)


@pytest.mark.parametrize(("name", "blocks"), [*pages()])
async def test_an_example_runs(
    name: str, blocks: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    await run_page(name, blocks, tmp_path)


PAGE = """
```python
import deepprune
async with deepprune.Client("http://gpu:8000/v1", judge="http://judge:8001/v1") as client:
    result = await client.ask("How many?")
```
1. In a list:
   ```python
   asked = deepprune.ask("How many?", "http://gpu:8000/v1", policy="pass1")
   ```
```python
assert result.answer == asked.answer == "26"
raise LookupError
```
"""


async def test_blocks_share_their_names_and_a_failing_one_is_found_by_its_line(
    tmp_path: Path,
) -> None:
    with pytest.raises(LookupError) as caught:
        await run_page("page.md", blocks_of(PAGE), tmp_path)
    line = PAGE.splitlines().index("raise LookupError") + 1
    assert (caught.traceback[-1].path, caught.traceback[-1].lineno + 1) == ("page.md", line)
