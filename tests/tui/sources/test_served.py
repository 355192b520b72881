"""The questions of a server on the screen, as they run there."""

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from orchestrator.errors import DeepPruneError, EndpointRejected, EndpointUnreachable, JournalError
from tests.orchestrator.serve.test_app import QUESTION, client, serving
from tests.support.paced_servers import PacedServers
from tui.app import DeepPruneApp
from tui.cli import main
from tui.sources import served
from tui.sources.served import Served


async def watching(url: str, key: str | None = None) -> Served:
    """The source; its constructor waits for the server, which runs in this thread."""
    return await asyncio.to_thread(Served, url, key)


async def until(source: Served, condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            source.tick(0.1)
            await asyncio.sleep(0.01)


def _has_reports(source: Served, number: int) -> bool:
    return sum(entry.report is not None for entry in source.entries) == number


async def test_questions_are_shown_while_they_run_and_when_they_are_over() -> None:
    servers = PacedServers(words=30, pause=0.02)
    async with serving(servers) as url, client(url) as ai:
        source = await watching(url)
        assert "no question runs" in source.notice
        asked = asyncio.create_task(ai.chat.completions.create(model="paced", messages=QUESTION))
        await until(source, lambda: bool(source.entries and source.entries[0].question))
        is_open = source.entries[0].report is None
        assert is_open
        await until(source, lambda: source.open(0).view.counts()["running"] > 0)
        await asked
        await until(source, lambda: source.entries[0].report is not None)
    assert source.entries[0].question == "How many?"
    assert source.entries[0].report is not None
    assert source.entries[0].report.answer == source.open(0).view.answer == "26"
    assert source.planned == 1


async def test_a_question_whose_client_has_left_is_over() -> None:
    servers = PacedServers(words=4000, pause=0.05)
    async with serving(servers) as url, client(url) as ai:
        source = await watching(url)
        asked = asyncio.create_task(ai.chat.completions.create(model="paced", messages=QUESTION))
        await until(source, lambda: bool(source.entries and source.entries[0].question))
        asked.cancel()
        await until(source, lambda: source.entries[0].report is not None)
    assert source.entries[0].report is not None
    assert source.entries[0].report.interrupted


async def test_a_server_that_goes_is_waited_for_and_its_runs_are_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(served, "_AGAIN_SECONDS", 0.05)
    servers = PacedServers(words=4000, pause=0.05)
    async with serving(servers) as url, client(url) as ai:
        source = await watching(url)
        asked = asyncio.create_task(ai.chat.completions.create(model="paced", messages=QUESTION))
        await until(source, lambda: bool(source.entries and source.entries[0].question))
    asked.cancel()
    await until(source, lambda: "Trying again" in source.notice)
    port = int(url.removesuffix("/v1").rpartition(":")[2])
    async with serving(PacedServers(words=2), port=port):
        await until(source, lambda: source.notice == "")
        assert source.entries[0].report is not None


async def test_texts_of_all_but_the_latest_questions_are_dropped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(served, "_KEPT", 1)
    async with serving(PacedServers(words=2)) as url, client(url) as ai:
        source = await watching(url)
        for number in range(1, 4):
            await ai.chat.completions.create(model="paced", messages=QUESTION)
            await until(source, partial(_has_reports, source, number))
    with pytest.raises(JournalError, match="no longer here"):
        source.open(1)
    assert source.open(2).view.answer == "26"


@pytest.mark.parametrize(
    ("url", "key", "error"),
    [("http://127.0.0.1:1", None, EndpointUnreachable), (None, "wrong", EndpointRejected)],
)
async def test_a_server_that_cannot_be_watched_is_told_at_once(
    url: str | None, key: str | None, error: type[DeepPruneError]
) -> None:
    async with serving(PacedServers(words=2), api_key="secret") as address:
        with pytest.raises(error):
            await watching(url or address, key)


@pytest.mark.slow  # draws whole screens
async def test_the_screen_lists_the_questions_and_opens_one() -> None:
    servers = PacedServers(words=400, pause=0.05)
    async with serving(servers) as url, client(url) as ai:
        app = DeepPruneApp(await watching(url))
        async with app.run_test(size=(100, 30)) as pilot:
            asked = [
                asyncio.create_task(ai.chat.completions.create(model="paced", messages=QUESTION))
                for _ in range(2)
            ]
            source = app._source
            assert isinstance(source, Served)
            await until(
                source,
                lambda: all(e.question for e in source.entries[:2]) and len(source.entries) == 2,
            )
            await pilot.pause(0.2)
            assert type(app.screen).__name__ == "QuestionsScreen"
            await pilot.press("enter")
            await pilot.pause(0.2)
            assert type(app.screen).__name__ == "LiveScreen"
            await pilot.press("x", "v", "v")  # steering has no effect
            await pilot.press("escape")
            await pilot.pause(0.1)
            assert type(app.screen).__name__ == "QuestionsScreen"
        for task in asked:
            task.cancel()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--serve", "http://127.0.0.1:1"], "No server answers"),
        (["--serve", "nonsense"], "not an address"),
        (["--serve", "http://127.0.0.1:1", "--demo"], "either --serve or a run"),
        (["--serve", "http://127.0.0.1:1", "--web"], "leave out --web"),
    ],
)
def test_wrong_words_are_told_in_a_sentence(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(words) in (1, 2)
    assert said in capsys.readouterr().err
