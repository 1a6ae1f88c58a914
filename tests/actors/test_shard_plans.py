"""Data plans on a shard: what is blocked goes nowhere but to quarantine.

The numbered cases are those of spec/data-plans.md.
"""

import logging
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from actors.errors import StoreFull
from actors.model.batches import StoredBatch
from actors.model.deliveries import Delivery
from actors.model.micro_batches import Accepted, Duplicate, Elsewhere, EventName, EventNames, Result
from actors.model.profiles import ProfileKey
from actors.model.workspaces import ENVIRONMENTS, WorkspaceInfo
from actors.pipeline.connection import ConnectionInfo
from actors.plans.versions import ActivatedEnvironment, PlanInfo, PlanVersionInfo
from actors.shard import Shard
from actors.shard_options import ShardOptions
from actors.steps.enqueue import delivery_id
from actors.steps.payload import WHOLE
from actors.store import log, micro_batches
from actors.store.keys import shard_of_slot
from tests.actors.plans.plans import (
    IDENTITIES,
    Data,
    custom_match,
    document,
    event,
    point,
    quote,
    with_attributes,
)
from tests.actors.profiles.builders import IOS, NOW, STAMP, WORKSPACE
from tests.actors.shards import context, item, micro, open_shard

MPID = 77
FORWARD, QUARANTINE = 1, 2
ANYWHERE = frozenset(ENVIRONMENTS)
NAMES = EventNames(
    [
        *(EventName("custom_event", name) for name in ("Quote Requested", "Other", "Third")),
        *(EventName("screen_view", name) for name in ("Home", "Settings")),
    ],
    is_full=False,
)
PLANNED = "Quote Requested"


def connection(number: int, name: str) -> ConnectionInfo:
    """Make a connection that lets everything through."""
    return ConnectionInfo(
        number=number,
        id=name,
        input=IOS,
        input_id="ios",
        output=name,
        module="webhook",
        is_active=True,
        environments=ANYWHERE,
        send_as_batch=True,
        settings=WHOLE,
    )


HELD = replace(connection(QUARANTINE, "quarantine:web_plan:1:held"), input=0, output="held")


def version(
    number: int,
    written: Data,
    environment: ActivatedEnvironment = "development",
    quarantine: ConnectionInfo | None = HELD,
) -> PlanVersionInfo:
    """Make a version of the plan."""
    return PlanVersionInfo(number, environment, orjson.dumps(written), quarantine)


class Planned:
    """A shard of a workspace with the plan `web_plan`."""

    def __init__(self, shard: Shard) -> None:
        self.shard = shard
        self._numbers = count(1)

    def commit(self, *batches: Data) -> list[Result]:
        """Apply batches of one micro-batch, which came through the iOS input."""
        where = replace(context(), input=IOS)
        number = next(self._numbers)
        return self.shard.commit(micro(number, *map(item, batches), where=where, names=NAMES))

    def send(self, *events: Data, **members: Any) -> Result:
        """Apply one batch that names the plan."""
        sent = {
            "environment": "development",
            "context": {"data_plan": {"plan_id": "web_plan"}},
            "events": list(events),
            **members,
        }
        [result] = self.commit(sent)
        return result

    def deliveries(self, number: int) -> list[Delivery]:
        """Return what waits for a connection."""
        return self.shard.outbox.read_outbox(number, 0, 100, 1 << 20)

    def forwarded(self) -> list[Data]:
        """Return what goes to the output."""
        return [orjson.loads(each.payload) for each in self.deliveries(FORWARD)]

    def quarantined(self) -> list[Data]:
        """Return what goes to quarantine."""
        return [orjson.loads(each.payload) for each in self.deliveries(QUARANTINE)]

    def stored(self) -> list[StoredBatch]:
        """Return all of the event log."""
        with self.shard.store.read() as txn:
            return [log.decode(value) for _, value in txn.scan("log")]

    def attributes(self, mpid: int = MPID) -> Data:
        """Return the user attributes of a profile."""
        with self.shard.store.read() as txn:
            profile = self.shard.profiles.get(txn, ProfileKey(7, "development", mpid))
        assert profile is not None
        section = profile.workspaces[WORKSPACE.number]
        return {name: each.value for name, each in section.user_attributes.items()}

    def counted(self, name: str, **labels: str) -> float:
        """Return a counter of the workspace."""
        found = self.shard.metrics.registry.get_sample_value(
            f"headwater_{name}_total", {"workspace": WORKSPACE.id, **labels}
        )
        return found or 0.0


