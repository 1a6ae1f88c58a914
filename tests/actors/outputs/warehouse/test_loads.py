"""What loads write into both warehouses."""

import asyncio
import json
import logging
import os
from pathlib import Path
from typing import Any

import pytest

from actors.outputs.contract import Delivered
from actors.outputs.warehouse.columns import COMMON
from tests.actors.forwarding.support import MemoryOutbox, Simulation
from tests.actors.outputs.warehouse.support import (
    NOW_MS,
    Warehouse,
    batch,
    event,
    load,
    membership,
)

DAY_MS = 24 * 3600 * 1000


async def test_case_36_an_event_delivered_twice_is_one_row(warehouse: Warehouse) -> None:
    once = batch(1, [event(11), event(11), event(12)])
    assert isinstance(await warehouse.load([once]), Delivered)
    await warehouse.load([once])  # the same load
    await warehouse.load([once, batch(2, [event(12), event(13)])])  # another, with the same event
    rows = warehouse.query("SELECT eventid FROM {s}.otherevents ORDER BY 1")
    assert rows == [(11,), (12,), (13,)]


async def test_case_36_the_10000th_reception_makes_a_table(warehouse: Warehouse) -> None:
    first = [batch(n, [event(n * 1000 + i) for i in range(1000)]) for n in range(1, 10)]
    first.append(batch(10, [event(10_000 + i) for i in range(999)]))
    assert isinstance(await warehouse.load(first), Delivered)
    assert warehouse.query("SELECT count(*) FROM {s}.otherevents") == [(9_999,)]
    assert "event_other_foo" not in warehouse.tables()
    await warehouse.load([first[0]])  # repeated: not received once more
    assert "event_other_foo" not in warehouse.tables()
    await warehouse.load([batch(11, [event(1)])])
    assert warehouse.query("SELECT eventid FROM {s}.event_other_foo") == [(1,)]
    await warehouse.load([batch(12, [event(2), event(3, "Bar"), event(1001)])])
    assert warehouse.query("SELECT eventid FROM {s}.event_other_foo ORDER BY 1") == [(1,), (2,)]
    assert warehouse.query("SELECT count(*) FROM {s}.otherevents") == [(10_000,)]
    assert warehouse.query("SELECT count(*) FROM {s}.eventsview") == [(10_002,)]


async def test_receptions_of_more_than_30_days_ago_do_not_count(warehouse: Warehouse) -> None:
    await warehouse.load([batch(1, [event(1)])], events_threshold=2)
    warehouse.clock.advance(30 * DAY_MS)
    await warehouse.load([batch(2, [event(2)])], events_threshold=2)
    assert "event_other_foo" not in warehouse.tables()
    warehouse.clock.advance(29 * DAY_MS)
    await warehouse.load([batch(3, [event(3)])], events_threshold=2)
    assert "event_other_foo" in warehouse.tables()


async def test_attributes_become_text_columns_as_they_appear(warehouse: Warehouse) -> None:
    attributes = {"Price": "1", "price": "2", 'a"; DROP TABLE x; --': "3", "é" * 80: "😀"}
    await warehouse.load(
        [batch(1, [event(1, custom_attributes=attributes)], user_attributes={"Plan": ["a", "b"]})],
        events_threshold=1,
    )
    await warehouse.load([batch(2, [event(2, custom_attributes={"New": "4"})])], events_threshold=1)
    extra = [each for each in warehouse.columns("event_other_foo") if each[:3] in ("ea_", "ua_")]
    assert len(extra) == 6
    assert all(len(each) <= 63 for each in extra)
    assert {"ea_price", "ea_new", "ua_plan", "ea_a___drop_table_x____"} <= set(extra)
    rows = warehouse.query(
        "SELECT ea_price, ua_plan, ea_new FROM {s}.event_other_foo ORDER BY eventid"
    )
    assert rows == [("1", '["a","b"]', None), (None, None, "4")]


async def test_hostile_names_and_values_come_back_as_they_were(warehouse: Warehouse) -> None:
    text = "'\"\\;\t\n\r😀\\N\\." + "x" * 100_000
    edges = {"event_id": 2**63 - 1, "session_id": -(2**63), "session_start_unixtime_ms": 2**63}
    hostile = event(1, "x'; DROP SCHEMA public; --", custom_attributes={"t": text, "n": "a\0b"})
    hostile["data"].update(edges)
    await warehouse.load([batch(1, [hostile, event(5, "X__ DROP schema public_ __")])])
    await warehouse.load([batch(2, [event(6, hostile["data"]["event_name"])])], events_threshold=1)
    [(event_id, session_id, start, name, attributes)] = warehouse.query(
        "SELECT eventid, sessionid, sessionstarttimestamp, eventname, eventattributes "
        "FROM {s}.otherevents WHERE eventid > 100"
    )
    assert (event_id, session_id, start) == (2**63 - 1, -(2**63), None)
    assert name == hostile["data"]["event_name"]
    kept = attributes if isinstance(attributes, dict) else json.loads(attributes)
    assert kept == {"t": text, "n": "ab"}
    assert "event_other_x___drop_schema_public____" in warehouse.tables()


