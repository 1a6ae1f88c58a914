"""Calculated attributes over HTTP (spec/calculated-attributes.md, 5, 6 and 8)."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from actors.audience_worker import AudienceWorker
from actors.clock import ManualClock
from actors.identity.calls import AliasRequest
from tests.whole import test_audiences
from tests.whole.cases import user
from tests.whole.world import DOCUMENT, T, World, basic, changed, running

WORKSPACE_KEY = basic("kd-workspace:sd")
DAY_MS = 24 * 60 * 60 * 1000
RENAMED = (
    "Calculated attribute name cannot be changed once the calculated attribute has been activated."
)


def definition(calculation: str, attribute: str | None = None, **members: Any) -> dict[str, Any]:
    """Return a definition over `Buy`, within 30 days."""
    return {
        "recipe_type": "event",
        "datapoint": {
            "type": "event",
            "event_type": "custom_event",
            "event_name": "Buy",
            "attribute_name": attribute,
        },
        "conditions": None,
        "calculation_type": calculation,
        "time_period": {"type": "within", "within": 30, "within_unit": "days"},
        "seeding": None,
    } | members


@pytest.fixture(params=[1, 3], ids=["1 shard", "3 shards"])
async def world(
    request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock
) -> AsyncIterator[World]:
    own = {"dsr_credentials": {"key": "kd-workspace", "secret": "sd"}}
    document = changed(DOCUMENT, workspace=own | {"limits": {"active_calculated_attributes": 2}})
    async with running(tmp_path, shards=request.param, clock=clock, document=document) as world:
        yield world


async def ask(
    world: World, status: int, method: str, path: str = "", body: Any = None, **query: str
) -> Any:
    """Send a request whose status has to be this one; return the body."""
    url = f"/platform/v2/workspaces/{world.number}/calculatedattributes{path}"
    response = await world.client.request(
        method, url, json=body, params=query, headers=await world.token()
    )
    assert response.status == status, await response.text()
    return await response.json() if response.content_type == "application/json" else None


async def messages(world: World, status: int, *request: Any) -> list[str]:
    """Send a request that has to be refused; return the messages."""
    body = await ask(world, status, *request)
    assert body["statusCode"] == status
    return [each["message"] for each in body["errors"]]


async def make(world: World, name: str, defined: dict[str, Any]) -> int:
    """Make a draft; return its id."""
    body = {"name": name, "draft_definition": defined}
    number: int = await ask(world, 201, "POST", "", body)
    return number


async def activate(world: World, name: str, defined: dict[str, Any]) -> int:
    """Make an active attribute, and have it initialised."""
    number = await make(world, name, defined)
    await ask(world, 204, "POST", f"/{number}/activation")
    settle(world)
    return number


def settle(world: World) -> None:
    """Have the shards do all that is due."""
    for shard in world.shards:
        worker = AudienceWorker(shard, world.clock)
        while worker.audience_step():
            pass


async def value(world: World, customer: str, name: str) -> Any:
    """Return a user attribute as the Profile API shows it; `None` if it is not there."""
    return (await world.attributes(customer)).get(name)


def bought(at_ms: int) -> dict[str, Any]:
    """Return the data of a `Buy`."""
    return {
        "event_name": "Buy",
        "custom_event_type": "transaction",
        "timestamp_unixtime_ms": at_ms,
    }


async def buy(world: World, customer: str, at_ms: int = T, **attributes: str) -> None:
    """Send a `Buy`."""
    data = bought(at_ms) | {"custom_attributes": attributes}
    event = {"event_type": "custom_event", "data": data}
    await world.accept(user(customer, events=[event]))


async def seed(
    world: World, body: Any, headers: dict[str, str] | None = WORKSPACE_KEY, *, bulk: bool = False
) -> tuple[int, Any]:
    """Send seeds; return the status and the body."""
    path = "/v2/bulkcalculatedattributes" if bulk else "/v2/calculatedattributes"
    response = await world.client.post(path, json=body, headers=headers)
    return response.status, await response.json() if response.content_length else None


def seeds_of(customer: str, content: Any, calculation: str = "sum") -> dict[str, Any]:
    """Return the request that seeds `LTV` of a customer, with the cut-off date of `CUTOFF`."""
    return {
        "environment": "production",
        "identities": {"customer_id": customer},
        "calculated_attributes": {
            "workspace": [
                {
                    "attribute_name": "LTV",
                    "calculation_type": calculation,
                    "cutoff_date": CUTOFF,
                    "seed": content,
                }
            ]
        },
        "user_attributes": {"workspace": [{"attribute_name": "city", "attribute_value": "Oslo"}]},
    }


CUTOFF = "2024-01-01"
SEEDED = {"seeding": {"cutoff_date": CUTOFF}}


async def test_12_a_draft_becomes_active(world: World) -> None:
    """Case 12: what each step of the lifecycle shows and refuses."""
    assert await messages(world, 400, "POST", "", {}) == [
        "Field 'name' is required.",
        "Field 'draft_definition' is required.",
    ]
    number = await make(world, "Buys", definition("count"))
    assert await messages(world, 400, "POST", "", {"name": "Buys", "draft_definition": {}})
    path = f"/{number}/activation"
    assert await ask(world, 200, "GET", path) == {
        "calculated_attribute_id": number,
        "is_active": False,
        "activated_on": None,
        "activated_by": None,
    }
    await ask(world, 204, "POST", path)
    shown = await ask(world, 200, "GET", f"/{number}")
    assert shown["active_definition"]["calculation_type"] == "count"
    assert (shown["draft_definition"], shown["revision_id"]) == (None, 1)
    assert (shown["activated_by"], shown["audience_count"]) == ("ops", 0)
    no_draft = ["No draft definition was found to activate."]
    assert await messages(world, 400, "POST", path) == no_draft
    assert await messages(world, 400, "PUT", f"/{number}", {"name": "Bought"}) == [RENAMED]
    await ask(world, 204, "PUT", f"/{number}", {"description": "how often"})
    assert (await ask(world, 200, "GET", f"/{number}"))["description"] == "how often"
    await ask(world, 404, "GET", "/999")
    await ask(world, 404, "POST", "/x/activation")


async def test_13_an_edit_takes_effect_when_it_is_activated(world: World) -> None:
    """Case 13: until then, and until a user was come to, the old value holds."""
    await buy(world, "a", amt="1.5")
    number = await activate(world, "Spent", definition("sum", "amt"))
    await buy(world, "a", amt="3")
    assert await value(world, "a", "Spent") == "4.5"
    await ask(world, 204, "PUT", f"/{number}", {"draft_definition": definition("max", "amt")})
    assert await value(world, "a", "Spent") == "4.5"
    await ask(world, 204, "DELETE", f"/{number}/draft")
    await ask(world, 404, "DELETE", f"/{number}/draft")
    await ask(world, 204, "PUT", f"/{number}", {"draft_definition": definition("max", "amt")})
    await ask(world, 204, "POST", f"/{number}/activation")
    assert await value(world, "a", "Spent") == "4.5"
    calculation = await ask(world, 200, "GET", f"/{number}/calculation")
    assert (calculation["revision_id"], calculation["is_calculated"]) == (2, False)
    settle(world)
    assert await value(world, "a", "Spent") == "3"
    calculation = await ask(world, 200, "GET", f"/{number}/calculation")
    assert calculation["is_calculated"]
    assert calculation["calculation_percent_complete"] == 100


async def test_14_names_are_asked_for(world: World) -> None:
    """Case 14: HEAD says whether there is one of a name, GET lists those."""
    number = await make(world, "Buys", definition("count"))
    await ask(world, 404, "HEAD", name="nope")
    await ask(world, 204, "HEAD", name="Buys")
    assert await ask(world, 200, "GET", name="nope") == []
    assert [each["id"] for each in await ask(world, 200, "GET", name="Buys")] == [number]


async def test_an_attribute_that_is_no_number_under_a_function_of_numbers_is_warned_of(
    world: World,
) -> None:
    """Section 6.2: by the newest values, of which 95 % have to be numbers."""

    async def warned(name: str, calculation: str, attribute: str) -> str | None:
        defined = definition(calculation)
        defined["datapoint"] |= {"event_name": "Sold", "attribute_name": attribute}
        url = f"/platform/v2/workspaces/{world.number}/calculatedattributes"
        body = {"name": name, "draft_definition": defined}
        headers = await world.token()
        made = await world.client.post(url, json=body, headers=headers)
        assert made.status == 201, await made.text()
        changed = await world.client.put(f"{url}/{await made.json()}", json=body, headers=headers)
        assert changed.status == 204
        assert changed.headers.get("X-Warning") == made.headers.get("X-Warning")
        return made.headers.get("X-Warning")

    assert await warned("before", "sum", "size") is None  # nothing is known of it
    for number in range(40):
        attributes = {"size": "n/a" if number < 2 else str(number), "color": f"no {number}"}
        event = {"event_name": "Sold", "custom_event_type": "other"}
        data = event | {"custom_attributes": attributes}
        await world.accept(
            {
                "user_identities": {"customer_id": f"c{number}"},
                "events": [{"event_type": "custom_event", "data": data}],
            }
        )
    assert await warned("size", "sum", "size") is None  # 38 of 40 parse
    assert await warned("color", "average", "color") == "attribute type"
    assert await warned("unique", "unique_list", "color") is None
    sold = {"event_name": "Sold", "custom_event_type": "other", "custom_attributes": {"size": "x"}}
    await world.accept(
        {
            "user_identities": {"customer_id": "c0"},
            "events": [{"event_type": "custom_event", "data": sold}],
        }
    )
    assert await warned("now", "max", "size") == "attribute type"


async def test_members_that_nobody_knows_are_refused(world: World) -> None:
    """spec/platform-api.md, 1; what was shown can be sent back."""
    body = {"name": "Buys", "draft_definition": definition("count")}
    found = await messages(world, 400, "POST", "", body | {"drafts": 1, "nmae": "x"})
    assert found == ["Field 'drafts' is not known.", "Field 'nmae' is not known."]
    number = await make(world, "Buys", definition("count"))
    shown = await ask(world, 200, "GET", f"/{number}")
    await ask(world, 204, "PUT", f"/{number}", shown)
    assert await messages(world, 400, "PUT", f"/{number}", {"nmae": "x"}) == found[1:]
    asked = {"definition": definition("count"), "mpids": [1], "as_off": "2026-01-01"}
    found = await messages(world, 400, "POST", "/preview", asked)
    assert found == ["Field 'as_off' is not known."]


async def test_16_so_many_are_active_at_once(world: World) -> None:
    """Case 16, with a limit of two: a third is refused until one is a draft again."""
    first = await activate(world, "one", definition("count"))
    await activate(world, "two", definition("count"))
    third = await make(world, "three", definition("count"))
    limit = ["You have reached the account limit on active calculated attributes."]
    assert await messages(world, 400, "POST", f"/{third}/activation") == limit
    await ask(world, 204, "DELETE", f"/{first}/activation")
    shown = await ask(world, 200, "GET", f"/{first}")
    assert (shown["active_definition"], shown["draft_definition"] is None) == (None, False)
    await ask(world, 204, "POST", f"/{third}/activation")


async def test_17_each_event_counts_once(world: World) -> None:
    """Case 17: those before the activation, during the initialization, and after it."""
    for _ in range(3):
        await buy(world, "a")
    number = await make(world, "Buys", definition("count"))
    await ask(world, 204, "POST", f"/{number}/activation")
    await buy(world, "a")
    await buy(world, "b")
    settle(world)
    await buy(world, "a")
    assert await value(world, "a", "Buys") == "5"
    assert await value(world, "b", "Buys") == "1"
    await buy(world, "new")
    assert await value(world, "new", "Buys") == "1"


async def test_a_preview_keeps_nothing(world: World) -> None:
    """A definition is tried for users before it is made."""
    await buy(world, "a", amt="1.5")
    mpid = await world.mpid("a")
    body = {"definition": definition("sum", "amt"), "mpids": [mpid, 5]}
    assert await ask(world, 200, "POST", "/preview", body) == [
        {"mpid": mpid, "value": "1.5"},
        {"mpid": 5, "value": None},
    ]
    assert await messages(world, 400, "POST", "/preview", {"mpids": [1]})
    assert await ask(world, 200, "GET") == []


async def test_22_a_preview_of_what_an_attribute_has_includes_its_seeds(world: World) -> None:
    """Section 6; of another definition there are none."""
    seeded = definition("sum", "amt") | SEEDED
    number = await make(world, "LTV", seeded)
    assert await seed(world, seeds_of("a", {"value": 100})) == (202, None)
    await buy(world, "a", amt="-3")
    mpid = await world.mpid("a")

    async def previewed(defined: dict[str, Any]) -> Any:
        body = {"definition": defined, "mpids": [mpid]}
        [found] = await ask(world, 200, "POST", "/preview", body)
        return found["value"]

    assert await previewed(seeded) == "97"
    await ask(world, 204, "POST", f"/{number}/activation")
    assert await previewed(seeded) == "97"
    later = {"seeding": {"cutoff_date": "2024-01-02"}}
    assert await previewed(seeded | later) == "-3"
    assert await previewed(definition("sum", "amt")) == "-3"


async def test_29_one_that_an_audience_uses_stays(world: World) -> None:
    """Case 29: deleted are attribute, values and seeds, once no audience refers to it."""
    number = await activate(world, "LTV", definition("sum", "amt") | SEEDED)
    assert await seed(world, seeds_of("a", {"value": "100"})) == (202, None)
    body = {
        "name": "spenders",
        "definition": {
            "type": "calculated_attribute",
            "attribute_name": "LTV",
            "value_type": "number",
            "operator": "greater_than",
            "value": 50,
        },
    }
    audiences = "/platform/v2/workspaces/1/audiences"
    headers = await world.token()
    made = await world.client.post(audiences, json=body, headers=headers)
    assert made.status == 201, await made.text()
    assert (await ask(world, 200, "GET", f"/{number}"))["audience_count"] == 1
    in_use = ["Calculated attribute is in use."]
    assert await messages(world, 422, "DELETE", f"/{number}") == in_use
    assert await messages(world, 422, "DELETE", f"/{number}/activation") == in_use
    gone = await world.client.delete(f"{audiences}/{(await made.json())['id']}", headers=headers)
    assert gone.status in (202, 204)
    assert await value(world, "a", "LTV") == "100"
    await ask(world, 204, "DELETE", f"/{number}")
    settle(world)
    assert await world.attributes("a") == {"city": "Oslo"}


async def test_21_a_value_hides_the_users_own_in_audiences_too(
    world: World, clock: ManualClock
) -> None:
    """Case 21: as long as there is one, whatever changes it, and whoever asks."""

    def tier(value: str) -> dict[str, Any]:
        kind = {"type": "user_attribute", "attribute_name": "tier"}
        return kind | {"value_type": "string", "operator": "equals", "value": value}

    audiences = {}
    for name in ("own", "gold", "blue"):
        body = {"name": name, "definition": tier(name)}
        audiences[name] = (await test_audiences.ask(world, 201, "POST", "", body))["id"]
        await test_audiences.ask(world, 204, "POST", f"/{audiences[name]}/activation")

    async def member_of() -> list[str]:
        for _ in range(2):
            settle(world)
            await world.settle_audiences()
        mpid = await world.mpid("a")
        found = [
            name
            for name, number in audiences.items()
            if mpid in await test_audiences.members(world, number)
        ]
        asked = {"definition": tier(found[0]), "mpids": [mpid]}
        [answer] = await test_audiences.ask(world, 200, "POST", "/evaluate", asked)
        assert answer["result"] is True
        return found

    await world.accept(user("a", user_attributes={"tier": "own"}, events=[]))
    assert await member_of() == ["own"]
    last = definition(
        "last_occurrence",
        "tier",
        time_period={"type": "within", "within": 1, "within_unit": "days"},
    )
    number = await activate(world, "tier", last)
    assert await member_of() == ["own"]
    await buy(world, "a", tier="gold")
    assert await member_of() == ["gold"]
    await world.accept(user("a", user_attributes={"tier": "own"}, events=[]))
    assert await member_of() == ["gold"]
    await buy(world, "a", tier="blue")
    assert await member_of() == ["blue"]
    clock.advance(DAY_MS + 1)
    assert await member_of() == ["own"]
    await buy(world, "a", clock.now_ms(), tier="gold")
    assert await member_of() == ["gold"]
    await ask(world, 204, "DELETE", f"/{number}/activation")
    assert await member_of() == ["own"]


async def test_22_27_seeds_come_over_http(world: World) -> None:
    """Cases 22, 27 and 28: seeds of users who are made by them, and what is refused."""
    await activate(world, "LTV", definition("sum", "amt") | SEEDED)
    assert await seed(world, seeds_of("a", {"value": 100})) == (202, None)
    assert await world.attributes("a") == {"LTV": "100", "city": "Oslo"}
    await buy(world, "a", amt="-3")
    assert await value(world, "a", "LTV") == "97"
    mpid = await world.mpid("a")
    again = {key: each for key, each in seeds_of("a", {"value": 50}).items() if key != "identities"}
    assert await seed(world, again | {"mpid": str(mpid)}) == (202, None)
    assert await value(world, "a", "LTV") == "47"
    assert await seed(world, again | {"mpid": 12345}) == (202, None), "an unknown user is dropped"

    bulk = [seeds_of("a", {"value": 1}), seeds_of("b", {"value": "abc"})]
    status, body = await seed(world, bulk, bulk=True)
    assert status == 400
    assert body["errors"] == [
        {"code": "BAD_REQUEST", "message": "[1] LTV: Seed value must be numeric"}
    ]
    assert await value(world, "a", "LTV") == "47"
    status, body = await seed(world, seeds_of("a", {"value": 1}, "count"))
    message = "LTV: No matching calculated attribute definition found"
    assert (status, body["errors"][0]["message"]) == (400, message)
    status, body = await seed(world, {"environment": "production"})
    assert [each["message"] for each in body["errors"]] == [
        "mpid or identities is required",
        "calculated_attributes is required",
    ]
    assert (await seed(world, {}, None))[0] == 401
    assert (await seed(world, {}, basic("kd-workspace:wrong")))[0] == 403
    assert (await seed(world, {}, basic("k1-backend:s1")))[0] == 403


async def test_how_much_is_seeded_at_once_has_bounds(world: World) -> None:
    """Section 8: 256 KB, and 1 to 1000 users; nothing is kept of what is refused."""
    await activate(world, "LTV", definition("sum", "amt") | SEEDED)
    one = seeds_of("a", {"value": 1}) | {"user_attributes": {"workspace": []}}
    most = 256 * 1024
    padded = orjson.dumps(one).ljust(most)
    for path, body in (("", padded), ("bulk", b"[" + padded[:-2] + b"]")):
        url = f"/v2/{path}calculatedattributes"
        headers = WORKSPACE_KEY | {"Content-Type": "application/json"}
        response = await world.client.post(url, data=body + b" ", headers=headers)
        assert response.status == 413
        assert await world.find("a") == []
    many = [one] * 1001
    for users in ([], many):
        assert (await seed(world, users, bulk=True))[0] == 400
    assert await world.find("a") == []
    assert await seed(world, many[:1000], bulk=True) == (202, None)
    assert await value(world, "a", "LTV") == "1"
    response = await world.client.post("/v2/calculatedattributes", data=padded, headers=headers)
    assert response.status == 202


async def test_seeds_are_taken_with_a_slash_at_the_end(world: World) -> None:
    """Section 8."""
    await activate(world, "LTV", definition("sum", "amt") | SEEDED)
    for path, customer in (("", "a"), ("bulk", "b")):
        seeds = seeds_of(customer, {"value": 7})
        body = [seeds] if path else seeds
        url = f"/v2/{path}calculatedattributes/"
        response = await world.client.post(url, json=body, headers=WORKSPACE_KEY)
        assert response.status == 202, await response.text()
        assert await value(world, customer, "LTV") == "7"


async def test_28_seeds_of_a_draft_take_effect_when_it_is_activated(world: World) -> None:
    """Section 8, for who is known by the seed alone; an edited cut-off date ends it (case 28)."""
    number = await make(world, "LTV", definition("sum", "amt") | SEEDED)
    for customer in ("a", "b"):
        assert await seed(world, seeds_of(customer, {"value": 100})) == (202, None)
    await ask(world, 204, "POST", f"/{number}/activation")
    settle(world)
    assert await value(world, "a", "LTV") == "100"
    await buy(world, "a", amt="5")
    assert await value(world, "a", "LTV") == "105"
    edited = definition("sum", "amt") | {"seeding": {"cutoff_date": "2024-01-02"}}
    await ask(world, 204, "PUT", f"/{number}", {"draft_definition": edited})
    await ask(world, 204, "POST", f"/{number}/activation")
    settle(world)
    assert await value(world, "a", "LTV") == "5"
    assert await value(world, "b", "LTV") is None


async def test_18_historical_events_wait_for_the_next_definition(world: World) -> None:
    """Case 18: they change nothing; an edited definition that is activated counts them
    (spec/events-api.md, worked case 56)."""
    number = await activate(world, "Buys", definition("count"))
    await buy(world, "a")
    old = {"event_type": "custom_event", "data": bought(T - 5 * DAY_MS)}
    sent = await world.historical([user("a", events=[old])])
    assert sent.status == 202, await sent.text()
    settle(world)
    assert await value(world, "a", "Buys") == "1"
    edited = definition(
        "count", time_period={"type": "within", "within": 29, "within_unit": "days"}
    )
    await ask(world, 204, "PUT", f"/{number}", {"draft_definition": edited})
    await ask(world, 204, "POST", f"/{number}/activation")
    settle(world)
    assert await value(world, "a", "Buys") == "2"


async def test_19_21_outgoing_batches_carry_the_values(world: World) -> None:
    """Cases 19 and 21: the value after the batch, in the place of an attribute of its name."""
    await activate(world, "ltv", definition("sum", "amt"))
    data = bought(T) | {"custom_attributes": {"amt": "10.1"}}
    event = {"event_type": "custom_event", "data": data}
    await world.accept(user("a", events=[event], user_attributes={"ltv": "1", "city": "Oslo"}))
    [outgoing] = world.outgoing()
    assert outgoing["user_attributes"] == {"ltv": "10.1", "city": "Oslo"}


async def test_profiles_25_a_value_hides_an_attribute_of_its_name(world: World) -> None:
    """spec/profiles.md, worked case 25."""
    number = await activate(world, "ltv", definition("sum", "amt"))
    data = bought(T) | {"custom_attributes": {"amt": "340"}}
    event = {"event_type": "custom_event", "data": data}
    await world.accept(user("a", events=[event], user_attributes={"ltv": "1"}))
    assert await value(world, "a", "ltv") == "340"
    await ask(world, 204, "DELETE", f"/{number}")
    settle(world)
    assert await value(world, "a", "ltv") == "1"


async def test_8_a_value_goes_down_without_an_event(world: World, clock: ManualClock) -> None:
    """Case 8: when the event has left the range there is 0; case 7: of a sum of nothing a dash."""
    day = {"type": "within", "within": 1, "within_unit": "days"}
    await activate(world, "Buys", definition("count", time_period=day))
    await activate(world, "Spent", definition("sum", "amt", time_period=day))
    await buy(world, "a")
    clock.advance(DAY_MS)
    settle(world)
    assert await value(world, "a", "Buys") == "1"
    clock.advance(1)
    settle(world)
    assert await value(world, "a", "Buys") == "0"
    mpid = await world.mpid("a")
    shown = await (await world.get(f"/platform/v2/workspaces/1/users/{mpid}")).json()
    assert shown["calculated_attributes"] == [
        {"name": "Buys", "value": "0"},
        {"name": "Spent", "value": "-"},
    ]


async def test_30_values_survive_a_restart(tmp_path: Path, clock: ManualClock) -> None:
    """Case 30: nothing is counted twice or forgotten, also if it was being initialised."""
    async with running(tmp_path, clock=clock) as world:
        await buy(world, "a", amt="10.1")
        await activate(world, "Spent", definition("sum", "amt"))
        number = await make(world, "Buys", definition("count"))
        await ask(world, 204, "POST", f"/{number}/activation")
        await buy(world, "b", amt="20.2")
    async with running(tmp_path, clock=clock) as world:
        await buy(world, "a", amt="20.2")
        settle(world)
        assert await world.attributes("a") == {"Spent": "30.3", "Buys": "2"}
        assert await world.attributes("b") == {"Spent": "20.2", "Buys": "1"}
        assert [each["name"] for each in await ask(world, 200, "GET")] == ["Spent", "Buys"]


async def test_31_an_alias_copies_no_values(tmp_path: Path, clock: ManualClock) -> None:
    """Case 31: the destination keeps its own count, and goes on from there."""
    document = changed(DOCUMENT, identity={"alias_delay_hours": 0})
    async with running(tmp_path, document=document, clock=clock) as world:
        await activate(world, "Buys", definition("count"))
        for customer, times in (("s", 3), ("d", 2)):
            for _ in range(times):
                await buy(world, customer)
        source, destination = await world.mpid("s"), await world.mpid("d")
        await world.aliases.alias(
            AliasRequest(
                request_id="r-1",
                environment="production",
                scope="mpid",
                device_stamp=None,
                received_ms=T,
                input=1,
                source_mpid=source,
                destination_mpid=destination,
                start_ms=T - DAY_MS,
                end_ms=T + 1,
            )
        )
        assert await world.aliases.run_due()
        settle(world)
        assert await value(world, "d", "Buys") == "2"
        await buy(world, "d")
        assert await value(world, "d", "Buys") == "3"


async def test_attributes_of_the_document_are_its_own(tmp_path: Path, clock: ManualClock) -> None:
    """The API shows them and changes nothing; without the document it may."""
    own = {"id": "buys", "name": "Buys", "definition": definition("count")}
    async with running(
        tmp_path, document=changed(DOCUMENT, calculated_attributes=[own]), clock=clock
    ) as world:
        await buy(world, "a")
        settle(world)
        await buy(world, "a")
        [shown] = await ask(world, 200, "GET")
        assert (shown["id"], shown["created_by"], shown["revision_id"]) == (1, "config", 1)
        managed = ["Managed by configuration file."]
        assert await messages(world, 409, "DELETE", "/1") == managed
        assert await messages(world, 409, "PUT", "/1", {"description": "x"}) == managed
    async with running(tmp_path, clock=clock) as world:
        await ask(world, 204, "DELETE", "/1")
        settle(world)
        assert await world.attributes("a") == {}


async def test_an_event_of_another_tier_cannot_be_counted(
    tmp_path: Path, clock: ManualClock
) -> None:
    """Activating a definition over an event that is not looked at is refused."""
    tiers = {"event_tiers": {"overrides": [{"event": "Buy", "tier": "preserve"}]}}
    async with running(tmp_path, document=changed(DOCUMENT, workspace=tiers), clock=clock) as world:
        number = await make(world, "Buys", definition("count"))
        refused = ["The event of a calculated attribute must be of tier personalize."]
        assert await messages(world, 422, "POST", f"/{number}/activation") == refused


@pytest.mark.parametrize("number", [b"1e99999999999", b"9" * 5000, b"-1e400"])
@pytest.mark.parametrize("bulk", [False, True])
async def test_a_number_that_is_too_large_for_any_type_is_refused(
    world: World, number: bytes, *, bulk: bool
) -> None:
    path = "/v2/bulkcalculatedattributes" if bulk else "/v2/calculatedattributes"
    body = b'{"environment":"production","mpid":%s}' % number
    response = await world.client.post(
        path, data=b"[" + body + b"]" if bulk else body, headers=WORKSPACE_KEY
    )
    assert response.status == 400
