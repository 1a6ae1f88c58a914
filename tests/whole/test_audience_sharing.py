"""Audiences shared with another account of the deployment (spec/audiences.md, 12.1)."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from actors.clock import ManualClock
from tests.whole.sent import custom
from tests.whole.subject_requests import CREDENTIALS, accepted, body, fulfil
from tests.whole.test_audiences import OUTPUT, ask, send, status_is
from tests.whole.world import World, changed, named, serving

PREMIUM, GOLD = ({"version": 1, "criteria": status_is(each)} for each in ("premium", "gold"))
Pair = tuple[World, World]


def two_accounts(
    folder: Path, clock: ManualClock, **members: Any
) -> AbstractAsyncContextManager[list[World]]:
    """Run a workspace of account 1 and one of account 2, of one identity scope."""
    first = changed(named("w1"), workspace={"dsr_credentials": CREDENTIALS})
    second = changed(named("w2", "w1"), account={"id": "beta", "name": "Beta"})
    documents = [
        changed(each, outputs=[*each["outputs"], OUTPUT | {"id": f"list{suffix}"}])
        for each, suffix in ((first, ""), (second, "-w2"))
    ]
    return serving(folder, documents, clock=clock, **members)


@pytest.fixture(params=[1, 3], ids=["1 shard", "3 shards"])
async def pair(
    request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock
) -> AsyncIterator[Pair]:
    async with two_accounts(tmp_path, clock, shards=request.param) as [one, other]:
        yield one, other


async def as_receiver(
    other: World, owner: World, status: int, method: str, path: str, body: Any = None
) -> Any:
    """Send a request about an audience of the owner's workspace as somebody of another account."""
    headers = await other.token()
    url = f"/platform/v2/workspaces/{owner.number}/audiences{path}"
    response = await other.client.request(method, url, json=body, headers=headers)
    assert response.status == status, await response.text()
    return await response.json() if response.content_length else None


async def make_active(world: World, name: str = "Premium") -> int:
    """Make an active audience of everybody whose status is premium; return its id."""
    made = await ask(world, 201, "POST", "", {"name": name, "definition": PREMIUM})
    await ask(world, 204, "POST", f"/{made['id']}/activation")
    await world.settle_audiences()
    number: int = made["id"]
    return number


async def share(world: World, audience: int, level: str) -> Any:
    body = {"accounts": [{"account_id": 2, "level": level}]}
    return await ask(world, 200, "PUT", f"/{audience}/sharing", body)


async def withhold(world: World, *types: str) -> None:
    url = "/platform/v2/accounts/1/audience-sharing"
    body = {"withheld_identities": [{"account_id": 2, "identity_types": list(types)}]}
    response = await world.client.put(url, json=body, headers=await world.token())
    assert response.status == 200, await response.text()
    assert (await response.json())["withheld_identities"] == body["withheld_identities"]


async def join(other: World, owner: World, audience: int) -> int:
    """Connect a shared audience to the receiver's output; return the subscription's id."""
    path = f"/{audience}/subscriptions"
    made = await as_receiver(other, owner, 201, "POST", path, {"output_id": 2})
    await owner.settle_audiences()
    number: int = made["id"]
    return number


def told(owner: World, subscription: int) -> list[tuple[str, dict[str, str]]]:
    """Return (action, identities) of all that a subscription is told."""
    return [
        (change["action"], change["identities"])
        for message in owner.told(subscription)
        for change in message["changes"]
    ]


async def test_an_account_may_do_what_its_level_allows(pair: Pair) -> None:
    """Worked case 47, the levels."""
    one, other = pair
    number = await make_active(one)
    path, body = f"/{number}", {"output_id": 2}
    await as_receiver(other, one, 404, "GET", path)
    await as_receiver(other, one, 404, "POST", f"{path}/subscriptions", body)
    assert await ask(other, 200, "GET", "") == []

    await share(one, number, "view_only")
    for query in ("", "?shared=true"):
        [shown] = await ask(other, 200, "GET", query)
        assert (shown["id"], shown["workspaces"], shown["shared"]) == (number, [1], True)
    assert await ask(other, 200, "GET", "?shared=false") == []
    assert (await as_receiver(other, one, 200, "GET", path))["shared"] is True
    assert (await ask(one, 200, "GET", path))["shared"] is False
    await as_receiver(other, one, 403, "POST", f"{path}/subscriptions", body)

    await share(one, number, "usable")
    await as_receiver(other, one, 201, "POST", f"{path}/subscriptions", body)
    for change in ({"name": "Mine"}, {"definition": GOLD}):
        await as_receiver(other, one, 403, "PUT", path, change)
    for method, rest in [
        ("DELETE", ""),
        ("POST", "/activation"),
        ("DELETE", "/activation"),
        ("POST", "/clone"),
        ("GET", "/sharing"),
    ]:
        await as_receiver(other, one, 403, method, path + rest)
    shown = await ask(one, 200, "GET", path)
    assert (shown["name"], shown["definition"], shown["revision"]) == ("Premium", PREMIUM, 1)

    await share(one, number, "private")
    await as_receiver(other, one, 404, "GET", path)
    await as_receiver(other, one, 404, "PUT", path, {"name": "Mine"})
    assert await ask(other, 200, "GET", "?shared=true") == []


