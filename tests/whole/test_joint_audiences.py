"""Audiences over several workspaces (spec/audiences.md, 1, 2, 3, 5 rule 12 and 14)."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest

from actors.clock import ManualClock
from tests.whole.bulk_deletions import deleted
from tests.whole.sent import custom
from tests.whole.test_audiences import (
    OUTPUT,
    advance,
    ask,
    changes,
    members,
    memberships,
    ping,
    pinged,
    send,
    status_is,
)
from tests.whole.test_calculated import activate as calculate
from tests.whole.test_calculated import definition
from tests.whole.world import World, changed, named, serving

Pair = tuple[World, World]
BOTH = [1, 2]


def documents() -> list[dict[str, Any]]:
    """Return two workspaces of an account and an identity scope, and one of another scope."""
    return [
        changed(each, outputs=[*each["outputs"], OUTPUT | {"id": f"list{suffix}"}])
        for each, suffix in (
            (named("w1"), ""),
            (named("w2", "w1"), "-w2"),
            (named("w3"), "-w3"),
        )
    ]


@pytest.fixture(params=[1, 3], ids=["1 shard", "3 shards"])
async def pair(
    request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock
) -> AsyncIterator[Pair]:
    async with serving(tmp_path, documents(), clock=clock, shards=request.param) as worlds:
        yield worlds[0], worlds[1]


async def make(world: World, name: str, definition: Any, **fields: Any) -> int:
    """Make an active audience over both workspaces; return its id."""
    body = {"name": name, "definition": definition, "workspaces": BOTH, **fields}
    made = await ask(world, 201, "POST", "", body)
    assert made["workspaces"] == BOTH
    await ask(world, 204, "POST", f"/{made['id']}/activation")
    await world.settle_audiences()
    assert (await ask(world, 200, "GET", f"/{made['id']}"))["status"] == "active"
    return cast(int, made["id"])


async def joined(world: World, audience: int, output: int = 2) -> int:
    """Connect an audience to the webhook of a workspace; return the subscription's id."""
    made = await ask(world, 201, "POST", f"/{audience}/subscriptions", {"output_id": output})
    return cast(int, made["id"])


def count(name: str, least: int, **narrowed: Any) -> dict[str, Any]:
    """Make the criterion that an event has come so often."""
    frequency = {"operator": "greater_or_equal", "value": least}
    return {
        "type": "event",
        "event_type": "custom_event",
        "event_name": name,
        "frequency": frequency,
        **narrowed,
    }


async def mpids(world: World, *customers: str) -> list[int]:
    return sorted([await world.mpid(each) for each in customers])


async def test_a_criterion_holds_if_it_does_in_any_workspace_and_events_are_pooled(
    pair: Pair,
) -> None:
    one, other = pair
    await send(one, "a", custom("Bought"), status="premium")
    await send(other, "a", custom("Bought"), status="gold")
    await send(other, "b", custom("Bought"), status="premium")  # never seen in the first
    await send(one, "c", custom("Bought"), status="gold")
    premium = await make(one, "Premium", status_is("premium"))
    await make(one, "Twice", count("Bought", 2))
    assert await members(one, premium) == await mpids(other, "a", "b")
    assert await members(one, premium + 1) == await mpids(one, "a")
    # Those who come later do so with the batch itself, whichever workspace it is of.
    await send(other, "c", custom("Bought"))
    assert await members(one, premium + 1) == await mpids(one, "a", "c")
    await send(other, "d", status="premium")
    assert await members(one, premium) == await mpids(other, "a", "b", "d")
    await send(other, "b", status="gold")
    assert await members(one, premium) == await mpids(other, "a", "d")
    # It is true in the first still.
    await send(other, "a", status="silver")
    assert await members(one, premium) == await mpids(other, "a", "d")


async def test_a_criterion_can_be_narrowed_to_one_workspace(pair: Pair) -> None:
    one, other = pair
    for world, status in ((one, "premium"), (other, "gold")):
        await send(world, "a", custom("Bought"), status=status)
    await send(other, "b", custom("Bought"), status="premium")
    narrowed = {**status_is("premium"), "workspace_ids": [2]}
    assert await members(one, await make(one, "Other's", narrowed)) == await mpids(other, "b")
    events = count("Bought", 1, workspace_ids=[1])
    assert await members(one, await make(one, "Own", events)) == await mpids(one, "a")
    negative = {"op": "not", "nodes": [status_is("premium")]}
    absent = await make(one, "Not", negative)
    assert await members(one, absent) == []
    await send(other, "e", status="gold")
    assert await members(other, absent) == await mpids(other, "e")