@contextmanager
def planned(
    folder: Path,
    *versions: PlanVersionInfo,
    number: int = 0,
    of: int = 1,
    workspace: WorkspaceInfo = WORKSPACE,
) -> Iterator[Planned]:
    """Open a shard of a workspace whose plan has these versions."""
    shard = open_shard(folder / str(number), number, of, workspace=workspace)
    shard.take_over(options(*versions, workspace=workspace))
    try:
        yield Planned(shard)
    finally:
        shard.state.close()


def options(*versions: PlanVersionInfo, workspace: WorkspaceInfo = WORKSPACE) -> ShardOptions:
    """Make the options of a workspace whose plan has these versions."""
    return ShardOptions(
        workspace=workspace,
        connections=(connection(FORWARD, "forward"),),
        plans=(PlanInfo("web_plan", versions),),
        queue_limits={FORWARD: 1 << 20, QUARANTINE: 1 << 20},
    )


def names(batch: Data) -> list[str]:
    """Return the names of the events of a payload."""
    return [each["data"].get("event_name", each["event_type"]) for each in batch["events"]]


def metadata(batch: Data) -> Data:
    """Return what a quarantine batch says was blocked."""
    found: Data = batch["context"]["data_plan"]["block_metadata"]
    return found


def test_case_6_what_is_allowed_goes_on(tmp_path: Path) -> None:
    with planned(tmp_path, version(1, document())) as here:
        here.send(quote({"premium": 1, "coupon": "X"}), mpid=MPID)
        [sent] = here.forwarded()
        assert sent["events"][0]["data"]["custom_attributes"] == {"premium": "1", "coupon": "X"}
        assert here.quarantined() == []
        labels = {"plan": "web_plan", "type": "unplanned", "blocked": "false"}
        assert here.counted("plan_violations", **labels) == 1
        assert here.counted("plan_batches", plan="web_plan", outcome="violations") == 1


def test_case_7_attributes_are_dropped_and_kept_in_quarantine(tmp_path: Path) -> None:
    with planned(tmp_path, version(1, document(event_attribute="drop_attribute"))) as here:
        here.send(quote({"premium": 1, "coupon": "X"}), mpid=MPID, batch_id=5)
        [sent] = here.forwarded()
        assert sent["events"][0]["data"]["custom_attributes"] == {"premium": "1"}
        [stored] = here.stored()
        assert stored.batch.events[0].data["custom_attributes"] == {"premium": "1"}
        [held] = here.quarantined()
        [kept] = held["events"]
        assert kept["data"]["custom_attributes"] == {"premium": "1", "coupon": "X"}
        event_id = str(sent["events"][0]["data"]["event_id"])
        assert kept["data"]["event_id"] == event_id
        assert held["context"]["data_plan"] == {
            "plan_id": "web_plan",
            "plan_version": 1,
            "block_metadata": {
                "dto_version": 1,
                "blocked_event_ids": [],
                "blocked_event_attributes": [
                    {
                        "event_id": event_id,
                        "event_attributes": ["./data/custom_attributes/coupon"],
                    }
                ],
                "blocked_user_attributes": [],
                "blocked_user_identities": [],
                "blocked_device_identities": [],
            },
        }
        assert (held["batch_id"], held["mpid"]) == ("5", str(MPID))
        assert held["timestamp_unixtime_ms"] == str(NOW)
        assert kept["data"]["timestamp_unixtime_ms"] == str(NOW)
        [delivery] = here.deliveries(QUARANTINE)
        assert delivery.delivery_id == delivery_id(HELD.id, 5, 0)
        assert (delivery.mpid, delivery.event_count) == (MPID, 1)


