"""Verification against servers that tell the truth and servers that do not."""

from collections.abc import Awaitable, Callable

import pytest

from actors.clock import SystemClock
from load_tests import verify
from load_tests.client import Channel, Target
from load_tests.ledger import Ledger
from load_tests.pool import Pool
from load_tests.reader import Access, ReadBackFailed
from load_tests.traffic import IngestTraffic
from load_tests.verify import Verification, Verifier
from tests.load_tests.conftest import MakePool
from tests.load_tests.fake_server import FakeServer

_ACCESS = Access(client_id="reader", client_secret="sesame", org=1, account=1, workspace="1")
Run = Callable[[], Awaitable[tuple[Pool, Ledger]]]


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is missing in these tests stays missing: no need to wait for it as long."""
    monkeypatch.setattr(verify, "FRESHNESS_S", 0.3)


@pytest.fixture
def run(target: Target, make_pool: MakePool) -> Run:
    """Sends 10 requests of 10 batches: twice round a pool of 50."""

    async def send() -> tuple[Pool, Ledger]:
        pool = make_pool(batches=50)
        ledger = Ledger(pool)
        traffic = IngestTraffic(target, "k1", "s1", pool, ledger)
        channel = Channel(target)
        for number in range(10):
            traffic.open(number)
            response = await channel.exchange(traffic.request(number, SystemClock().now_ms()))
            traffic.settle(number, response, is_doubtful=False)
        channel.close()
        return pool, ledger

    return send


async def _verify(
    target: Target, pool: Pool, ledger: Ledger, sample: int | None = None, access: Access = _ACCESS
) -> Verification:
    verifier = Verifier(target, access, pool, ledger, since_ms=0)
    return await verifier.run(SystemClock(), sample, seed=1)


def _events_of(pool: Pool, ledger: Ledger, token: str) -> int:
    sequence = pool.sequence_of(f"{token}-00")
    assert sequence is not None
    return int(ledger.events()[sequence[0]])


async def test_what_an_honest_server_stored_is_verified_in_full(
    server: FakeServer, target: Target, run: Run
) -> None:
    """Also with small pages and a server that is busy now and then."""
    server.page_batches, server.busy_reads = 3, 5
    pool, ledger = await run()
    found = await _verify(target, pool, ledger)
    assert found.is_exact
    assert found.verified == found.acknowledged == int(ledger.events().sum())
    assert found.users == found.users_of == len(set(pool.users.tolist()))
    assert found.profiles > 0
    assert found.profiles_wrong == 0


async def test_a_lost_batch_is_found(server: FakeServer, target: Target, run: Run) -> None:
    """Acknowledged and not stored."""
    server.lose = lambda request_id: request_id.endswith("2a")
    pool, ledger = await run()
    found = await _verify(target, pool, ledger)
    assert not found.is_exact
    assert found.lost == _events_of(pool, ledger, pool.token(0x2A))
    assert found.verified + found.lost == found.acknowledged


async def test_a_doubled_batch_is_found(server: FakeServer, target: Target, run: Run) -> None:
    """Stored twice."""
    server.double = lambda request_id: request_id.endswith("2a")
    pool, ledger = await run()
    found = await _verify(target, pool, ledger)
    assert not found.is_exact
    assert found.doubled == _events_of(pool, ledger, pool.token(0x2A))
    assert found.lost == 0


async def test_a_refused_batch_that_was_stored_all_the_same_is_found(
    server: FakeServer, target: Target, run: Run
) -> None:
    """The server keeps the request and answers 400."""
    pool, ledger = await run()
    ledger.settle(4, None, is_doubtful=False)
    found = await _verify(target, pool, ledger)
    assert not found.is_exact
    assert found.refused == int(ledger.events()[40:50].sum())


async def test_batches_refused_in_a_bulk_request_need_not_be_there(
    server: FakeServer, target: Target, run: Run
) -> None:
    """A mixed result: two of ten are refused each time, and rightly absent."""
    server.problems = lambda position: position in (3, 7)
    pool, ledger = await run()
    found = await _verify(target, pool, ledger)
    assert found.is_exact
    assert found.acknowledged < int(ledger.events().sum())


async def test_an_event_in_the_profile_of_somebody_else_is_found(
    server: FakeServer, target: Target, run: Run
) -> None:
    """The server puts what belongs to one person into the profile of another."""
    people: list[str] = []

    def owner(identity: str) -> str:
        if identity.startswith("load-") and identity not in people:
            people.append(identity)
        return people[0] if identity in people[:2] else identity

    server.owner = owner
    pool, ledger = await run()
    found = await _verify(target, pool, ledger)
    assert not found.is_exact
    assert found.misplaced == found.lost > 0


async def test_a_request_without_an_answer_may_be_there_or_not(
    server: FakeServer, target: Target, run: Run
) -> None:
    """It is neither lost nor wrongly kept."""
    pool, ledger = await run()
    ledger.settle(4, None, is_doubtful=True)
    found = await _verify(target, pool, ledger)
    assert found.is_exact
    assert found.unknown == int(ledger.events()[40:50].sum())


async def test_what_appears_a_little_later_is_not_lost(
    server: FakeServer, target: Target, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """spec/profiles.md, 1: visible within a bound, not at once."""
    monkeypatch.setattr(verify, "FRESHNESS_S", 10.0)
    pool, ledger = await run()
    server.hide_reads = 3
    assert (await _verify(target, pool, ledger)).is_exact


async def test_a_sample_of_users_is_compared_with_what_was_acknowledged_for_them(
    server: FakeServer, target: Target, run: Run
) -> None:
    """Four users of all."""
    pool, ledger = await run()
    found = await _verify(target, pool, ledger, sample=4)
    assert found.is_exact
    assert (found.users, found.users_of) == (4, len(set(pool.users.tolist())))
    assert found.verified < int(ledger.events().sum())


async def test_nothing_acknowledged_proves_nothing(
    server: FakeServer, target: Target, run: Run
) -> None:
    """An empty result is not an exact one."""
    server.refuse = lambda number: (400, {})
    pool, ledger = await run()
    found = await _verify(target, pool, ledger)
    assert (found.verified, found.lost, found.is_exact) == (0, 0, False)


async def test_a_refused_credential_is_said_to_be_refused(
    server: FakeServer, target: Target, run: Run
) -> None:
    """No proof is made up without reading."""
    pool, ledger = await run()
    access = Access(client_id="reader", client_secret="wrong", org=1, account=1, workspace="1")
    with pytest.raises(ReadBackFailed, match="status 401"):
        await _verify(target, pool, ledger, access=access)
