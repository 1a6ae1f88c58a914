"""What people get of what is known of them (spec/privacy.md, 5.1)."""

import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zipfile import ZipFile

import pytest

from actors import shard_exports
from actors.clock import ManualClock
from actors.privacy import exporting
from tests.signing import DOMAIN
from tests.whole.identities import mpid_of
from tests.whole.sent import DAY, batch, custom
from tests.whole.subject_requests import (
    MOMENT_MS,
    accepted,
    body,
    document,
    fulfil,
    status,
    submit,
)
from tests.whole.world import World, running

CUSTOMER = {"controller_customer_id": {"value": "zoe"}}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(MOMENT_MS)


@pytest.fixture
async def world(tmp_path: Path, clock: ManualClock) -> AsyncIterator[World]:
    privacy = {"include_profile_in_access": {"gdpr": True}}
    made = document(workspace={"privacy": privacy})
    async with running(tmp_path, document=made, clock=clock) as opened:
        yield opened


def asked(**members: Any) -> dict[str, Any]:
    return body(**{"subject_request_type": "access", "subject_identities": CUSTOMER} | members)


async def url_of(world: World, request_id: str) -> str:
    """Return where a result is, from the API's own host on."""
    shown = await status(world, request_id)
    assert shown["request_status"] == "completed"
    parts = urlsplit(shown["results_url"])
    return f"{parts.path}?{parts.query}"


async def fetched(world: World, request_id: str) -> dict[str, list[Any]]:
    """Return the files of a result, each as its lines."""
    response = await world.client.get(await url_of(world, request_id))
    assert (response.status, response.content_type) == (200, "application/zip")
    assert response.headers["Cache-Control"] == "no-store"
    with ZipFile(io.BytesIO(await response.read())) as archive:
        return {
            name: [json.loads(line) for line in archive.read(name).splitlines()]
            if name.endswith("l")
            else []
            for name in archive.namelist()
        }


async def test_case_9_access_is_given_on_mondays_and_thursdays(
    world: World, clock: ManualClock
) -> None:
    response = await submit(world, asked())
    assert (await response.json())["expected_completion_time"] == "2024-03-09T00:00:00Z"
    clock.advance(((14 * 60 + 30) * 60 + 1) * 1000 + 24 * 3_600_000)  # 2024-03-07T00:00:01Z
    other = asked(subject_request_type="portability")
    response = await submit(world, other)
    assert (await response.json())["expected_completion_time"] == "2024-03-13T00:00:00Z"


async def test_case_10_access_is_another_request_than_erasure(world: World) -> None:
    await accepted(world, body(subject_identities=CUSTOMER))
    await accepted(world, asked())
    assert (await submit(world, asked())).status == 409


async def test_a_result_has_the_profile_and_all_batches(world: World, clock: ManualClock) -> None:
    await world.accept(
        batch(
            "zoe",
            custom("Opened", MOMENT_MS, custom_attributes={"a": "1"}, session_id=7),
            user_attributes={"color": "red"},
            user_identities={"email": "zoe@example.test"},
            ip="192.0.2.7",
        )
    )
    await world.historical([batch("zoe", custom("Old", MOMENT_MS - 40 * DAY))])
    await world.accept(batch("bob", custom("Other")))
    zoe = await world.mpid("zoe")
    request_id = await accepted(world, asked(status_callback_urls=["https://h.example.com/x"]))
    await fulfil(world, clock, 3)
    files = await fetched(world, request_id)
    [profile] = files.pop("profile.jsonl")
    assert profile == {
        "id": str(zoe),
        "created_timestamp_ms": MOMENT_MS,
        "last_stored_timestamp_ms": MOMENT_MS,
        "is_opted_out": False,
        "limit_ad_tracking": None,
        "device_identities": [],
        "user_identities": [
            {"type": "customer_id", "encoding": "none", "value": "zoe"},
            {"type": "email", "encoding": "none", "value": "zoe@example.test"},
        ],
        "user_attributes": {"color": "red"},
        "audience_memberships": [],
        "consent_state": {},
        "account_userattributes": None,
    }
    [(name, [live, old])] = files.items()
    shard, _, number = name.removeprefix(f"{request_id}-").removesuffix(".jsonl").partition("-")
    assert (shard in {"0", "1"}, number) == (True, "0")
    assert live["mpid"] == str(zoe)
    assert live["timestamp_unixtime_ms"] == str(MOMENT_MS)
    assert live["user_identities"] == {"customer_id": "zoe", "email": "zoe@example.test"}
    assert live["ip"] == "192.0.2.7"
    [event] = live["events"]
    assert event["event_type"] == "custom_event"
    assert event["data"].pop("event_id").isdigit()
    assert event["data"]["event_name"] == "Opened"
    assert event["data"]["timestamp_unixtime_ms"] == str(MOMENT_MS)
    assert event["data"]["session_id"] == "7"
    assert [each["data"]["event_name"] for each in old["events"]] == ["Old"]
    assert old["source_info"]["is_historical"] is True
    told = [json.loads(each) for _, _, each in world.forwarders.posted]
    assert [each["results_url"] for each in told[:-1]] == [None] * (len(told) - 1)
    assert told[-1]["results_url"].startswith(f"https://{DOMAIN}/v3/requests/{request_id}/results")