async def test_each_workspace_lists_it_manages_it_and_shows_its_memberships(pair: Pair) -> None:
    one, other = pair
    await send(other, "b", status="premium")
    await send(one, "a", status="premium")
    number = await make(one, "Premium", status_is("premium"))
    for world in pair:
        [shown] = await ask(world, 200, "GET", "")
        assert (shown["id"], shown["size"], shown["shared"]) == (number, 2, False)
        [listed] = await (await world.get("/v1/audiences", accountId="1")).json()
        assert [each["name"] for each in listed["workspaces"]] == ["W1", "W1"]
        single = await world.get(f"/v1/workspace/{world.number}/audiences", accountId="1")
        assert await single.json() == []
        both = sorted([*await mpids(one, "a"), *await mpids(other, "b")])
        assert await members(world, number) == both
        found = await world.mpid("a" if world is one else "b")
        assert (await ask(world, 200, "GET", f"/{number}/members/{found}"))["mpid"] == found
    for world, customer in ((one, "a"), (other, "b")):
        [membership] = await memberships(world, customer)
        assert (membership["audience_id"], membership["audience_name"]) == (number, "Premium")
    await ask(other, 200, "PUT", f"/{number}", {"name": "Renamed"})
    await ask(other, 204, "DELETE", f"/{number}/activation")
    await one.settle_audiences()
    assert await memberships(other, "b") == []
    assert (await ask(one, 200, "GET", f"/{number}"))["name"] == "Renamed"
    # One that is made in the second workspace has an id that nobody else has.
    second = await make(other, "Second", status_is("premium"))
    assert second == number + 1
    assert await members(one, second) == await members(other, second) != []
    await ask(one, 204, "DELETE", f"/{second}")
    await ask(other, 404, "GET", f"/{second}")


async def test_outputs_of_each_workspace_are_told(pair: Pair) -> None:
    one, other = pair
    await send(other, "b", status="premium")
    number = await make(one, "Premium", status_is("premium"))
    first, second = await joined(one, number), await joined(other, number)
    await one.settle_audiences()
    [mpid] = await mpids(other, "b")
    assert changes(one, first) == changes(one, second) == [("add", mpid)]
    await send(other, "b", status="gold")
    await send(one, "b", status="premium")
    assert changes(one, first)[1:] == [("delete", mpid), ("add", mpid)]
    shared = {"output_id": 2, "shared_user_attributes": ["status"]}
    await ask(one, 422, "POST", f"/{number}/subscriptions", shared)


async def test_time_ends_memberships_in_events_of_any_workspace(pair: Pair) -> None:
    one, other = pair
    await send(other, "b", ping(advance(one, 0)))
    number = await make(one, "Pinged", pinged())
    subscription = await joined(one, number)
    await one.settle_audiences()
    [membership] = await memberships(other, "b")
    assert membership["expiration_timestamp_ms"] == advance(one, 0) + 3_600_000
    advance(one, 3_600_001)
    await one.settle_audiences()
    assert [action for action, _ in changes(one, subscription)] == ["add", "delete"]


async def test_estimates_questions_and_explanations_are_about_all_workspaces(pair: Pair) -> None:
    one, other = pair
    for world, customer in ((one, "a"), (other, "b"), (other, "c")):
        await send(world, customer, status="premium" if customer != "c" else "gold")
    asked = {"workspaces": BOTH, "definition": status_is("premium")}
    for world in pair:
        found = await ask(world, 200, "POST", "/estimate", asked)
        assert (found["estimate"], found["sample_size"]) == (2, 3)
        both = [*await mpids(one, "a"), *await mpids(other, "b", "c")]
        answers = await ask(world, 200, "POST", "/evaluate", asked | {"mpids": both})
        assert sum(each["result"] for each in answers) == 2
    number = await make(one, "Premium", status_is("premium"))
    [mpid] = await mpids(other, "c")
    why = await ask(other, 200, "GET", f"/{number}/members/{mpid}/explanation")
    assert (why["result"], why["is_member"]) == (False, False)
    assert [each["values"] for each in why["criteria"]] == [["gold"]]
    shards = (await ask(one, 200, "GET", "/costs"))["shards"]
    assert {each["audiences"] for each in shards} == {1}
    dry = await ask(one, 200, "POST", f"/{number}/dry-run", {"definition": status_is("gold")})
    assert (dry["entering"], dry["leaving"], dry["staying"]) == (1, 2, 0)


