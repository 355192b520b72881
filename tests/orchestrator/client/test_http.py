"""Addresses, the translation of refusals, and what servers say in them."""

import errno
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import aiohttp
import pytest

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
def test_what_is_no_web_address_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="http://gpu:8000/v1"):
        parse_address(url)


@pytest.mark.parametrize("url", ["http://me:secret@gpu/v1", "http://gpu/v1?key=secret"])
def test_an_address_with_a_secret_is_refused_without_showing_it(url: str) -> None:
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
def test_the_servers_own_sentence_is_found_and_made_plain(body: str) -> None:
    assert server_message(body) == "too long"


def test_a_long_message_is_shortened() -> None:
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


@pytest.mark.parametrize(
    ("kind", "number", "sentence"),
    [
        (aiohttp.ClientConnectorError, errno.ECONNREFUSED, "refused"),
        (aiohttp.ClientConnectorError, errno.EMFILE, "ulimit -n"),
        (aiohttp.ClientConnectorError, errno.EHOSTUNREACH, "the connection failed"),
        (aiohttp.ClientConnectorDNSError, errno.ENOENT, "host name"),
    ],
)
def test_a_connection_that_cannot_be_made_says_what_to_check(
    kind: type[aiohttp.ClientConnectorError], number: int, sentence: str
) -> None:
    key = cast(Any, SimpleNamespace(host="gpu", port=1, is_ssl=False, ssl=True))
    error = client().translate(kind(key, OSError(number, "x")))
    assert isinstance(error, EndpointUnreachable)
    assert sentence in str(error)


def test_a_connection_that_is_not_accepted_in_time_is_unreachable() -> None:
    assert isinstance(client().translate(aiohttp.ConnectionTimeoutError()), EndpointUnreachable)


def client() -> HttpClient:
    return HttpClient(
        parse_address("http://gpu"), api_key=None, key_name="KEY", connect_seconds=1, read_seconds=1
    )


async def test_a_client_outside_its_block_is_a_mistake_of_ours() -> None:
    with pytest.raises(RuntimeError, match="async with"):
        await client().text("http://gpu/metrics")
