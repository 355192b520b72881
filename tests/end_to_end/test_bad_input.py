"""Mistakes of a user: one sentence with the remedy, the right exit code, and nothing spent."""

import socket
from pathlib import Path

import pytest

from tests.support.command import metric, orchestrate

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(600, func_only=True)]


def unused_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "empty.jsonl").write_text("")
    (tmp_path / "broken.jsonl").write_text('{"id": 1, "question": "1+1?"}\n{"id": 2, "question":\n')
    (tmp_path / "typo.yaml").write_text("policy:\n  tua: 0.4\n")
    return tmp_path


ENDPOINT = ["--endpoint", "{reasoner}"]
CONSENSUS = [*ENDPOINT, "--policy", "consensus"]

MISTAKES = {
    "no endpoint": (["hi"], ["--endpoint", "--local"]),
    "no question": (CONSENSUS, ["question"]),
    "no judge": (
        ["hi", *ENDPOINT, "--policy", "deepprune"],
        ["--judge-endpoint", "--policy consensus"],
    ),
    "wrong url": (["hi", "--endpoint", "{nobody}", "--policy", "consensus"], ["{nobody}"]),
    "wrong model": (["hi", *CONSENSUS, "--model", "gpt-9"], ["gpt-9", "nano-reasoner"]),
    "empty file": (["--questions", "empty.jsonl", *CONSENSUS], ["empty.jsonl"]),
    "missing file": (["--questions", "none.jsonl", *CONSENSUS], ["none.jsonl"]),
    "broken line": (["--questions", "broken.jsonl", *CONSENSUS], ["broken.jsonl", "line 2"]),
    "tau": (["hi", *ENDPOINT, "--policy", "deepprune", "--tau", "1.5"], ["tau", "1.5"]),
    "not a number": (["hi", *CONSENSUS, "--traces", "many"], ["traces", "many"]),
    "mistyped setting": (
        ["hi", *CONSENSUS, "--set", "policy.tua=0.4"],
        ["policy.tua", "policy.tau"],
    ),
    "mistyped key in a file": (
        ["hi", *CONSENSUS, "--config", "typo.yaml"],
        ["typo.yaml", "policy.tau"],
    ),
    "unknown policy": (["hi", *ENDPOINT, "--policy", "vote"], ["vote", "consensus"]),
    "unknown judge": (
        ["hi", *ENDPOINT, "--judge-endpoint", "{reasoner}", "--judge", "none"],
        ["none", "nano"],
    ),
    "two servers, none there": (
        ["hi", "--endpoint", "{nobody}", "--endpoint", "{nobody}/again", "--policy", "consensus"],
        ["{nobody}"],
    ),
    "not an address among two": (["hi", *CONSENSUS, "--endpoint", "gpu"], ["endpoint.urls"]),
}


@pytest.mark.parametrize("mistake", MISTAKES)
async def test_a_mistake_is_one_sentence_and_costs_nothing(
    mistake: str, files: Path, reasoner_url: str
) -> None:
    arguments, mentioned = MISTAKES[mistake]
    names = {"reasoner": reasoner_url, "nobody": f"http://127.0.0.1:{unused_port()}/v1"}
    before = await metric(reasoner_url, "vllm:generation_tokens")
    ended = await orchestrate(*(a.format(**names) for a in arguments), cwd=files)
    assert ended.code == 2, ended.err
    assert ended.out == ""
    assert len(ended.err.strip().splitlines()) == 1, ended.err
    for words in mentioned:
        assert words.format(**names) in ended.err
    assert await metric(reasoner_url, "vllm:generation_tokens") == before


async def test_a_mistyped_environment_variable_is_named(tmp_path: Path, reasoner_url: str) -> None:
    ended = await orchestrate(
        *("hi", "--endpoint", reasoner_url, "--policy", "consensus"),
        cwd=tmp_path,
        DEEPPRUNE__POLICY__TUA="0.4",
    )
    assert ended.code == 2
    assert "DEEPPRUNE__POLICY__TUA" in ended.err


async def test_an_unwritable_run_folder_is_found_before_anything_is_spent(
    tmp_path: Path, reasoner_url: str
) -> None:
    (tmp_path / "runs").write_text("in the way")
    before = await metric(reasoner_url, "vllm:generation_tokens")
    ended = await orchestrate(
        *("hi", "--endpoint", reasoner_url, "--policy", "consensus"), cwd=tmp_path
    )
    assert ended.code == 1
    assert "runs" in ended.err
    assert await metric(reasoner_url, "vllm:generation_tokens") == before
