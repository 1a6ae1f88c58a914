from typing import Any

import pytest

from tests.actors.batches.support import (
    FEED,
    IOS,
    RESTRICTED,
    context,
    decoded,
    paths,
    workspace,
)

IDFA = "11111111-2222-4333-8444-555555555555"


def test_device_info_is_coerced_and_unknown_members_are_dropped() -> None:
    sent = {
        "brand": "b",
        "os_version": 17.1,
        "screen_height": "2556",
        "timezone_offset": 5.5,
        "is_tablet": "false",
        "limit_ad_tracking": None,
        "platform": "ANDROID",
        "ios_idfv": IDFA.upper(),
        "foo": 1,
    }
    assert decoded({"device_info": sent}).device_info == {
        "brand": "b",
        "os_version": "17.1",
        "screen_height": 2556,
        "timezone_offset": 5.5,
        "is_tablet": False,
        "platform": "Android",
        "ios_idfv": IDFA,
    }


def test_application_info_is_coerced() -> None:
    sent = {
        "application_name": "Shop",
        "os": "ios",
        "sideloaded_kits_count": 0,
        "apple_search_ads_attributes": {"v": {"id": 5}},
        "foo": 1,
    }
    assert decoded({"application_info": sent}).application_info == {
        "application_name": "Shop",
        "os": "IOS",
        "sideloaded_kits_count": 0,
        "apple_search_ads_attributes": {"v": {"id": "5"}},
    }


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"device_info": []}, "device_info"),
        ({"device_info": {"platform": "toaster"}}, "device_info.platform"),
        ({"device_info": {"screen_width": {}}}, "device_info.screen_width"),
        ({"application_info": {"os": "BeOS"}}, "application_info.os"),
        (
            {"application_info": {"apple_search_ads_attributes": {"v": 5}}},
            "application_info.apple_search_ads_attributes.v",
        ),
    ],
)
def test_a_wrong_value_refuses_the_batch(body: dict[str, Any], path: str) -> None:
    assert paths(body) == [path]


def test_the_platform_is_by_default_that_of_the_input() -> None:
    """spec/events-api.md, 10.1."""
    assert decoded({}, context(IOS)).device_info == {"platform": "iOS"}
    assert decoded({}, context(FEED)).device_info == {}


def test_an_apple_device_gets_the_default_tracking_status() -> None:
    """spec/events-api.md, 10.1."""
    denying = workspace(att_default="denied")
    device = decoded({}, into=denying).device_info
    assert device["att_authorization_status"] == "denied"
    sent = {"device_info": {"att_authorization_status": "authorized"}}
    assert decoded(sent, into=denying).device_info["att_authorization_status"] == "authorized"
    android = decoded({"device_info": {"platform": "Android"}}, into=denying).device_info
    assert "att_authorization_status" not in android


@pytest.mark.parametrize(
    ("extra", "is_kept"),
    [
        ({}, True),
        ({"limit_ad_tracking": False}, True),
        ({"limit_ad_tracking": True}, False),
        ({"att_authorization_status": "authorized"}, True),
        ({"att_authorization_status": "not_determined"}, False),
    ],
)
def test_an_input_may_drop_advertising_ids_of_the_untracked(
    extra: dict[str, Any], is_kept: bool
) -> None:
    """spec/connections.md, 1.1."""
    body = {"device_info": {"ios_advertising_id": IDFA, "ios_idfv": IDFA} | extra}
    batch = decoded(body, context(RESTRICTED))
    assert ("ios_advertising_id" in batch.device_info) is is_kept
    assert batch.device_info["ios_idfv"] == IDFA
    assert batch.drops == ([] if is_kept else ["limited_ad_tracking"])
    assert "ios_advertising_id" in decoded(body, context(IOS)).device_info