def test_case_26_a_hostile_pattern_holds_up_no_other_batch(tmp_path: Path) -> None:
    """In one micro-batch; in time of this thread, as others may have the processor."""
    hostile = point(custom_match("Other"), with_attributes({"x": {"pattern": "^(a+)+$"}}))
    attributes = {"x": "a" * 4000 + "!"}
    tagged = {"environment": "development", "context": {"data_plan": {"plan_id": "web_plan"}}}
    sent = [
        tagged | {"mpid": number, "events": [each]}
        for number, each in enumerate(
            (
                event("custom_event", event_name="Other", custom_attributes=attributes),
                quote({"premium": 1}),
            ),
            MPID,
        )
    ]
    with planned(tmp_path, version(1, document(hostile))) as here:
        began_s = time.thread_time()
        results = here.commit(*sent)
        assert time.thread_time() - began_s < 0.1
        assert [type(each) for each in results] == [Accepted, Accepted]
        assert here.counted("plan_batches", plan="web_plan", outcome="violations") == 1
        assert [names(each) for each in here.forwarded()] == [["Other"], [PLANNED]]


def test_case_9_events_are_dropped_and_the_others_are_not(tmp_path: Path) -> None:
    unplanned = event("custom_event", event_name="Other")
    with planned(tmp_path, version(1, document(event="drop_event"))) as here:
        result = here.send(unplanned, quote({"premium": 1}), mpid=MPID)
        assert isinstance(result, Accepted)
        [sent], [held], [stored] = here.forwarded(), here.quarantined(), here.stored()
        assert names(sent) == [PLANNED]
        assert [each.get("event_name") for each in stored.batch.events] == [PLANNED]
        assert names(held) == ["Other", PLANNED]
        assert metadata(held)["blocked_event_ids"] == [held["events"][0]["data"]["event_id"]]
        labels = {"input": "ios", "environment": "development", "event_type": "custom_event"}
        assert here.counted("ingest_events", **labels) == 2  # what is blocked has come, too
        assert here.counted("ingest_drops", input="ios", reason="unplanned_event") == 1
        assert here.counted("plan_batches", plan="web_plan", outcome="blocked") == 1


def test_a_batch_that_is_left_without_events_goes_on(tmp_path: Path) -> None:
    with planned(tmp_path, version(1, document(event="drop_event"))) as here:
        unplanned = event("custom_event", event_name="Other")
        here.send(unplanned, mpid=MPID, user_attributes={"tier": "gold"})
        assert here.attributes() == {"tier": "gold"}
        assert [each["events"] for each in here.forwarded()] == [[]]


def test_case_11_what_cannot_be_planned_is_never_dropped(tmp_path: Path) -> None:
    with planned(tmp_path, version(1, document(event="drop_event"))) as here:
        here.send(event("session_end"), mpid=MPID)
        assert [names(each) for each in here.forwarded()] == [["session_end"]]
        assert here.quarantined() == []


def test_case_12_attributes_are_dropped_with_the_events_that_tell_of_them(tmp_path: Path) -> None:
    changes = [
        event("user_attribute_change", user_attribute_name=name, new="x")
        for name in ("age", "tier")
    ]
    with planned(tmp_path, version(1, document(user_attribute="drop_attribute"))) as here:
        sent = {"tier": "gold", "age": "30"}
        deleted = ["plan"]
        here.send(*changes, mpid=MPID, user_attributes=sent, deleted_user_attributes=deleted)
        assert here.attributes() == {"tier": "gold"}
        [held], [out] = here.quarantined(), here.forwarded()
        assert metadata(held)["blocked_user_attributes"] == ["age"]
        told = [each["data"]["user_attribute_name"] for each in out["events"]]
        assert told == ["tier"]
        assert out["deleted_user_attributes"] == deleted
        assert held["user_attributes"] == sent


