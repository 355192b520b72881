"""Which event loops the tests of this folder run on."""

import asyncio
from collections.abc import Callable, Mapping

import pytest
import uvloop

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}
"""Each loop that a program may run the client on."""

BOTH = ("test_paced_answer", "test_streams", "test_stream_handle")
"""Modules with tests of how sockets are read and closed."""


def pytest_asyncio_loop_factories(
    item: pytest.Item,
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Both loops for what reads sockets."""
    return LOOPS if item.path.stem in BOTH else {"asyncio": asyncio.new_event_loop}