async def test_lists_and_standard_audiences_are_over_several_workspaces_too(pair: Pair) -> None:
    one, other = pair
    await send(one, "a", custom("Bought"), status="premium")
    await send(other, "b", custom("Bought"), status="premium")
    body = {"name": "List", "type": "static", "workspaces": BOTH}
    made = await ask(one, 201, "POST", "", body)
    await ask(one, 204, "POST", f"/{made['id']}/activation")
    both = [*await mpids(one, "a"), *await mpids(other, "b")]
    await ask(other, 202, "PUT", f"/{made['id']}/members", {"add": both})
    await one.settle_audiences()
    assert await members(other, made["id"]) == sorted(both)
    body = {"name": "Standard", "type": "standard", "workspaces": BOTH, "range": "all"}
    definition = count("Bought", 1)
    made = await ask(other, 201, "POST", "", body | {"definition": definition})
    await ask(other, 202, "POST", "/calculate", {"audience_ids": [made["id"]]})
    await other.settle_audiences()
    assert await members(one, made["id"]) == sorted(both)
    await send(one, "c", custom("Bought"))
    await other.settle_audiences()
    assert await members(one, made["id"]) == sorted(both)


async def test_a_workspace_connects_calculates_and_sends_those_that_lie_in_another(
    pair: Pair,
) -> None:
    one, other = pair
    await send(one, "a", custom("Bought"))
    body = {"type": "standard", "range": "all", "definition": count("Bought", 1)}
    joint = (await ask(one, 201, "POST", "", body | {"name": "J", "workspaces": BOTH}))["id"]
    single = (await ask(other, 201, "POST", "", body | {"name": "S"}))["id"]
    draft = (await ask(one, 201, "POST", "", {"name": "D", "workspaces": BOTH}))["id"]
    answer = await ask(other, 422, "POST", "/calculate", {"audience_ids": [single, joint, draft]})
    assert answer["errors"][0]["path"] == "/audience_ids/2"
    assert (await ask(other, 200, "GET", f"/{single}"))["status"] == "draft"
    numbers = {"audience_ids": [single, joint]}
    answer = await ask(other, 202, "POST", "/calculate", numbers)
    assert answer == {"credits": 4}  # two years of events, in each of two runs
    assert (await ask(one, 200, "GET", f"/{joint}"))["status"] == "calculating"
    for world in pair:
        await world.settle_audiences()
    url = "/platform/v2/workspaces/2/outputs/2/connect-audiences"
    response = await other.client.post(
        url, json={"audience_ids": [joint, 99, single]}, headers=await other.token()
    )
    rows = await response.json()
    assert [each["audience_id"] for each in rows] == [joint, 99, single]
    assert ["subscription_id" in each for each in rows] == [True, False, True]
    own = await joined(one, joint)
    theirs = rows[0]["subscription_id"]
    path = f"/{joint}/send"
    await ask(other, 422, "POST", path, {"subscription_ids": [own]})
    await ask(one, 422, "POST", path, {"subscription_ids": [theirs]})
    await ask(other, 202, "POST", path, {"subscription_ids": [theirs]})
    for world in pair:
        await world.settle_audiences()
    [mpid] = await mpids(one, "a")
    assert changes(one, theirs) == [("add", mpid)]
    assert changes(one, own) == []


async def test_an_audience_over_several_can_ask_for_others(pair: Pair) -> None:
    one, other = pair
    await send(one, "a", status="premium")
    single = await ask(one, 201, "POST", "", {"name": "S", "definition": status_is("premium")})
    await ask(one, 204, "POST", f"/{single['id']}/activation")
    await one.settle_audiences()
    asks = {"type": "audience_membership", "audience_id": single["id"], "operator": "is_member"}
    definition = {"op": "and", "nodes": [asks, count("Bought", 1)]}
    number = await make(one, "Both", definition)
    assert await members(one, number) == []
    await send(other, "a", custom("Bought"))
    assert await members(one, number) == await mpids(one, "a")
    await send(one, "a", status="gold")
    assert await members(one, number) == []
    await send(one, "b", custom("Bought"), status="premium")
    assert await members(one, number) == await mpids(one, "b")


