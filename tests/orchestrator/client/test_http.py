"""Addresses, the translation of errors, and the messages of servers."""

import contextlib
import errno
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, cast

import aiohttp
import pytest
from aiohttp import web

from orchestrator.client.http import HttpClient, parse_address
from orchestrator.client.tokenize import Tokenized
from orchestrator.errors import (
    ConfigError,
    EndpointError,
    EndpointRejected,
    EndpointUnreachable,
    StreamBroken,
)
from tests.support.fake_server import FakeServer, answer_json


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


async def test_an_answer_that_is_not_json_is_broken_at_the_decode_boundary() -> None:
    async def page(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        return web.Response(text="<html><title>Welcome</title>")

    async with FakeServer({"/page": page}) as server, opened(server.url) as http:
        with pytest.raises(StreamBroken, match=r"cannot be read: Welcome") as caught:
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


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        ("https://gpu.example/v1/models", "to https://gpu.example/v1,"),
        ("/other/v1/models?token=secret#x", "/other/v1,"),
        ("https://me:secret@login.example/start?next=secret", "to https://login.example/start,"),
        ("//evil.example", "to http://evil.example,"),
        ("http://[", "to http://[,"),
        ("https://gpu.example/" + "x" * 5000, "xxx…,"),
        ("/sk-12345", "/***,"),
    ],
)
async def test_a_redirect_is_shown_and_never_followed(location: str, shown: str) -> None:
    redirect = answer_json({}, 302, {"Location": location})
    async with (
        FakeServer({"/v1/models": redirect}) as server,
        opened(server.url, api_key="sk-12345") as http,
    ):
        with pytest.raises(EndpointRejected) as caught:
            await http.json("GET", f"{http.address.base}/models", dict[str, Any])
        assert len(server.seen) == 1
    assert shown in str(caught.value)
    assert "secret" not in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("status", [200, 418])
async def test_an_answer_in_brackets_without_end_is_an_error(status: int) -> None:
    async def nested(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        return web.Response(status=status, body=b'{"data":' + b"[" * 1200 + b"]" * 1200 + b"}")

    async with FakeServer({"/page": nested}) as server, opened(server.url) as http:
        with pytest.raises(EndpointError, match="nest too deeply" if status == 200 else "418"):
            await http.json("GET", f"{http.address.root}/page", dict[str, Any])


async def test_an_error_with_status_200_is_in_the_message_without_the_key() -> None:
    said = answer_json({"error": {"message": "out of memory for sk-12345"}})
    async with (
        FakeServer({"/page": said}) as server,
        opened(server.url, api_key="sk-12345") as http,
    ):
        with pytest.raises(StreamBroken, match=r"out of memory for \*\*\*") as caught:
            await http.json("GET", f"{http.address.root}/page", Tokenized)
    assert caught.value.boundary == "server"
