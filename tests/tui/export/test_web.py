"""The screens in a browser: who may ask, what is bounded, and how the app of a page ends."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType, web

from tui.export import web as export
from tui.export.web import PageServer, is_name_of
from tui.sources.recording import demo_run

ECHO = r"""
import json, os, sys

def write(value):
    data = json.dumps(value).encode()
    os.write(1, b"D" + len(data).to_bytes(4, "big") + data)

os.write(1, b"__GANGLION__\n")
write([os.getpid(), os.environ["COLUMNS"], os.environ["ROWS"]])
while head := sys.stdin.buffer.read(5):
    data = sys.stdin.buffer.read(int.from_bytes(head[1:], "big"))
    if head[:1] == b"M":
        meta = json.loads(data)
        write(meta)
        if meta["type"] == "quit" and "--stubborn" not in sys.argv:
            break
"""
"""An app process that reports its process id and size, and repeats what the server sends it."""


@asynccontextmanager
async def serving(
    *arguments: str, host: str = "127.0.0.1", **options: Sequence[str]
) -> AsyncIterator[str]:
    """The address of a server of `ECHO`; pages that are still open are closed at the end."""
    server = PageServer([sys.executable, "-c", ECHO, *arguments], host, 0, **options)
    runner = web.AppRunner(await server._make_app())
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def opened(address: str, query: str = "") -> AsyncIterator[ClientWebSocketResponse]:
    """The connection of a page that was loaded from `address`."""
    async with (
        ClientSession(headers={"Origin": address}) as session,
        session.ws_connect(f"{address}/ws{query}") as socket,
    ):
        yield socket


async def received(socket: ClientWebSocketResponse) -> object:
    value: object = json.loads(await socket.receive_bytes(timeout=30))
    return value


async def begun(socket: ClientWebSocketResponse) -> int:
    """The process id of the page's app, once that is up."""
    first = await received(socket)
    assert isinstance(first, list)
    return int(first[0])


def running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


async def gone(process: int) -> None:
    """Returns once the process has ended and was reaped."""
    async with asyncio.timeout(30):
        while running(process):  # noqa: ASYNC110  (it is no child of ours to wait for)
            await asyncio.sleep(0.01)


async def status_of(address: str, path: str, **headers: str) -> int:
    async with ClientSession() as session, session.get(address + path, headers=headers) as answer:
        return answer.status


async def test_the_page_loads_nothing_from_elsewhere() -> None:
    async with serving() as address, ClientSession() as session, session.get(address) as answer:
        text = await answer.text()
    assert "deepprune" in text
    addresses = [part.split('"')[0] for part in text.split("//")[1:]]
    assert addresses
    assert all(f"http://{name}".startswith(address) for name in addresses)


@pytest.mark.parametrize("path", ["/", "/ws", "/static/css/xterm.css", "/download/key"])
async def test_a_name_that_others_may_have_pointed_here_is_refused(path: str) -> None:
    async with serving() as address:
        port = address.rpartition(":")[2]
        rebound = f"elsewhere.example:{port}"
        assert await status_of(address, path, Host=rebound, Origin=f"http://{rebound}") == 403


@pytest.mark.parametrize("host", ["127.0.0.1:1:1", "127.0.0.1:99999"])
async def test_a_host_header_that_cannot_be_read_is_a_bad_request(host: str) -> None:
    async with serving() as address:
        assert await status_of(address, "/", Host=host) == 400


async def test_a_name_that_was_allowed_is_answered() -> None:
    async with serving(allowed_hosts=["Proxy.example"]) as address:
        assert await status_of(address, "/", Host="proxy.EXAMPLE") == 200
        assert await status_of(address, "/", Host="other.example") == 403


async def test_a_forwarded_port_of_this_machine_is_answered() -> None:
    async with serving() as address:
        assert await status_of(address, "/", Host="localhost:9000") == 200
        assert await status_of(address, "/", Host="[::1]:9000") == 200


