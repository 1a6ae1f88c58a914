"""What operators see of identities and do to them, over a deployment (spec/identity.md, 12)."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from actors.clock import ManualClock
from tests.whole.identities import POOL, ask, call, lookup, modify, mpid_of, record, strategy
from tests.whole.world import T, World, running

STAMP = {"device_application_stamp": "d1"}


@pytest.fixture(params=[1, 3], ids=["1 shard", "3 shards"])
async def linked(
    request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock
) -> AsyncIterator[World]:
    """A deployment with profile link."""
    document = strategy("profile_link")
    async with running(tmp_path, shards=request.param, document=document, clock=clock) as world:
        yield world


async def history(world: World, mpid: str) -> list[dict[str, Any]]:
    """Return what was done to a record, newest first."""
    answer = await (await world.get(f"{POOL}/mpids/{mpid}/history")).json()
    assert answer["mpid"] == mpid
    changes: list[dict[str, Any]] = answer["changes"]
    return changes


async def held(world: World, mpid: str) -> dict[str, str]:
    return {each["type"]: each["value"] for each in (await record(world, mpid))["identities"]}


# -- Looking --------------------------------------------------------------------------------------


async def test_a_record_tells_its_identities_and_its_source(
    linked: World, clock: ManualClock
) -> None:
    anonymous = await mpid_of(linked, "identify", STAMP)
    clock.advance(1000)
    mpid = await mpid_of(linked, "login", {"email": " A@B.Example "} | STAMP)
    assert await record(linked, mpid) == {
        "mpid": mpid,
        "known": True,
        "orphaned": False,
        "source_mpid": anonymous,
        "created_ms": T + 1000,
        "identities": [
            {"type": "email", "value": "a@b.example", "linked_ms": T + 1000},
            {"type": "device_application_stamp", "value": "d1", "linked_ms": T + 1000},
        ],
    }
    seen = await record(linked, anonymous)
    assert (seen["known"], seen["source_mpid"], seen["created_ms"]) == (False, None, T)
    assert await lookup(linked, "device_application_stamp", "d1") == [mpid, anonymous]
    assert await lookup(linked, "email", "A@B.example") == [mpid]
    assert await lookup(linked, "email", "c@d.example") == []


async def test_an_orphan_is_told(linked: World) -> None:
    """Worked case 21: what the operator and the Profile API see of it."""
    first = await mpid_of(linked, "login", {"customerid": "x", "email": "e1"})
    second = await mpid_of(linked, "login", {"email": "e2"})
    await modify(linked, first, ("email", "e1", "e2"))
    assert await lookup(linked, "email", "e2") == [first]
    seen = await record(linked, second)
    assert (seen["orphaned"], seen["identities"]) == (True, [])
    assert (await linked.profile(int(second), "user_identities"))["user_identities"] == []
    assert linked.count("headwater_identity_takeovers_total") == 1
    assert linked.count("headwater_identity_orphans_total") == 1


async def test_pools_are_apart(linked: World) -> None:
    mpid = await mpid_of(linked, "login", {"customerid": "c1"})
    assert (await linked.get(f"/platform/identity/1/development/mpids/{mpid}")).status == 404
    assert (await linked.get(f"/platform/identity/2/production/mpids/{mpid}")).status == 404
    assert (await linked.get(f"/platform/identity/1/staging/mpids/{mpid}")).status == 404


async def test_the_settings_are_those_in_force(linked: World) -> None:
    settings = await (await linked.get("/platform/identity/1/config")).json()
    assert settings["strategy"] == "profile_link"
    assert settings["login_ids"] == settings["unique_ids"] == ["customerid", "email"]
    assert settings["priority"][:2] == ["customerid", "mobile_number"]
    assert settings["alias_delay_hours"] == 24


async def test_aliases_of_a_user_are_listed(linked: World, clock: ManualClock) -> None:
    source = await mpid_of(linked, "identify", STAMP)
    mpid = await mpid_of(linked, "login", {"customerid": "c1"})
    body = {
        "request_id": "r-1",
        "request_type": "alias",
        "environment": "production",
        "data": {
            "source_mpid": source,
            "destination_mpid": mpid,
            "start_unixtime_ms": T - 1000,
            "end_unixtime_ms": T,
            "scope": "mpid",
        },
    }
    answer = await linked.client.post("/v1/identity/kw-web-site/alias", json=body)
    assert answer.status == 202, await answer.text()
    for each in (source, mpid):
        [listed] = await (await linked.get("/platform/identity/1/aliases", mpid=each)).json()
        assert (listed["state"], listed["reason"], listed["settled_ms"]) == ("pending", None, None)
        assert listed["request"]["source_mpid"] == source
        assert listed["request"]["destination_mpid"] == mpid
    clock.advance(24 * 3600 * 1000)
    assert await linked.aliases.run_due()
    [listed] = await (await linked.get("/platform/identity/1/aliases", mpid=mpid)).json()
    assert (listed["state"], listed["settled_ms"]) == ("applied", T + 24 * 3600 * 1000)
    assert await (await linked.get("/platform/identity/1/aliases", mpid="5")).json() == []


# -- Why ------------------------------------------------------------------------------------------


async def test_an_explanation_tells_who_matched_who_is_chosen_and_what_follows(
    linked: World,
) -> None:
    anonymous = await mpid_of(linked, "identify", STAMP)
    known = await mpid_of(linked, "login", {"customerid": "c1", "email": "e1"} | STAMP)
    body = {"call": "login", "known_identities": {"customerid": "c2", "email": "e1"} | STAMP}
    told = await ask(linked, "explain", body)
    found = {
        each["type"]: [(one["mpid"], one["standing"]["code"]) for one in each["candidates"]]
        for each in told["found"]
    }
    assert found == {
        "customerid": [],
        "email": [(known, "known")],
        "device_application_stamp": [(known, "known"), (anonymous, "anonymous")],
    }
    assert told["chosen"]["mpid"] == known
    assert told["chosen"]["reason"] == {
        "code": "known",
        "text": "A known user holds an identity of the call, and a login ID of theirs was sent.",
    }
    assert {each["type"]: each["outcome"]["code"] for each in told["attached"]} == {
        "customerid": "kept_own",
        "email": "held",
        "device_application_stamp": "held",
    }
    assert told["problem"] is None
    answer = await call(linked, "login", body["known_identities"])
    assert answer["mpid"] == known
    assert await lookup(linked, "customerid", "c2") == []


async def test_an_explanation_changes_nothing(linked: World) -> None:
    told = await ask(linked, "explain", {"call": "identify", "known_identities": STAMP})
    assert (told["chosen"]["mpid"], told["chosen"]["reason"]["code"]) == (None, "no_match")
    await call(linked, "search", STAMP, 404)
    assert linked.count("headwater_identity_records", environment="production") == 0
    none = await ask(linked, "explain", {"call": "search", "known_identities": STAMP})
    assert (none["chosen"], none["problem"]["code"]) == (None, "NOT_FOUND_ERROR")


# -- History and undo -----------------------------------------------------------------------------


async def test_a_history_tells_what_calls_and_batches_did(
    linked: World, clock: ManualClock
) -> None:
    mpid = await mpid_of(linked, "login", {"customerid": "c1"})
    clock.advance(1000)
    await linked.accept({"user_identities": {"customer_id": "c1", "email": "e1"}, "events": []})
    clock.advance(1000)
    await modify(linked, mpid, ("email", "e1", None))
    email = {"type": "email", "value": "e1", "linked_ms": T + 1000}
    changes = await history(linked, mpid)
    assert [(each["time_ms"], each["call"]) for each in changes] == [
        (T + 2000, "modify"),
        (T + 1000, "batch"),
        (T, "login"),
    ]
    assert [(each["attached"], each["removed"]) for each in changes[:2]] == [
        ([], [email]),
        ([email], []),
    ]
    assert changes[0]["call_mpid"] == mpid


async def test_a_takeover_is_undone_at_both_users(linked: World) -> None:
    """Row L9, undone; the history tells both."""
    first = await mpid_of(linked, "login", {"customerid": "x", "email": "e1"})
    second = await mpid_of(linked, "login", {"email": "e2"})
    await modify(linked, first, ("email", "e1", "e2"))
    [taken, _] = await history(linked, second)
    assert (taken["call"], taken["call_mpid"], taken["also_changed"]) == ("modify", first, [first])
    answer = await ask(linked, f"mpids/{first}/undo")
    assert sorted((each["identity_type"], each["mpid"]) for each in answer["changed"]) == sorted(
        [("email", first), ("email", first), ("email", second)]
    )
    assert await held(linked, first) == {"customerid": "x", "email": "e1"}
    assert await held(linked, second) == {"email": "e2"}
    assert await mpid_of(linked, "search", {"email": "e2"}) == second
    profile = await linked.profile(int(second), "user_identities")
    assert [each["value"] for each in profile["user_identities"]] == ["e2"]
    assert [each["call"] for each in await history(linked, second)] == ["undo", "modify", "login"]


async def test_a_wrong_login_is_taken_from_a_user(world: World) -> None:
    """A shared device: somebody else's e-mail has come to the user of the device."""
    mpid = await mpid_of(world, "identify", STAMP)
    await call(world, "login", {"email": "wrong@x.example"} | STAMP)
    await ask(world, f"mpids/{mpid}/undo")
    assert await held(world, mpid) == STAMP
    await call(world, "search", {"email": "wrong@x.example"}, 404)


