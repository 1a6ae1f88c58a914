"""Requests with a key, as the coordinator's process knows them."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.clock import ManualClock
from actors.repeats import UNDER_WAY_S, RepeatDesk
from actors.store.environment import Store
from actors.store.kept_answers import REMOVED_PER_ADDED
from actors.store.requests import ANSWERS, RETENTION_MS, KeptAnswer
from config.sealing import Sealer

ANSWER = KeptAnswer(b"asked", 201, "application/json", b'{"secret": "s3cret"}', '"5"')
SEAL = Sealer("m" * 32)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path, 2**24)
    yield made
    made.close()


async def test_a_request_is_begun_once_and_answered_ever_after(store: Store) -> None:
    clock = ManualClock()
    desk = RepeatDesk(store, SEAL, clock)
    assert await desk.begin_request(b"k", b"asked") == "new"
    assert await desk.begin_request(b"k", b"asked") == "under_way"
    await desk.end_request(b"k", ANSWER)
    for each in (desk, RepeatDesk(store, SEAL, clock)):
        assert await each.begin_request(b"k", b"asked") == ANSWER
        assert await each.begin_request(b"k", b"another") == "different"


async def test_one_that_failed_may_be_begun_again(store: Store) -> None:
    desk = RepeatDesk(store, SEAL, ManualClock())
    assert await desk.begin_request(b"k", b"asked") == "new"
    await desk.end_request(b"k", None)
    assert await desk.begin_request(b"k", b"asked") == "new"


async def test_one_whose_edge_has_died_may_be_begun_again_after_a_while(store: Store) -> None:
    clock = ManualClock()
    desk = RepeatDesk(store, SEAL, clock)
    assert await desk.begin_request(b"k", b"asked") == "new"
    clock.advance(int(UNDER_WAY_S * 1000) - 1)
    assert await desk.begin_request(b"k", b"asked") == "under_way"
    clock.advance(1)
    assert await desk.begin_request(b"k", b"asked") == "new"


async def test_answers_that_are_past_their_time_are_deleted(store: Store) -> None:
    """Some with each new one, and never one that was given anew."""
    clock = ManualClock()
    desk = RepeatDesk(store, SEAL, clock)
    for number in range(6):
        await desk.end_request(b"%d" % number, ANSWER)
    clock.advance(RETENTION_MS + 1)
    await desk.end_request(b"0", ANSWER)
    for number in range(10, 14):
        await desk.end_request(b"%d" % number, ANSWER)
    with store.read() as txn:
        kept = {key for key, _ in txn.scan("retries", prefix=b"r")}
    assert kept == {b"r0", *(b"r%d" % number for number in range(10, 14))}
    assert REMOVED_PER_ADDED > 1
    assert await desk.begin_request(b"0", b"asked") == ANSWER


def test_what_an_answer_shows_is_not_kept_in_the_clear(store: Store, tmp_path: Path) -> None:
    asyncio.run(RepeatDesk(store, SEAL, ManualClock()).end_request(b"k", ANSWER))
    kept = b"".join(each.read_bytes() for each in tmp_path.rglob("*") if each.is_file())
    assert b"s3cret" not in kept
    assert ANSWER.content not in kept


def test_the_oldest_answers_go_when_there_are_too_many(store: Store) -> None:
    """Whatever was given anew meanwhile stays."""
    shelf = ANSWERS._replace(max_bytes=3100)
    with store.write() as txn:
        for number, key in enumerate((b"a", b"b", b"a", b"c", b"d")):
            shelf.write(txn, key, b"x" * 1000, number)
    with store.read() as txn:
        assert [key for key in (b"a", b"b", b"c", b"d") if shelf.read(txn, key, 9)] == [
            b"a",
            b"c",
            b"d",
        ]
