"""The questions that run in a `deepprune-serve`, as a source: read over its feed by a thread, shown but not steered.

When the connection breaks off, it is opened again, and the server sends anew what the runs have been so far.
"""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from pathlib import Path
from queue import Empty, SimpleQueue

import msgspec

from orchestrator.client.feed import FeedItem, read_feed
from orchestrator.core.events import UserCommandReceived
from orchestrator.errors import DeepPruneError, EndpointRejected, JournalError
from orchestrator.journal.encoding import VERSION, Decoder
from orchestrator.report.report import Report, build_report
from orchestrator.report.view import RunView
from orchestrator.terminal.sanitize import sanitize
from tui.sources.base import Entry
from tui.state.watch import Watch

__all__ = ["Served"]

_KEPT = 20  # of the questions that are over, with their texts
_LISTED = 500
_AGAIN_SECONDS = 1.0
_TICK_SECONDS = 0.05  # of reading, then the screen is painted

_Came = FeedItem | DeepPruneError


class Served:
    """The questions of a server from the moment at which it is first asked.

    Args:
        url: the server's address.
        api_key: its key, if it wants one.

    Raises:
        ConfigError: this is no address.
        EndpointError: no server answers, or it refuses.
    """

    steerable = False
    listed = True
    closing = False
    start = None
    player = None

    def __init__(self, url: str, api_key: str | None) -> None:
        self.current = 0
        self.entries: list[Entry] = []
        self._runs: dict[str, _Run] = {}
        self._came: SimpleQueue[_Came] = SimpleQueue()
        self._lost = ""
        self._waiting = 0
        self._answered = False
        self._url = url
        reader = _Reader(url, api_key, self._came.put)
        threading.Thread(target=reader.run, name="feed", daemon=True).start()
        self._take(self._came.get())

    @property
    def planned(self) -> int:
        """The number of questions seen so far."""
        return len(self.entries)

    @property
    def notice(self) -> str:
        """That the server is away, or how many questions wait there."""
        if self._lost:
            return f"{self._lost} Trying again."
        if self._waiting:
            return f"{self._waiting} questions wait"
        return "" if self.entries else f"no question runs at {self._url}"

    def open(self, index: int) -> Watch:
        """Makes a question the current one and returns its run as far as it has come.

        Raises:
            JournalError: its texts were dropped, as those of all but the latest questions are.
        """
        watch = self.entries[index].watch
        if watch is None:
            raise JournalError(
                "This question is over, and its texts are no longer here: see the server's page /runs."
            )
        self.current = index
        return watch

    def tick(self, seconds: float) -> None:
        """Takes in what the server has sent."""
        until = time.monotonic() + _TICK_SECONDS
        with contextlib.suppress(Empty):
            while time.monotonic() < until:
                self._take(self._came.get_nowait())

    def steer(self, command: UserCommandReceived) -> None:
        """A server's questions cannot be steered."""

    def _take(self, came: _Came) -> None:
        """Raises the error of a server that cannot be watched at all."""
        if isinstance(came, DeepPruneError):
            if not self._answered or isinstance(came, EndpointRejected):
                raise came
            self._lost = str(came)
            return
        self._lost = ""
        if came.running is not None:
            self._begin(came)
        elif came.waiting is not None:
            self._waiting = came.waiting
        elif came.run is not None:
            self._take_run(came, came.run)

    def _begin(self, first: FeedItem) -> None:
        """The first payload of a connection: what ran before and is gone is over."""
        self._answered = True
        if first.version != VERSION:
            raise JournalError(
                f"The server writes journals of version {first.version} and this program reads version {VERSION}: "
                "use the DeepPrune of the server."
            )
        running = set(first.running or ())
        for run_id, run in list(self._runs.items()):
            if run_id in running:
                run.restart()
            else:
                self._end(run_id, run.report())

    def _take_run(self, came: FeedItem, run_id: str) -> None:
        run = self._runs.get(run_id)
        if came.over:
            if run is not None:
                self._end(run_id, msgspec.json.decode(came.report, type=Report | None))
            return
        if run is None:
            run = self._runs[run_id] = _Run(run_id)
            self.entries.append(run.entry)
        run.apply(came.entry)

    def _end(self, run_id: str, report: Report | None) -> None:
        """Keeps the report, and the texts of the latest runs."""
        entry = self._runs.pop(run_id).entry
        entry.report = report
        over = [each for each in self.entries if each.report is not None and each.watch is not None]
        for each in over[:-_KEPT]:
            if each is not self.entries[self.current]:
                each.watch = None
        while len(self.entries) > _LISTED and self.entries[0].watch is None:
            del self.entries[0]
            self.current = max(0, self.current - 1)


class _Run:
    """A question that runs."""

    def __init__(self, run_id: str) -> None:
        self._id = run_id
        self._watch = Watch()
        self.entry = Entry(run_id, "", None, self._watch)
        self._decoder = Decoder(Path(run_id))

    def restart(self) -> None:
        """The server sends the run again from its start."""
        self._decoder = Decoder(Path(self._id))
        self._watch.restart(RunView())

    def apply(self, encoded: msgspec.Raw) -> None:
        """Raises JournalError for what is no entry of a journal at its place."""
        view = self._watch.view
        view.apply(self._decoder.decode(bytes(encoded)))
        if not self.entry.question and view.run is not None:
            self.entry.question = view.question

    def report(self) -> Report | None:
        """The report of what has come."""
        return (
            None if self._watch.view.run is None else build_report(self._watch.view, run_dir=None)
        )


class _Reader:
    """Reads the feed, again and again, in a thread of its own."""

    def __init__(self, url: str, api_key: str | None, put: Callable[[_Came], None]) -> None:
        self._url = url
        self._api_key = api_key
        self._put = put

    def run(self) -> None:
        """Reads until the process ends."""
        asyncio.run(self._read())

    async def _read(self) -> None:
        while True:
            try:
                async for item in read_feed(self._url, self._api_key):
                    self._put(item)
            except DeepPruneError as error:
                self._put(error)
            except Exception as error:
                self._put(DeepPruneError(f"The feed cannot be read: {sanitize(str(error))}."))
            await asyncio.sleep(_AGAIN_SECONDS)
