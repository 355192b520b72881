"""The pages of kept runs, asked as a browser does."""

import shutil
from base64 import b64encode
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from orchestrator.serve.errors import ApiError
from orchestrator.serve.run_pages import RunPages
from tests.orchestrator.serve.test_app import QUESTION, client, serving
from tests.support.paced_servers import PacedServers

DEMO = Path(__file__).parents[3] / "nano" / "demo-run"
NAME = "2026-11-26T07-00-00-abc123"


async def status(keep: Path | None, path: str) -> int:
    """The status of a page of a server without access rules."""

    @web.middleware
    async def errors(request: web.Request, handler: object) -> web.StreamResponse:
        try:
            return await handler(request)  # type: ignore[operator,no-any-return]
        except ApiError as error:
            return web.Response(status=error.status)

    app = web.Application(middlewares=[errors])
    RunPages(keep).add_routes(app)
    async with TestClient(TestServer(app)) as browser, browser.get(path) as reply:
        return reply.status


async def test_a_kept_run_is_listed_and_shown_to_who_has_the_key(tmp_path: Path) -> None:
    async with serving(PacedServers(words=2), keep_runs=tmp_path, api_key="secret") as url:
        async with client(url, "secret") as ai:
            reply = await ai.chat.completions.create(model="paced", messages=QUESTION)
        page = (reply.model_extra or {})["deepprune"]["run_page"]
        async with aiohttp.ClientSession(url.removesuffix("v1")) as browser:
            async with browser.get(page) as refused:
                assert refused.status == 401
                assert refused.headers["WWW-Authenticate"].startswith("Basic")
            login = {"Authorization": "Basic " + b64encode(b"me:secret").decode()}
            async with browser.get(page, headers=login) as shown:
                assert shown.content_type == "text/html"
                assert "frame-ancestors 'none'" in shown.headers["Content-Security-Policy"]
                text = await shown.text()
            async with browser.get("/runs", headers=login) as listed:
                assert f'href="{page.removeprefix("/")}"' in await listed.text()
    assert "How many?" in text
    assert "26" in text


async def test_without_kept_runs_there_are_no_pages() -> None:
    assert await status(None, "/runs") == 404
    assert await status(None, f"/runs/{NAME}") == 404


@pytest.mark.parametrize(
    "path",
    [
        "..",
        "%2e%2e",
        "%2e%2e%2fsecret",
        f"{NAME}%2f..%2f..",
        f"{NAME}/../../secret",
        f"{NAME}%00",
        "secret",
        "2026-11-26T07-00-00-abc124",
        NAME + "/journal.jsonl",
    ],
)
async def test_nothing_but_runs_is_shown(path: str, tmp_path: Path) -> None:
    for folder in (tmp_path / "runs" / NAME, tmp_path / "runs" / "secret", tmp_path / "secret"):
        shutil.copytree(DEMO, folder)
    assert await status(tmp_path / "runs", f"/runs/{NAME}") == 200
    assert await status(tmp_path / "runs", f"/runs/{path}") == 404


async def test_a_run_that_cannot_be_read_does_not_hide_the_others(tmp_path: Path) -> None:
    shutil.copytree(DEMO, tmp_path / NAME)
    (tmp_path / "2026-11-26T07-00-00-abc125").mkdir()
    assert await status(tmp_path, "/runs") == 200
    assert await status(tmp_path, "/runs/2026-11-26T07-00-00-abc125") == 404
