import aiohttp
import pytest
from aiohttp import web

from tui.export.web import PAGE, PageServer


@pytest.fixture
async def page():
    """The address of a server whose app is a program that only waits."""
    server = PageServer("sleep 60", templates_path=PAGE, title="deepprune")
    runner = web.AppRunner(await server._make_app())
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def test_the_page_loads_nothing_from_elsewhere(page) -> None:
    async with aiohttp.ClientSession() as session, session.get(page) as answer:
        text = await answer.text()
    assert "deepprune" in text
    addresses = [part.split('"')[0] for part in text.split("//")[1:]]
    assert addresses
    assert all(address.startswith("127.0.0.1:") for address in addresses)


async def test_pages_of_other_sites_cannot_open_an_app(page) -> None:
    async with aiohttp.ClientSession(headers={"Origin": "http://elsewhere.example"}) as session:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await session.ws_connect(page + "/ws")
    assert refused.value.status == 403


async def test_the_page_itself_can_open_an_app(page, capsys: pytest.CaptureFixture[str]) -> None:
    async with (
        aiohttp.ClientSession(headers={"Origin": page}) as session,
        session.ws_connect(page + "/ws") as socket,
    ):
        assert not socket.closed
