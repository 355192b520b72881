"""What servers say when something is wrong: found, masked, put on one line and cut."""

import json
from datetime import UTC, datetime

import pytest

from orchestrator.client.messages import (
    error_for_status,
    error_in_answer,
    retry_after_seconds,
    server_message,
    text_of_error,
)
from orchestrator.errors import EndpointBusy, EndpointRejected, EndpointUnreachable, StreamBroken

NOW = datetime(2026, 7, 1, 12, 0, 0, tzinfo=UTC)
SERVER = "http://gpu/v1"
NGINX = b"""<html>
<head><title>502 Bad Gateway</title></head>
<body><center><h1>502 Bad Gateway</h1></center><hr><center>nginx</center></body>
</html>"""
STYLED = b"""<!DOCTYPE html><html><head><meta charset=utf-8><style>body { color: red } h1:after{}</style>
<title>Error &amp; out of memory</title><script>var title = "<h1>no</h1>";</script></head>
<body><h1>Service   down</h1><p>Ray ID: 123</p><style>p{}</style></body></html>"""


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("7", 7.0),
        ("0.5", 0.5),
        ("-3", 0.0),
        ("inf", None),
        ("nan", None),
        ("1e400", None),
        ("9" * 400, None),
        ("Wed, 01 Jul 2026 12:01:30 GMT", 90.0),
        ("Wed, 01 Jul 2026 11:00:00 GMT", 0.0),
        ("Wed, 01 Jul 99999999999999999999 11:00:00 GMT", None),
        ("Wed, 99 Jul 2026 11:00:00 GMT", None),
        ("Wed, 01 Jul 2026 11:00:00 +99999999999999999999", None),
        ("soon", None),
        ("", None),
        (", ,", None),
    ],
)
def test_retry_after_is_read_in_seconds_or_as_a_date(
    value: str | None, seconds: float | None
) -> None:
    assert retry_after_seconds(value, NOW) == seconds


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"error": {"message": "too\\n long", "code": 400}}', "too long"),
        (b'{"error": "too long"}', "too long"),
        (b'{"object": "error", "message": "too long"}', "too long"),
        (b'{"detail": "too long"}', "too long"),
        (b'{"detail": [{"loc": ["body"], "msg": "too long"}]}', "too long"),
        (b'{"errors": [{"message": "too long"}]}', "too long"),
        (b'{"error": true, "message": "too long"}', "too long"),
        (b'{"error": {"error": {"error": {"message": "too long"}}}}', "too long"),
        (b'{"error": {"code": 500}}', '{"code":500}'),
        (b'"too long"', "too long"),
        (b'["too long"]', "too long"),
        (b"{}", ""),
        (b"null", ""),
        (b"", ""),
        (b"too \x1b long", "too long"),
        (b"too \xff long", "too \N{REPLACEMENT CHARACTER} long"),
        (b"a < b", "a < b"),
        (b"<html><body><h1>too long</h1></body></html>", "too long"),
        (b"<html><body>too <b>long</b></body></html>", "too long"),
        (b"<p>unclosed <h1>too long", "too long"),
        (NGINX, "502 Bad Gateway"),
        (STYLED, "Error & out of memory. Service down"),
    ],
)
def test_the_servers_own_message_is_found_and_put_on_one_line(body: bytes, message: str) -> None:
    assert server_message(body) == message


@pytest.mark.parametrize("shape", ["[{}]", '{{"error":{}}}', '{{"a":{}}}', '{{"message":[{}]}}'])
@pytest.mark.parametrize("depth", [7, 100, 990, 1200, 100_000])
def test_nesting_of_any_depth_is_an_answer(shape: str, depth: int) -> None:
    before, after = shape.split("{}")
    before, after = before.replace("{{", "{"), after.replace("}}", "}")
    body = before * depth + "1" + after * depth
    assert len(server_message(body.encode())) <= 300
    assert error_in_answer(body.encode()) is None or shape.startswith('{{"error"')


def test_a_long_message_is_cut() -> None:
    assert len(server_message(b"x" * 10_000)) == 300


@pytest.mark.parametrize("where", [0, 280, 290, 295, 299])
@pytest.mark.parametrize(
    "form", ["{}", '{{"error": {{"message": "{}"}}}}', "<title>{}</title>", '{{"why": ["{}"]}}']
)
def test_a_key_is_masked_before_the_message_is_cut(where: int, form: str) -> None:
    key = "sk-abcdefghijklmnopqrstuvwxyz"
    said = server_message(form.format("x" * where + key + "y" * 50).encode(), (key,))
    assert "sk-" not in said
    assert key[:4] not in said


def test_the_key_in_a_decoded_error_is_masked() -> None:
    assert text_of_error({"message": "key sk-12345 is bad"}, ("sk-12345",)) == "key *** is bad"


def test_a_placeholder_of_a_key_does_not_garble_messages() -> None:
    assert text_of_error("the x exceeds the maximum", ("x",)) == "the x exceeds the maximum"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"error": {"message": "no"}}, "no"),
        ({"error": "no"}, "no"),
        ({"object": "error", "message": "no"}, "no"),
        ({"error": None, "data": []}, None),
        ({"data": []}, None),
        ([], None),
        ("error", None),
    ],
)
def test_an_error_object_with_status_200_is_one(answer: object, said: str | None) -> None:
    assert error_in_answer(json.dumps(answer).encode()) == said


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_server_says_how_long_to_wait(status: int) -> None:
    error = error_for_status(SERVER, status, "", retry_after="2")
    assert isinstance(error, EndpointBusy)
    assert error.retry_after == 2.0
    assert "asks to wait for 2 seconds" in str(error)


@pytest.mark.parametrize("status", [408, 425, 500, 507, 520, 599])
def test_a_failing_server_breaks_the_stream(status: int) -> None:
    error = error_for_status(SERVER, status, "")
    assert isinstance(error, StreamBroken)
    assert error.boundary == "server"


@pytest.mark.parametrize("status", [502, 504])
def test_a_gateway_without_a_server_behind_it_is_an_unreachable_server(status: int) -> None:
    error = error_for_status(SERVER, status, "Bad Gateway")
    assert isinstance(error, EndpointUnreachable)
    assert "Bad Gateway" in str(error)


@pytest.mark.parametrize(
    ("status", "remedy"),
    [
        (400, ""),
        (401, "Set KEY"),
        (403, "Set KEY"),
        (404, "/v1"),
        (407, "HTTP_PROXY"),
        (422, ""),
        (501, ""),
        (204, ""),
    ],
)
def test_a_refusal_names_the_remedy(status: int, remedy: str) -> None:
    error = error_for_status(SERVER, status, "no way", key_name="KEY")
    assert isinstance(error, EndpointRejected)
    assert error.status == status
    assert "no way" in str(error)
    assert remedy in str(error)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_says_where_to(status: int) -> None:
    error = error_for_status(SERVER, status, "", location="https://gpu/v1")
    assert isinstance(error, EndpointRejected)
    assert "to https://gpu/v1, which is not followed" in str(error)


def test_a_redirect_without_an_address_says_so() -> None:
    assert "does not say where to" in str(error_for_status(SERVER, 302, ""))
