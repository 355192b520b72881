"""Keys from the environment: what can be sent is cleaned, what cannot is refused without being shown."""

from pathlib import Path

import pytest

import deepprune
from orchestrator.cli.main import main
from orchestrator.config.keys import key_from
from orchestrator.errors import ConfigError
from orchestrator.runtime.endpoints import Keys
from tests.support.paced_servers import PacedServers

NAMES = ["OPENAI_API_KEY", "DEEPPRUNE_JUDGE_API_KEY", "DEEPPRUNE_REWARD_API_KEY"]
UNUSABLE = {
    "a line break": "sk-sec\nret",
    "a carriage return": "sk-sec\rret",
    "a control character": "sk-sec\x00ret",
    "a delete": "sk-sec\x7fret",
    "another alphabet": "sk-secрet",
    "a typographic quote": "\u201csk-secret\u201d",
    "bytes that are no text": "sk-sec\udce9ret",
}


@pytest.mark.parametrize("around", ["sk-secret\n", " sk-secret", "\tsk-secret\r\n"])
def test_white_space_around_a_key_is_removed(around: str) -> None:
    assert Keys.of(dict.fromkeys(NAMES, around)) == ("sk-secret", "sk-secret", "sk-secret")


@pytest.mark.parametrize("value", ["", " ", "\n"])
def test_a_key_of_white_space_is_no_key(value: str) -> None:
    assert key_from({"OPENAI_API_KEY": value}, "OPENAI_API_KEY") is None


def test_latin_1_can_be_sent() -> None:
    assert key_from({"K": "clé secrète"}, "K") == "clé secrète"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("case", UNUSABLE)
def test_a_key_that_cannot_be_sent_is_refused_by_the_name_of_its_variable(
    name: str, case: str
) -> None:
    with pytest.raises(ConfigError, match=name) as refused:
        Keys.of({name: UNUSABLE[case]})
    assert "sk-sec" not in str(refused.value)


def test_a_key_given_to_the_client_is_checked_alike() -> None:
    with pytest.raises(ConfigError, match=r"judge_api_key .* U\+000A"):
        deepprune.Client("http://127.0.0.1:9/v1", judge_api_key="sk-sec\nret")


def test_the_command_ends_with_one_sentence_and_no_run_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-sec\nret")
    assert main(["hi", "--endpoint", "http://127.0.0.1:9/v1"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("deepprune-orchestrate: OPENAI_API_KEY cannot be sent")
    assert not list(tmp_path.iterdir())


async def test_the_cleaned_key_is_what_the_server_receives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", " sk-secret\n")
    async with PacedServers(answers=("26",), words=4).serving() as servers:
        async with deepprune.Client(servers.reasoner.url, policy="consensus", traces=2) as client:
            await client.ask("hi")
        sent = {seen.headers.get("Authorization") for seen in servers.reasoner.seen}
    assert "Bearer sk-secret" in sent
    assert not any("\n" in (value or "") for value in sent)
