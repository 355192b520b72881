"""Which servers may form a fleet."""

import contextlib
from collections.abc import AsyncIterator

import pytest

from orchestrator.errors import ConfigError, EndpointRejected, EndpointUnreachable
from orchestrator.runtime.members import Found, Member, find_members
from tests.orchestrator.client.reasoner.fake_reasoner import client, vllm_like
from tests.support.fake_server import Answer, FakeServer, answer_json

GONE = "http://127.0.0.1:9/v1"


def serving(model: str = "m", **changes: object) -> dict[str, Answer]:
    tokens = {"tokens": [1, 2, 3], "count": 3, "max_model_len": 100} | changes
    return {
        "/v1/models": answer_json({"data": [{"id": model}]}),
        "/tokenize": answer_json(tokens),
    }


@contextlib.asynccontextmanager
async def members(*servers: FakeServer | str) -> AsyncIterator[list[Member]]:
    """The servers, not probed yet; a text is an address where none answers."""
    async with contextlib.AsyncExitStack() as stack:
        found = []
        for server in servers:
            if isinstance(server, str):
                gone, server = server, FakeServer()
                server.url = gone
            else:
                await stack.enter_async_context(server)
            found.append(Member(client=await stack.enter_async_context(client(server))))
        yield found


async def find(*servers: FakeServer | str, leave_out: bool = False) -> Found:
    async with members(*servers) as found:
        return await find_members(found, top_logprobs=None, leave_out=leave_out)


async def test_servers_that_are_alike_form_a_fleet() -> None:
    found = await find(vllm_like(**serving()), vllm_like(**serving()))
    assert len(found.members) == 2
    assert found.notes == []


@pytest.mark.parametrize(
    ("stranger", "sentence"),
    [
        (serving("n"), "serves the model n, and http://.* serves the model m"),
        (serving(max_model_len=50), "has a context of 50 tokens, and http://.* 100 tokens"),
        (serving(tokens=[3, 2, 1]), "has another tokenizer than http://"),
        (
            {
                "/tokenize": answer_json({}, 404),
                "/v1/chat/completions": vllm_like().answers["/v1/completions"],
            },
            "has an unknown context, and",
        ),
    ],
)
async def test_a_stranger_is_refused_by_name(stranger: dict[str, Answer], sentence: str) -> None:
    servers = vllm_like(**serving()), vllm_like(**stranger)
    with pytest.raises(ConfigError, match=sentence) as refused:
        await find(*servers)
    assert str(refused.value).startswith(servers[1].url)
    assert "endpoint.on_mismatch" in str(refused.value)


async def test_a_stranger_is_left_out_on_request() -> None:
    servers = vllm_like(**serving()), vllm_like(**serving("n")), vllm_like(**serving())
    found = await find(*servers, leave_out=True)
    assert [member.address for member in found.members] == [servers[0].url, servers[2].url]
    (note,) = found.notes
    assert note.startswith(servers[1].url)
    assert note.endswith("It is left out.")


async def test_a_server_that_refuses_is_a_stranger() -> None:
    refusing = FakeServer({"/v1/models": answer_json({"error": "no"}, 401)})
    with pytest.raises(EndpointRejected, match="OPENAI_API_KEY"):
        await find(vllm_like(**serving()), refusing)


async def test_a_server_that_is_down_stays_a_member_with_a_note() -> None:
    found = await find(GONE, vllm_like(**serving()))
    gone, works = found.members
    assert (gone.found, works.found is not None) == (None, True)
    assert GONE in gone.fault
    (note,) = found.notes
    assert note.startswith(f"{GONE} is left out until it answers")


async def test_no_server_at_all_is_an_error_that_names_them() -> None:
    with pytest.raises(
        EndpointUnreachable,
        match=f"None of the servers {GONE}, {GONE.replace('9/v1', '19/v1')} works",
    ):
        await find(GONE, f"{GONE.replace('9/v1', '19/v1')}")


async def test_a_single_server_has_the_error_of_its_probe() -> None:
    with pytest.raises(EndpointUnreachable, match=r"^No server answers"):
        await find(GONE)
