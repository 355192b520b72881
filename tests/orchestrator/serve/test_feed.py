"""The feed of the questions that run, read by its own client."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from orchestrator.client.feed import FeedItem, read_feed
from orchestrator.errors import EndpointRejected
from orchestrator.journal.encoding import Decoder
from orchestrator.report.report import Report
from orchestrator.report.view import RunView
from orchestrator.serve import feed
from tests.orchestrator.serve.test_app import QUESTION, client, serving
from tests.support.paced_servers import PacedServers


async def until_over(url: str, key: str | None = None) -> tuple[RunView, Report]:
    """A run as a display sees it, from now until it is over."""
    view, decoder = RunView(), Decoder(Path("run"))
    items = read_feed(url, key)
    async for item in items:
        if item.over:
            await items.aclose()  # type: ignore[attr-defined]
            break
        if item.run is not None:
            view.apply(decoder.decode(bytes(item.entry)))
    return view, msgspec.json.decode(item.report, type=Report)


@pytest.mark.parametrize("late", [False, True])
async def test_a_display_sees_the_same_run_whenever_it_begins_to_look(late: bool) -> None:
    servers = PacedServers(words=40, pause=0.02)
    async with serving(servers) as url, client(url) as ai:
        ask = ai.chat.completions.create(model="paced", messages=QUESTION)
        if late:
            asked = asyncio.create_task(ask)
            await servers.reasoner.until_live(4)
            await asyncio.sleep(0.3)
            shown = asyncio.create_task(until_over(url))
        else:
            shown = asyncio.create_task(until_over(url))
            asked = asyncio.create_task(ask)
        reply = await asked
        view, report = await shown
    assert view.answer == report.answer == "26"
    assert view.generated_tokens == report.ledger.reasoner.generated_tokens == 4 * 41
    assert str(reply.choices[0].message.content) in {t.text.strip() for t in view.traces.values()}


async def test_the_feed_wants_the_key() -> None:
    async with serving(PacedServers(words=2), api_key="secret") as url:
        with pytest.raises(EndpointRejected, match="DEEPPRUNE_SERVE_API_KEY"):
            await until_over(url, "wrong")
        async for first in read_feed(url, "secret"):
            assert first.running == []
            break


async def test_a_display_that_reads_too_slowly_is_cut_off_and_the_run_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(feed, "_BEHIND", 5)
    servers = PacedServers(words=4)
    async with serving(servers) as url, client(url) as ai:
        items: list[FeedItem] = []

        async def look() -> None:
            async for item in read_feed(url, None):
                items.append(item)

        looking = asyncio.create_task(look())
        await until(lambda: bool(items))
        reply = await ai.chat.completions.create(model="paced", messages=QUESTION)
        await looking
    assert reply.choices[0].message.content
    assert not any(item.over for item in items)


async def test_only_so_many_displays_may_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "_SUBSCRIBERS", 1)
    async with serving(PacedServers(words=2)) as url, aiohttp.ClientSession() as session:
        address = url.removesuffix("/v1") + "/events"
        async with session.get(address) as first:
            await first.content.readany()
            assert await _status(session, address) == 429
        async with asyncio.timeout(30):
            while (
                await _status(session, address) == 429
            ):  # until the server sees that the first has left
                pass


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110  (what is waited for sets no event)
            await asyncio.sleep(0.01)


async def _status(session: aiohttp.ClientSession, address: str) -> int:
    async with session.get(address) as reply:
        return reply.status


async def test_a_question_that_waits_is_told() -> None:
    servers = PacedServers(words=4000, pause=0.05)
    async with serving(servers, questions_at_once=1) as url, client(url) as ai:
        asked: list[asyncio.Task[Any]] = [
            asyncio.create_task(ai.chat.completions.create(model="paced", messages=QUESTION))
            for _ in range(2)
        ]
        async for item in read_feed(url, None):
            if item.waiting:
                break
        assert item.waiting == 1
        for task in asked:
            task.cancel()
        await servers.reasoner.until_live(0)
