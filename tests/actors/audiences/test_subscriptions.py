"""A/B tests and connections (spec/audiences.md, 10 and 12)."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.audiences.fields import SubscriptionFields
from actors.audiences.objects import Fault, Variation
from actors.errors import AudienceRefused
from tests.actors.audiences.desks import (
    ACTOR,
    HOOK,
    Desk,
    active,
    attribute,
    code,
    made,
    open_desk,
)
from tests.oracle.audiences.fixture import make_users

DAY_MS = 86_400_000


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with open_desk(tmp_path, make_users()) as opened:
        yield opened


async def test_a_test_is_deleted_with_the_connections_of_its_variations(desk: Desk) -> None:
    """Rules of section 10; worked case 42."""
    audience = await active(desk, "Paris Fans", attribute("premium"))
    six = tuple(Variation(str(each), 100) for each in range(6))
    assert await code(desk.calls.create_test(audience.number, six, ACTOR)) == (
        "LIMIT_EXCEEDED",
        "/variations",
    )
    shares = (Variation("A", 4000), Variation("B", 4000))
    await desk.calls.create_test(audience.number, shares, ACTOR)
    again = desk.calls.create_test(audience.number, shares, ACTOR)
    assert (await code(again))[0] == "INVALID_STATE"
    unknown = SubscriptionFields(output=HOOK, variation="C")
    assert await code(desk.calls.create_subscription(audience.number, unknown, ACTOR)) == (
        "REFERENCE_NOT_FOUND",
        "/variant",
    )
    for name in ("A", "Control", None):
        fields = SubscriptionFields(output=HOOK, variation=name)
        assert await desk.calls.create_subscription(audience.number, fields, ACTOR)
    names = [each.subscription.name.external_name for each in desk.shards[0].live.subscriptions]
    assert names == ["Paris Fans - A", "Paris Fans - Control", "Paris Fans"]
    other = await active(desk, "Other", attribute("gold"))
    rows = await desk.calls.connect_audiences(
        (audience.number, other.number, 99), SubscriptionFields(output=2), ACTOR
    )
    assert [isinstance(each, AudienceRefused) for each in rows] == [True, False, True]
    assert await desk.calls.delete_test(audience.number)
    assert [each.variation for each in desk.shards[0].live.subscriptions] == [None, None]
    second = await desk.calls.create_test(audience.number, shares, ACTOR)
    assert second is not None
    assert second.test is not None
    assert second.test.number == 2


async def test_a_faulted_connection_holds_until_it_is_resumed(desk: Desk) -> None:
    """Worked case 48, as far as it is kept here."""
    audience = await active(desk, "Premium", attribute("premium"))
    made_ = await desk.calls.create_subscription(
        audience.number, SubscriptionFields(output=HOOK), ACTOR
    )
    assert made_ is not None
    resume = desk.calls.resume_subscription(audience.number, made_.number)
    assert (await code(resume))[0] == "INVALID_STATE"
    await desk.calls.fault_subscription(made_.number, Fault(5, "http_401", "no"))
    [live] = desk.shards[0].live.subscriptions
    assert (live.is_faulted, live.resumed) == (True, 0)
    await desk.calls.replace_subscription(
        audience.number, made_.number, SubscriptionFields(is_active=True)
    )
    [live] = desk.shards[0].live.subscriptions
    assert live.is_faulted
    assert await desk.calls.resume_subscription(audience.number, made_.number)
    [live] = desk.shards[0].live.subscriptions
    assert (live.is_faulted, live.resumed) == (False, 1)


async def test_a_connection_has_an_output_once_and_settings_that_it_knows(desk: Desk) -> None:
    audience = await active(desk, "Premium", attribute("premium"))
    calls = desk.calls
    refusals = [
        (SubscriptionFields(output=9), ("REFERENCE_NOT_FOUND", "/output_id")),
        (SubscriptionFields(output=HOOK, settings={"x": 1}), ("VALIDATION_ERROR", "/settings/x")),
    ]
    for fields, expected in refusals:
        assert await code(calls.create_subscription(audience.number, fields, ACTOR)) == expected
    fields = SubscriptionFields(output=HOOK, shared_user_attributes=("status",))
    first = await calls.create_subscription(audience.number, fields, ACTOR)
    assert first is not None
    assert await code(calls.create_subscription(audience.number, fields, ACTOR)) == (
        "INVALID_STATE",
        "/output_id",
    )
    static = await made(desk, "List", type="static")
    assert await code(calls.create_subscription(static.number, fields, ACTOR)) == (
        "INVALID_STATE",
        "/shared_user_attributes",
    )
    assert await calls.delete_subscription(audience.number, first.number)
    assert desk.shards[0].live.subscriptions == ()