async def test_a_withheld_identity_is_sent_of_those_whom_the_receiver_has_seen(pair: Pair) -> None:
    """Worked case 47, the identities; live and in the first load."""
    one, other = pair
    await withhold(one, "email")
    number = await make_active(one)
    await share(one, number, "usable")
    people = {name: {"customer_id": name, "email": f"{name}@example.com"} for name in "abcd"}
    for name in ("a", "c"):
        await other.accept({"user_identities": people[name], "events": [custom("Seen")]})

    async def enter(name: str) -> None:
        batch = {"user_identities": people[name], "user_attributes": {"status": "premium"}}
        await one.accept(batch | {"events": [custom("Bought")]})

    await enter("a")
    await enter("b")
    joined = await join(other, one, number)
    await enter("c")
    await enter("d")
    stranger = [{"customer_id": name} for name in "bd"]
    expected = [people["a"], people["c"], *stranger]
    assert sorted(told(one, joined), key=str) == sorted(
        (("add", each) for each in expected), key=str
    )

    await withhold(one)
    await one.accept({"user_identities": people["b"], "user_attributes": {"status": "none"}})
    assert ("delete", people["b"]) in told(one, joined)


async def test_an_erasure_reaches_what_the_receivers_output_holds(
    tmp_path: Path, clock: ManualClock
) -> None:
    """spec/privacy.md, 5.2, row 6."""
    async with two_accounts(tmp_path, clock) as [one, other]:
        number = await make_active(one)
        await share(one, number, "usable")
        await join(other, one, number)
        await one.accept(
            {"user_identities": {"customer_id": "zoe"}, "user_attributes": {"status": "premium"}}
        )
        await accepted(one, body(subject_identities={"controller_customer_id": {"value": "zoe"}}))
        await fulfil(one, clock)
        assert {"list", "list-w2"} <= set(one.forwarders.reread_outputs)


async def test_a_lower_level_stops_what_the_receiver_is_sent(pair: Pair) -> None:
    one, other = pair
    number = await make_active(one)
    await share(one, number, "usable")
    joined = await join(other, one, number)
    own = await ask(one, 201, "POST", f"/{number}/subscriptions", {"output_id": 2})
    await one.settle_audiences()
    await send(one, "a", status="premium")
    await share(one, number, "view_only")
    await send(one, "b", status="premium")
    assert [action for action, _ in told(one, joined)] == ["add"]
    assert len(told(one, own["id"])) == 2
    path = f"/{number}/subscriptions/{joined}"
    assert (await as_receiver(other, one, 200, "GET", path))["is_active"] is False
    await as_receiver(other, one, 403, "PUT", path, {"is_active": True})
    await as_receiver(other, one, 204, "DELETE", path)


async def test_a_receiver_connects_in_bulk_and_sends_what_it_may_use(pair: Pair) -> None:
    one, other = pair
    await send(one, "a", status="premium")
    body = {"name": "Once", "type": "standard", "range": "all", "definition": PREMIUM}
    number = (await ask(one, 201, "POST", "", body))["id"]
    await ask(one, 202, "POST", "/calculate", {"audience_ids": [number]})
    await one.settle_audiences()

    async def connect() -> Any:
        url = "/platform/v2/workspaces/2/outputs/2/connect-audiences"
        headers = await other.token()
        response = await other.client.post(url, json={"audience_ids": [number]}, headers=headers)
        [row] = await response.json()
        return row["subscription_id"] if "errors" not in row else row["errors"][0]["code"]

    assert await connect() == "NOT_FOUND"
    await share(one, number, "view_only")
    assert await connect() == "FORBIDDEN"
    await share(one, number, "usable")
    joined = await connect()
    await ask(other, 403, "POST", "/calculate", {"audience_ids": [number]})
    numbers = {"subscription_ids": [joined]}
    await as_receiver(other, one, 202, "POST", f"/{number}/send", numbers)
    await one.settle_audiences()
    assert told(one, joined) == [("add", {"customer_id": "a"})]
    await ask(one, 422, "POST", f"/{number}/send", numbers)
    await share(one, number, "view_only")
    await as_receiver(other, one, 403, "POST", f"/{number}/send", numbers)