def test_case_13_a_dropped_identity_finds_nobody_and_is_not_kept(tmp_path: Path) -> None:
    written = document(IDENTITIES, user_identity="drop_attribute")
    with planned(tmp_path, version(1, written)) as here:
        identities = {"email": "a@b.c", "twitter": "t"}
        device = {"ios_advertising_id": STAMP}
        events = [
            event("user_identity_change", new={"identity_type": kind, "identity": "i"})
            for kind in identities
        ]
        here.send(
            *events,
            mpid=MPID,
            user_identities=identities,
            device_info=device,
            mp_deviceid=STAMP,
        )
        [held], [out], [stored] = here.quarantined(), here.forwarded(), here.stored()
        found = metadata(held)
        assert found["blocked_user_identities"] == ["twitter"]
        assert found["blocked_device_identities"] == ["ios_advertising_id"]
        assert held["user_identities"] == identities
        assert held["device_info"]["ios_advertising_id"] == STAMP
        assert [each["identity_type"] for each in out["user_identities"]] == ["email"]
        assert "ios_advertising_id" not in out["device_info"]
        assert stored.batch.user_identities == {"email": "a@b.c"}
        assert stored.batch.mp_deviceid == STAMP  # reported, and never dropped
        kinds = [each["data"]["new"]["identity_type"] for each in out["events"]]
        assert kinds == ["email"]


def test_case_14_a_version_is_used_where_it_is_active(tmp_path: Path) -> None:
    unplanned = event("custom_event", event_name="Other")
    with planned(tmp_path, version(1, document(event="drop_event"))) as here:
        here.send(unplanned, mpid=MPID, environment="production")
        assert len(here.forwarded()[0]["events"]) == 1
        assert here.quarantined() == []
        assert here.counted("plan_batches", plan="web_plan", outcome="no_active_version") == 1


@pytest.mark.parametrize(
    ("environment", "wanted", "used"),
    [
        ("development", None, 2),
        ("production", None, 1),
        ("development", 1, 1),
        ("development", 3, None),
        ("production", 2, None),
        ("development", "latest", 2),  # no integer: treated as absent
    ],
)
def test_case_15_the_highest_active_version_or_the_one_that_is_named(
    environment: str, wanted: Any, used: int | None, tmp_path: Path
) -> None:
    written = document(event="drop_event")
    versions = version(1, written, "production"), version(2, written, "development")
    with planned(tmp_path, *versions) as here:
        plan = {"plan_id": "web_plan", "plan_version": wanted}
        unplanned = event("custom_event", event_name="Other")
        here.send(unplanned, mpid=MPID, environment=environment, context={"data_plan": plan})
        found = [each["context"]["data_plan"]["plan_version"] for each in here.quarantined()]
        assert found == ([] if used is None else [used])


def test_case_16_a_plan_that_there_is_not_changes_nothing(tmp_path: Path) -> None:
    with planned(tmp_path, version(1, document(event="drop_event"))) as here:
        unplanned = event("custom_event", event_name="Other")
        for plan in ({"data_plan": {"plan_id": "nope"}}, {}):
            here.send(unplanned, mpid=MPID, context=plan)
        assert [len(each["events"]) for each in here.forwarded()] == [1, 1]
        assert here.counted("plan_batches", plan="", outcome="plan_not_found") == 1
        assert here.counted("plan_batches", plan="", outcome="not_tagged") == 1


def test_case_25_a_changed_plan_holds_from_the_next_batch_on(tmp_path: Path) -> None:
    planned_now = point(custom_match(PLANNED), with_attributes({"premium": {}, "coupon": {}}))
    with planned(tmp_path, version(1, document(event_attribute="drop_attribute"))) as here:
        sent = quote({"premium": 1, "coupon": "X"})
        here.send(sent, mpid=MPID)
        here.shard.take_over(options(version(1, {"data_points": [planned_now]})))
        here.send(sent, mpid=MPID)
        found = [each["events"][0]["data"]["custom_attributes"] for each in here.forwarded()]
        assert found == [{"premium": "1"}, {"premium": "1", "coupon": "X"}]
        here.shard.take_over(replace(options(), plans=()))
        here.send(event("custom_event", event_name="Other"), mpid=MPID)
        assert names(here.forwarded()[-1]) == ["Other"]


