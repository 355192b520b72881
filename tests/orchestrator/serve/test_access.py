"""Who may ask."""

from base64 import b64encode

import pytest
from aiohttp.test_utils import make_mocked_request

from orchestrator.serve.access import Access
from orchestrator.serve.errors import ApiError


def status(access: Access, path: str = "/v1/models", **headers: str) -> int:
    """200, or the status of the refusal."""
    request = make_mocked_request("GET", path, headers={"Host": "127.0.0.1:8080", **headers})
    try:
        access.check(request)
    except ApiError as error:
        return error.status
    return 200


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("Bearer secret", 200),
        ("bearer secret", 200),
        ("Bearer  secret ", 200),
        ("secret", 401),
        ("Basic secret", 401),
        ("Bearer secre", 401),
        ("Bearer secret2", 401),
        ("Bearer sécret", 401),
        ("Bearer", 401),
        ("", 401),
    ],
)
def test_a_key_is_wanted_whole(given: str, expected: int) -> None:
    assert status(Access(key="secret"), Authorization=given) == expected


def test_health_needs_no_key() -> None:
    assert status(Access(key="secret"), "/health") == 200
    assert status(Access(key="secret"), "/metrics") == 401


@pytest.mark.parametrize(
    ("path", "expected"), [("/runs", 200), ("/runs/x", 200), ("/runsx", 401), ("/v1/models", 401)]
)
def test_only_pages_take_the_key_as_a_browsers_password(path: str, expected: int) -> None:
    access = Access(key="sécret")
    for login, wanted in (("anybody:sécret", expected), (":sécret", expected), ("sécret:", 401)):
        given = b64encode(login.encode()).decode()
        assert status(access, path, Authorization=f"Basic {given}") == wanted
    assert status(access, path, Authorization="Basic !") == 401


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1:8080", 200),
        ("localhost:8080", 200),
        ("LOCALHOST", 200),
        ("[::1]:8080", 200),
        ("10.0.0.7", 200),
        ("chat.example.org", 200),
        ("evil.example", 403),
        ("127.0.0.1.evil.example", 403),
        ("bad host", 403),
    ],
)
def test_without_a_key_foreign_names_are_refused(host: str, expected: int) -> None:
    assert status(Access(allowed_hosts=["Chat.Example.org"]), Host=host) == expected


def test_with_a_key_every_name_will_do() -> None:
    assert status(Access(key="k"), Host="proxy.example", Authorization="Bearer k") == 200


def test_pages_of_other_sites_are_refused_unless_allowed() -> None:
    site = "https://chat.example.org"
    assert status(Access(), Origin=site) == 403
    assert status(Access(), Origin="null") == 403
    assert status(Access(allowed_origins=[site]), Origin=site) == 200
    assert status(Access(allowed_origins=[site]), Origin="https://evil.example") == 403
    assert status(Access(allowed_origins=["*"]), Origin="https://any.example") == 200


def test_only_allowed_pages_may_read_the_reply() -> None:
    site = "https://chat.example.org"
    request = make_mocked_request("GET", "/v1/models", headers={"Origin": site})
    assert (
        Access(allowed_origins=[site]).cors_headers(request)["Access-Control-Allow-Origin"] == site
    )
    assert Access().cors_headers(request) == {}