@pytest.mark.parametrize(
    ("fields", "code", "path"),
    [
        ({"workspaces": [1, 9]}, "REFERENCE_NOT_FOUND", "/workspaces/1"),
        ({"workspaces": [1, 3]}, "INVALID_STATE", "/workspaces/1"),
        ({"workspaces": [2]}, "INVALID_STATE", "/workspaces"),
        ({"workspaces": [1, 2], "inputs": [77]}, "REFERENCE_NOT_FOUND", "/inputs/0"),
        (
            {
                "workspaces": [1, 2],
                "definition": {**status_is("premium"), "workspace_ids": [3]},
            },
            "REFERENCE_NOT_FOUND",
            "/definition/workspace_ids/0",
        ),
        (
            {"workspaces": [1], "definition": {**status_is("premium"), "workspace_ids": [2]}},
            "REFERENCE_NOT_FOUND",
            "/definition/workspace_ids/0",
        ),
    ],
)
async def test_workspaces_that_do_not_go_together_are_refused(
    pair: Pair, fields: dict[str, Any], code: str, path: str
) -> None:
    one, _ = pair
    body = await ask(one, 422, "POST", "", {"name": "X", **fields})
    assert (body["errors"][0]["code"], body["errors"][0]["path"]) == (code, path)


async def test_memberships_are_as_before_after_a_restart(
    tmp_path: Path, clock: ManualClock
) -> None:
    async with serving(tmp_path, documents(), clock=clock) as [one, other, _]:
        await send(one, "a", custom("Bought"))
        await send(other, "a", custom("Bought"))
        await send(other, "b", custom("Bought"))
        number = await make(one, "Twice", count("Bought", 2))
        subscription = await joined(one, number)
        await one.settle_audiences()
        before = await members(one, number)
    async with serving(tmp_path, documents(), clock=clock) as [one, other, _]:
        assert await members(other, number) == before
        await send(other, "b", custom("Bought"))
        assert await members(one, number) == await mpids(other, "a", "b")
        [mpid] = await mpids(other, "b")
        assert changes(one, subscription)[1:] == [("add", mpid)]


async def test_who_ages_out_of_one_workspace_stays_while_another_has_him(
    tmp_path: Path, clock: ManualClock
) -> None:
    first, second, third = documents()
    second = changed(second, workspace={"retention": {"profile_idle_days": 60}})
    async with serving(tmp_path, [first, second, third], clock=clock) as [one, other, _]:
        await send(one, "a", status="premium")
        await send(other, "a", status="gold")
        premium = await make(one, "Premium", status_is("premium"))
        gold = await make(one, "Gold", status_is("gold"))
        subscription = await joined(one, gold)
        await one.settle_audiences()
        [mpid] = await mpids(other, "a")
        day_ms = 24 * 3_600_000
        advance(one, 31 * day_ms)
        for world in (one, other):
            world.sweep()
            await world.settle_audiences()
        assert await members(one, premium) == []
        assert await members(one, gold) == [mpid]
        advance(one, 30 * day_ms)
        for world in (other, one):
            world.sweep()
            await world.settle_audiences()
        assert await members(one, gold) == []
        assert changes(one, subscription) == [("add", mpid), ("delete", mpid)]
        await send(other, "a", status="gold")
        assert await members(one, gold) == [mpid]


async def test_what_a_workspace_has_deleted_of_a_user_counts_no_more(pair: Pair) -> None:
    """spec/profiles.md, 10."""
    one, other = pair
    await send(one, "a", custom("Bought"), status="premium")
    await send(other, "a", custom("Bought"), status="gold")
    made = {
        name: await make(one, name, definition)
        for name, definition in (
            ("Premium", status_is("premium")),
            ("Gold", status_is("gold")),
            ("Once", count("Bought", 1)),
            ("Twice", count("Bought", 2)),
        )
    }
    twice = await joined(one, made["Twice"])
    await one.settle_audiences()
    a = await one.mpid("a")
    assert [await members(one, each) for each in made.values()] == [[a]] * 4

    await deleted(one, a)

    assert [await members(one, each) for each in made.values()] == [[], [a], [a], []]
    assert changes(one, twice) == [("add", a), ("delete", a)]
    await send(other, "a", custom("Bought"))
    assert await members(one, made["Twice"]) == [a]
    await deleted(other, a)
    assert [await members(one, each) for each in made.values()] == [[]] * 4
    assert changes(one, twice) == [("add", a), ("delete", a)] * 2