@pytest.mark.parametrize(
    ("bound", "names", "foreign"),
    [
        (
            "127.0.0.1",
            ["127.0.0.1", "localhost", "::1", "127.0.0.2"],
            ["10.0.0.5", "a.example", ""],
        ),
        ("localhost", ["127.0.0.1", "localhost", "::1"], ["10.0.0.5", "localhost.example"]),
        ("::1", ["::1", "localhost"], ["fe80::1"]),
        ("10.0.0.5", ["10.0.0.5"], ["10.0.0.6", "localhost", "a.example"]),
        ("GPU.example", ["gpu.example"], ["10.0.0.5", "a.example"]),
        ("0.0.0.0", ["10.0.0.5", "127.0.0.1", "localhost", "::1", "here"], ["a.example", ""]),
        ("::", ["10.0.0.5", "fe80::1", "localhost", "here"], ["a.example"]),
    ],
)
def test_the_names_of_a_server_follow_from_its_address(
    bound: str, names: list[str], foreign: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "Here")
    assert [name for name in names if not is_name_of(name, bound)] == []
    assert [name for name in foreign if is_name_of(name, bound)] == []


@pytest.mark.parametrize("origin", ["http://elsewhere.example", "null", "", "file://{host}"])
async def test_pages_of_other_sites_cannot_open_an_app(origin: str) -> None:
    async with serving() as address:
        headers = {"Origin": origin.format(host=address.removeprefix("http://"))}
        async with ClientSession(headers=headers) as session:
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await session.ws_connect(address + "/ws")
    assert refused.value.status == 403


async def test_the_app_of_a_page_ends_with_the_page() -> None:
    async with serving() as address:
        async with opened(address) as socket:
            process = await begun(socket)
            assert running(process)
        await gone(process)


async def test_an_app_that_does_not_quit_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "_EXIT_SECONDS", 0.1)
    async with serving("--stubborn") as address:
        async with opened(address) as socket:
            process = await begun(socket)
        await gone(process)


async def test_a_server_that_ends_closes_its_pages_and_their_apps() -> None:
    async with serving() as address:
        opening = opened(address)
        socket = await opening.__aenter__()
        process = await begun(socket)
        closing = asyncio.ensure_future(closed(socket))
    assert not running(process)
    await closing
    await opening.__aexit__(None, None, None)


async def closed(socket: ClientWebSocketResponse) -> None:
    """Reads on until the connection is closed."""
    async with asyncio.timeout(30):
        while (await socket.receive()).type not in (WSMsgType.CLOSE, WSMsgType.CLOSED):
            pass


async def test_an_app_that_ends_closes_its_page() -> None:
    async with serving() as address, opened(address) as socket:
        process = await begun(socket)
        os.kill(process, 9)
        await closed(socket)


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ("99999", ["1000", "500"]),
        ("-1", ["1", "1"]),
        ("x", ["80", "24"]),
    ],
)
async def test_the_size_of_a_page_is_bounded(asked: str, given: list[str]) -> None:
    async with serving() as address, opened(address, f"?width={asked}&height={asked}") as socket:
        first = await received(socket)
        assert isinstance(first, list)
        assert first[1:] == given
        await socket.send_json(["resize", {"width": 99999, "height": 0}])
        assert await received(socket) == {"type": "resize", "width": 1000, "height": 1}


@pytest.mark.parametrize(
    "message",
    [
        "{}",
        "not JSON",
        "[]",
        '["stdin", 5]',
        '["resize", {}]',
        '["resize", {"width": NaN, "height": 1e999}]',
        '["resize", {"width": [], "height": 1}]',
        "[" * 100_000,
    ],
)
async def test_a_message_that_cannot_be_read_closes_its_page_alone(message: str) -> None:
    async with serving() as address, opened(address) as other, opened(address) as socket:
        process = await begun(socket)
        await begun(other)
        await socket.send_str(message)
        await closed(socket)
        await gone(process)
        await other.send_json(["ping", 1])
        assert await other.receive_json(timeout=30) == ["pong", 1]


async def test_pages_beyond_the_bound_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "_MOST_PAGES", 1)
    async with serving() as address, opened(address) as socket:
        await begun(socket)
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            async with opened(address):
                pass
    assert refused.value.status == 503


@pytest.mark.slow  # starts programs
async def test_an_app_whose_server_was_killed_ends() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tui.cli", str(demo_run())),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "TEXTUAL_DRIVER": "tui.export.web_driver:PageDriver"},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    shown = b""
    while b"clusters" not in shown:
        data = await process.stdout.read(1 << 16)
        assert data, shown
        shown += data
    process.stdin.close()
    async with asyncio.timeout(60):
        await process.stdout.read()
        assert await process.wait() == 0
