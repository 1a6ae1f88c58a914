"""`bad-input`: what it sends, how it judges, and a short run against a real deployment."""

import asyncio
from collections import Counter
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from actors.clock import SystemClock
from load_tests.__main__ import main
from load_tests.bad_input.bodies import spoiled, written
from load_tests.bad_input.connection import Connection
from load_tests.bad_input.nasty import Pairs, Raw
from load_tests.bad_input.requests import Known, Requests
from load_tests.bad_input.run import Run, Tally
from server.app import ROUTES
from server.openapi.document import Document

KNOWN = Known(["Basic a"], "Bearer h.p.s", {"workspace": ("1",)})


def requests(seed: int = 1) -> Requests:
    return Requests(Document("", ROUTES).data, KNOWN, seed)


def test_a_number_gives_the_same_request_again_and_another_seed_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("time.time", count(1_800_000_000).__next__)
    numbers = range(200)
    first, again, other = requests(), requests(), requests(2)
    assert [first[n] for n in numbers] == [again[n] for n in numbers]
    assert [first[n] for n in numbers] != [other[n] for n in numbers]


def test_every_operation_is_asked_sooner_or_later() -> None:
    made = requests()
    asked = Counter(made[number].operation[:2] for number in range(6000))
    document = Document("", ROUTES).data
    served = {(m.upper(), path) for path, found in document["paths"].items() for m in found}
    assert set(asked) == served


def test_most_requests_are_whole_and_lengths_are_those_of_their_bodies() -> None:
    made = requests()
    whole = [sent for sent in map(made.__getitem__, range(2000)) if not sent.is_last]
    assert len(whole) > 1600
    for sent in whole:
        head, _, body = sent.data.partition(b"\r\n\r\n")
        if b"chunked" not in head.lower():
            assert b"\r\nContent-Length: %d" % len(body) in head


def test_bodies_are_written_as_they_are_meant() -> None:
    tree = {"a": Pairs([("b", 1), ("b", Raw(b"NaN"))]), "c": [None, True, "é", 2**80]}
    text = b'{"a":{"b":1,"b":NaN},"c":[null,true,"\xc3\xa9",1208925819614629174706176]}'
    assert written(tree) == text


def test_spoiling_spoils_most_bodies_and_leaves_some() -> None:
    tree: Any = {"a": [1, {"b": "c"}], "d": None}
    texts = [spoiled(tree, Random(seed)) for seed in range(300)]
    good = sum(text == written(tree) for text in texts)
    assert 10 < good < 150
    assert len(set(texts)) > 150


@pytest.mark.parametrize(
    ("answer", "failures", "hangs"),
    [
        (b"HTTP/1.1 500 Internal\r\nContent-Length: 2\r\n\r\nno", 1, 0),
        (b"HTTP/1.1 503 Later\r\nContent-Length: 0\r\n\r\n", 1, 0),
        (b"HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n", 0, 0),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", 0, 0),
        (b"", 1, 0),
        (None, 0, 1),
    ],
    ids=["500", "503", "400", "chunks", "closed", "silent"],
)
async def test_an_answer_is_judged(
    monkeypatch: pytest.MonkeyPatch, answer: bytes | None, failures: int, hangs: int
) -> None:
    monkeypatch.setattr("load_tests.bad_input.connection.ANSWER_S", 0.2)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if answer is None:
            await reader.read()
        else:
            writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    made = requests()
    number = next(
        n for n in range(100) if not made[n].is_last and made[n].operation.method == "POST"
    )
    tally = Tally()
    await Run("127.0.0.1", port, SystemClock(), tally).send(made, number, 1, 1)
    assert (tally.failures, tally.hangs) == (failures, hangs)
    assert tally.good >= tally.good_refused > 0
    server.close()


async def test_a_kept_connection_that_was_closed_is_no_failure() -> None:
    asked = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    connection = Connection("127.0.0.1", server.sockets[0].getsockname()[1])
    for _ in range(3):
        assert (await connection.ask(b"GET / HTTP/1.1\r\n\r\n")).status == 204
    connection.close()
    server.close()
    assert asked == 3


@pytest.mark.ray
def test_a_short_run_finds_nothing(tmp_path: Path) -> None:
    results = tmp_path / "bad.json"
    arguments = ["bad-input", "--requests", "3000", "--each", "2000", "--seed", "7"]
    shown = CliRunner().invoke(main, [*arguments, "--json", str(results)])
    assert shown.exit_code == 0, shown.output
    assert "2,000 requests: 0 findings\n3,000 requests: 0 findings\n" in shown.output
    report = msgspec.json.decode(results.read_bytes())
    assert sum(report["statuses"].values()) == 3000
    assert report["statuses"].get("5xx", 0) == report["hangs"] == report["crashes"] == 0
    assert report["statuses"]["4xx"] > 1000
