"""Reading profiles: the Profile API and the client endpoint, worked cases 14 to 19, 24 and 25."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from actors.clock import ManualClock
from tests.whole.sent import DAY, batch, custom, event
from tests.whole.world import DOCUMENT, SECRETS, WEB_KEY, T, World, basic, changed, running

EVERY_FIELD = (
    "device_identities,user_identities,user_attributes,audience_memberships,attribution,"
    "consent_state"
)
SOURCE = {"publisher": "Pub", "campaign": "Spring"}
STAMP = "0b6f2c1e-7d43-4a8e-9c55-1f2e3d4c5b6a"
IDFV = "22222222-2222-3333-4444-555555555555"
UUID = "33333333-2222-3333-4444-555555555555"


async def read(world: World, mpid: int | str, query: str = "fields=user_attributes") -> Any:
    """GET a profile with a query as it is."""
    path = f"/userprofile/v1/1/1/1/{mpid}" + (f"?{query}" if query else "")
    return await world.client.get(path, headers=await world.token())


@pytest.mark.parametrize(
    ("query", "status"),
    [
        pytest.param("", 400, id="no fields"),
        pytest.param("fields=", 400, id="empty"),
        pytest.param("fields=user_attributes,foo", 400, id="an unknown one"),
        pytest.param("fields=User_Attributes", 400, id="of another case"),
        pytest.param("fields=%20user_attributes%20,user_attributes", 200, id="spaces, twice"),
    ],
)
async def test_case_14_fields(world: World, query: str, status: int) -> None:
    """spec/profiles.md, worked case 14."""
    await world.accept(batch("c-1", user_attributes={"a": "1"}))
    response = await read(world, await world.mpid("c-1"), query)
    assert response.status == status
    if status == 200:
        body = await response.json()
        assert body["user_attributes"] == {"a": "1"}
        assert body["account_userattributes"] is None
        assert "user_identities" not in body
    else:
        [error] = (await response.json())["errors"]
        assert error["code"] == "BAD_REQUEST"


async def test_case_15_who_may_read(world: World, clock: ManualClock) -> None:
    """spec/profiles.md, worked case 15."""
    await world.accept(batch("c-1", custom()))
    path = f"/userprofile/v1/1/1/1/{await world.mpid('c-1')}?fields=user_identities"
    token = await world.token()
    statuses = [
        (await world.client.get(path)).status,
        (await world.client.get(path, headers={"Authorization": "Bearer nonsense"})).status,
        (await world.client.get(path.replace("/1/1/1/", "/1/1/2/"), headers=token)).status,
        (await world.client.get(path, headers=await world.token("viewer"))).status,
        (await world.client.get(path, headers=token)).status,
    ]
    assert statuses == [401, 401, 403, 403, 200]
    clock.advance(28_799_000)
    assert (await world.client.get(path, headers=token)).status == 200
    clock.advance(1000 + 60_000)  # clocks may differ by a minute (spec/platform-api.md, 2)
    assert (await world.client.get(path, headers=token)).status == 401


async def test_case_16_a_profile_is_found_by_an_immutable_identity(world: World) -> None:
    """spec/profiles.md, worked case 16."""
    await world.accept(batch("c-1", custom(), user_identities={"email": "ann@example.com"}))
    found = await world.resolve("c-1")
    assert found.status == 200
    by_mpid = await world.profile("c-1", "user_identities,user_attributes")
    assert await found.json() == by_mpid
    assert (await world.resolve("ann@example.com", identity_type="email")).status == 400
    assert (await world.resolve("none")).status == 404
    assert await world.find("none") == []


async def test_post_reads_like_get_and_other_methods_do_not_exist(world: World) -> None:
    """spec/profiles.md, 7.2 and 7.4."""
    await world.accept(batch("c-1", user_attributes={"a": "1"}))
    path = f"/userprofile/v1/1/1/1/{await world.mpid('c-1')}?fields=user_attributes"
    token = await world.token()
    read_by = [
        await world.client.get(path, headers=token),
        await world.client.post(path, headers=token),
        await world.client.post(path, headers=token, data=b"not json"),
    ]
    assert [response.status for response in read_by] == [200] * 3
    bodies = [await response.json() for response in read_by]
    assert bodies[0] == bodies[1] == bodies[2]
    assert (await world.client.put(path, headers=token)).status == 405


@pytest.mark.parametrize(
    ("mpid", "status"),
    [
        ("9223372036854775808", 400),
        ("-9223372036854775809", 400),
        ("abc", 400),
        ("9223372036854775807", 404),
        ("12345", 404),
    ],
)
async def test_case_18_the_range_of_mpids(world: World, mpid: str, status: int) -> None:
    """spec/profiles.md, worked case 18."""
    assert (await read(world, mpid)).status == status


@pytest.mark.parametrize("mpid", [-9_223_372_036_854_775_807, -1, 1, 2**53 + 1, 2**63 - 1])
async def test_case_18_every_digit_of_an_mpid_is_kept(world: World, mpid: int) -> None:
    """spec/profiles.md, worked case 18, with MPIDs that the sender names."""
    await world.accept(batch(None, custom(), mpid=mpid, user_attributes={"a": "1"}))
    response = await read(world, mpid)
    assert response.status == 200
    assert f'"mpid":{mpid},' in (await response.text()).replace(" ", "")
    assert (await response.json())["user_attributes"] == {"a": "1"}
    assert await world.find(str(mpid)) == [mpid]


async def test_case_19_the_rate_is_limited_by_account(world: World, clock: ManualClock) -> None:
    """spec/profiles.md, worked case 19. The clock stands still, so exactly the burst passes."""
    await world.accept(batch("c-1", custom()))
    path = f"/userprofile/v1/1/1/1/{await world.mpid('c-1')}?fields=user_identities"
    token = await world.token()
    responses = await asyncio.gather(*(world.client.get(path, headers=token) for _ in range(100)))
    assert Counter(response.status for response in responses) == {200: 30, 429: 70}
    for response in responses:
        if response.status == 200:
            assert 0 <= int(response.headers["X-mp-rate-limit-percentage-used"]) <= 100
        else:
            assert int(response.headers["Retry-After"]) >= 0
            assert response.headers["X-mp-rate-limit-exceeded"] == "account"
    await world.accept(batch("c-1", custom()))  # ingestion has limits of its own
    clock.advance(1000)
    again = [await world.client.get(path, headers=token) for _ in range(16)]
    assert Counter(response.status for response in again) == {200: 15, 429: 1}


async def test_requested_but_empty_is_empty_not_null(world: World) -> None:
    """spec/profiles.md, 7.3."""
    await world.accept(batch(None, custom(), mpid=77))
    profile = await world.profile(77, EVERY_FIELD)
    shown = {name: profile[name] for name in EVERY_FIELD.split(",")}
    assert shown == {
        "device_identities": [],
        "user_identities": [],
        "user_attributes": {},
        "audience_memberships": [],
        "attribution": [],
        "consent_state": {},
    }
    assert profile["account_userattributes"] is None


async def test_every_field_of_a_full_profile(world: World, clock: ManualClock) -> None:
    """spec/profiles.md, 7.3: devices most recently seen first, identities by type."""
    idfa = "11111111-2222-3333-4444-555555555555"
    consent = {"ccpa": {"data_sale_opt_out": {"consented": True, "timestamp_unixtime_ms": 5}}}
    await world.accept(
        batch(
            "c-1",
            custom("attribution", custom_event_type="attribution", custom_attributes=SOURCE),
            user_identities={"email": "Ann@Example.com", "other_id_2": "o2"},
            device_info={
                "platform": "iOS",
                "ios_advertising_id": idfa,
                "ios_idfv": IDFV,
                "limit_ad_tracking": True,
            },
            consent_state=consent,
            user_attributes={"$age": 30},
        )
    )
    clock.advance(DAY)
    web = {"platform": "web", "android_uuid": UUID}
    await world.accept(batch("c-1", custom(), device_info=web, mp_deviceid=STAMP))
    profile = await world.profile("c-1", EVERY_FIELD)
    assert profile["limit_ad_tracking"] is True
    assert profile["user_identities"] == [
        {"type": "customer_id", "encoding": "none", "value": "c-1"},
        {"type": "email", "encoding": "none", "value": "Ann@Example.com"},
        {"type": "other_id_2", "encoding": "none", "value": "o2"},
    ]
    assert profile["device_identities"] == [
        {"type": "android_id", "encoding": "none", "value": UUID},
        {"type": "ios_advertising_id", "encoding": "none", "value": idfa},
        {"type": "ios_vendor_id", "encoding": "none", "value": IDFV},
    ]
    [install] = profile["attribution"]
    assert (install["event"], install["publisher"], install["campaign"]) == (
        "install",
        "Pub",
        "Spring",
    )
    opt_out = profile["consent_state"]["ccpa"]["data_sale_opt_out"]
    assert (opt_out["consented"], opt_out["timestamp_unixtime_ms"]) == (True, 5)
    assert profile["user_attributes"] == {"$age": "30"}


async def test_case_24_the_client_endpoint(tmp_path: Path) -> None:
    """spec/profiles.md, worked case 24, as long as there are no audiences."""
    document = changed(DOCUMENT, workspace={"client_audience_api": True})
    async with running(tmp_path, document=document) as world:
        await world.accept(batch("c-1", custom()))
        mpid = await world.mpid("c-1")
        answer = await world.client.get(f"/v1/{WEB_KEY}/audience?mpid={mpid}")
        assert answer.status == 200
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        body = await answer.json()
        assert body.pop("id")
        assert body == {"dt": "cam", "ct": T, "audience_memberships": []}
        statuses = [
            (await world.client.get(f"/v1/{key}/audience{query}")).status
            for key, query in (
                (WEB_KEY, "?mpid=4411"),
                ("kx-no-such-key", f"?mpid={mpid}"),
                (WEB_KEY, "?mpid=abc"),
                (WEB_KEY, ""),
            )
        ]
        assert statuses == [200, 401, 400, 400]


async def test_case_24_the_client_endpoint_is_off_by_default(world: World) -> None:
    """spec/profiles.md, worked case 24."""
    assert (await world.client.get(f"/v1/{WEB_KEY}/audience?mpid=4411")).status == 403


async def test_identities_beside_an_mpid_are_not_the_profiles(world: World) -> None:
    """spec/README.md, where pages disagree: kept with the event and forwarded, nothing more."""
    await world.accept(batch("c-9", custom(), mpid=4411))
    assert (await world.profile(4411, "user_identities"))["user_identities"] == []
    assert await world.find("c-9") == []
    [item] = await world.timeline(4411)
    assert item["user_identities"] == {"customer_id": "c-9"}
    [outgoing] = world.outgoing()
    assert [each["identity"] for each in outgoing["user_identities"]] == ["c-9"]


async def test_a_profile_of_another_workspaces_path_is_forbidden(world: World) -> None:
    """spec/profiles.md, 7.4: the three ids belong together."""
    token = await world.token()
    for path in ("2/1/1", "1/2/1", "1/1/2"):
        url = f"/userprofile/v1/{path}/4411?fields=user_identities"
        assert (await world.client.get(url, headers=token)).status == 403
    assert (
        await world.client.get("/userprofile/v1/1/x/1/1?fields=attribution", headers=token)
    ).status == 400
    basic_auth = basic(SECRETS["k1"])
    response = await world.client.get(
        "/userprofile/v1/1/1/1/1?fields=attribution", headers=basic_auth
    )
    assert response.status == 401


async def test_an_uninstall_is_attribution_too(world: World) -> None:
    """spec/profiles.md, 2.2."""
    await world.accept(batch("c-1", event("uninstall", timestamp_unixtime_ms=T - DAY)))
    [uninstall] = (await world.profile("c-1"))["attribution"]
    assert (uninstall["event"], uninstall["timestamp_ms"]) == ("uninstall", T - DAY)
