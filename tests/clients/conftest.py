"""One server for all clients."""

import socket
from collections.abc import Iterator

import pytest

from tests.clients.serving import Server, serving


@pytest.fixture(scope="session")
def page_port() -> int:
    """Where the chat page is served: another site than the server's."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, page_port: int) -> Iterator[Server]:
    """`deepprune-serve` with four traces a question, open to the chat page."""
    folder = tmp_path_factory.mktemp("serve")
    flags = ["--traces", "4", "--questions-at-once", "50"]
    with serving(folder, *flags, "--allow-origin", f"http://127.0.0.1:{page_port}") as running:
        yield running


@pytest.fixture
def unused_port() -> int:
    """Of a site that the server does not know."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port
