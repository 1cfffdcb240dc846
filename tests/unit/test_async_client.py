"""The client for asyncio: what it does otherwise than the other one, and that the rest is the same."""

import asyncio

import pytest

from models.spec.dataset_spec import DatasetSpec
from models.spec.errors import UserError
from serving.async_client import AsyncPredictClient
from serving.client import PredictClient
from tests.unit.stub_server import StubServer

SPEC = DatasetSpec.parse(
    """
name: books
source: {format: csv, path: books.csv}
label: {column: clicked}
features:
  - {name: age, side: user, kind: numeric}
  - {name: book, side: item, kind: categorical}
""",
    where="books.yaml",
)


def _asked(server, ask, **options):
    """What `ask(client)` returns, in an event loop of its own."""

    async def run():
        async with AsyncPredictClient(server.target, "books", **options) as client:
            return await ask(client)

    return asyncio.run(run())


def test_predicts_and_ranks_as_the_other_client():
    items = [{"book": "b1"}, {"book": "b2"}, {"book": "b3"}]
    with StubServer() as server:
        lengths = _asked(server, lambda client: client.predict([b"", b"a", b"bc", b"def"]), batch_size=3)
        assert (lengths.dtype.name, lengths.tolist()) == ("float32", [0.0, 1.0, 2.0, 3.0])
        assert _asked(server, lambda client: client.predict([])).shape == (0,)
        assert _asked(server, lambda client: client.rank(SPEC, {"age": 3}, items, k=2)) == [(0, 0.5), (1, 0.5)]
        *sent, ranked = server.requests
        assert [len(request.inputs["examples"].string_val) for request in sent] == [3, 1]
        with PredictClient(server.target, "books") as client:
            client.rank(SPEC, {"age": 3}, items, k=2)
        assert ranked == server.requests[-1]


def test_calls_at_once_share_a_connection():
    # The server answers none of them before all have come.
    with StubServer(together=200) as server:
        async def ask(client):
            return await asyncio.gather(*(client.predict([b"x" * size]) for size in range(200)))

        assert [lengths.tolist() for lengths in _asked(server, ask)] == [[size] for size in range(200)]
        assert len(server.peers) == 1


def test_a_cancelled_call_is_cancelled_at_the_server():
    with StubServer(delay=20.0) as server:
        async def ask(client):
            call = asyncio.create_task(client.predict([b""]))
            while not server.requests:
                await asyncio.sleep(0.01)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            return await asyncio.to_thread(server.cancelled.wait, 10)

        assert _asked(server, ask)


def test_unavailable_is_tried_again():
    # More than gRPC sends again by default.
    with StubServer(unavailable=3) as server:
        assert _asked(server, lambda client: client.predict([b"x" * (300 << 10)]), timeout=2.0).tolist() == [300 << 10]
        assert len(server.requests) == 4
    with StubServer(unavailable=99) as server:
        with pytest.raises(UserError, match="restarting"):
            _asked(server, lambda client: client.predict([b"abc"]), timeout=1.0)
        assert len(server.requests) == 5


def test_a_late_answer_and_a_wrong_one_are_told():
    with StubServer(delay=1.0) as server, pytest.raises(UserError, match="did not answer within 0.2 s"):
        _asked(server, lambda client: client.predict([b""]), timeout=0.2)
    with StubServer(values=[0.25]) as server, pytest.raises(UserError, match="1 values as probability where 2 values"):
        _asked(server, lambda client: client.predict([b"", b""]))
    with StubServer() as server, pytest.raises(UserError, match="item 1: column 'book' holds 2 values"):
        _asked(server, lambda client: client.rank(SPEC, {}, [{"book": "b1"}, {"book": ["b1", "b2"]}]))


def test_a_closed_client_asks_no_more():
    async def ask():
        client = AsyncPredictClient("127.0.0.1:1")
        await client.close()
        await client.predict([b""])

    with pytest.raises(ValueError, match="the client is closed"):
        asyncio.run(ask())


def test_may_be_made_before_there_is_an_event_loop():
    with StubServer() as server:
        client = AsyncPredictClient(server.target)

        async def ask():
            async with client:
                return await client.predict([b"abc"])

        assert asyncio.run(ask()).tolist() == [3.0]
