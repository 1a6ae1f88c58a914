"""What is noticed when something is lost, doubled, out of order or left over."""

import asyncio
from typing import Any, cast

import msgspec
import pytest

from actors.clock import ManualClock
from load_tests.faults.checks import Checker, Found, summed
from load_tests.faults.clients import FULL, Clients
from load_tests.faults.document import HOOKS, THRESHOLDS, audience_id
from load_tests.faults.receivers import EventLog, MemberLog
from load_tests.faults.record import Record, Sent
from load_tests.faults.totals import Totals, members
from load_tests.faults.watch import USERS, Watch
from load_tests.reader import Queued, Reader

MPID = 77
BATCHES = 3


def event(number: int, event_id: int) -> dict[str, Any]:
    return {"data": {"source_message_id": f"t-{number}", "event_id": event_id}}


def body(*events: dict[str, Any], mpid: int = MPID) -> bytes:
    return msgspec.json.encode({"mpid": mpid, "batch_id": 1, "events": list(events)})


def change(audience: str, action: str) -> bytes:
    return msgspec.json.encode(
        {
            "type": "audience_membership_change",
            "audience": {"id": 1, "name": audience, "external_name": audience},
            "changes": [{"mpid": MPID, "action": action, "identities": {}}],
        }
    )


class FakeReader:
    """What a deployment shows that has applied `BATCHES` batches, and what is told to be wrong."""

    def __init__(self) -> None:
        self.mpids = [MPID]
        self.stored = list(range(BATCHES))
        self.attributes = {"pings": str(BATCHES), "weight": "6", "last": f"t-{BATCHES - 1}"}
        self.audiences = {audience_id(least) for least in (1, 2, 3)}
        self.listed = {("customerid", "t-u0"), ("device_application_stamp", "d"), ("email", "e")}
        self.held = [MPID]
        self.sizes: dict[str, int | None] = {audience_id(each): 0 for each in THRESHOLDS}
        self.sizes |= dict.fromkeys(self.audiences, 1)
        names = (*HOOKS, *map(audience_id, THRESHOLDS))
        self.kept = {(shard, name): Queued(0, 0) for shard in ("0", "1") for name in names}

    async def find(self, identity: str) -> list[int]:
        return self.mpids

    async def message_ids(self, mpid: int, since_ms: int) -> Any:
        for number in reversed(self.stored):
            yield f"t-{number}"

    async def profile(self, mpid: int, fields: str) -> dict[str, Any]:
        memberships = [{"audience_name": name} for name in self.audiences]
        return {"user_attributes": self.attributes, "audience_memberships": memberships}

    async def identities(self, mpid: int) -> set[tuple[str, str]]:
        return self.listed

    async def holders(self, identity_type: str, value: str) -> list[int]:
        return self.held

    async def audience_sizes(self) -> dict[str, int | None]:
        return self.sizes

    async def queues(self) -> dict[tuple[str, str], Queued]:
        return self.kept


def checked(spoil: Any = lambda *_: None) -> Found:
    """Check three acknowledged batches, each after the other, once something is spoilt."""
    record, reader = Record(1), FakeReader()
    record.token = "t"  # as the reader has it
    for _ in range(BATCHES):
        record.acknowledge(record.begin(0, 0.0), 1.0)
    record.mpids, record.devices, record.emails = {0: {MPID}}, {0: {"d"}}, {0: {"e"}}
    log, members = EventLog(), MemberLog()
    for number in range(BATCHES):
        log.take(body(event(number, number)))
        members.take(change(audience_id(number + 1), "add"))
    spoil(reader, log, members)
    checker = Checker(record, cast(Reader, reader), {"hook": log}, members)
    totals = Totals([record], cast(Reader, reader), cast(Reader, reader))

    async def check() -> Found:
        return summed([await checker.run(patience_s=0.0), await totals.check(patience_s=0.0)])

    return asyncio.run(check())


def test_nothing_is_wrong_with_what_was_applied_once() -> None:
    found = checked(lambda _, log, __: log.take(body(event(0, 0))))  # sent again, as it may be
    assert found.is_clean, found.details


def _lacks_audience(reader: FakeReader, log: EventLog, members: MemberLog) -> None:
    reader.audiences.discard(audience_id(3))


def _reordered(reader: FakeReader, log: EventLog, members: MemberLog) -> None:
    log.arrivals[MPID].reverse()


def _lost_in_output(reader: FakeReader, log: EventLog, members: MemberLog) -> None:
    log.arrivals[MPID].remove("t-1")


def _told_of_two_users(reader: FakeReader, log: EventLog, members: MemberLog) -> None:
    log.take(body(event(1, 1), mpid=MPID + 1))