async def test_names_that_collide_get_a_table_each(warehouse: Warehouse) -> None:
    events = [event(1, "Foo"), event(2, "foo"), event(3, "x" * 200), event(4, "x" * 201)]
    await warehouse.load([batch(1, events)], events_threshold=1)
    own = {each for each in warehouse.tables() if each.startswith("event_")}
    assert len(own) == 4
    assert all(len(each) <= 63 for each in own)
    await warehouse.load([batch(2, [event(5, "foo")])], events_threshold=1)
    assert {each for each in warehouse.tables() if each.startswith("event_")} == own


async def test_a_table_that_is_full_gets_no_more_columns(
    warehouse: Warehouse, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    limit = len(COMMON) + 12
    output = warehouse.open(events_threshold=1, max_columns=limit, user_attribute_columns=False)
    await output.start()
    many = {f"a{n}": str(n) for n in range(20)}
    for number in (1, 2):
        outcome = await load(output, [batch(number, [event(number, custom_attributes=many)])])
        assert isinstance(outcome, Delivered)
    assert len(warehouse.columns("event_other_foo")) == limit
    [(kept,)] = warehouse.query("SELECT eventattributes FROM {s}.event_other_foo WHERE eventid = 2")
    assert (kept if isinstance(kept, dict) else json.loads(kept)) == many
    alerts = [each for each in caplog.records if vars(each).get("event") is not None]
    assert [vars(each)["event"] for each in alerts] == ["warehouse_columns_limit"]


@pytest.mark.parametrize("length", [9, 200])
async def test_a_user_with_more_attributes_than_a_row_has_room_for_stops_nobody(
    warehouse: Warehouse, length: int
) -> None:
    """What has no room in its column is in the JSON columns as everything else."""
    many = {f"a{n}": f"{n:04d}{'é' * length}" for n in range(500)}
    loaded = [
        batch(1, [event(1, custom_attributes=many)], user_attributes=many),
        batch(2, [event(2)], mpid=2, user_attributes={"a499": "x"}),
    ]
    assert isinstance(await warehouse.load(loaded, events_threshold=1), Delivered)
    [(first, kept), (last, _)] = warehouse.query(
        "SELECT ua_a0, userattributes FROM {s}.users WHERE mpid = 1 "
        "UNION ALL SELECT ua_a499, userattributes FROM {s}.users WHERE mpid = 2"
    )
    assert (first, last) == (many["a0"], "x")
    assert (kept if isinstance(kept, dict) else json.loads(kept)) == many
    [(first, kept)] = warehouse.query(
        "SELECT ea_a0, eventattributes FROM {s}.event_other_foo WHERE eventid = 1"
    )
    assert first == many["a0"]
    assert (kept if isinstance(kept, dict) else json.loads(kept)) == many


async def test_a_table_that_somebody_dropped_is_made_again(warehouse: Warehouse) -> None:
    await warehouse.load([batch(1, [event(1), event(2, "")])], events_threshold=1)
    for table in ("event_other_foo", "otherevents", "users", "_loads"):
        warehouse.query(f"DROP TABLE {{s}}.{table} CASCADE")
        outcome = await warehouse.load([batch(2, [event(2), event(3, "")])], events_threshold=1)
        assert isinstance(outcome, Delivered)
    await warehouse.load([batch(3, [event(4), event(5, "")])], events_threshold=1)
    assert {"event_other_foo", "otherevents", "users", "_loads", "eventsview"} <= warehouse.tables()
    rows = warehouse.query("SELECT eventid FROM {s}.eventsview WHERE eventid > 3 ORDER BY 1")
    assert rows == [(4,), (5,)]


async def test_two_loaders_at_once_write_each_event_once(warehouse: Warehouse) -> None:
    outputs = [warehouse.open(events_threshold=10) for _ in range(2)]
    shared = [batch(n, [event(n), event(100 + n, "Bar")], mpid=n % 3 + 1) for n in range(1, 20)]
    for output in outputs:
        await output.start()
    outcomes = await asyncio.gather(
        *(load(output, shared[part : part + 12]) for part in (0, 7) for output in outputs)
    )
    assert [type(each) for each in outcomes] == [Delivered] * 4
    for prefix in (0, 100):
        rows = warehouse.query(
            "SELECT eventid FROM {s}.eventsview "
            f"WHERE eventid BETWEEN {prefix + 1} AND {prefix + 99} ORDER BY 1"
        )
        assert rows == [(prefix + n,) for n in range(1, 20)]
    assert warehouse.query("SELECT count(*) FROM {s}.event_other_foo") == [(10,)]


async def test_events_have_the_audiences_of_their_user(warehouse: Warehouse) -> None:
    """spec/connections.md, 7.4: a JSON array, as text."""
    await warehouse.load([batch(1, [event(1)], audience_ids=[3, 7]), batch(2, [event(2)])])
    rows = warehouse.query("SELECT audiencemembership FROM {s}.otherevents ORDER BY eventid")
    assert rows == [("[3,7]",), (None,)]


async def test_users_are_their_latest_state(warehouse: Warehouse) -> None:
    def user(number: int, seen_ms: int, plan: str, email: str) -> Any:
        identities = [{"identity_type": "email", "identity": email}]
        return batch(
            number,
            [],
            timestamp_unixtime_ms=seen_ms,
            user_attributes={"plan": plan},
            user_identities=identities,
        )

    await warehouse.load([user(1, 2_000, "b", "b@x"), user(2, 1_000, "a", "a@x")])
    await warehouse.load([user(3, 3_000, "c", "b@x")])
    await warehouse.load([user(4, 500, "0", "a@x")])  # late
    rows = warehouse.query("SELECT mpid, ua_plan, first_seen, last_seen FROM {s}.users")
    assert rows == [(1, "c", 500, 3_000)]
    rows = warehouse.query("SELECT identity, first_seen, last_seen FROM {s}.identities ORDER BY 1")
    assert rows == [("a@x", 500, 1_000), ("b@x", 2_000, 3_000)]


async def test_memberships_and_their_repetitions(warehouse: Warehouse) -> None:
    changes = [
        membership(1, 1, "add", 1_000),
        membership(2, 1, "delete", 2_000),
        membership(3, 1, "add", 3_000),
        membership(4, 1, "attribute_update", 3_500),
        membership(5, 2, "add", 1_500, audience=9),
        membership(6, 3, "delete", 1_500),
    ]
    for part in (changes[:1], changes, changes[1:3], changes[4:]):
        assert isinstance(await warehouse.load(part), Delivered)
    rows = warehouse.query("SELECT * FROM {s}.audience_membership ORDER BY mpid, entered_at")
    assert rows == [(7, 1, 1_000, 2_000), (7, 1, 3_000, None), (9, 2, 1_500, None)]
    found = warehouse.query("SELECT mpid, audience_ids FROM {s}.users ORDER BY mpid")
    audiences = [(mpid, json.loads(ids) if isinstance(ids, str) else ids) for mpid, ids in found]
    assert audiences == [(1, [7]), (2, [9]), (3, [])]
    await warehouse.load([batch(9, [event(1)], mpid=1)])
    assert warehouse.query("SELECT count(*) FROM {s}.users WHERE audience_ids IS NULL") == [(0,)]


async def test_consent_commerce_and_aliases_have_tables(warehouse: Warehouse) -> None:
    def notice(purpose: str, is_given: bool) -> dict[str, Any]:
        current = {"regulation": "GDPR", "consented": is_given, "timestamp_unixtime_ms": NOW_MS}
        return {
            "type": "gdpr_change",
            "data": {"purpose": purpose, "old": None, "current": current},
        }

    bought = {
        "event_type": "commerce_event",
        "data": {
            "event_id": 5,
            "timestamp_unixtime_ms": NOW_MS,
            "product_action": {"action": "purchase", "products": [{"id": "p"}]},
        },
    }
    one = batch(1, [bought], system_notifications=[notice("a", True), notice("b", False)])
    alias = batch(
        2, [], message_type="alias_request", source_mpid=3, destination_mpid=4, start_unixtime_ms=1
    )
    for _ in range(2):
        await warehouse.load([one, alias], events_threshold=1)
        await warehouse.load([alias, one], events_threshold=1)
    assert warehouse.query("SELECT purpose, regulation FROM {s}.consent_given") == [("a", "GDPR")]
    assert warehouse.query("SELECT purpose FROM {s}.consent_rejected") == [("b",)]
    assert warehouse.query("SELECT eventid, productactiontypeid FROM {s}.ecomm_purchase") == [
        (5, 7)
    ]
    rows = warehouse.query('SELECT source_mpid, destination_mpid, "start", "end" FROM {s}.aliases')
    assert rows == [(3, 4, 1, None)]


@pytest.mark.parametrize("is_split", [False, True])
async def test_a_feed_has_a_table_unless_it_is_split(warehouse: Warehouse, is_split: bool) -> None:
    feed = {"feed_table_name": "My Feed", "split_feed_by_event_name": is_split}
    for _ in range(2):
        await warehouse.load([batch(1, [event(1), event(2, "Bar")])], feed=feed, events_threshold=1)
    tables = {"event_other_foo", "event_other_bar"} if is_split else {"my_feed"}
    assert tables <= warehouse.tables()
    assert ("my_feed" in warehouse.tables()) != is_split
    assert warehouse.query("SELECT eventid FROM {s}.eventsview ORDER BY 1") == [(1,), (2,)]


async def test_a_load_is_recorded_once(warehouse: Warehouse) -> None:
    for _ in range(2):
        await warehouse.load([batch(1, [event(1)]), batch(2, [event(2)])])
    rows = warehouse.query(
        'SELECT "table", "rows", first_event, last_event FROM {s}._loads ORDER BY 1'
    )
    assert rows == [("otherevents", 2, NOW_MS - 1000, NOW_MS - 1000), ("users", 1, None, None)]


async def test_loads_are_counted(warehouse: Warehouse) -> None:
    """spec/observability.md, 6; a load that is repeated writes nothing."""
    read = warehouse.metrics.registry.get_sample_value

    def counted(name: str) -> float | None:
        return read(f"headwater_warehouse_{name}", {"output": "wh"})

    assert counted("last_success_timestamp_seconds") is None
    once = batch(1, [event(11), event(12)], user_identities=[])
    assert isinstance(await warehouse.load([once]), Delivered)
    rows = sum(count for (count,) in warehouse.query("SELECT rows FROM {s}._loads"))
    assert rows >= 2
    assert counted("load_rows_total") == rows
    assert counted("load_duration_seconds_count") == 1
    assert counted("last_success_timestamp_seconds") == NOW_MS / 1000
    warehouse.clock.advance(60_000)
    await warehouse.load([once])
    assert counted("load_rows_total") == rows
    assert counted("last_success_timestamp_seconds") == NOW_MS / 1000 + 60


async def test_old_events_are_deleted_once_a_day(warehouse: Warehouse) -> None:
    output = warehouse.open(hygiene={"days": 2})
    await output.start()
    await load(output, [batch(1, [event(1)])])
    warehouse.clock.advance(2 * DAY_MS)
    await load(output, [batch(2, [event(2, timestamp_unixtime_ms=NOW_MS + DAY_MS)])])
    assert warehouse.query("SELECT eventid FROM {s}.otherevents") == [(2,)]
    warehouse.clock.advance(DAY_MS // 2)
    await load(output, [batch(3, [event(3)])])  # too old, and the day has not passed
    assert warehouse.query("SELECT eventid FROM {s}.otherevents ORDER BY 1") == [(2,), (3,)]


async def test_a_delivery_that_cannot_be_loaded_is_the_only_one_left_out(
    warehouse: Warehouse,
) -> None:
    bad = batch(3, [{"event_type": "custom_event", "data": {"event_name": "no id"}}])
    shard = MemoryOutbox([batch(1, [event(1)]), batch(2, [event(2)]), bad, batch(4, [event(4)])])
    simulation = Simulation(warehouse.clock)
    simulation.start(warehouse.open(), [shard])
    await simulation.run(130)
    await simulation.stop()
    assert shard.waiting == {}
    assert [(each.delivery.sequence, each.reason) for each in shard.dead] == [(3, "build_error")]
    assert warehouse.query("SELECT eventid FROM {s}.otherevents ORDER BY 1") == [(1,), (2,), (4,)]


@pytest.mark.parametrize("is_cut", [False, True], ids=["gone", "cut short"])
async def test_a_load_whose_spool_file_is_lost_is_collected_anew(
    warehouse: Warehouse, tmp_path: Path, is_cut: bool
) -> None:
    shard = MemoryOutbox([batch(n, [event(n)]) for n in (1, 2, 3)])
    simulation = Simulation(warehouse.clock)
    simulation.start(warehouse.open(), [shard])
    await simulation.run(30)
    [name] = os.listdir(tmp_path / "spool1")
    spool = tmp_path / "spool1" / name
    if is_cut:
        os.truncate(spool, os.stat(spool).st_size - 5)
    else:
        os.unlink(spool)
    await simulation.run(600)
    await simulation.stop()
    assert (shard.waiting, shard.dead) == ({}, [])
    assert warehouse.query("SELECT eventid FROM {s}.otherevents ORDER BY 1") == [(1,), (2,), (3,)]
