"""Addresses, the translation of errors, and the messages of servers."""

import contextlib
import errno
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import aiohttp
import pytest
from aiohttp import web

from orchestrator.client.http import (
    HttpClient,
    error_for_status,
    parse_address,
    retry_after_seconds,
    server_message,
)
from orchestrator.errors import (
    ConfigError,
    EndpointBusy,
    EndpointRejected,
    EndpointUnreachable,
    StreamBroken,
)
from tests.support.fake_server import FakeServer, answer_json

NOW = datetime(2026, 7, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "url", ["http://gpu:8000", "http://gpu:8000/", "http://gpu:8000/v1", " http://gpu:8000/v1/ "]
)
def test_an_address_may_lack_v1_or_end_in_a_slash(url: str) -> None:
    address = parse_address(url)
    assert address.base == "http://gpu:8000/v1"
    assert address.root == "http://gpu:8000"


def test_a_server_below_a_path_keeps_it() -> None:
    assert parse_address("https://host/models/a/v1").root == "https://host/models/a"


@pytest.mark.parametrize(
    "url", ["gpu:8000", "", "ftp://gpu/v1", "http://", "http://[::1/v1", "/v1"]
)
def test_anything_but_a_web_address_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="http://gpu:8000/v1"):
        parse_address(url)


@pytest.mark.parametrize("url", ["http://me:secret@gpu/v1", "http://gpu/v1?key=secret"])
def test_an_address_with_credentials_is_refused_without_showing_them(url: str) -> None:
    with pytest.raises(ConfigError, match="environment") as caught:
        parse_address(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("7", 7.0),
        ("0.5", 0.5),
        ("-3", 0.0),
        ("inf", None),
        ("Wed, 01 Jul 2026 12:01:30 GMT", 90.0),
        ("Wed, 01 Jul 2026 11:00:00 GMT", 0.0),
        ("soon", None),
    ],
)
def test_retry_after_is_read_in_seconds_or_as_a_date(
    value: str | None, seconds: float | None
) -> None:
    assert retry_after_seconds(value, NOW) == seconds


@pytest.mark.parametrize(
    "body",
    [
        '{"error": {"message": "too\\n long", "code": 400}}',
        '{"error": "too long"}',
        '{"object": "error", "message": "too long"}',
        '{"detail": "too long"}',
        "<html><body><h1>too long</h1></body></html>",
        "too \x1b long",
    ],
)
def test_the_servers_own_message_is_found_and_put_on_one_line(body: str) -> None:
    assert server_message(body) == "too long"


def test_a_long_message_is_truncated() -> None:
    assert len(server_message("x" * 10_000)) == 300


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_server_says_how_long_to_wait(status: int) -> None:
    error = error_for_status(
        parse_address("http://gpu"), status, "", retry_after="2", key_name="KEY"
    )
    assert isinstance(error, EndpointBusy)
    assert error.retry_after == 2.0


@pytest.mark.parametrize("status", [408, 500, 502, 504])
def test_a_failing_server_breaks_the_stream(status: int) -> None:
    error = error_for_status(
        parse_address("http://gpu"), status, "", retry_after=None, key_name="KEY"
    )
    assert isinstance(error, StreamBroken)
    assert error.boundary == "server"


@pytest.mark.parametrize(
    ("status", "remedy"), [(400, ""), (401, "Set KEY"), (403, "Set KEY"), (404, "/v1"), (422, "")]
)
def test_a_refusal_names_the_remedy(status: int, remedy: str) -> None:
    error = error_for_status(
        parse_address("http://gpu"), status, "no way", retry_after=None, key_name="KEY"
    )
    assert isinstance(error, EndpointRejected)
    assert error.status == status
    assert "no way" in str(error)
    assert remedy in str(error)


def client(url: str = "http://gpu", *, api_key: str | None = None) -> HttpClient:
    return HttpClient(
        parse_address(url), api_key=api_key, key_name="KEY", connect_seconds=5, read_seconds=5
    )


@contextlib.asynccontextmanager
async def opened(url: str, *, api_key: str | None = None) -> AsyncIterator[HttpClient]:
    http = client(url, api_key=api_key)
    await http.open()
    try:
        yield http
    finally:
        await http.close()


@pytest.mark.parametrize(
    ("kind", "number", "sentence"),
    [
        (aiohttp.ClientConnectorError, errno.ECONNREFUSED, "refused"),
        (aiohttp.ClientConnectorError, errno.EMFILE, "ulimit -n"),
        (aiohttp.ClientConnectorError, errno.EHOSTUNREACH, "the connection failed"),
        (aiohttp.ClientConnectorDNSError, errno.ENOENT, "host name"),
    ],
)
def test_a_failed_connection_says_what_to_check(
    kind: type[aiohttp.ClientConnectorError], number: int, sentence: str
) -> None:
    key = cast(Any, SimpleNamespace(host="gpu", port=1, is_ssl=False, ssl=True))
    error = client().translate(kind(key, OSError(number, "x")))
    assert isinstance(error, EndpointUnreachable)
    assert sentence in str(error)


def test_a_connection_that_is_not_accepted_in_time_is_unreachable() -> None:
    assert isinstance(client().translate(aiohttp.ConnectionTimeoutError()), EndpointUnreachable)


async def test_a_client_cannot_be_used_outside_its_block() -> None:
    with pytest.raises(RuntimeError, match="async with"):
        await client().text("http://gpu/metrics")


async def test_a_server_without_tls_is_unreachable_through_https() -> None:
    async with FakeServer() as server, opened(server.url.replace("http:", "https:")) as http:
        with pytest.raises(EndpointUnreachable, match="TLS"):
            await http.text(f"{http.address.root}/metrics")


async def test_the_proxy_variables_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "")
    async with FakeServer() as server, opened(server.url) as http:
        assert "data" in await http.json("GET", f"{http.address.base}/models", dict[str, Any])


async def test_an_answer_that_is_not_json_is_broken_at_the_decode_boundary() -> None:
    async def page(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        return web.Response(text="<html>")

    async with FakeServer({"/page": page}) as server, opened(server.url) as http:
        with pytest.raises(StreamBroken, match="cannot be read") as caught:
            await http.json("GET", f"{http.address.root}/page", dict[str, Any])
    assert caught.value.boundary == "decode"


async def test_a_refusal_never_shows_the_key() -> None:
    refusal = answer_json({"error": {"message": "bad key sk-1"}}, 401)
    async with (
        FakeServer({"/page": refusal}) as server,
        opened(server.url, api_key="sk-1") as http,
    ):
        with pytest.raises(EndpointRejected, match=r"bad key \*\*\*.*Set KEY"):
            await http.text(f"{http.address.root}/page")
