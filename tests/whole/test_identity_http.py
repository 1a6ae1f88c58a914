"""The identity API over a whole deployment: worked cases and tables of spec/identity.md."""

import gzip
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.whole.identities import KEY, call, lookup, modify, mpid_of, strategy
from tests.whole.world import World, running


@pytest.fixture(params=[1, 3], ids=["1 shard", "3 shards"])
def shards(request: pytest.FixtureRequest) -> int:
    count: int = request.param
    return count


@pytest.fixture
async def world(tmp_path: Path, shards: int) -> AsyncIterator[World]:
    """A deployment with the default strategy."""
    async with running(tmp_path, shards=shards) as made:
        yield made


async def test_the_first_identify_creates_and_the_next_one_finds(world: World) -> None:
    """spec/identity.md, worked cases 1 and 2."""
    stamp = {"device_application_stamp": "d-1"}
    first = await call(world, "identify", stamp)
    assert first == {
        "context": None,
        "mpid": first["mpid"],
        "matched_identities": {},
        "is_ephemeral": True,
        "is_logged_in": False,
    }
    assert 0 < int(first["mpid"]) < 2**53
    assert await call(world, "identify", stamp) == first | {"matched_identities": stamp}
    known = {"customerid": "u-77", "email": "Ann@Example.com"}
    login = await call(world, "login", known | stamp)
    assert (login["mpid"], login["is_logged_in"]) == (first["mpid"], True)
    sent = {"customerid": "u-77", "email": "ann@example.com", "device_application_stamp": "d-2"}
    found = await call(world, "identify", sent)
    assert found["mpid"] == first["mpid"]
    assert found["matched_identities"] == {"customerid": "u-77", "email": "ann@example.com"}
    assert found["is_ephemeral"] is False


async def test_the_form_of_a_value_is_canonical(world: World) -> None:
    """spec/identity.md, worked case 13."""
    spaced = await mpid_of(world, "identify", {"email": " A@B.Example "})
    assert await mpid_of(world, "identify", {"email": "a@b.example"}) == spaced
    upper = await mpid_of(world, "login", {"customerid": "X1"})
    assert await mpid_of(world, "login", {"customerid": "x1"}) != upper


async def test_environments_are_apart(world: World) -> None:
    """spec/identity.md, worked case 14."""
    first = await mpid_of(world, "login", {"customerid": "c1"})
    other = await mpid_of(world, "login", {"customerid": "c1"}, environment="development")
    assert first != other
    assert await mpid_of(world, "search", {"customerid": "c1"}) == first


async def test_a_read_only_call_writes_nothing(world: World) -> None:
    """spec/identity.md, worked case 16."""
    stamp = {"device_application_stamp": "d-1"}
    unknown = await call(world, "identify?read_only=true", stamp)
    assert (unknown["mpid"], unknown["matched_identities"]) == ("0", {})
    await call(world, "search", stamp, 404)
    mpid = await mpid_of(world, "identify", stamp)
    assert await mpid_of(world, "identify?read_only=true", stamp | {"email": "a@b"}) == mpid
    await call(world, "search", {"email": "a@b"}, 404)


async def test_search_finds_and_never_creates(world: World) -> None:
    """spec/identity.md, worked cases 17 and 18."""
    for _ in range(3):
        error = await call(world, "search", {"email": "nobody@x"}, 404)
        assert error["Errors"][0]["code"] == "NOT_FOUND_ERROR"
        await call(world, "search?cb=1", {"email": "nobody@x"}, 404)
    mpid = await mpid_of(world, "login", {"customerid": "u-77"})
    assert await mpid_of(world, "search", {"customerid": "u-77"}) == mpid
    answer = await call(world, "identify?return_matches=false", {"customerid": "u-77"})
    assert answer["matched_identities"] == {}


async def test_what_the_priority_does_not_have_finds_nobody(world: World) -> None:
    """spec/identity.md, worked case 12 (`alias`) and row 13."""
    error = await call(world, "identify", {"alias": "a"}, 400)
    assert error["message"] == "knownIdentities has no identity of the identity priority."


async def test_a_logout_of_login_ids_only_looks_for_nothing(world: World) -> None:
    """spec/identity.md, 4.4, row 12."""
    error = await call(world, "logout", {"customerid": "c1"}, 400)
    assert (error["ErrorCode"], error["message"]) == ("LOOKUP_ERROR", "knownIdentities is empty.")


async def test_a_repeated_logout_is_one_logout(world: World) -> None:
    """spec/identity.md, worked case 24."""
    stamp = {"device_application_stamp": "d1"}
    retry = {"request_id": "z", "request_timestamp_ms": 5}
    first = await mpid_of(world, "logout", stamp, **retry)
    assert await mpid_of(world, "logout", stamp, **retry) == first
    second = await mpid_of(world, "logout", stamp, **retry | {"request_id": "y"})
    assert second != first
    assert await mpid_of(world, "identify", stamp) == second
    assert await mpid_of(world, "identify", stamp, previous_mpid=first) == first