async def test_profiles_are_left_out_where_the_regulation_is_not_set(
    world: World, clock: ManualClock
) -> None:
    await world.accept(batch("zoe", custom("Opened")))
    request_id = await accepted(world, asked(regulation="ccpa"))
    await fulfil(world, clock, 3)
    assert list(await fetched(world, request_id)) != []
    assert "profile.jsonl" not in await fetched(world, request_id)


async def test_case_21_nobody_is_found_nothing_is_known_and_results_expire(
    tmp_path: Path, clock: ManualClock
) -> None:
    async with running(tmp_path, document=document(), clock=clock) as world:
        nobody = await accepted(world, asked())
        mpid = {"mpid": {"value": "42"}}
        unknown = await accepted(world, asked(subject_identities=mpid))
        mpid = {"mpid": {"value": await mpid_of(world, "identify", {"customerid": "ann"})}}
        nothing = await accepted(world, asked(subject_identities=mpid))
        await fulfil(world, clock, 3)
        for request_id in (nobody, unknown):
            response = await world.client.get(await url_of(world, request_id))
            assert response.status == 404
        assert await fetched(world, nothing) == {"empty.txt": []}
        url = await url_of(world, nothing)
        for wrong in ("", "x", "\u20ac"):
            response = await world.client.get(url.split("?")[0], params={"token": wrong})
            assert response.status == 404
        await fulfil(world, clock, 6)
        assert (await world.client.get(url)).status == 200
        await fulfil(world, clock, 1)
        assert (await world.client.get(url)).status == 410
        assert list((tmp_path / "coordinator").rglob("*.zip")) == []


async def test_an_erasure_deletes_results_about_the_user(world: World, clock: ManualClock) -> None:
    await world.accept(batch("zoe", custom("Opened")))
    await world.accept(batch("bob", custom("Opened")))
    about_zoe = await accepted(world, asked())
    customer = {"controller_customer_id": {"value": "bob"}}
    about_bob = await accepted(world, asked(subject_identities=customer))
    await fulfil(world, clock, 3)
    request = body(subject_identities=CUSTOMER, skip_waiting_period=True)
    request_id = await accepted(world, request)
    await fulfil(world, clock, 1)
    assert (await status(world, request_id))["request_status"] == "completed"
    assert (await world.client.get(await url_of(world, about_zoe))).status == 410
    assert (await world.client.get(await url_of(world, about_bob))).status == 200


async def test_large_results_are_made_of_parts(
    world: World, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shard_exports, "PAGE_BATCHES", 2)
    monkeypatch.setattr(exporting, "PART_BYTES", 1500)
    for each in range(11):
        await world.accept(batch("zoe", custom(f"E{each}")))
    request_id = await accepted(world, asked())
    await fulfil(world, clock, 3)
    files = await fetched(world, request_id)
    del files["profile.jsonl"]
    assert len(files) > 1
    events = [line["events"][0]["data"]["event_name"] for each in files.values() for line in each]
    assert sorted(events) == sorted(f"E{each}" for each in range(11))


async def test_the_token_of_a_result_is_right_if_the_comparison_in_constant_time_says_so(
    world: World, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """README, Security; the other secrets: `tests/server/test_constant_time.py`."""
    await world.accept(batch("zoe", custom("Opened")))
    request_id = await accepted(world, asked())
    await fulfil(world, clock, 3)
    url = await url_of(world, request_id)
    with monkeypatch.context() as patched:
        patched.setattr("actors.privacy.results.compare_digest", lambda one, other: False)
        assert (await world.client.get(url)).status == 404
    assert (await world.client.get(url)).status == 200
