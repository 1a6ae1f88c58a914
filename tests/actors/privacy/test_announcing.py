"""Callbacks to many receivers, of whom some are slow (spec/privacy.md, 4.2)."""

import asyncio
from collections import Counter
from collections.abc import Iterator

import pytest

from actors.clock import ManualClock
from actors.errors import StoreFull
from actors.privacy import hosts
from actors.privacy.announcing import PAGE, Announcer
from actors.privacy.callbacks import notices_of
from actors.privacy.hosts import AT_A_HOST, AT_ONCE
from actors.privacy.requests import SubjectRequest, Submission, Version
from actors.store import subject_requests
from actors.store.environment import Store
from tests.actors.forwarding.support import until
from tests.actors.store.builders import temporary_store
from tests.whole.subject_requests import numbered_id

MINUTE_MS = 60_000
SLOW = "https://slow.example.com/dsr"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def store() -> Iterator[Store]:
    with temporary_store() as made:
        yield made


class Receivers:
    """Those of slow.example.com answer when a gate opens, others at once."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.told: Counter[str] = Counter()
        self.under_way: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.takes = True

    async def post(self, url: str, version: Version, body: bytes) -> bool:
        host = url.split("/")[2]
        self.under_way[host] += 1
        self.most[host] = max(self.most[host], self.under_way[host])
        self.most["all"] = max(self.most["all"], self.under_way.total())
        await (self.gate.wait() if url == SLOW else asyncio.sleep(0))
        self.under_way[host] -= 1
        self.told[host] += 1
        return self.takes


@pytest.fixture
def receivers() -> Receivers:
    return Receivers()


def announcer(store: Store, receivers: Receivers, clock: ManualClock) -> Announcer:
    return Announcer(store, "1", "https://cdp.example.com", receivers.post, clock)


def submitted(store: Store, clock: ManualClock, first: int, count: int, *urls: str) -> None:
    """Have requests that their URLs are to be told of now."""
    now_ms = clock.now_ms()
    with store.write() as txn:
        for number in range(first, first + count):
            sent = Submission(
                id=numbered_id(number),
                type="erasure",
                version="3.0",
                regulation="gdpr",
                submitted_ms=now_ms,
                group=None,
                skips_waiting=False,
                identities=(),
                mpids=(),
                callback_urls=urls,
            )
            request = SubjectRequest(
                sent=sent,
                received_ms=now_ms,
                fingerprint=number.to_bytes(16, "big"),
                status="pending",
                due_ms=now_ms,
                expected_ms=now_ms,
                changed_ms=now_ms,
            )
            subject_requests.write(txn, notices_of(request, now_ms))


def host(number: int) -> str:
    return f"https://h{number}.example.com/dsr"


async def test_a_slow_receiver_holds_up_no_other(
    store: Store, receivers: Receivers, clock: ManualClock
) -> None:
    """Neither those who are due now nor those who become so while it is waited for."""
    submitted(store, clock, 0, 3 * PAGE, SLOW)
    submitted(store, clock, 10_000, 300, host(1), host(2))
    telling = asyncio.create_task(announcer(store, receivers, clock).tell())
    await until(lambda: receivers.told["h1.example.com"] == receivers.told["h2.example.com"] == 300)
    assert receivers.told["slow.example.com"] == 0
    assert receivers.under_way["slow.example.com"] == AT_A_HOST
    clock.advance(MINUTE_MS)
    submitted(store, clock, 20_000, 5, host(3))
    await until(lambda: receivers.told["h3.example.com"] == 5)
    assert not telling.done()
    receivers.gate.set()
    await telling
    assert receivers.told["slow.example.com"] == 3 * PAGE
    assert receivers.told.total() == 3 * PAGE + 605
    assert receivers.most["slow.example.com"] == AT_A_HOST
    with store.read() as txn:
        assert not subject_requests.to_be_told(txn, clock.now_ms(), b"", 1)


async def test_no_more_than_some_are_told_at_once(
    store: Store, receivers: Receivers, clock: ManualClock
) -> None:
    submitted(store, clock, 0, 20, *(host(each) for each in range(10)))
    await announcer(store, receivers, clock).tell()
    assert receivers.told.total() == 200
    assert receivers.most["all"] == AT_ONCE
    assert max(receivers.most[f"h{each}.example.com"] for each in range(10)) <= AT_A_HOST


async def test_what_there_was_no_room_for_is_told_later(
    store: Store, receivers: Receivers, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hosts, "WAITING_AT_A_HOST", 20)
    monkeypatch.setattr(hosts, "WAITING", 50)
    submitted(store, clock, 0, 100, host(1), host(2))
    receivers.gate.set()
    submitted(store, clock, 200, 100, SLOW, host(1))
    await announcer(store, receivers, clock).tell()
    assert receivers.told == {"h1.example.com": 200, "h2.example.com": 100, "slow.example.com": 100}


async def test_who_fails_is_told_again_and_not_before_it_is_time(
    store: Store, receivers: Receivers, clock: ManualClock
) -> None:
    receivers.takes = False
    submitted(store, clock, 0, 10, host(1))
    for _ in range(3):
        await announcer(store, receivers, clock).tell()
    assert receivers.told.total() == 10
    clock.advance(MINUTE_MS)
    receivers.takes = True
    for _ in range(3):
        await announcer(store, receivers, clock).tell()
    assert receivers.told.total() == 20


async def test_without_room_on_disk_nothing_goes_on_in_the_background(
    store: Store, receivers: Receivers, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    submitted(store, clock, 0, 20, SLOW, host(1))

    def full(*_: object) -> None:
        raise StoreFull("no room")

    with monkeypatch.context() as patch:
        patch.setattr(subject_requests, "write", full)
        with pytest.raises(StoreFull):
            await announcer(store, receivers, clock).tell()
    assert len(asyncio.all_tasks()) == 1
    receivers.gate.set()
    await announcer(store, receivers, clock).tell()
    with store.read() as txn:
        assert not subject_requests.to_be_told(txn, clock.now_ms(), b"", 1)