async def test_what_was_built_upon_is_not_undone(linked: World) -> None:
    mpid = await mpid_of(linked, "login", {"customerid": "c1", "email": "e1"})
    await modify(linked, mpid, ("email", "e1", None))
    other = await mpid_of(linked, "login", {"email": "e1"})
    error = await ask(linked, f"mpids/{mpid}/undo", status=409)
    assert error == {
        "errors": [{"code": "CONFLICT", "message": "The identities have changed since."}]
    }
    assert await lookup(linked, "email", "e1") == [other]
    assert await held(linked, mpid) == {"customerid": "c1"}


async def test_what_was_undone_is_not_undone_twice(linked: World) -> None:
    mpid = await mpid_of(linked, "login", {"customerid": "c1", "email": "e1"})
    await modify(linked, mpid, ("email", "e1", "e2"))
    await ask(linked, f"mpids/{mpid}/undo")
    await ask(linked, f"mpids/{mpid}/undo", status=409)
    assert await held(linked, mpid) == {"customerid": "c1", "email": "e1"}


async def test_an_immutable_id_is_not_undone(world: World) -> None:
    mpid = await mpid_of(world, "login", {"customerid": "c1"})
    error = await ask(world, f"mpids/{mpid}/undo", status=409)
    assert error["errors"][0]["message"] == 'Identity type "customerid" is immutable.'


