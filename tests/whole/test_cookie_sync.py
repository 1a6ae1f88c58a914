"""Cookie sync: what pages are told, and what partners answer (spec/connections.md, 8)."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse

from actors.clock import ManualClock
from config.cookie_sync import sdk_hash
from server.routes.cookie_sync import SYNCS_PER_S
from tests.whole.test_configuration_api import ask
from tests.whole.world import DOCUMENT, WEB_KEY, World, changed, named, running, serving

RULE = {
    "kind": "consent",
    "action": "exclude",
    "purposes": [
        {"regulation": "gdpr", "purpose": "location", "has_consented": False},
        {"regulation": "ccpa", "purpose": "data_sale_opt_out", "has_consented": True},
    ],
}
SETTINGS = {
    "pixel_url": "https://partner.example.com/sync?user=%%mpid%%&to=",
    "redirect_url": "https://cdp.example.com/v1/cookiesync/2?mpid=%%mpid%%&id=$ID",
}


def with_pixel(document: dict[str, Any], suffix: str = "", **connection: Any) -> dict[str, Any]:
    """Add an image, number 2 of the outputs, that pages of the web input load."""
    output = {
        "id": f"partner{suffix}",
        "kind": "cookie_sync",
        "module": "pixel",
        "name": "Partner",
        "settings": SETTINGS,
    }
    joined = {"id": f"sync{suffix}", "input": "web", "output": output["id"], **connection}
    return changed(
        document,
        outputs=[*document["outputs"], output],
        connections=[*document["connections"], joined],
        workspace={
            "regulations": {
                "gdpr": {"enabled": True, "purposes": ["location"]},
                "ccpa": {"enabled": True},
            }
        },
    )


@pytest.fixture
async def world(tmp_path: Path, clock: ManualClock) -> AsyncIterator[World]:
    async with running(tmp_path, document=with_pixel(DOCUMENT), clock=clock) as world:
        yield world


async def pixels(world: World, **query: str) -> list[dict[str, Any]]:
    response = await world.client.get(f"/JS/v2/{WEB_KEY}/config", params=query)
    assert response.status == 200
    configs: list[dict[str, Any]] = (await response.json())["pixelConfigs"]
    return configs


async def test_a_page_is_told_of_the_image(world: World) -> None:
    assert await pixels(world) == [
        {
            "name": "Partner",
            "moduleId": 2,
            "esId": 5,
            "isDebug": True,
            "isProduction": True,
            "settings": {},
            "frequencyCap": 14,
            "pixelUrl": SETTINGS["pixel_url"],
            "redirectUrl": SETTINGS["redirect_url"],
        }
    ]


async def test_its_consent_rule_is_told_in_hashes(tmp_path: Path) -> None:
    """Section 2.3."""
    document = with_pixel(DOCUMENT, forwarding_rules=[RULE])
    async with running(tmp_path, document=document) as world:
        [pixel] = await pixels(world)
        assert pixel["filteringConsentRuleValues"] == {
            "includeOnMatch": False,
            "values": [
                {"consentPurpose": str(sdk_hash("1location")), "hasConsented": False},
                {"consentPurpose": str(sdk_hash("2data_sale_opt_out")), "hasConsented": True},
            ],
        }


async def test_each_environment_has_its_own(tmp_path: Path) -> None:
    document = with_pixel(DOCUMENT)
    elsewhere = {"pixel_url": "https://test.example.com/", "frequency_cap_days": 1}
    document["outputs"][-1]["environments"] = {"development": {"settings": elsewhere}}
    async with running(tmp_path / "both", document=document) as world:
        [tested] = await pixels(world, env="1")
        assert (tested["pixelUrl"], tested["frequencyCap"]) == ("https://test.example.com/", 1)
        [live] = await pixels(world, env="0")
        assert (live["pixelUrl"], live["frequencyCap"]) == (SETTINGS["pixel_url"], 14)
    document["outputs"][-1]["environments"] = {"development": {"enabled": False}}
    async with running(tmp_path / "live", document=document) as world:
        assert await pixels(world, env="1") == []
        [live] = await pixels(world, env="0")
        assert (live["isDebug"], live["isProduction"]) == (False, True)


async def test_what_is_not_connected_is_not_told(tmp_path: Path) -> None:
    document = with_pixel(DOCUMENT, active=False)
    async with running(tmp_path, document=document) as world:
        assert await pixels(world) == []


ANN: dict[str, Any] = {"user_identities": {"customer_id": "ann"}}
EVENT = {"event_type": "custom_event", "data": {"event_name": "E", "custom_event_type": "other"}}


async def sync(world: World, mpid: object, partner_id: str, module: str = "2") -> ClientResponse:
    return await world.client.get(
        f"/v1/cookiesync/{module}", params={"mpid": str(mpid), "id": partner_id}
    )


async def known_id(world: World, environment: str = "production") -> str | None:
    """Return what the partner calls Ann, by the last of her batches that says so."""
    mpid = await world.mpid_in("ann", environment)
    names = [
        each.batch.partner_identities["$cookie_sync_id"]
        for each in world.log()
        if each.mpid == mpid and each.batch.partner_identities
    ]
    return names[-1] if names else None


async def test_nothing_is_queued_for_an_image(world: World) -> None:
    await world.accept(ANN | {"events": [EVENT]}, key="kw")
    assert len(world.outgoing()) == 1
    for shard in world.shards:
        assert list(shard.outbox.read_outbox(5, 0, 10, 2**20)) == []


async def test_a_partner_names_its_id(world: World) -> None:
    await world.accept(ANN)
    for partner_id in ("first", "p/1 & more", "x" * 256):
        response = await sync(world, await world.mpid("ann"), partner_id)
        assert (response.status, response.content_type) == (200, "image/gif")
        assert response.headers["Cache-Control"] == "no-store"
        assert await known_id(world) == partner_id


async def test_a_user_of_the_development_environment_is_known_there(world: World) -> None:
    for environment in ("production", "development"):
        await world.accept(ANN | {"environment": environment})
    await sync(world, await world.mpid_in("ann", "development"), "mine")
    assert await known_id(world, "development") == "mine"
    assert await known_id(world) is None


async def test_what_is_not_known_changes_nothing(world: World) -> None:
    await world.accept(ANN)
    mpid = await world.mpid("ann")
    stored = len(world.log())
    for unknown, module in [
        (mpid, "1"),
        (mpid, "99"),
        (mpid, "x"),
        (1, "2"),
        ("", "2"),
        ("x", "2"),
    ]:
        response = await sync(world, unknown, "p", module)
        assert (response.status, response.content_type) == (200, "image/gif")
    assert (await sync(world, mpid, "")).status == 200
    query = {"mpid": str(mpid), "id": "p"}
    assert (await world.client.head("/v1/cookiesync/2", params=query)).status == 200
    assert len(world.log()) == stored
    assert await known_id(world) is None


async def test_an_id_that_is_too_long_is_refused(world: World) -> None:
    await world.accept(ANN)
    assert (await sync(world, await world.mpid("ann"), "x" * 257)).status == 400
    assert await known_id(world) is None


async def test_more_than_so_many_a_second_are_refused(world: World, clock: ManualClock) -> None:
    """And take nothing of the rate of the input's batches; unknown modules are not even counted."""
    await world.accept(ANN)
    mpid = await world.mpid("ann")
    for _ in range(2):
        for _ in range(SYNCS_PER_S):
            assert (await sync(world, 1, "p")).status == 200
        response = await sync(world, mpid, "p")
        assert (response.status, response.headers["Retry-After"]) == (429, "1")
        assert (await sync(world, mpid, "p", "99")).status == 200
        assert await known_id(world) is None
        clock.advance(1000)
    await world.accept(ANN, key="kw")
    assert (await sync(world, mpid, "p")).status == 200
    assert await known_id(world) == "p"


