"""What a shard does with micro-batches, identities and its outbox."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from actors.clock import ManualClock
from actors.errors import StoreFull
from actors.identity.findings import Question
from actors.identity.keys import IdentityName
from actors.identity.state import IdentityRecord
from actors.model.deliveries import Settlement
from actors.model.micro_batches import (
    Accepted,
    Deferred,
    Duplicate,
    EventName,
    EventNames,
    MicroBatch,
    Moved,
    Rejected,
    Unregistered,
    Unresolved,
    Whose,
)
from actors.model.profiles import Lookup
from actors.model.workspaces import WorkspaceInfo
from actors.pipeline.settings import PipelineSettings, Takes
from actors.shard import Shard
from actors.shard_views import ShardViews
from actors.store.environment import Store
from actors.store.identities import (
    Holder,
    IdentityChange,
    IndexEntry,
    ProfileChange,
    RecordChange,
    Term,
)
from actors.store.keys import MPID_RANDOM_BITS, SLOTS
from actors.store.micro_batches import RING
from tests.actors.forwarding.support import connection
from tests.actors.profiles.builders import NOW, WORKSPACE
from tests.actors.shards import (
    KNOWN,
    attributes_of,
    context,
    disk,
    item,
    logged,
    micro,
    open_shard,
    opened,
    profile_of,
)

ANN, BOB = 4411, 4412
LOW = 7 << MPID_RANDOM_BITS | 1  # an MPID of the first of two shards
HIGH = SLOTS - 1 << MPID_RANDOM_BITS | 1  # and one of the second
BIG = "x" * 4000


@contextmanager
def shard_on(folder: Path, number: int = 0, of: int = 1, **changes: Any) -> Iterator[Shard]:
    shard = open_shard(folder, number, of, **changes)
    try:
        yield shard
    finally:
        shard.state.close()


def identity_change(mpid: int, value: str = "c-1") -> IdentityChange:
    """Make what the coordinator writes for a new customer."""
    return IdentityChange(
        WORKSPACE.scope,
        "production",
        [IndexEntry("customerid", value, [Holder(mpid, 1)])],
        [RecordChange(mpid, [Lookup("customerid", value, 1)], NOW)],
    )


def write(shard: Shard, *changes: IdentityChange, number: int = 1) -> None:
    """Write as the coordinator does."""
    shard.identities.write_identities(Term(1, 1, 0), number, changes)


# -- Once and only once ---------------------------------------------------------------------------


def test_a_micro_batch_sent_again_gives_its_first_results(tmp_path: Path) -> None:
    sent = micro(
        1,
        item(opened(ANN, source_request_id="r-1")),
        item(opened(ANN, source_request_id="r-1")),
        item(b"not json"),
        item({"user_identities": {"customer_id": "c-1"}, "events": []}),
    )
    with shard_on(tmp_path, connections=(connection(),)) as shard:
        first = shard.commit(sent)
        assert [type(result) for result in first] == [Accepted, Duplicate, Rejected, Unresolved]
        before = disk(shard)
        assert shard.commit(sent) == first
        assert disk(shard) == before
        assert len(shard.outbox.read_outbox(1, 0, 10, 1000)) == 1
    with shard_on(tmp_path, connections=(connection(),)) as shard:
        assert shard.commit(sent) == first
        assert disk(shard) == before
        assert shard.outbox.queues.depths()["c1"]["waiting"] == 1


def test_micro_batches_are_known_by_edge_and_number(tmp_path: Path) -> None:
    with shard_on(tmp_path) as shard:
        for edge in (1, 2):
            for number in (1, 2):
                shard.commit(micro(number, item(opened(ANN)), edge=edge))
        assert len(logged(shard, ANN)) == 4
        for number in range(3, 3 + RING):
            shard.commit(micro(number, item(opened(BOB)), edge=1))
        # Of each edge the last ones are remembered: as many as can be in flight, and more.
        shard.commit(micro(3, item(opened(BOB)), edge=1))
        shard.commit(micro(2, item(opened(ANN)), edge=2))
        assert len(logged(shard, BOB)) == RING
        assert len(logged(shard, ANN)) == 4


@pytest.mark.parametrize("seed", range(5))
def test_repeats_at_any_time_change_nothing(tmp_path: Path, seed: int) -> None:
    """An edge may send its last micro-batches again, whatever came of them."""
    draw = random.Random(seed)
    calls: list[MicroBatch] = []
    for number in range(20):
        bodies = [
            opened(draw.choice([ANN, BOB]), user_attributes={draw.choice("ab"): str(number)})
            for _ in range(draw.randrange(1, 4))
        ]
        calls.append(micro(number, *(item(body) for body in bodies)))
    with shard_on(tmp_path / "once") as once, shard_on(tmp_path / "often") as often:
        for number, call in enumerate(calls):
            expected = once.commit(call)
            assert often.commit(call) == expected
            again = draw.randrange(max(0, number - RING + 1), number + 1)
            often.commit(calls[again])
        assert disk(often) == disk(once)


# -- What becomes of a batch ----------------------------------------------------------------------


def test_a_batch_belongs_where_its_mpid_lives(tmp_path: Path) -> None:
    with shard_on(tmp_path, 0, 2) as shard:
        results = shard.commit(micro(1, item(opened(LOW)), item(opened(HIGH))))
    assert results == [Accepted(LOW, 1), Moved(HIGH)]


def test_unknown_identities_are_for_the_coordinator(tmp_path: Path) -> None:
    customer: dict[str, Any] = {
        "user_identities": {"customer_id": " c-1 ", "email": "Ann@Example.com"}
    }
    with shard_on(tmp_path) as shard:
        [result] = shard.commit(micro(1, item(opened(**customer))))
        assert isinstance(result, Unresolved)
        assert result.environment == "production"
        assert result.identities == [("customerid", "c-1"), ("email", "Ann@Example.com")]
        assert result.newcomer is not None
        assert result.newcomer.types == ["customerid", "email"]
        assert disk(shard)["log"] == {}
        # The coordinator's word decides, and makes the profile if it is not there yet.
        [result] = shard.commit(micro(2, item(opened(**customer), mpid=ANN)))
        assert result == Accepted(ANN, 1)


def test_a_settled_user_is_resolved_here(tmp_path: Path) -> None:
    customer: dict[str, Any] = {"user_identities": {"customer_id": "c-1"}}
    with shard_on(tmp_path) as shard:
        write(shard, identity_change(ANN))
        assert shard.commit(micro(1, item(opened(**customer)))) == [Accepted(ANN, 1)]
        [trial] = shard.commit(micro(2, item({**opened(**customer), "environment": "development"})))
        assert isinstance(trial, Unresolved)


def test_after_one_that_has_to_wait_its_unit_waits(tmp_path: Path) -> None:
    """Others of the micro-batch go on; what is rejected keeps nobody waiting."""
    stranger = opened(user_identities={"customer_id": "c-9"})
    with shard_on(tmp_path, 0, 2) as shard:
        write(shard, identity_change(LOW))
        known = opened(user_identities={"customer_id": "c-1"})
        results = shard.commit(
            micro(
                1,
                item(stranger, 1),
                item(known, 1, LOW, is_guess=True),
                item(b"{", 1),
                item(known, 2, LOW, is_guess=True),
                item(b"{", 3),
                item(known, 3, LOW, is_guess=True),
                item(opened(HIGH), 4),
                item(opened(LOW), 4),
            )
        )
    kinds = [type(result) for result in results]
    assert kinds == [
        *(Unresolved, Deferred, Rejected),
        Accepted,
        *(Rejected, Accepted),
        *(Moved, Deferred),
    ]


def test_what_is_only_asked_about_is_not_applied(tmp_path: Path) -> None:
    """Nor registered: it comes again, by an id that it has, and is applied."""
    batch = opened(ANN, source_request_id="r")
    question = item(batch)
    question.is_question = True
    with shard_on(tmp_path) as shard:
        assert shard.commit(micro(1, question)) == [Whose(ANN)]
        assert profile_of(shard, ANN) is None
        assert shard.commit(micro(2, item(batch, mpid=ANN))) == [Accepted(ANN, 1)]
        assert shard.commit(micro(3, question)) == [Whose(ANN)]
        assert shard.commit(micro(4, item(batch))) == [Duplicate("duplicate_request_id")]


def test_event_names_are_asked_for_and_then_known(tmp_path: Path) -> None:
    """spec/events-api.md, 14."""
    fresh, later = EventName("custom_event", "Fresh"), EventName("custom_event", "Later")
    with shard_on(tmp_path) as shard:
        results = shard.commit(
            micro(
                1,
                item(opened(ANN, "Fresh"), 1),
                item(opened(ANN), 1),
                item(opened(BOB), 2),
            )
        )
        assert results == [Unregistered([fresh]), Deferred(), Accepted(BOB, 1)]
        told = EventNames([fresh], is_full=False)
        again = micro(2, item(opened(ANN, "Fresh"), 1), item(opened(ANN), 1), names=told)
        assert shard.commit(again) == [Accepted(ANN, 1)] * 2
    with shard_on(tmp_path) as shard:  # they are kept
        [known, unknown] = shard.commit(
            micro(3, item(opened(ANN, "Fresh")), item(opened(ANN, "Later"), 1), names=None)
        )
        assert known == Accepted(ANN, 1)
        assert unknown == Unregistered([later])
        full = EventNames([fresh, *KNOWN.admitted], is_full=True)
        [dropped] = shard.commit(micro(4, item(opened(ANN, "Later")), names=full))
        assert dropped == Accepted(ANN, 0)
        assert [len(each.batch.events) for each in logged(shard, ANN)] == [1, 1, 1, 0]


def test_a_raised_limit_of_event_names_holds_at_once(tmp_path: Path) -> None:
    """Events whose names were one too many before are left out no longer."""
    fresh = EventName("custom_event", "Fresh")
    full = EventNames(KNOWN.admitted, is_full=True)

    def limited(limit: int) -> WorkspaceInfo:
        limits = replace(WORKSPACE.limits, unique_event_names=limit)
        return replace(WORKSPACE, limits=limits)

    with shard_on(tmp_path, workspace=limited(len(KNOWN.admitted))) as shard:
        for number, names in ((1, full), (2, None)):
            [result] = shard.commit(micro(number, item(opened(ANN, "Fresh")), names=names))
            assert result == Accepted(ANN, 0)
        shard.take_over(replace(shard.options, workspace=limited(len(KNOWN.admitted) + 1)))
        [result] = shard.commit(micro(3, item(opened(ANN, "Fresh")), names=None))
        assert result == Unregistered([fresh])
        # A coordinator that has not heard of it yet decides all the same.
        [result] = shard.commit(micro(4, item(opened(ANN, "Fresh")), names=full))
        assert result == Accepted(ANN, 0)
        told = EventNames([fresh, *KNOWN.admitted], is_full=True)
        assert shard.commit(micro(5, item(opened(ANN, "Fresh")), names=told)) == [Accepted(ANN, 1)]
        [result] = shard.commit(micro(6, item(opened(ANN, "Later")), names=None))
        assert result == Accepted(ANN, 0)


def test_an_upload_is_applied_once_however_it_is_sent(tmp_path: Path) -> None:
    """spec/events-api.md, 5.4: within a micro-batch, between them, after a restart."""
    clock = ManualClock(NOW)
    upload = opened(ANN, source_request_id="r-1", batch_id=77)
    with shard_on(tmp_path, clock=clock) as shard:
        results = shard.commit(micro(1, item(upload), item(upload)))
        assert results == [Accepted(ANN, 1), Duplicate("duplicate_request_id")]
        assert shard.commit(micro(2, item(opened(ANN, batch_id=77)))) == [
            Duplicate("duplicate_batch_id")
        ]
        assert shard.commit(micro(3, item(opened(BOB, source_request_id="r-1")))) == [
            Accepted(BOB, 1)
        ]
    with shard_on(tmp_path, clock=clock) as shard:
        assert shard.commit(micro(4, item(upload))) == [Duplicate("duplicate_request_id")]
        clock.advance(WORKSPACE.dedup_days * 24 * 3_600_000 + 1)
        assert shard.commit(micro(5, item(upload))) == [Accepted(ANN, 1)]


def test_one_users_batches_keep_their_order(tmp_path: Path) -> None:
    connected = (connection(),)
    with shard_on(tmp_path, connections=connected) as shard:
        items = [
            item(opened((ANN, BOB)[number % 2], user_attributes={"n": number}), number % 2)
            for number in range(20)
        ]
        shard.commit(micro(1, *items[:9]))
        shard.commit(micro(2, *items[9:]))
        for mpid, first in ((ANN, 0), (BOB, 1)):
            chain = [each.batch.user_attributes["n"] for each in logged(shard, mpid)]
            assert chain == [str(number) for number in range(first, 20, 2)]
        assert attributes_of(shard, ANN) == {"n": "18"}
        sequences = [each.sequence for each in shard.outbox.read_outbox(1, 0, 100, 2**20)]
        assert len(sequences) == 20
        assert sequences == sorted(set(sequences))


def test_ids_go_on_after_a_restart_with_a_clock_that_went_back(tmp_path: Path) -> None:
    with shard_on(tmp_path, clock=ManualClock(NOW)) as shard:
        shard.commit(micro(1, item(opened(ANN))))
    with shard_on(tmp_path, clock=ManualClock(NOW - 60_000)) as shard:
        shard.commit(micro(2, item(opened(ANN))))
        ids = [each.log_id for each in logged(shard, ANN)]
        events = [event.event_id for each in logged(shard, ANN) for event in each.batch.events]
    assert ids == sorted(set(ids))
    assert events == sorted(set(events))


def test_a_batch_of_nobody_changes_no_profile(tmp_path: Path) -> None:
    with shard_on(tmp_path) as shard:
        assert shard.commit(micro(1, item(opened()))) == [Accepted(None, 1)]
        kept = disk(shard)
        assert (len(kept["log"]), kept["profiles"]) == (1, {})


# -- No room --------------------------------------------------------------------------------------


def big(mpid: int, number: int) -> dict[str, Any]:
    return opened(mpid, user_attributes={f"a{each}": f"{number}{BIG}" for each in range(20)})


def fill(shard: Shard) -> int:
    """Commit until there is no room; return the number of the micro-batch that failed."""
    for number in range(1, 200):
        try:
            shard.commit(micro(number, item(big(ANN, number))))
        except StoreFull:
            return number
    raise AssertionError("the store was never full")


def test_a_full_store_leaves_memory_and_disk_as_they_were(tmp_path: Path) -> None:
    small: dict[str, Any] = {"map_size_bytes": 1024 * 1024, "connections": (connection(),)}
    with shard_on(tmp_path, **small) as shard:
        failed = fill(shard)
        before, condition = disk(shard), shard.outbox.queues.depths()
        assert attributes_of(shard, ANN)["a0"] == f"{failed - 1}{BIG}"
        for _ in range(3):
            with pytest.raises(StoreFull):
                shard.commit(micro(failed, item(big(ANN, failed))))
        unknown = EventNames([EventName("custom_event", "Fresh")], is_full=False)
        call = micro(failed, item(opened(ANN, "Fresh")), item(big(BOB, 1)), names=unknown)
        with pytest.raises(StoreFull):
            shard.commit(call)
        assert disk(shard) == before
        assert shard.outbox.queues.depths() == condition
        assert attributes_of(shard, ANN)["a0"] == f"{failed - 1}{BIG}"
        assert profile_of(shard, BOB) is None
        waiting = shard.outbox.read_outbox(1, 0, 1000, 2**30)
        assert len(waiting) == failed - 1

        # Once there is room, the same micro-batch is applied, and what it told is not lost.
        done = [each.sequence for each in waiting]
        shard.outbox.settle(Settlement(1, done=done))
        with shard.store.write() as txn:
            for key in list(before["log"]):
                txn.delete("log", key)
        results = shard.commit(call)
        assert results == [Accepted(ANN, 1), Accepted(BOB, 1)]
        assert attributes_of(shard, BOB)["a0"] == f"1{BIG}"
        assert shard.commit(call) == results
        assert len(shard.outbox.read_outbox(1, 0, 100, 2**30)) == 2


def test_a_full_store_works_again_with_a_larger_map(tmp_path: Path) -> None:
    with shard_on(tmp_path, map_size_bytes=1024 * 1024) as shard:
        failed = fill(shard)
        before = disk(shard)
    with shard_on(tmp_path) as shard:
        assert disk(shard) == before
        assert shard.commit(micro(failed, item(big(ANN, failed)))) == [Accepted(ANN, 1)]
        assert len(logged(shard, ANN)) == failed


def test_identities_are_not_written_by_halves(tmp_path: Path) -> None:
    lookups = [Lookup("email", f"{number}{BIG}", 1) for number in range(100)]
    entries = [IndexEntry(each.type, each.value, [Holder(ANN, 1)]) for each in lookups]
    change = IdentityChange(
        WORKSPACE.scope, "production", entries, [RecordChange(ANN, lookups, NOW)]
    )
    with shard_on(tmp_path, map_size_bytes=512 * 1024) as shard:
        write(shard, identity_change(ANN))
        before = disk(shard)
        with pytest.raises(StoreFull):
            write(shard, identity_change(BOB, "c-2"), change, number=2)
        assert disk(shard) == before
        profile = profile_of(shard, ANN)
        assert profile is not None
        assert profile.lookups == [Lookup("customerid", "c-1", 1)]
        assert profile_of(shard, BOB) is None


def test_an_identity_call_makes_a_readable_profile_with_its_source(tmp_path: Path) -> None:
    """spec/identity.md, 7.7; writing it once more changes nothing."""
    lookups = [Lookup("customerid", "c-1", 1, NOW)]
    change = IdentityChange(
        WORKSPACE.scope,
        "production",
        [IndexEntry("customerid", "c-1", [Holder(ANN, 1, True)])],
        [RecordChange(ANN, lookups, NOW, BOB)],
        3,
        [ProfileChange(ANN, NOW, {"customerid": "c-1"}, [], WORKSPACE.number)],
    )
    with shard_on(tmp_path) as shard:
        write(shard, change)
        before = disk(shard)
        write(shard, change, number=2)
        assert disk(shard) == before
    with shard_on(tmp_path) as shard:
        views = ShardViews(shard, ManualClock(NOW))
        question = Question("production", [IdentityName("customerid", "c-1")], [ANN, BOB])
        found = shard.identities.read_identities(Term(1, 1, 0), [question], [ANN, BOB])
        [known] = found.known
        assert known.holders == [[Holder(ANN, 1, True)]]
        assert known.records == {ANN: IdentityRecord(lookups, NOW, BOB), BOB: None}
        assert found.is_taken == [True, False]
        body = views.profile(ANN, "production", ["user_identities"])
        assert body is not None
        assert body["created_timestamp_ms"] == NOW
        shown = [{"type": "customer_id", "encoding": "none", "value": "c-1"}]
        assert body["user_identities"] == shown


def test_a_failed_batch_leaves_no_trace_of_those_before_it(tmp_path: Path) -> None:
    """A defect in the middle of a micro-batch: nothing of it is seen, and it can be sent again."""
    call = micro(2, item(opened(ANN, user_attributes={"a": "2"})), item(opened(BOB)))
    with shard_on(tmp_path) as shard:
        shard.commit(micro(1, item(opened(ANN, user_attributes={"a": "1"}))))
        before = disk(shard)
        no_mpid = item(opened(user_identities={"customer_id": "c-1"}), mpid=2**70)
        with pytest.raises(OverflowError):
            shard.commit(micro(2, *call.items, no_mpid))
        assert disk(shard) == before
        assert attributes_of(shard, ANN) == {"a": "1"}
        shard.commit(call)
        assert attributes_of(shard, ANN) == {"a": "2"}


# -- Identities -----------------------------------------------------------------------------------


def test_an_identity_record_alone_is_no_profile_to_be_read(tmp_path: Path) -> None:
    with shard_on(tmp_path) as shard:
        views = ShardViews(shard, ManualClock(NOW))
        write(shard, identity_change(ANN))
        assert views.profile(ANN, None, ["user_attributes"]) is None
        assert views.user(ANN, None) is None
        assert views.user_rows([("production", ANN), ("production", BOB)]) == [None, None]
        shard.commit(micro(1, item(opened(user_identities={"customer_id": "c-1"}))))
        assert views.profile(ANN, None, []) is not None


# -- Queues ---------------------------------------------------------------------------------------


def test_what_has_no_room_in_a_queue_becomes_a_dead_letter(tmp_path: Path) -> None:
    """spec/connections.md, 3.7: ingestion never waits for a dead destination."""
    with shard_on(tmp_path / "probe", connections=(connection(),)) as shard:
        shard.commit(micro(1, item(opened(ANN))))
        [probe] = shard.outbox.read_outbox(1, 0, 1, 1)
        size = shard.outbox.queues.depths()["c1"]["waiting_bytes"]
    assert size >= len(probe.payload)
    limited: dict[str, Any] = {
        "connections": (connection(1), connection(2)),
        "queue_limits": {1: 2 * size + 5},
    }
    with shard_on(tmp_path / "limited", **limited) as shard:
        shard.commit(micro(1, item(opened(ANN))))
        results = shard.commit(micro(2, *(item(opened(ANN)) for _ in range(3))))
        assert results == [Accepted(ANN, 1)] * 3
        assert len(logged(shard, ANN)) == 4
        kept = shard.outbox.read_outbox(1, 0, 100, 2**20)
        views = ShardViews(shard, ManualClock(NOW))
        dead = views.dead_letters(1, 0, 100)
        assert [len(kept), len(dead)] == [2, 2]
        assert {letter.reason for letter in dead} == {"queue_full"}
        value, hook = shard.metrics.registry.get_sample_value, connection(1).id
        counted = {"connection": hook, "reason": "queue_full"}
        assert value("headwater_forwarder_dlq_total", counted) == 2
        counted = {"connection": hook, "result": "failed"}
        assert value("headwater_forwarder_events_total", counted) == 2
        assert len(shard.outbox.read_outbox(2, 0, 100, 2**20)) == 4
        assert views.dead_letter(1, dead[0].delivery.delivery_id) == dead[0]
        # Room that is made counts, and so does what is put back.
        shard.outbox.settle(Settlement(1, done=[each.sequence for each in kept]))
        assert shard.outbox.replay(1, [dead[0].delivery.delivery_id]) == 1
        assert shard.outbox.replay(1, [dead[1].delivery.delivery_id]) == 1
        shard.commit(micro(3, item(opened(ANN))))
        assert len(shard.outbox.read_outbox(1, 0, 100, 2**20)) == 2
        assert shard.outbox.queues.depths()["c1"]["dead_letters"] == 1
        counts = shard.outbox.queues.depths()
    with shard_on(tmp_path / "limited", **limited) as shard:
        assert shard.outbox.queues.depths() == counts


def test_an_output_is_woken_once_until_it_has_read_to_the_end(tmp_path: Path) -> None:
    woken: list[str] = []
    connections = (
        connection(1, output="hook"),
        connection(2, output="hook"),
        connection(3, output="lake", input=9),
    )
    with shard_on(tmp_path, connections=connections, wake=woken.append) as shard:
        shard.commit(micro(1, item(opened(ANN))))
        assert woken == ["hook"]  # two of its connections, one call; `lake` gets nothing
        shard.commit(micro(2, item(opened(ANN))))
        assert woken == ["hook"]
        found = shard.outbox.read_outbox(1, 0, 100, 2**20)
        shard.commit(micro(3, item(opened(ANN))))
        assert woken == ["hook"]  # it has something and will ask again
        assert len(shard.outbox.read_outbox(1, found[-1].sequence, 100, 2**20)) == 1
        last = shard.outbox.read_outbox(1, 0, 100, 2**20)[-1].sequence
        assert shard.outbox.read_outbox(1, last, 100, 2**20) == []
        shard.commit(micro(4, item(opened(ANN))))
        assert woken == ["hook"] * 2
        shard.commit(micro(4, item(opened(ANN))))  # a repeat adds nothing
        assert shard.outbox.read_outbox(1, last, 100, 2**20) != []
        assert woken == ["hook"] * 2


def test_replayed_dead_letters_wake_their_output(tmp_path: Path) -> None:
    woken: list[str] = []
    limits: dict[str, Any] = {"connections": (connection(),), "queue_limits": {1: 1}}
    with shard_on(tmp_path, wake=woken.append, **limits) as shard:
        shard.commit(micro(1, item(opened(ANN))))
        assert woken == []
        [dead] = ShardViews(shard, ManualClock(NOW)).dead_letters(1, 0, 10)
        ids = [dead.delivery.delivery_id]
        assert shard.outbox.replay(1, ids) == 1
        assert woken == ["hook"]
        assert shard.outbox.replay(1, ids) == 0
        assert shard.outbox.replay(1, ["dl_none"]) == 0
        assert woken == ["hook"]


def test_a_failed_commit_wakes_nobody(tmp_path: Path) -> None:
    woken: list[str] = []
    small: dict[str, Any] = {"map_size_bytes": 512 * 1024, "connections": (connection(),)}
    with shard_on(tmp_path, wake=woken.append, **small) as shard:
        many = [item(big(ANN, number)) for number in range(10)]
        with pytest.raises(StoreFull):
            shard.commit(micro(1, *many))
        assert woken == []
        assert shard.outbox.read_outbox(1, 0, 10, 2**20) == []


# -- Its condition --------------------------------------------------------------------------------


def test_a_shard_shows_its_condition(tmp_path: Path) -> None:
    with shard_on(tmp_path, connections=(connection(),)) as shard:
        shard.commit(micro(1, item(opened(ANN)), item(opened(BOB)), item(b"{")))
        shard.state.probe()
        shard.state.show(shard.metrics)
        shard.show()
        status = shard.state.status()
        assert status["profiles"] == {"stored": 2, "in_memory": 2}
        assert status["storage_bytes"] > 0
        labels = {"workspace": "w1", "input": "backend", "environment": "production"}
        registry = shard.metrics.registry
        counted = registry.get_sample_value(
            "headwater_ingest_batches_total", labels | {"result": "accepted"}
        )
        assert counted == 2
        waiting = registry.get_sample_value("headwater_forwarder_queue_depth", {"connection": "c1"})
        assert waiting == 2


def test_the_cache_is_bounded(tmp_path: Path) -> None:
    with shard_on(tmp_path, profile_cache_bytes=20_000) as shard:
        for number in range(50):
            shard.commit(micro(number, item(opened(1000 + number, user_attributes={"n": number}))))
        assert shard.profiles.in_memory < 25
        assert [attributes_of(shard, 1000 + number)["n"] for number in range(50)] == [
            str(number) for number in range(50)
        ]


def test_a_shard_has_its_folder_alone(tmp_path: Path) -> None:
    with shard_on(tmp_path), pytest.raises(Exception, match="in use by another process"):
        Store(tmp_path, 1024 * 1024)


def test_receipt_times_of_several_edges_never_go_back(tmp_path: Path) -> None:
    with shard_on(tmp_path) as shard:
        shard.commit(micro(1, item(opened(ANN)), where=context(NOW + 5)))
        shard.commit(micro(2, item(opened(ANN)), where=context(NOW)))
        profile = profile_of(shard, ANN)
        assert profile is not None
        assert profile.last_stored_timestamp_ms == NOW + 5


def test_somebody_hears_of_events_that_come_too_late_for_an_output(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """spec/connections.md, 2, step 12: also a system alert; other drops are only counted."""
    taking = PipelineSettings(takes=Takes(max_data_age_hours=24))
    others = PipelineSettings(takes=Takes(event_types=frozenset({"screen_view"})))
    connections = (connection(1, pipeline=taking), connection(2, pipeline=others))
    batch = opened(ANN)
    batch["events"][0]["data"]["timestamp_unixtime_ms"] = NOW - 25 * 3_600_000
    with shard_on(tmp_path, connections=connections) as shard:
        with caplog.at_level("WARNING", "headwater"):
            shard.commit(micro(1, item(batch), item(batch)))
        assert shard.outbox.queue(1)["depth"] == 0
    [told] = [vars(each) for each in caplog.records]
    assert (told["alert"], told["connection"], told["count"]) == ("Event Arrived Late", "c1", 2)
