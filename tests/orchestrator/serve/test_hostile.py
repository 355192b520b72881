"""Requests that no client of good will sends."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from yarl import URL

from orchestrator.serve import app, server
from tests.orchestrator.serve.test_app import QUESTION, client, serving
from tests.support.paced_servers import PacedServers

HEAD = (
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
)


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A bare connection."""
    address = URL(url)
    reader, writer = await asyncio.open_connection(address.host, address.port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def answered(url: str, data: bytes) -> bytes:
    """All that the server says to these bytes until it closes, within a bound."""
    async with connected(url) as (reader, writer), asyncio.timeout(60):
        writer.write(data)
        return await reader.read()


async def test_a_head_that_never_ends_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_IDLE_SECONDS", 0.3)
    async with serving(PacedServers(words=2)) as url:
        assert b" 200 " not in await answered(url, HEAD + b"X-Slow: ")
        assert await answered(url, b"") == b""


async def test_a_body_that_never_ends_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "_BODY_SECONDS", 0.3)
    async with (
        serving(PacedServers(words=2)) as url,
        connected(url) as (reader, writer),
        asyncio.timeout(60),
    ):
        writer.write(HEAD + b"Content-Length: 999\r\n\r\n{")
        assert b" 408 " in await reader.readline()


async def test_slow_clients_hold_no_place_of_others() -> None:
    async with (
        serving(PacedServers(words=2), questions_at_once=1, queue=1) as url,
        connected(url) as (_reader, first),
        connected(url) as (_reader, second),
        client(url) as ai,
    ):
        for writer in (first, second):
            writer.write(HEAD + b"Content-Length: 999\r\n\r\n{")
        reply = await ai.chat.completions.create(model="paced", messages=QUESTION)
    assert reply.choices[0].message.content


async def test_a_huge_body_is_not_read_to_its_end() -> None:
    async with serving(PacedServers(words=2), max_body=1000) as url:
        head = HEAD + b"Content-Length: 1000000000\r\n\r\n"
        async with connected(url) as (reader, writer), asyncio.timeout(60):
            writer.write(head + b"x" * 100_000)
            assert b" 413 " in await reader.readline()


@pytest.mark.parametrize(
    "fields",
    [
        {"model": "x" * 100_000},
        {"model": "paced:" + "x" * 100_000},
        {"deepprune": {"policy": "x" * 100_000}},
        {"deepprune": {"x" * 100_000: 1}},
        {"deepprune": {"settings": {"policy." + "x" * 100_000: 1}}},
        {"prompt": "x" * 100_000},
    ],
)
async def test_a_refusal_does_not_repeat_a_long_request(fields: dict[str, Any]) -> None:
    body = {"model": "paced", "messages": QUESTION, **fields}
    async with (
        serving(PacedServers(words=2)) as url,
        aiohttp.ClientSession() as session,
        session.post(f"{url}/chat/completions", json=body) as reply,
    ):
        assert reply.status in (400, 404)
        assert len(await reply.read()) < 1000


async def test_without_the_key_no_body_is_read() -> None:
    async with (
        serving(PacedServers(words=2), api_key="secret") as url,
        connected(url) as (reader, writer),
        asyncio.timeout(60),
    ):
        writer.write(HEAD + b"Content-Length: 1000000\r\n\r\n")
        assert b" 401 " in await reader.readline()


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"GET /v1/../v1/models HTTP/1.1", b"404"),
        (b"GET //v1/models HTTP/1.1", b"404"),
        (b"GET /v1/models/..%2f..%2fmetrics HTTP/1.1", b"404"),
        (b"GET /v1/models%00 HTTP/1.1", b"404"),
        (b"GET /V1/models HTTP/1.1", b"404"),
        (b"GET http://evil.example/v1/models HTTP/1.1", b"403"),
        (b"CONNECT evil.example:80 HTTP/1.1", b"40"),
        (b"DELETE /v1/models HTTP/1.1", b"405"),
        (b"GET /v1/chat/completions HTTP/1.1", b"405"),
        (b"GET " + b"/" * 20_000 + b" HTTP/1.1", b"400"),
        (b"\x16\x03\x01\x02\x00\x01", b"400"),
        (b"GET /v1/models HTTP/1.1\r\nX-Big: " + b"x" * 20_000, b"400"),
    ],
)
async def test_odd_requests_get_a_plain_refusal(line: bytes, status: bytes) -> None:
    async with serving(PacedServers(words=2)) as url:
        end = b"\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
        said = await answered(url, line + end)
    assert said.split(b" ", 2)[1].startswith(status)
    assert b"Traceback" not in said


async def test_pages_of_other_sites_are_refused_unless_they_are_allowed() -> None:
    origin = "https://chat.example"
    preflight = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,x-stainless-lang",
    }
    for allowed, status in (([], 403), ([origin], 204), (["*"], 204)):
        async with (
            serving(PacedServers(words=2), api_key="k", allowed_origins=allowed) as url,
            aiohttp.ClientSession() as page,
        ):
            async with page.options(f"{url}/chat/completions", headers=preflight) as reply:
                assert reply.status == status
                shown = reply.headers.get("Access-Control-Allow-Origin")
                assert shown == (origin if allowed else None)
            asked = {"Origin": origin, "Authorization": "Bearer k"}
            async with page.get(f"{url}/models", headers=asked) as reply:
                assert reply.status == (200 if allowed else 403)
            if allowed:
                elsewhere = {**asked, "Origin": "https://chat.example.evil"}
                async with page.get(f"{url}/models", headers=elsewhere) as reply:
                    assert reply.status == (200 if allowed == ["*"] else 403)