def test_a_dropped_batch_leaves_nothing_but_its_quarantine_batch(tmp_path: Path) -> None:
    written = document(IDENTITIES, event="drop_batch")
    with planned(tmp_path, version(1, written)) as here:
        sent = {
            "user_identities": {"email": "a@b.c"},
            "user_attributes": {"tier": "gold"},
            "device_info": {"ios_idfv": STAMP},
            "source_request_id": "r",
        }
        result = here.send(event("custom_event", event_name="Other"), event("opt_out"), **sent)
        assert result == Accepted(None, 0)
        assert here.stored() == []
        assert here.forwarded() == []
        with here.shard.store.read() as txn:
            assert list(txn.scan("profiles")) == []
            assert list(txn.scan("identities")) == []
        [held] = here.quarantined()
        assert metadata(held) == {
            "dto_version": 1,
            "blocked_event_ids": [each["data"]["event_id"] for each in held["events"]],
            "blocked_event_attributes": [],
            "blocked_user_attributes": ["tier"],
            "blocked_user_identities": ["email"],
            "blocked_device_identities": ["ios_idfv"],
        }
        assert len(held["events"]) == 2
        again = here.send(event("custom_event", event_name="Other"), **sent)
        assert again == Duplicate("duplicate_request_id")
        assert len(here.quarantined()) == 1


def test_a_dropped_batch_of_a_named_user_is_delivered_as_theirs(tmp_path: Path) -> None:
    with planned(tmp_path, version(1, document(event="drop_batch"))) as here:
        assert here.send(event("custom_event", event_name="Other"), mpid=MPID) == Accepted(MPID, 0)
        [delivery] = here.deliveries(QUARANTINE)
        assert delivery.mpid == MPID
        with here.shard.store.read() as txn:
            assert list(txn.scan("profiles")) == []


def test_a_quarantine_batch_has_all_that_was_sent(tmp_path: Path) -> None:
    workspace = replace(WORKSPACE, partner_identities=frozenset({"acme_id"}))
    dropping = version(1, document(event="drop_batch"))
    with planned(tmp_path, dropping, workspace=workspace) as here:
        sent = {
            "partner_identities": {"acme_id": "7"},
            "ip": "192.0.2.1",
            "consent_state": {
                "gdpr": {"ads": {"consented": True, "timestamp_unixtime_ms": NOW}},
            },
        }
        here.send(event("custom_event", event_name="Other"), mpid=MPID, **sent)
        [held] = here.quarantined()
        assert held["partner_identities"] == sent["partner_identities"]
        assert held["ip"] == sent["ip"]
        assert held["consent_state"]["gdpr"].keys() == {"ads"}


def test_names_of_blocked_events_are_not_learnt(tmp_path: Path) -> None:
    with planned(tmp_path, version(1, document(event="drop_event"))) as here:
        result = here.send(event("custom_event", event_name="Never heard of"), mpid=MPID)
        assert isinstance(result, Accepted)


def test_an_output_gets_quarantine_batches_of_its_environments_alone(tmp_path: Path) -> None:
    held = replace(HELD, environments=frozenset({"production"}))
    with planned(tmp_path, version(1, document(event="drop_event"), quarantine=held)) as here:
        here.send(event("custom_event", event_name="Other"), mpid=MPID)
        assert here.quarantined() == []
        found = here.shard.metrics.registry.get_sample_value(
            "headwater_forwarder_drops_total", {"connection": HELD.id, "reason": "environment"}
        )
        assert found == 1


def test_without_a_quarantine_output_what_is_blocked_is_gone(tmp_path: Path) -> None:
    with planned(tmp_path, version(1, document(event="drop_event"), quarantine=None)) as here:
        here.send(event("custom_event", event_name="Other"), mpid=MPID)
        assert [each["events"] for each in here.forwarded()] == [[]]
        assert here.quarantined() == []