async def test_who_opts_out_anywhere_leaves(pair: Pair) -> None:
    one, other = pair
    await send(one, "a", status="premium")
    await send(other, "a", status="gold")
    number = await make(one, "Premium", status_is("premium"))
    out = {"event_type": "opt_out", "data": {"is_opted_out": True}}
    await send(other, "a", out)
    assert await members(one, number) == []
    await send(other, "a", {"event_type": "opt_out", "data": {"is_opted_out": False}})
    assert await members(one, number) == await mpids(one, "a")


async def test_the_environments_do_not_mix(pair: Pair) -> None:
    one, other = pair
    batch = {"user_identities": {"customer_id": "a"}, "user_attributes": {"status": "premium"}}
    await other.accept(batch | {"environment": "development"})
    number = await make(one, "Production", status_is("premium"))
    trial = await make(one, "Development", status_is("premium"), environment="development")
    assert await members(one, number) == []
    assert await members(one, trial) == [await other.mpid_in("a", "development")]


async def test_a_calculated_attribute_counts_by_its_name(pair: Pair) -> None:
    one, other = pair
    counted = definition("count")
    counted["datapoint"] |= {"event_name": "Bought"}
    await calculate(one, "Else", counted)  # the numbers of the other differ
    for world in pair:
        await calculate(world, "Purchases", counted)
    for world, customer in ((one, "a"), (other, "b"), (one, "c"), (other, "c")):
        await send(world, customer, custom("Bought"))
    for world, customer in ((one, "a"), (other, "b")):
        await send(world, customer, custom("Bought"))
    criterion = {
        "type": "calculated_attribute",
        "attribute_name": "Purchases",
        "operator": "greater_or_equal",
        "value": 2,
    }
    number = await make(one, "Bought twice", criterion)
    assert await members(one, number) == sorted([*await mpids(one, "a"), *await mpids(other, "b")])
    await send(other, "c", custom("Bought"))
    assert len(await members(one, number)) == 3


async def test_inputs_narrow_the_events_of_their_workspaces(pair: Pair) -> None:
    one, other = pair
    for world in pair:
        batch = {"user_identities": {"customer_id": "a"}, "events": [custom("Bought")]}
        await world.accept(batch, key="k2")
    ios, others_ios = 2, 6  # their numbers are of the whole deployment
    number = await make(one, "Twice", count("Bought", 2), inputs=[ios, others_ios])
    assert await members(one, number) == await mpids(one, "a")
    alone = await make(one, "Once", count("Bought", 2), inputs=[ios])
    assert await members(one, alone) == []
    narrowed = count("Bought", 1, workspace_ids=[2], input_ids=[1])
    none = await make(one, "None", narrowed)
    narrowed = count("Bought", 1, input_ids=[5])
    some = await make(one, "Some", narrowed)
    assert await members(one, none) == await members(one, some) == []
    await send(other, "a", custom("Bought"))
    assert await members(one, none) == []
    assert await members(one, some) == await mpids(one, "a")


async def test_names_are_unique_in_the_account_and_ids_in_the_deployment(
    tmp_path: Path, clock: ManualClock
) -> None:
    """Section 2. A third workspace is of the account, but of another scope; a fourth of another
    account. The number of the second leaves no room for blocks of numbers by workspace."""
    first, second, third = documents()
    second = changed(second, workspace={"number": 2_000_000_000})
    fourth = changed(named("w4"), account={"id": "beta", "name": "Beta"})
    deployed = [first, second, third, fourth]
    async with serving(tmp_path, deployed, clock=clock, shards=1) as [one, other, alien, foreign]:
        body = {"name": "Gold", "definition": status_is("gold")}
        made = await ask(one, 201, "POST", "", body)
        for world in (one, other, alien):
            refused = await ask(world, 422, "POST", "", {"name": "GOLD"})
            [problem] = refused["errors"]
            assert (problem["code"], problem["path"]) == ("NAME_NOT_UNIQUE", "/name")
        numbers = [made["id"], (await ask(foreign, 201, "POST", "", body))["id"]]
        mine = await ask(other, 201, "POST", "", body | {"name": "Gold (copy)"})
        clone = await ask(one, 201, "POST", f"/{made['id']}/clone")
        assert clone["name"] == "Gold (copy 2)"
        refused = await ask(alien, 422, "POST", "", {"name": "gold (copy 2)"})
        renamed = await ask(other, 200, "PUT", f"/{mine['id']}", {"name": "gold (COPY)"})
        await ask(other, 422, "PUT", f"/{mine['id']}", {"name": "Gold"})
        numbers += [clone["id"], renamed["id"]]
        assert sorted(numbers) == list(range(1_000_001, 1_000_005))
        # What is there can still be found, used and deleted, whatever the workspace's number.
        await send(other, "a", status="gold")
        await ask(other, 204, "POST", f"/{mine['id']}/activation")
        await other.settle_audiences()
        assert await members(other, mine["id"]) == await mpids(other, "a")
        attributes = [
            await calculate(world, "Purchases", definition("count")) for world in (one, other)
        ]
        assert attributes == [1_000_001, 1_000_002]
    async with serving(tmp_path, deployed, clock=clock, shards=1) as [one, other, *_]:
        assert await members(other, mine["id"]) == await mpids(other, "a")
        await ask(one, 204, "DELETE", f"/{clone['id']}")
        after = await ask(one, 201, "POST", "", {"name": "Gold (copy 2)"})
        assert after["id"] == 1_000_005


