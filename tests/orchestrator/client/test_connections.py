"""Proxies and certificates from the environment: the same for every client of a server."""

import base64
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from yarl import URL

from orchestrator.client.answer_judge import AnswerJudgeClient
from orchestrator.client.connections import proxy_for, tls_context
from orchestrator.client.endpoint import EndpointClient
from orchestrator.client.judge.client import JudgeClient
from orchestrator.client.reasoner.client import ReasonerClient
from orchestrator.client.reward import RewardClient
from orchestrator.errors import ConfigError, EndpointRejected, EndpointUnreachable
from orchestrator.runtime.endpoints import Keys, open_endpoints
from orchestrator.settings import (
    AnswerSettings,
    EndpointSettings,
    JudgeSettings,
    RewardSettings,
    SamplingSettings,
    Settings,
)
from tests.orchestrator.client.judge.fake_judge import SPEC
from tests.support.fake_server import FakeServer, answer_json
from tests.support.tls import make_certificates

VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture(autouse=True)
def _no_proxy_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def through(environment: dict[str, str], url: str, monkeypatch: pytest.MonkeyPatch) -> str | None:
    """The proxy for `url`, without its credentials."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    proxy = proxy_for(URL(url))
    return None if proxy is None else str(proxy.with_user(None)).rstrip("/")


@pytest.mark.parametrize(
    ("environment", "url", "proxy"),
    [
        ({}, "http://gpu:8000/v1", None),
        ({"HTTP_PROXY": "http://p:1"}, "http://gpu:8000/v1", "http://p:1"),
        ({"http_proxy": "http://p:1"}, "http://gpu:8000/v1", "http://p:1"),
        ({"HTTP_PROXY": "p:1"}, "http://gpu:8000/v1", "http://p:1"),
        ({"HTTP_PROXY": "http://p:1"}, "https://gpu/v1", None),
        ({"HTTPS_PROXY": "http://p:1"}, "https://gpu/v1", "http://p:1"),
        ({"HTTPS_PROXY": "https://p:1"}, "https://gpu/v1", "https://p:1"),
        ({"HTTPS_PROXY": "http://p:1"}, "http://gpu/v1", None),
        ({"ALL_PROXY": "http://p:1"}, "http://gpu/v1", "http://p:1"),
        ({"HTTP_PROXY": ""}, "http://gpu/v1", None),
        ({"HTTP_PROXY": "http://me:secret@p:1"}, "http://gpu/v1", "http://p:1"),
    ],
)
def test_the_proxy_is_the_one_of_the_scheme(
    environment: dict[str, str], url: str, proxy: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert through(environment, url, monkeypatch) == proxy


@pytest.mark.parametrize(
    ("excepted", "url", "direct"),
    [
        ("gpu", "http://gpu:8000/v1", True),
        ("other, gpu", "http://gpu:8000/v1", True),
        ("gpu:8000", "http://gpu:8000/v1", True),
        ("gpu:8001", "http://gpu:8000/v1", False),
        (".lab.example", "http://gpu.lab.example/v1", True),
        ("lab.example", "http://gpu.lab.example/v1", True),
        ("lab.example", "http://gpu.notlab.example/v1", False),
        ("*", "http://gpu:8000/v1", True),
        ("10.0.0.0/8", "http://10.1.2.3:8000/v1", True),
        ("10.0.0.0/8", "http://11.1.2.3:8000/v1", False),
        ("10.1.2.3", "http://10.1.2.3:8000/v1", True),
        ("fd00::/8", "http://[fd00::7]:8000/v1", True),
        ("10.0.0.0/8,nonsense/x", "http://gpu:8000/v1", False),
        ("", "http://gpu:8000/v1", False),
    ],
)
def test_no_proxy_excepts_names_domains_addresses_and_networks(
    excepted: str, url: str, direct: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = {"HTTP_PROXY": "http://p:1", "NO_PROXY": excepted}
    assert (through(environment, url, monkeypatch) is None) is direct


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "vllm.localhost"])
def test_a_server_on_this_machine_is_not_looked_for_from_another_one(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"http://{host}:8000/v1"
    assert through({"HTTP_PROXY": "http://proxy.example:3128"}, url, monkeypatch) is None
    local = {"HTTP_PROXY": "http://127.0.0.1:3128"}
    assert through(local, url, monkeypatch) == "http://127.0.0.1:3128"


@pytest.mark.parametrize("proxy", ["socks5://p:1", "ftp://p", "http://", "http://p:notaport"])
def test_what_is_no_http_proxy_is_refused_without_showing_it(
    proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match=r"HTTP_PROXY.*gpu into NO_PROXY") as caught:
        through({"HTTP_PROXY": proxy}, "http://gpu/v1", monkeypatch)
    assert proxy not in str(caught.value)


async def test_the_credentials_of_a_proxy_are_sent_to_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with FakeServer({"/v1/models": answer_json({"detail": "teapot"}, 418)}) as proxy:
        address = proxy.url.removesuffix("/v1").replace("//", "//me:se%40cret@")
        monkeypatch.setenv("HTTP_PROXY", address)
        with pytest.raises(EndpointRejected, match="teapot"):
            await ask_judge("http://gpu.example/v1")
    sent = proxy.seen[0].headers["Proxy-Authorization"].removeprefix("Basic ")
    assert base64.b64decode(sent) == b"me:se@cret"


@pytest.mark.parametrize("content", [None, "no certificate"])
@pytest.mark.parametrize("variable", ["SSL_CERT_FILE"])
def test_a_variable_that_names_no_certificates_is_refused(
    variable: str, content: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    monkeypatch.setenv(variable, str(path))
    with pytest.raises(ConfigError, match=rf"{variable} names {path}"):
        tls_context()


Ask = Callable[[str], Awaitable[None]]


async def ask_reasoner(url: str) -> None:
    async with ReasonerClient(url, EndpointSettings(), SamplingSettings(), None) as client:
        await client.probe()


async def ask_judge(url: str) -> None:
    async with JudgeClient(JudgeSettings(url=url), SPEC, None) as client:
        await client.probe()


async def ask_reward(url: str) -> None:
    async with RewardClient(RewardSettings(url=url), None) as client:
        await client.probe()


async def ask_comparison(url: str) -> None:
    async with AnswerJudgeClient(AnswerSettings(equality="llm"), url, None) as client:
        await client.probe()


CLIENTS = pytest.mark.parametrize(
    "ask",
    [ask_reasoner, ask_judge, ask_reward, ask_comparison],
    ids=["reasoner", "judge", "reward", "comparison"],
)


@pytest.fixture
async def proxy() -> AsyncIterator[FakeServer]:
    """Answers every request itself, so that a request that reached it is seen."""

    async def refuse(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        return web.Response(status=407, text="who are you?")

    async with FakeServer({"/v1/models": refuse}) as server:
        yield server


@CLIENTS
async def test_every_client_asks_through_the_proxy(
    ask: Ask, proxy: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy.url.removesuffix("/v1"))
    with pytest.raises(EndpointRejected, match=r"407.*who are you.*HTTP_PROXY"):
        await ask("http://127.0.0.1:9/v1")
    assert proxy.seen[0].headers["Host"] == "127.0.0.1:9"


@CLIENTS
async def test_every_client_respects_the_exceptions(
    ask: Ask, proxy: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy.url.removesuffix("/v1"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with pytest.raises(
        EndpointUnreachable, match=r"127\.0\.0\.1:9/v1 \(the connection was refused"
    ):
        await ask("http://127.0.0.1:9/v1")
    assert proxy.seen == []


async def test_a_server_that_the_program_has_started_is_reached_directly(
    proxy: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy.url.removesuffix("/v1"))
    async with FakeServer() as server:
        settings = Settings.model_validate({"endpoint": {"urls": server.url}})
        with pytest.raises(EndpointRejected, match="407"):
            async with open_endpoints(settings, Keys()):
                pass
        with pytest.raises(EndpointRejected, match="404"):
            async with open_endpoints(settings, Keys(), direct=True):
                pass


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_proxy_that_is_away_is_named(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{scheme.upper()}_PROXY", "http://me:secret@127.0.0.1:9")
    with pytest.raises(EndpointUnreachable, match=r"through http://127\.0\.0\.1:9") as caught:
        await ask_judge(f"{scheme}://gpu.example/v1")
    assert "secret" not in str(caught.value)


async def test_a_proxy_that_refuses_a_tunnel_is_named(
    proxy: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy.url.removesuffix("/v1"))
    with pytest.raises(EndpointUnreachable, match=r"through .*it answered 4.*HTTPS_PROXY"):
        await ask_reasoner("https://gpu.example/v1")


@CLIENTS
async def test_every_client_trusts_the_authorities_of_ssl_cert_file(
    ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificates = make_certificates(tmp_path)
    refusal = answer_json({"detail": "teapot"}, 418)
    async with FakeServer({"/v1/models": refusal}, tls=certificates.server) as server:
        with pytest.raises(EndpointUnreachable, match=r"not trusted \(self.signed.*SSL_CERT_FILE"):
            await ask(server.url)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificates.authority))
        with pytest.raises(EndpointRejected, match="teapot"):
            await ask(server.url)


async def test_a_tls_server_is_not_reached_without_tls(tmp_path: Path) -> None:
    async with FakeServer(tls=make_certificates(tmp_path).server) as server:
        plain = server.url.replace("https", "http")
        limits: dict[str, Any] = {"connect_seconds": 5.0, "read_seconds": 5.0}
        async with EndpointClient(plain, api_key=None, key_name="KEY", **limits) as client:
            with pytest.raises(Exception, match="closed the connection without an answer"):
                await client.find_model(None, "--model")