def test_a_micro_batch_that_is_sent_again_makes_no_second_quarantine_batch(tmp_path: Path) -> None:
    body = {
        "environment": "development",
        "mpid": MPID,
        "batch_id": 9,
        "context": {"data_plan": {"plan_id": "web_plan"}},
        "events": [event("custom_event", event_name="Other")],
    }
    where = replace(context(), input=IOS)
    with planned(tmp_path, version(1, document(event="drop_event"))) as here:
        first = here.shard.commit(micro(1, item(body), where=where, names=NAMES))
    with planned(tmp_path, version(1, document(event="drop_event"))) as here:
        again = here.shard.commit(micro(1, item(body), where=where, names=NAMES))
        assert again == first
        [delivery] = here.deliveries(QUARANTINE)
        assert delivery.delivery_id == delivery_id(HELD.id, 9, 0)


def test_a_transaction_that_fails_leaves_no_quarantine_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise StoreFull

    with planned(tmp_path, version(1, document(event="drop_event"))) as here:
        with monkeypatch.context() as patch:
            patch.setattr(micro_batches, "remember", full)
            with pytest.raises(StoreFull):
                here.send(event("custom_event", event_name="Other"), mpid=MPID)
        assert here.quarantined() == []
        assert here.counted("plan_batches", plan="web_plan", outcome="blocked") == 0
        here.send(event("custom_event", event_name="Other"), mpid=MPID)
        assert len(here.quarantined()) == 1


def test_a_batch_that_cannot_be_validated_is_taken_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any) -> None:
        raise RecursionError

    with planned(tmp_path, version(1, document(event="drop_event"))) as here:
        monkeypatch.setattr("actors.steps.check_plans.validate_batch", broken)
        with caplog.at_level(logging.ERROR):
            here.send(event("custom_event", event_name="Other"), mpid=MPID)
        assert names(here.forwarded()[0]) == ["Other"]
        assert here.counted("plan_batches", plan="web_plan", outcome="failed") == 1
        [record] = caplog.records
        assert record.__dict__["event"] == "plan_validation_failed"


def test_what_becomes_nobodys_goes_to_where_its_repeats_are_looked_for(tmp_path: Path) -> None:
    written = document(IDENTITIES, user_identity="drop_attribute")
    body = {
        "environment": "development",
        "user_identities": {"twitter": "t"},
        "source_request_id": "r",
        "context": {"data_plan": {"plan_id": "web_plan"}},
        "events": [quote({"premium": 1})],
    }
    with (
        planned(tmp_path, version(1, written), number=0, of=2) as first,
        planned(tmp_path, version(1, written), number=1, of=2) as second,
    ):
        shards = [first, second]
        results = [each.commit(body)[0] for each in shards]
        [moved] = [each for each in results if isinstance(each, Elsewhere)]
        owner = shards[shard_of_slot(moved.slot, 2)]
        [done] = [each for each in results if each != moved]
        assert done == Accepted(None, 1)
        assert owner.commit(body) == [Duplicate("duplicate_request_id")]
        assert [len(each.quarantined()) for each in shards if each is owner] == [1]
        assert sum(len(each.quarantined()) for each in shards) == 1


def test_a_batch_that_waits_for_its_names_is_blocked_once(tmp_path: Path) -> None:
    with planned(tmp_path, version(1, document(event_attribute="drop_attribute"))) as here:
        body = {
            "environment": "development",
            "mpid": MPID,
            "context": {"data_plan": {"plan_id": "web_plan"}},
            "events": [quote({"premium": 1, "coupon": "X"})],
        }
        where = replace(context(), input=IOS)
        here.shard.commit(micro(1, item(body), where=where, names=None))
        assert here.quarantined() == []
        here.shard.commit(micro(2, item(body), where=where, names=NAMES))
        [held] = here.quarantined()
        assert held["events"][0]["data"]["custom_attributes"]["coupon"] == "X"


# -- Whatever is sent ------------------------------------------------------------------------------

