"""A chat page in Chromium, with OpenAI's package for JavaScript, on another site than the server's."""

import contextlib
import os
import re
import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tests.clients.serving import KEY, MODEL, QUESTIONS, Server

PAGE = Path(os.environ["DEEPPRUNE_CHAT_PAGE"])
"""The folder of the page, in which `npm install` was run."""


class Files(SimpleHTTPRequestHandler):
    """Serves the page's folder and keeps quiet."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@contextlib.contextmanager
def page_of(port: int, **given: str) -> Iterator[Page]:
    """The open page, with its settings behind the hash."""
    files = ThreadingHTTPServer(("127.0.0.1", port), partial(Files, directory=str(PAGE)))
    threading.Thread(target=files.serve_forever, daemon=True).start()
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    assert browser, "There is no browser: install Debian's package chromium."
    try:
        with sync_playwright() as driver:
            opened = driver.chromium.launch(executable_path=browser, args=["--no-sandbox"])
            page = opened.new_page()
            page.goto(f"http://127.0.0.1:{port}/index.html#{urlencode(given)}")
            yield page
            opened.close()
    finally:
        files.shutdown()
        files.server_close()


def test_a_page_shows_progress_and_then_the_answer(
    server: Server, page_port: int, tmp_path: Path
) -> None:
    with page_of(page_port, url=server.url, key=KEY, model=f"{MODEL}:cons@64") as page:
        page.fill("textarea", QUESTIONS[0]["question"])
        page.click("button")
        expect(page.locator("#progress")).to_contain_text("traces running", timeout=60_000)
        page.screenshot(path=os.environ.get("DEEPPRUNE_SHOT", tmp_path / "page.png"))
        expect(page.locator("#usage")).to_contain_text("tokens", timeout=120_000)
        assert re.search(r"\\boxed\{\d+\}|No answer", page.inner_text("#answer"))
        assert int(page.inner_text("#usage").split()[0]) > 64 * 20


@pytest.mark.parametrize(
    ("given", "said"), [({"key": "wrong"}, "401"), ({"model": "other"}, "404")]
)
def test_a_page_shows_errors_as_the_package_raises_them(
    server: Server, page_port: int, given: dict[str, str], said: str
) -> None:
    with page_of(page_port, **{"url": server.url, "key": KEY, "model": MODEL, **given}) as page:
        page.fill("textarea", "How many?")
        page.click("button")
        expect(page.locator("#answer")).to_contain_text(said, timeout=60_000)


def test_a_page_of_a_site_that_is_not_allowed_gets_no_answer(
    server: Server, unused_port: int
) -> None:
    with page_of(unused_port, url=server.url, key=KEY, model=MODEL) as page:
        page.fill("textarea", "How many?")
        page.click("button")
        expect(page.locator("#answer")).to_contain_text(
            "Error: Error: Connection error", timeout=60_000
        )