async def test_an_undo_and_a_history_outlive_a_restart(tmp_path: Path) -> None:
    document = strategy("profile_link")
    async with running(tmp_path, shards=3, document=document) as world:
        mpid = await mpid_of(world, "login", {"customerid": "c1", "email": "e1"})
        await modify(world, mpid, ("email", "e1", "e2"))
    async with running(tmp_path, shards=3, document=document) as world:
        await ask(world, f"mpids/{mpid}/undo")
    async with running(tmp_path, shards=3, document=document) as world:
        assert await held(world, mpid) == {"customerid": "c1", "email": "e1"}
        assert [each["call"] for each in await history(world, mpid)] == ["undo", "modify", "login"]


# -- Metrics --------------------------------------------------------------------------------------


async def test_what_happens_to_records_is_counted(linked: World) -> None:
    anonymous = await mpid_of(linked, "identify", STAMP)
    await mpid_of(linked, "login", {"customerid": "c1"} | STAMP)
    await call(linked, "search", {"customerid": "c9"}, 404)
    await modify(linked, anonymous, ("email", None, "e1"))
    assert linked.count("headwater_identity_created_total", reason="no_match") == 1
    assert linked.count("headwater_identity_created_total", reason="fresh_login") == 1
    assert linked.count("headwater_identity_conversions_total") == 1
    assert linked.count("headwater_identity_records", environment="production") == 2
    assert linked.count("headwater_identity_records", environment="development") == 0
    assert linked.count("headwater_identity_requests_total", call="modify", status="200") == 1


async def test_the_number_of_records_outlives_a_restart(tmp_path: Path) -> None:
    for expected in (1, 2):
        async with running(tmp_path) as world:
            await mpid_of(world, "login", {"customerid": f"c{expected}"})
            name = "headwater_identity_records"
            assert world.count(name, environment="production") == expected