async def test_the_image_of_another_workspace_is_found(tmp_path: Path) -> None:
    """No key is in the path: the user tells which workspace is meant."""
    documents = [with_pixel(named("w1")), with_pixel(named("w2"), "-w2")]
    async with serving(tmp_path, documents) as [first, second]:
        for each in (first, second):
            await each.accept(ANN)
        assert (await sync(first, await second.mpid("ann"), "p2")).status == 200
        assert await known_id(second) == "p2"
        assert await known_id(first) is None


async def test_an_answer_that_two_workspaces_could_mean_is_stored_in_neither(
    tmp_path: Path,
) -> None:
    """They share their users, and output 2 of each is another partner's."""
    documents = [with_pixel(named("w1", "s")), with_pixel(named("w2", "s"), "-w2")]
    async with serving(tmp_path, documents) as [first, second]:
        await first.accept(ANN)
        mpid = await first.mpid("ann")
        await sync(first, mpid, "p1")
        assert await known_id(first) == "p1"
        await second.accept(ANN)
        assert await second.mpid("ann") == mpid
        stored = len(first.log()) + len(second.log())
        response = await sync(first, mpid, "p2")
        assert (response.status, response.content_type) == (200, "image/gif")
        assert len(first.log()) + len(second.log()) == stored


async def test_there_is_no_forwarder_to_be_told_of_a_purge(world: World) -> None:
    status, _ = await ask(world, "DELETE", "/output-connections/sync/queue")
    assert (status, world.forwarders.reread_outputs) == (204, [])