async def test_modify_moves_a_unique_value(tmp_path: Path, shards: int) -> None:
    """spec/identity.md, worked case 21."""
    async with running(tmp_path, shards=shards, document=strategy("profile_link")) as world:
        first = await mpid_of(world, "login", {"customerid": "x", "email": "e1"})
        second = await mpid_of(world, "login", {"email": "e2"})
        assert first != second
        own = {"identity_type": "email", "modified_mpid": first}
        lost = {"identity_type": "email", "modified_mpid": second}
        change = ("email", "e1", "e2")
        assert await modify(world, first, change) == {"change_results": [own, lost]}
        assert await modify(world, first, change) == {"change_results": [own]}
        assert await mpid_of(world, "search", {"email": "e2"}) == first


async def test_modify_takes_only_what_it_can_change(world: World) -> None:
    """spec/identity.md, worked cases 22 and 26."""
    only_new = [{"identity_type": "email", "new_value": "new"}]
    mpid = await mpid_of(world, "login", {"customerid": "c1"})
    error = await modify(world, "12345", ("email", None, "a"), status=400)
    assert (error["ErrorCode"], error["message"]) == ("LOOKUP_ERROR", "MPID not found.")
    for new in ("c2", None):
        error = await modify(world, mpid, ("customerid", "c1", new), status=400)
        assert error["message"] == 'Identity type "customerid" is immutable.'
    await modify(world, mpid, ("customerid", "c1", "c1"))
    assert await modify(world, mpid) == {"change_results": []}
    assert await modify(world, mpid, ("email", None, None)) == {"change_results": []}
    await modify(world, mpid, ("device_application_stamp", None, "d1"), status=400)
    await modify(world, mpid, *[("email", None, None)] * 51, status=400)
    for path in ("abc", "0"):
        await modify(world, path, status=400)
    for changes, status in ((None, 400), ({}, 400), (only_new, 200)):
        sent: Any = {"environment": "production", "identity_changes": changes}
        response = await world.client.post(f"/v1/{mpid}/modify", json=sent, headers=KEY)
        assert response.status == status, await response.text()
    assert await lookup(world, "email", "new") == [mpid]


async def test_modify_never_creates(world: World) -> None:
    """spec/identity.md, worked case 23."""
    stamp = {"device_application_stamp": "d1"}
    mpid = await mpid_of(world, "identify", stamp)
    await modify(world, mpid, ("customerid", None, "c8"))
    login = await call(world, "login", {"customerid": "c8"})
    assert (login["mpid"], login["is_logged_in"]) == (mpid, True)
    assert await mpid_of(world, "identify", stamp) != mpid


async def test_login_takes_no_value_from_another(tmp_path: Path, shards: int) -> None:
    """spec/identity.md, worked case 25."""
    document = strategy(
        "profile_conversion",
        login_ids=["customerid", "email"],
        unique_ids=["customerid", "email"],
    )
    async with running(tmp_path, shards=shards, document=document) as world:
        first = await mpid_of(world, "login", {"customerid": "c1"})
        second = await mpid_of(world, "login", {"email": "e1"})
        assert await mpid_of(world, "search", {"email": "e1"}) == second
        assert await mpid_of(world, "login", {"customerid": "c1", "email": "e1"}) == first
        assert await mpid_of(world, "search", {"email": "e1"}) == second


async def test_under_isolation_a_login_needs_a_login_id(tmp_path: Path, shards: int) -> None:
    """spec/identity.md, table I, row I3, and 4.4, row 14."""
    async with running(tmp_path, shards=shards, document=strategy("profile_isolation")) as world:
        error = await call(world, "login", {"device_application_stamp": "d1"}, 400)
        assert error["message"] == (
            "ProfileIsolationStrategy login action is missing the login identity type."
        )


async def test_the_order_of_keys_means_nothing(world: World) -> None:
    """spec/identity.md, worked case 40."""
    known = {"customerid": "c1", "email": "e1", "other": "o1", "device_application_stamp": "d1"}
    first = await mpid_of(world, "login", known)
    turned = dict(reversed(known.items()))
    answer = await call(world, "identify", turned)
    assert (answer["mpid"], answer["matched_identities"]) == (first, known)


async def test_calls_and_batches_name_the_same_user(world: World) -> None:
    """spec/identity.md, 9; spec/clients.md, worked case 10."""
    mpid = await mpid_of(world, "login", {"customerid": "c1", "other2": "o"})
    await world.accept({"user_identities": {"customer_id": "c1", "other_id_2": "o"}, "events": []})
    await world.accept({"user_identities": {"customer_id": "c2"}, "events": []})
    assert await world.find("c1") == [int(mpid)]
    batch = await mpid_of(world, "search", {"customerid": "c2"})
    assert await world.find("c2") == [int(batch)]


async def test_a_compressed_call_with_basic_is_answered(world: World) -> None:
    """spec/identity.md, worked cases 4 and 5, the transport."""
    sent = gzip.compress(
        json.dumps({"environment": "production", "known_identities": {"customerid": "c1"}}).encode()
    )
    response = await world.post("/identity/v1/login", sent, "k2", {"Content-Encoding": "gzip"})
    assert response.status == 200
    assert (await response.json())["is_logged_in"] is True
