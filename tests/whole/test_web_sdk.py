"""What the web SDK needs beside identity calls (spec/clients.md, 4)."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from actors.clock import ManualClock
from tests.whole.test_identity_web_sdk import AFTER_RECORDING, KEY, RECORDED, WEB_INPUT, Session
from tests.whole.test_recorded import missing
from tests.whole.world import World, changed, running

CONFIG = f"/JS/v2/{KEY}/config"
MODEL = b"window.mParticle={init:function(key,config){window.started=[key,config];}};"


@pytest.fixture
def document() -> dict[str, Any]:
    return WEB_INPUT


async def config(world: World, path: str = CONFIG, **query: str) -> dict[str, Any]:
    response = await world.client.get(path, params=query)
    assert response.status == 200
    assert response.content_type == "application/json"
    assert response.headers["Cache-Control"] == "max-age=300"
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    answer: dict[str, Any] = await response.json()
    return answer


async def test_a_page_is_told_how_to_work(tmp_path: Path) -> None:
    """Worked case 8."""
    tokens = []
    for _ in range(2):
        async with running(tmp_path, document=WEB_INPUT) as world:
            answer = await config(world, env="1")
            tokens.append(answer["workspaceToken"])
            assert answer["appName"] == "Web"
            assert (answer["kitConfigs"], answer["pixelConfigs"]) == ([], [])
            assert answer["dataPlanResult"] is None
            assert answer["flags"] == {
                "eventsV3": "100",
                "eventBatchingIntervalMillis": "5000",
                "offlineStorage": "100",
                "reportBatching": False,
                "directURLRouting": "False",
                "cacheIdentity": "False",
                "audienceAPI": "False",
                "astBackgroundEvents": "True",
                "captureIntegrationSpecificIds": "False",
                "captureIntegrationSpecificIds.V2": "none",
            }
            planned = await config(world, plan_id="nope")
            assert isinstance(planned["dataPlanResult"]["error_message"], str)
            for key in ("unknown", "k2-ios-app"):
                response = await world.client.get(f"/JS/v2/{key}/config")
                assert (response.status, await response.json()) == (401, {})
    assert tokens[0] == tokens[1]
    assert len(tokens[0]) == 8
    assert tokens[0] == tokens[0].upper()


async def test_a_path_is_found_in_all_its_spellings(tmp_path: Path) -> None:
    """Worked case 4."""
    async with running(tmp_path, document=WEB_INPUT) as world:
        first = await config(world)
        for path in (f"/js/v2/{KEY}/config", f"/tags/JS/v2/{KEY}/config", CONFIG + "/"):
            assert await config(world, path) == first
        assert (await world.client.get(f"/{KEY}/events")).status == 404


async def test_the_workspace_decides_on_settings(tmp_path: Path) -> None:
    own = {
        "client_audience_api": True,
        "client_sdks": {"event_batching_interval_ms": 0, "cache_identity": True},
    }
    async with running(tmp_path, document=changed(WEB_INPUT, workspace=own)) as world:
        flags = (await config(world))["flags"]
        assert flags["audienceAPI"] == "True"
        assert flags["eventBatchingIntervalMillis"] == "0"
        assert flags["cacheIdentity"] == "True"


async def test_the_sdk_itself_is_served_from_its_file(tmp_path: Path) -> None:
    """Worked case 17."""
    path = f"/js/v2/{KEY}/mparticle.js"
    async with running(tmp_path / "without", document=WEB_INPUT) as world:
        response = await world.client.get(path)
        assert (response.status, response.content_type) == (404, "text/javascript")
    file = tmp_path / "mparticle.js"
    file.write_bytes(MODEL)
    async with running(tmp_path / "with", document=WEB_INPUT, web_sdk_file=file) as world:
        for each in (path, "/tags" + path):
            response = await world.client.get(each)
            assert response.status == 200
            assert response.headers["Content-Type"] == "text/javascript; charset=utf-8"
            assert response.headers["Cache-Control"] == "max-age=3600"
            body = await response.read()
            assert MODEL in body
            assert f'init("{KEY}",'.encode() in body
            assert b'"requestConfig":false' in body
            host = f"{world.client.host}:{world.client.port}"
            assert f'"identityUrl":"{host}/v1/"'.encode() in body
        tag = {"If-None-Match": response.headers["ETag"]}
        assert (await world.client.get("/tags" + path, headers=tag)).status == 304
        assert (await world.client.get("/js/v2/unknown/mparticle.js")).status == 401


async def test_what_kits_have_forwarded_is_counted(tmp_path: Path) -> None:
    """Section 4.6."""
    async with running(tmp_path, document=WEB_INPUT) as world:
        one, many = {"mid": 7, "n": "E"}, {"uuid": "u", "data": [{"mid": 7}, {"mid": "x"}, 5]}
        for path, body in [
            (f"/v1/JS/{KEY}/Forwarding", one),
            (f"/v2/JS/{KEY}/Forwarding", many),
            (f"/webevents/v2/js/{KEY}/Forwarding", {"data": 3}),
        ]:
            response = await world.client.post(path, data=json.dumps(body))
            assert (response.status, await response.read()) == (202, b"")
        labels = {"workspace": "w1", "input": "web"}
        name = "headwater_client_forwarded_total"
        assert world.count(name, **labels, module="7") == 2
        assert world.count(name, **labels, module="other") == 2
        assert (await world.client.post("/v1/JS/unknown/Forwarding", json={})).status == 403


@pytest.mark.parametrize("shards", [1, 3], ids=["1 shard", "3 shards"])
async def test_all_that_was_recorded_of_a_page_is_accepted(tmp_path: Path, shards: int) -> None:
    """Worked case 16."""
    lines = [json.loads(line) for line in RECORDED.read_text().splitlines()]
    document = deepcopy(changed(WEB_INPUT, workspace={"client_audience_api": True}))
    document["workspace"]["regulations"]["gdpr"]["purposes"] = ["analytics", "ads"]
    clock = ManualClock(AFTER_RECORDING)
    sent: list[tuple[str, dict[str, Any]]] = []
    async with running(tmp_path, shards=shards, document=document, clock=clock) as world:
        session = Session(world)
        for line in lines:
            response, body = await session.replay(line)
            if line["call"] == "wrong key":
                assert response.status == 401
                continue
            assert response.status in (200, 202, 204), (line["call"], await response.text())
            if line["call"] == "getUserAudiences":
                assert (await response.json())["audience_memberships"] == []
            sent += [(line["call"], each["data"]) for each in body.get("events") or ()]
        profile = await world.profile(await world.mpid_in("cust-3003", "development"))
        attributes = profile["user_attributes"]
        assert attributes["plan"] == "plus"
        assert attributes["colors"] == ["red", "teal"]
        assert attributes["vip"] is None
        assert attributes["visits"] == "7"
        assert "temp" not in attributes
        consent = profile["consent_state"]
        assert consent["gdpr"]["analytics"]["consented"] is True
        assert consent["gdpr"]["ads"]["consented"] is False
        assert consent["ccpa"]["data_sale_opt_out"]["consented"] is True
        stored = {
            event.data["source_message_id"]: event.data
            for batch in world.log()
            for event in batch.batch.events
        }
        lacks = [
            lack
            for call, data in sent
            for lack in missing(data, stored[data["source_message_id"]], call)
        ]
        # A number of the SDK has become the name that it means.
        assert lacks == ["eCommerce.promotion_action.action: 2, not 'click'"]
        assert len(stored) == len(sent)