@pytest.mark.parametrize(
    ("kind", "spoil"),
    [
        pytest.param("lost", lambda r, *_: r.stored.remove(1), id="not in the log"),
        pytest.param("lost", _lost_in_output, id="not in an output"),
        pytest.param("lost", lambda r, *_: r.attributes.update(pings="2"), id="not counted"),
        pytest.param("lost", lambda r, *_: r.attributes.update(weight="5"), id="not summed"),
        pytest.param("lost", _lacks_audience, id="not in an audience"),
        pytest.param(
            "lost", lambda _, __, m: m.take(change(audience_id(2), "delete")), id="not told of"
        ),
        pytest.param("doubled", lambda r, *_: r.stored.append(1), id="twice in the log"),
        pytest.param("doubled", lambda r, *_: r.attributes.update(pings="4"), id="counted twice"),
        pytest.param("doubled", lambda r, *_: r.audiences.add(audience_id(4)), id="in too many"),
        pytest.param(
            "doubled", lambda _, log, __: log.take(body(event(1, 9))), id="under two event ids"
        ),
        pytest.param("disordered", lambda r, *_: r.stored.reverse(), id="log out of order"),
        pytest.param("doubled", _told_of_two_users, id="under two users"),
        pytest.param(
            "disordered", lambda r, *_: r.attributes.update(last="t-0"), id="profile out of order"
        ),
        pytest.param("disordered", _reordered, id="output out of order"),
        pytest.param("identities", lambda r, *_: r.mpids.append(78), id="V1"),
        pytest.param(
            "identities", lambda r, *_: r.listed.remove(("device_application_stamp", "d")), id="V9"
        ),
        pytest.param(
            "identities", lambda r, *_: r.listed.remove(("email", "e")), id="V9 of an address"
        ),
        pytest.param("identities", lambda r, *_: r.held.clear(), id="V10"),
        pytest.param(
            "lost", lambda r, *_: r.sizes.update({audience_id(3): 0}), id="audience too small"
        ),
        pytest.param(
            "doubled", lambda r, *_: r.sizes.update({audience_id(3): 2}), id="audience too large"
        ),
        pytest.param(
            "doubled", lambda r, *_: r.sizes.update({audience_id(4): 1}), id="audience not empty"
        ),
        pytest.param("lost", lambda r, *_: r.sizes.pop(audience_id(40)), id="no such audience"),
        pytest.param(
            "lost", lambda r, *_: r.sizes.update({audience_id(40): None}), id="audience of no size"
        ),
        pytest.param(
            "left", lambda r, *_: r.kept.update({("1", HOOKS[0]): Queued(2, 0)}), id="it waits"
        ),
        pytest.param(
            "left", lambda r, *_: r.kept.update({("0", audience_id(1)): Queued(0, 1)}), id="dead"
        ),
        pytest.param("left", lambda r, *_: r.kept.popitem(), id="a queue is not shown"),
    ],
)
def test_what_is_wrong_is_noticed(kind: str, spoil: Any) -> None:
    found = checked(spoil)
    assert getattr(found, kind) > 0, found.details
    assert not found.is_clean


def test_an_audience_has_the_users_of_all_runs() -> None:
    first, second = Record(1), Record(2)
    for record, user in ((first, 0), (first, 0), (first, 1), (second, 0)):
        record.begin(user, 0.0)
    sizes = members([first, second])
    assert [sizes[audience_id(least)] for least in (1, 2, 3)] == [3, 1, 0]


class FakeClients:
    """Whose batches are acknowledged at first, and then refused."""

    def __init__(self, record: Record, reason: str) -> None:
        self._record = record
        self._reason = reason

    async def insist(self, one: Sent) -> None:
        self._record.acknowledge(one, 1.0)

    async def try_once(self, one: Sent) -> str | None:
        if len(self._record.of_user(one.user)) < BATCHES + 1:
            await self.insist(one)
            return None
        return self._reason


@pytest.mark.parametrize(
    ("spoilt", "reason", "is_noticed"),
    [
        pytest.param({}, FULL, False, id="nothing"),
        pytest.param({"pings": "4"}, FULL, True, id="counted"),
        pytest.param({"last": "t-99"}, FULL, True, id="in the profile"),
        pytest.param({"pings": "4"}, "not reached", False, id="what may have been applied"),
    ],
)
def test_what_was_not_stored_and_shows_is_noticed(
    spoilt: dict[str, str], reason: str, is_noticed: bool
) -> None:
    record = Record(1)
    watch = Watch(cast(Clients, FakeClients(record, reason)), record, ManualClock())

    class OfEach(FakeReader):
        """Shows each user with what was acknowledged, but for what is spoilt."""

        async def find(self, identity: str) -> list[int]:
            return [int(identity.rpartition("-u")[2])]

        async def profile(self, mpid: int, fields: str) -> dict[str, Any]:
            last = [one for one in record.of_user(mpid) if one.acknowledged is not None][-1]
            self.attributes = {"pings": "3", "last": record.message_id(last.number), **spoilt}
            return await super().profile(mpid, fields)

    async def look() -> None:
        await watch.begin(cast(Reader, OfEach()))
        await watch.look()
        await watch.end()

    asyncio.run(look())
    assert watch.found.unstored == len(USERS) * is_noticed, watch.found.details
    assert record.acknowledged == len(record.sent)