async def test_a_journey_takes_inputs_of_any_workspaces_of_the_account(pair: Pair) -> None:
    """Section 13; its milestones are about the users of all of them."""
    one, other = pair
    await send(one, "a", status="premium")
    await send(other, "b", status="premium")
    await send(other, "c", status="gold")
    backend, others_backend, alien = 1, 5, 9  # the last one's workspace has other users

    async def journey(status: int, method: str, path: str, body: Any) -> Any:
        url = f"/platform/v2/workspaces/{one.number}/journeys{path}"
        response = await one.client.request(method, url, json=body, headers=await one.token())
        assert response.status == status, await response.text()
        return await response.json()

    refused = await journey(422, "POST", "", {"name": "J", "inputs": [backend, alien]})
    assert refused["errors"][0]["code"] == "INVALID_STATE"
    refused = await journey(422, "POST", "", {"name": "J", "inputs": [77]})
    assert refused["errors"][0]["path"] == "/inputs/0"
    made = await journey(201, "POST", "", {"name": "J", "inputs": [backend, others_backend]})
    path = f"/{made['id']}/milestones"
    body = {"name": "Premium", "definition": status_is("premium")}
    first = await journey(201, "POST", path, body)
    rest = await journey(201, "POST", path, {"name": "Rest", "kind": "remaining_users"})
    subscription = await joined(one, first["audience_id"])
    await joined(one, rest["audience_id"])
    await one.settle_audiences()
    both = sorted([*await mpids(one, "a"), *await mpids(other, "b")])
    assert await members(one, first["audience_id"]) == both
    assert await members(one, rest["audience_id"]) == await mpids(other, "c")
    assert (await ask(other, 200, "GET", f"/{rest['audience_id']}"))["workspaces"] == BOTH
    await send(other, "c", status="premium")
    await send(other, "a", status="premium")
    assert await members(one, rest["audience_id"]) == []
    assert changes(one, subscription)[2:] == [("add", (await mpids(other, "c"))[0])]
    refused = await journey(422, "PUT", f"/{made['id']}", {"inputs": [backend]})
    assert refused["errors"][0]["code"] == "INVALID_STATE"  # while it has members


async def test_a_calculated_attribute_that_an_audience_elsewhere_reads_is_in_use(
    pair: Pair,
) -> None:
    one, other = pair
    number = await calculate(other, "Buys", definition("count"))
    criterion = {
        "type": "calculated_attribute",
        "attribute_name": "Buys",
        "operator": "greater_than",
        "value": 0,
    }
    audience = await make(one, "Buyers", criterion)
    url = f"/platform/v2/workspaces/{other.number}/calculatedattributes/{number}"
    headers = await other.token()
    shown = await (await other.client.get(url, headers=headers)).json()
    assert shown["audience_count"] == 1
    for path in (url, f"{url}/activation"):
        response = await other.client.delete(path, headers=headers)
        [error] = (await response.json())["errors"]
        assert (response.status, error["message"]) == (422, "Calculated attribute is in use.")
    await ask(one, 204, "DELETE", f"/{audience}")
    assert (await other.client.delete(url, headers=headers)).status == 204
