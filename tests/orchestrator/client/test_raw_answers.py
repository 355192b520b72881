"""Bytes that are no HTTP, or hostile HTTP, from a socket: every one of them is one of our errors."""

import asyncio
import contextlib
import gzip
import zlib
from collections.abc import AsyncIterator

import pytest

from orchestrator.client.endpoint import EndpointClient
from orchestrator.client.reasoner.client import ReasonerClient
from orchestrator.errors import EndpointError
from orchestrator.settings import EndpointSettings, SamplingSettings

OK = b"HTTP/1.1 200 OK\r\n"
BODY = b'{"data": [{"id": "m"}]}'

ANSWERS: dict[str, bytes] = {
    "nothing": b"",
    "no HTTP": b"SSH-2.0-OpenSSH_9.6\r\n",
    "a bare body": BODY,
    "a status that is none": b"HTTP/1.1 banana OK\r\n\r\n",
    "a status out of range": b"HTTP/1.1 999999 OK\r\nContent-Length: 0\r\n\r\n",
    "a version that is none": b"HTTP/9.9.9 200 OK\r\n\r\n",
    "a header without a colon": OK + b"nonsense\r\n\r\n",
    "a header without an end": OK + b"X: " + b"x" * 10**6,
    "headers without an end": OK + b"X: x\r\n" * 100_000,
    "a header of control characters": OK + b"X: \x00\x01\r\n\r\n",
    "headers that are not UTF-8": OK + b"X\xff: \xff\xfe\r\nContent-Length: 2\r\n\r\n\xff\xff",
    "a length that is none": OK + b"Content-Length: many\r\n\r\n" + BODY,
    "a negative length": OK + b"Content-Length: -5\r\n\r\n" + BODY,
    "two lengths": OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n" + BODY,
    "a length beyond the body": OK + b"Content-Length: 9999\r\n\r\n" + BODY,
    "a chunk size that is none": OK + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n" + BODY,
    "a huge chunk size": OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 40 + b"\r\n" + BODY,
    "chunks without an end": OK + b'Transfer-Encoding: chunked\r\n\r\n5\r\n{"dat\r\n',
    "a coding that lies": OK + b"Content-Encoding: gzip\r\n\r\n" + BODY,
    "half a gzip": OK + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(BODY * 999)[:40],
    "a gzip of gzips": OK
    + b"Content-Encoding: gzip, gzip\r\n\r\n"
    + gzip.compress(gzip.compress(BODY)),
    "a deflate bomb": OK + b"Content-Encoding: deflate\r\n\r\n" + zlib.compress(b" " * 2**26),
    "a cookie that is none": b"HTTP/1.1 500 x\r\nSet-Cookie: \x80=;;;=\r\n\r\n",
    "a date that is none": b"HTTP/1.1 503 x\r\nRetry-After: Wed, 99 Foo 999999999999\r\n\r\n",
    "a redirect to nowhere": b"HTTP/1.1 302 x\r\nLocation: http://[::1\x00\r\n\r\n",
    "a redirect without end": b"HTTP/1.1 302 x\r\nLocation: http://" + b"a" * 7000 + b"\r\n\r\n",
    "a protocol switch": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
    "endless continues": b"HTTP/1.1 100 Continue\r\n\r\n" * 2_000,
    "a number beyond all bounds": OK + b'\r\n{"data": [{"id": ' + b"9" * 5000 + b"}]}",
    "an exponent beyond all bounds": OK + b'\r\n{"data": 1e999999}',
    "an object in an object": OK + b"\r\n" + b'{"data":' * 1200 + b"}" * 1200,
    "text that is not UTF-8": OK + b'\r\n{"data": [{"id": "\xff"}]}',
}


@contextlib.asynccontextmanager
async def answering(answer: bytes) -> AsyncIterator[str]:
    """The address of a server that answers every request with these bytes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"


def client_of(url: str) -> EndpointClient:
    return EndpointClient(url, api_key=None, key_name="KEY", connect_seconds=5.0, read_seconds=5.0)


READABLE: dict[str, bytes] = {
    "an unknown coding": OK + b"Content-Encoding: rot13\r\n\r\n" + BODY,
    "an unknown transfer": OK + b"Transfer-Encoding: banana\r\n\r\n" + BODY,
    "a gzip": OK + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(BODY),
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\n\r\n" + BODY,
    "a continue before": b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"\r\n" + BODY,
    "a byte order mark": OK + b"\r\n\xef\xbb\xbf" + BODY,
}


@pytest.mark.parametrize("answer", READABLE.values(), ids=READABLE.keys())
async def test_what_can_be_read_is_read(answer: bytes) -> None:
    async with answering(answer) as url, client_of(url) as client:
        assert (await client.find_model(None, "--model")).name == "m"


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS.keys())
async def test_a_request_ends_in_an_error_of_ours(answer: bytes) -> None:
    async with answering(answer) as url, client_of(url) as client:
        with pytest.raises(EndpointError) as caught:
            await client.find_model(None, "--model")
        assert await client.counters() is None
    assert len(str(caught.value)) < 700
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS.keys())
async def test_a_stream_ends_in_an_error_of_ours(answer: bytes) -> None:
    endpoint = EndpointSettings(api="chat", model="m", stall_seconds=5.0)
    async with (
        answering(answer) as url,
        ReasonerClient(url, endpoint, SamplingSettings(), None) as client,
    ):
        with pytest.raises(EndpointError) as caught:
            await client.probe()
    assert str(caught.value).isprintable()
