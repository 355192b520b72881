"""The runs that a server keeps, as pages for a browser: a list of the latest, and one page for each."""

import asyncio
import re
from pathlib import Path

from aiohttp import web

from orchestrator.errors import DeepPruneError
from orchestrator.journal.run_dir import QUESTIONS_FILE, REPORT_FILE, questions_of
from orchestrator.page.html_page import IndexRow, Page, build_index
from orchestrator.page.recorded import recorded_page
from orchestrator.report.report import read_report
from orchestrator.serve.errors import ApiError

__all__ = ["RUNS_PATH", "RunPages"]

RUNS_PATH = "/runs"
_NAME = re.compile(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d-[0-9a-f]+")
_LISTED = 200


class RunPages:
    """The pages under `/runs`.

    Args:
        keep: the folder with the runs; None if none are kept.
    """

    def __init__(self, keep: Path | None) -> None:
        self._keep = keep

    def add_routes(self, app: web.Application) -> None:
        """Adds the list and the pages."""
        app.router.add_get(RUNS_PATH, self._list)
        app.router.add_get(RUNS_PATH + "/{name}", self._show)

    async def _list(self, _request: web.Request) -> web.Response:
        return _reply(await asyncio.to_thread(_index, self._folder()))

    async def _show(self, request: web.Request) -> web.Response:
        folder, name = self._folder(), request.match_info["name"]
        if not _NAME.fullmatch(name) or not (folder / name).is_dir():
            raise ApiError(404, f"There is no such run: see {RUNS_PATH}.")
        try:
            return _reply(await asyncio.to_thread(recorded_page, folder / name))
        except DeepPruneError as error:
            raise ApiError(
                404, f"The run has nothing to show yet, or is damaged: {error}"
            ) from error

    def _folder(self) -> Path:
        if self._keep is None:
            raise ApiError(404, "No runs are kept: restart the server with --keep-runs DIR.")
        return self._keep


def _index(folder: Path) -> Page:
    names = sorted(path.name for path in folder.glob("*") if _NAME.fullmatch(path.name))
    rows = [_row(folder / name) for name in names[: -_LISTED - 1 : -1]]
    return build_index(rows, total=len(names))


def _row(run: Path) -> IndexRow:
    try:
        question, report = questions_of(run)[0].question, read_report(run / REPORT_FILE)
    except (DeepPruneError, IndexError):
        return IndexRow(run.name, f"{QUESTIONS_FILE} or {REPORT_FILE} cannot be read", None)
    return IndexRow(run.name, question, report)


def _reply(page: Page) -> web.Response:
    return web.Response(
        text=page.html,
        content_type="text/html",
        headers={
            "Content-Security-Policy": f"{page.policy}; frame-ancestors 'none'",
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "no-store",
        },
    )
