"""Consent of batches: worked case 42."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.whole.cases import dropped, newest, user
from tests.whole.sent import custom
from tests.whole.world import DOCUMENT, T, World, changed, running


def gdpr(purpose: str = "newsletter", **record: Any) -> dict[str, Any]:
    """Make a batch that says something of one purpose."""
    return user(consent_state={"gdpr": {purpose: record}})


def at(timestamp_ms: int, *, consented: bool) -> dict[str, Any]:
    """Make a batch with a consent of a time."""
    return gdpr(consented=consented, timestamp_unixtime_ms=timestamp_ms)


async def consent(world: World) -> dict[str, Any]:
    """Return the consent that the profile holds."""
    state: dict[str, Any] = (await world.profile("a", "consent_state"))["consent_state"]
    return state


async def newsletter(world: World) -> tuple[bool, int]:
    """Return whether the newsletter is consented to, and since when."""
    record = (await consent(world))["gdpr"]["newsletter"]
    return record["consented"], record["timestamp_unixtime_ms"]


async def test_case_42_the_later_record_holds(world: World) -> None:
    """spec/events-api.md, worked case 42, and 11.1: equal times, the later arrival."""
    await world.accept(at(T - 1000, consented=True))
    await world.accept(at(T - 2000, consented=False))
    assert await newsletter(world) == (True, T - 1000)
    await world.accept(at(T, consented=False))
    assert await newsletter(world) == (False, T)
    await world.accept(at(T, consented=True))
    assert await newsletter(world) == (True, T)


async def test_case_42_a_change_is_told(world: World) -> None:
    """spec/events-api.md, worked case 42, and 11.1."""
    await world.accept(at(T - 1000, consented=True))
    await world.accept(at(T - 2000, consented=False))
    await world.accept(at(T, consented=False))
    first, stale, last = world.outgoing()
    assert stale["system_notifications"] == []
    [notification] = first["system_notifications"]
    assert (notification["type"], notification["data"]["old"]) == ("gdpr_change", None)
    [notification] = last["system_notifications"]
    data = notification["data"]
    assert (notification["type"], data["purpose"]) == ("gdpr_change", "newsletter")
    records = [data["old"], data["current"]]
    assert [each["consented"] for each in records] == [True, False]
    assert [each["timestamp_unixtime_ms"] for each in records] == [T - 1000, T]
    assert [each["regulation"] for each in records] == ["GDPR", "GDPR"]


async def test_case_42_what_is_not_recorded(world: World) -> None:
    """spec/events-api.md, worked case 42: purposes unknown, records without a consent."""
    await world.accept(gdpr("unknown_purpose", consented=True, timestamp_unixtime_ms=T))
    assert dropped(world, "undefined_consent_purpose") == 1
    for record in (
        {"timestamp_unixtime_ms": 1},
        {"consented": None, "timestamp_unixtime_ms": 1},
        {"consented": "perhaps", "timestamp_unixtime_ms": 1},
    ):
        await world.accept(gdpr(**record))
    assert dropped(world, "consent_invalid") == 3
    other = {"ccpa": {"something_else": {"consented": True}}}
    await world.accept(user(consent_state=other))
    assert await consent(world) == {}
    assert len(await world.events("a")) == 5
    assert all(each["system_notifications"] == [] for each in world.outgoing())


async def test_case_42_without_a_time_it_is_the_receipt(world: World) -> None:
    """spec/events-api.md, worked case 42."""
    await world.accept(gdpr(consented=True))
    assert await newsletter(world) == (True, T)


async def test_case_42_null_removes(world: World) -> None:
    """spec/events-api.md, worked case 42, and 11.1: `gdpr: null` and `{}` change nothing."""
    await world.accept(gdpr(consented=True))
    nothing: list[dict[str, Any]] = [{"gdpr": None}, {"gdpr": {}}, {}]
    for each in nothing:
        await world.accept(user(consent_state=each))
        assert await newsletter(world) == (True, T)
    await world.accept(user(consent_state={"gdpr": {"newsletter": None}}))
    assert "newsletter" not in (await consent(world)).get("gdpr", {})
    [notification] = world.outgoing()[-1]["system_notifications"]
    assert notification["data"]["current"] is None


@pytest.mark.parametrize("purpose", ["Newsletter ", " NEWSLETTER"])
async def test_case_42_purposes_are_matched_loosely(world: World, purpose: str) -> None:
    """spec/events-api.md, worked case 42."""
    await world.accept(gdpr(purpose, consented=True))
    assert list((await consent(world))["gdpr"]) == ["newsletter"]


async def test_case_42_partners_cannot_set_consent(world: World) -> None:
    """spec/events-api.md, worked case 42."""
    await world.accept(gdpr(consented=True))
    for batch in (
        at(T + 1000, consented=False),
        gdpr("unknown_purpose", consented=True),
        gdpr(consented=False),
        gdpr(timestamp_unixtime_ms=1),
        user(consent_state={"gdpr": {"newsletter": None}}),
    ):
        await world.accept(batch, "k3")
        assert await newsletter(world) == (True, T)
    assert "consent_state" not in await newest(world)
    assert all(each["system_notifications"] == [] for each in world.outgoing()[1:])


async def test_ccpa_has_one_purpose(world: World) -> None:
    """spec/events-api.md, 11.1: the notification is `ccpa_change`."""
    record = {"consented": True, "timestamp_unixtime_ms": T}
    await world.accept(user(consent_state={"ccpa": {"data_sale_opt_out": record}}))
    assert (await consent(world))["ccpa"]["data_sale_opt_out"]["consented"] is True
    [notification] = world.outgoing()[0]["system_notifications"]
    assert notification["type"] == "ccpa_change"
    assert notification["data"]["current"]["regulation"] == "CCPA"


async def test_an_opt_out_of_sale_holds_for_the_very_batch_that_brings_it(tmp_path: Path) -> None:
    """spec/privacy.md, worked case 4, and 2.2: the batch is judged by the new state."""
    purpose = {"regulation": "ccpa", "purpose": "data_sale_opt_out", "has_consented": True}
    rule = {"kind": "consent", "action": "exclude", "purposes": [purpose]}
    [output] = DOCUMENT["outputs"]
    [connection] = [each for each in DOCUMENT["connections"] if each["input"] == "backend"]
    ruled = {"id": "ruled", "output": "buyer", "forwarding_rules": [rule]}
    document = changed(
        DOCUMENT,
        outputs=[output, output | {"id": "buyer", "name": "Buyer"}],
        connections=[connection, connection | ruled],
    )

    def waiting(world: World, number: int) -> list[str]:
        deliveries = [
            each for shard in world.shards for each in shard.outbox.read_outbox(number, 0, 9, 2**20)
        ]
        return [
            event["data"]["event_name"]
            for each in deliveries
            for event in orjson.loads(each.payload)["events"]
        ]

    def said(consented: bool, name: str) -> dict[str, Any]:
        record = {"consented": consented, "timestamp_unixtime_ms": T + len(name)}
        state = {"ccpa": {"data_sale_opt_out": record}}
        return user(consent_state=state, events=[custom(name)])

    async with running(tmp_path, document=document) as world:
        await world.accept(user(events=[custom("A")]))  # no record: forwarded
        await world.accept(said(True, "BB"))
        await world.accept(user(events=[custom("Silent")]))
        await world.accept(said(False, "CCC"))
        assert waiting(world, 1) == ["A", "BB", "Silent", "CCC"]
        assert waiting(world, 2) == ["A", "CCC"]
        labels = {"connection": "ruled", "reason": "forwarding_rule:consent"}
        assert world.count("headwater_forwarder_drops_total", **labels) == 2