_VALUES = st.sampled_from(["a", "b", 1, -1, True, None])
_ATTRIBUTES = st.dictionaries(st.sampled_from(["premium", "plan", "coupon", "x"]), _VALUES)
_EVENTS = st.lists(
    st.one_of(
        st.builds(quote, _ATTRIBUTES),
        st.sampled_from(
            [
                event("custom_event", event_name="Other"),
                event("screen_view", screen_name="Home"),
                event("screen_view", screen_name="Settings"),
                event("session_end"),
                event("user_attribute_change", user_attribute_name="age", new="1"),
                event("user_identity_change", new={"identity_type": "twitter", "identity": "t"}),
            ]
        ),
    ),
    max_size=5,
)
_ACTIONS = st.fixed_dictionaries(
    {
        "event": st.sampled_from(["allow", "drop_event", "drop_batch"]),
        "event_attribute": st.sampled_from(["allow", "drop_attribute", "drop_event"]),
        "user_attribute": st.sampled_from(["allow", "drop_attribute", "drop_batch"]),
        "user_identity": st.sampled_from(["allow", "drop_attribute", "drop_batch"]),
    }
)
_USERS = st.fixed_dictionaries(
    {
        "user_attributes": st.dictionaries(
            st.sampled_from(["tier", "age", "$gender"]), st.sampled_from(["x", "y"])
        ),
        "user_identities": st.dictionaries(
            st.sampled_from(["email", "twitter"]), st.just("i"), max_size=2
        ),
        "mpid": st.sampled_from([MPID, None]),
    }
)


def parts(events: Sequence[Data]) -> Counter[tuple[str, str]]:
    """Count what events are made of: their ids, and each with its attributes."""
    found: Counter[tuple[str, str]] = Counter()
    for each in events:
        data = each["data"]
        event_id = str(data["event_id"])
        found[event_id, ""] += 1
        found.update((event_id, name) for name in data.get("custom_attributes") or ())
    return found


@settings(max_examples=60, deadline=None)
@given(events=_EVENTS, actions=_ACTIONS, users=_USERS)
def test_what_is_blocked_and_what_goes_on_is_what_was_sent(
    events: list[Data], actions: dict[str, str], users: Data
) -> None:
    """What is blocked reaches nobody, what is not is lost nowhere, and together they are all."""
    plan = version(1, document(IDENTITIES, actions=actions))
    with TemporaryDirectory() as folder, planned(Path(folder), plan) as here:
        result = here.send(*events, **users)
        if not isinstance(result, Accepted):  # whose it is has to be asked for
            assert users["mpid"] is None
            assert here.quarantined() == []
            return
        sent, held, stored = here.forwarded(), here.quarantined(), here.stored()
        if not held:
            assert len(sent) == 1
            assert len(sent[0]["events"]) == len(events)
            return
        [whole] = held
        blocked = metadata(whole)
        gone = set(blocked["blocked_event_ids"])
        lost = Counter(
            (each["event_id"], path.rpartition("/")[2])
            for each in blocked["blocked_event_attributes"]
            for path in each["event_attributes"]
        )
        inside = parts([e for e in whole["events"] if e["data"]["event_id"] in gone])
        went_on = parts([event for each in sent for event in each["events"]])
        kept = [
            {"data": {**event.data, "event_id": event.event_id}}
            for each in stored
            for event in each.batch.events
        ]
        assert parts(kept) == went_on
        assert went_on + inside + lost == parts(whole["events"])
        assert len(whole["events"]) == len(events)
        for batch in stored:
            names_left = batch.batch.user_attributes.keys()
            assert names_left.isdisjoint(blocked["blocked_user_attributes"])
            if batch.mpid is None:  # nobody has attributes (spec/events-api.md, 8.3)
                assert not names_left
            else:
                assert names_left | set(blocked["blocked_user_attributes"]) == set(
                    users["user_attributes"]
                )
            assert batch.batch.user_identities.keys().isdisjoint(blocked["blocked_user_identities"])
        if "drop_batch" not in actions.values():
            assert len(sent) == len(stored) == 1
        if result.mpid is not None and stored:
            held_names = blocked["blocked_user_attributes"]
            assert here.attributes(result.mpid).keys().isdisjoint(held_names)