async def test_a_default_level_alone_leaves_the_levels_of_accounts(pair: Pair) -> None:
    one, other = pair
    number = await make_active(one)
    shared = await share(one, number, "usable")
    joined = await join(other, one, number)
    changed = await ask(one, 200, "PUT", f"/{number}/sharing", {"default_level": "view_only"})
    assert changed == shared | {"default_level": "view_only"}
    path = f"/{number}/subscriptions/{joined}"
    assert (await as_receiver(other, one, 200, "GET", path))["is_active"] is True
    # A list that is given is the whole of it.
    await ask(one, 200, "PUT", f"/{number}/sharing", {"accounts": []})
    assert (await as_receiver(other, one, 200, "GET", path))["is_active"] is False


async def test_owner_and_receiver_meet_only_their_own_connections(pair: Pair) -> None:
    """They may hold secrets."""
    one, other = pair
    number = await make_active(one)
    await share(one, number, "usable")
    theirs = await join(other, one, number)
    path = f"/{number}/subscriptions"
    ours = (await ask(one, 201, "POST", path, {"output_id": 2}))["id"]
    assert [each["id"] for each in await ask(one, 200, "GET", path)] == [ours]
    assert [each["id"] for each in await as_receiver(other, one, 200, "GET", path)] == [theirs]
    await ask(one, 404, "DELETE", f"{path}/{theirs}")
    await as_receiver(other, one, 404, "DELETE", f"{path}/{ours}")
    await as_receiver(other, one, 404, "POST", f"{path}/{ours}/resume")
    await as_receiver(other, one, 422, "POST", path, {"output_id": 1})
    shares = {"output_id": 2, "variant": None, "shared_user_attributes": ["status"]}
    await as_receiver(other, one, 204, "DELETE", f"{path}/{theirs}")
    await as_receiver(other, one, 422, "POST", path, shares)


async def test_an_account_asks_for_a_higher_level(pair: Pair) -> None:
    one, other = pair
    number = await make_active(one)
    path = f"/{number}/sharing/requests"
    body = {
        "level": "usable",
        "start": "2026-03-01",
        "end": "2026-03-31",
        "details": "Spring campaign",
        "platforms": ["mailer"],
    }
    await as_receiver(other, one, 404, "POST", path, body)
    await share(one, number, "view_only")
    await as_receiver(other, one, 400, "POST", path, body | {"end": "2026-02-01"})
    await as_receiver(other, one, 422, "POST", path, body | {"level": "view_only"})
    await as_receiver(other, one, 202, "POST", path, body)
    [asked] = (await ask(one, 200, "GET", f"/{number}/sharing"))["requests"]
    assert asked == body | {
        "account_id": 2,
        "requested_by": "ops-w2",
        "requested_on": "2026-01-01T00:00:00.000",
    }
    shared = await share(one, number, "usable")
    assert shared["requests"] == []
    await ask(one, 422, "POST", path, body)


async def test_the_default_level_holds_for_audiences_that_are_made_later(pair: Pair) -> None:
    one, other = pair
    before = await make_active(one, "Before")
    url = "/platform/v2/accounts/1/audience-sharing"
    response = await one.client.put(
        url, json={"default_level": "view_only"}, headers=await one.token()
    )
    assert response.status == 200
    later = await make_active(one, "Later")
    assert [each["id"] for each in await ask(other, 200, "GET", "")] == [later]
    await as_receiver(other, one, 404, "GET", f"/{before}")
    unknown = {"withheld_identities": [{"account_id": 9, "identity_types": ["email"]}]}
    response = await one.client.put(url, json=unknown, headers=await one.token())
    assert response.status == 422


async def test_sharing_outlasts_a_restart(tmp_path: Path, clock: ManualClock) -> None:
    async with two_accounts(tmp_path, clock) as [one, other]:
        await withhold(one, "email")
        number = await make_active(one)
        await share(one, number, "usable")
        joined = await join(other, one, number)
    async with two_accounts(tmp_path, clock) as [one, other]:
        await one.settle_audiences()
        batch = {"user_identities": {"customer_id": "a", "email": "a@example.com"}}
        await one.accept(batch | {"user_attributes": {"status": "premium"}})
        assert told(one, joined) == [("add", {"customer_id": "a"})]
        [only] = await as_receiver(other, one, 200, "GET", f"/{number}/subscriptions")
        assert only["id"] == joined
