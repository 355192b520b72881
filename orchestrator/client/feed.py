"""The feed of a `deepprune-serve`: the questions that run there, read as they go on."""

from collections.abc import AsyncIterator

import msgspec

from orchestrator.client.http import HttpClient, parse_address
from orchestrator.client.reasoner.sse import DONE, SseSplitter
from orchestrator.config.keys import SERVE_KEY
from orchestrator.errors import StreamBroken

__all__ = ["FeedItem", "read_feed"]

_CONNECT_SECONDS = 10.0
_SILENCE_SECONDS = 40.0  # the server sends a comment every ten


class FeedItem(msgspec.Struct, frozen=True):
    """One payload: the first of a connection has `version` and `running`, the others a run or the queue.

    `entry` is an entry of the run's journal, `report` the report of a run that is over (null if it never started).
    """

    version: int | None = None
    running: list[str] | None = None
    run: str | None = None
    entry: msgspec.Raw = msgspec.Raw()
    over: bool = False
    report: msgspec.Raw = msgspec.Raw()
    waiting: int | None = None


async def read_feed(url: str, api_key: str | None) -> AsyncIterator[FeedItem]:
    """The payloads of one connection, until the server ends it.

    Args:
        url: the server's address, with or without /v1.
        api_key: the server's key, if it wants one.

    Raises:
        ConfigError: this is no address.
        EndpointError: no server answers, it refuses, or it breaks off.
    """
    address = parse_address(url)
    http = HttpClient(
        address,
        api_key=api_key,
        key_name=SERVE_KEY,
        connect_seconds=_CONNECT_SECONDS,
        read_seconds=_SILENCE_SECONDS,
    )
    await http.open()
    try:
        async with http.response("GET", f"{address.root}/events") as response:
            splitter = SseSplitter()
            async for data in response.content.iter_any():
                for payload in splitter.feed(data):
                    if payload == DONE:
                        return
                    yield _item(payload)
    finally:
        await http.close()


def _item(payload: bytes) -> FeedItem:
    try:
        return msgspec.json.decode(payload, type=FeedItem)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise StreamBroken(
            f"The server sent a feed that cannot be read: {error}.", "decode"
        ) from None
