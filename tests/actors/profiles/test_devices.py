"""Devices: keys, fields, identities, push tokens and the limit on their number."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from actors.model.profiles import Device, Profile
from actors.model.workspaces import Limits
from tests.actors.profiles.builders import (
    DAY,
    NOW,
    STAMP,
    WORKSPACE,
    apply,
    batch,
    context,
    event,
    historical,
    new_profile,
    section,
)

ID = "9f0e1d2c-3b4a-4958-8776-655443322110"
ZERO = "00000000-0000-0000-0000-000000000000"


def _device(profile: Profile) -> Device:
    [device] = section(profile).devices.values()
    return device


@pytest.mark.parametrize(
    ("stamp", "info", "key"),
    [
        pytest.param(STAMP, {"ios_idfv": ID}, STAMP, id="the application stamp"),
        pytest.param(
            None,
            {"ios_advertising_id": ID, "ios_idfv": STAMP},
            f"ios_advertising_id:{ID}",
            id="else an advertising id",
        ),
        pytest.param(
            None,
            {"android_advertising_id": ID, "android_uuid": "u"},
            f"google_advertising_id:{ID}",
            id="under the profile's name",
        ),
        pytest.param(
            None,
            {"ios_advertising_id": ZERO, "ios_idfv": ID},
            f"ios_vendor_id:{ID}",
            id="else the vendor id; zeros name nobody",
        ),
        pytest.param(None, {"android_uuid": "u"}, "android_id:u", id="else the android id"),
        pytest.param(None, {"amp_id": "a", "os_version": "17"}, None, id="else there is none"),
        pytest.param(None, {"android_uuid": ""}, None, id="an empty id is none"),
    ],
)
def test_a_device_is_known_by_the_first_thing_that_names_it(
    stamp: str | None, info: dict[str, Any], key: str | None
) -> None:
    """spec/profiles.md, 2.3."""
    profile = new_profile()
    update = apply(profile, batch(mp_deviceid=stamp, device_info=info))
    assert update.device_key == key
    assert list(section(profile).devices) == ([] if key is None else [key])


def test_identities_are_kept_by_public_name_and_apart_from_fields() -> None:
    """spec/profiles.md, 2.3: wire name to identity type."""
    sent = {
        "ios_idfv": "1",
        "ios_advertising_id": "2",
        "android_advertising_id": "3",
        "android_uuid": "4",
        "amp_id": "5",
        "roku_publisher_id": "6",
        "fire_advertising_id": ZERO,
        "microsoft_publisher_id": "",
    }
    profile = new_profile()
    apply(profile, batch(mp_deviceid=STAMP, device_info={**sent, "platform": "iOS"}))
    device = _device(profile)
    assert device.identities == {
        "ios_vendor_id": "1",
        "ios_advertising_id": "2",
        "google_advertising_id": "3",
        "android_id": "4",
        "unknown": "5",
        "roku_publisher_id": "6",
    }
    assert device.fields == {"platform": "iOS", "device_application_stamp": STAMP}


def test_fields_are_overwritten_one_by_one() -> None:
    """spec/profiles.md, 3.4."""
    profile = new_profile()
    apply(
        profile,
        batch(
            mp_deviceid=STAMP,
            device_info={"os_version": "16", "brand": "b", "limit_ad_tracking": True},
            application_info={"application_version": "1", "package": "p"},
        ),
        context(NOW),
    )
    apply(
        profile,
        batch(
            mp_deviceid=STAMP,
            device_info={"os_version": "17", "limit_ad_tracking": False},
            application_info={"application_version": "2"},
        ),
        context(NOW + 1),
    )
    device = _device(profile)
    assert device.fields == {
        "device_application_stamp": STAMP,
        "os_version": "17",
        "brand": "b",
        "limit_ad_tracking": False,
        "application_version": "2",
        "package": "p",
    }
    assert (device.first_seen_ms, device.last_seen_ms) == (NOW, NOW + 1)


def test_history_fills_gaps_and_replaces_older_fields_only() -> None:
    """spec/profiles.md, 3.1; spec/events-api.md, worked case 56."""
    profile = new_profile()
    old = {"brand": "old", "ios_idfv": "old", "os_version": "old"}
    apply(profile, batch(mp_deviceid=STAMP, device_info=old), context(NOW - 9 * DAY))
    apply(profile, batch(mp_deviceid=STAMP, device_info={"os_version": "new"}), context(NOW - DAY))
    backfill = {"brand": "b", "ios_idfv": "i", "os_version": "o", "device_model": "m"}
    apply(profile, *historical(NOW - 5 * DAY, mp_deviceid=STAMP, device_info=backfill))
    device = _device(profile)
    assert device.fields == {
        "device_application_stamp": STAMP,
        "brand": "b",
        "os_version": "new",
        "device_model": "m",
    }
    assert device.identities == {"ios_vendor_id": "i"}
    assert (device.first_seen_ms, device.last_seen_ms) == (NOW - 9 * DAY, NOW - DAY)


_fields = st.dictionaries(st.sampled_from(["brand", "product", "ios_idfv"]), st.just("x"))
_steps = st.lists(st.tuples(st.integers(4, 20), st.booleans(), _fields), max_size=6)


@given(_steps)
@example(
    [
        (9, False, {"brand": "x"}),
        (8, False, {}),
        (4, False, {"brand": "x"}),
        (6, True, {"brand": "x"}),
    ]
)
def test_each_field_stands_for_the_newest_data_that_could_write_it(
    steps: list[tuple[int, bool, dict[str, str]]],
) -> None:
    """spec/profiles.md, 3.1, against a reference that keeps a time for every field.

    A step is: days before now, whether historical, fields; live ones come oldest first.
    """
    profile = new_profile()
    live = sorted((step for step in steps if not step[1]), key=lambda step: -step[0])
    ages = iter(live)
    times: dict[str, tuple[str, int]] = {}
    for number, step in enumerate(steps):
        days, is_historical, named = step if step[1] else next(ages)
        time_ms = NOW - days * DAY
        sent = {name: str(number) for name in named}
        if is_historical:
            apply(profile, *historical(time_ms, mp_deviceid=STAMP, device_info=sent))
        else:
            apply(profile, batch(mp_deviceid=STAMP, device_info=sent), context(time_ms))
        for name, value in sent.items():
            if name not in times or not is_historical or times[name][1] < time_ms:
                times[name] = (value, time_ms)
    if steps:
        device = _device(profile)
        stored = {**device.fields, "ios_idfv": device.identities.get("ios_vendor_id")}
        for name in ("brand", "product", "ios_idfv"):
            assert stored.get(name) == times.get(name, (None,))[0]


def _registration(token: str, *, register: bool) -> dict[str, Any]:
    return {"register": register, "registration_token": token}


@pytest.mark.parametrize(
    ("registrations", "token", "is_registered"),
    [
        pytest.param([_registration("t2", register=True)], "t2", True, id="registering sets it"),
        pytest.param([_registration("t1", register=False)], None, False, id="removed if equal"),
        pytest.param([_registration("t0", register=False)], "t1", None, id="kept if another"),
        pytest.param(
            [_registration("t2", register=True), _registration("t2", register=False)],
            None,
            False,
            id="in their order",
        ),
    ],
)
def test_push_registrations_set_and_clear_the_token(
    registrations: list[dict[str, Any]], token: str | None, is_registered: bool | None
) -> None:
    """spec/profiles.md, 3.4; spec/events-api.md, 12.4."""
    profile = new_profile()
    apply(profile, batch(mp_deviceid=STAMP, device_info={"push_token": "t1"}))
    events = [event("push_registration", **data) for data in registrations]
    apply(profile, batch(*events, mp_deviceid=STAMP))
    device = _device(profile)
    assert (device.push_token, device.push_registered) == (token, is_registered)


def test_history_replaces_no_newer_push_token() -> None:
    """spec/profiles.md, 3.1."""
    profile = new_profile()
    apply(profile, batch(mp_deviceid=STAMP, device_info={"push_token": "new"}), context(NOW - DAY))
    info = {"push_token": "old"}
    apply(profile, *historical(NOW - 5 * DAY, mp_deviceid=STAMP, device_info=info))
    assert _device(profile).push_token == "new"


def test_integration_attributes_are_merged_by_module_and_key() -> None:
    """spec/events-api.md, 11.3."""
    profile = new_profile()
    first = {"22": {"a": "1", "b": "2"}, "23": {"c": "3"}}
    second: dict[str, dict[str, str | None]] = {"22": {"a": "9", "b": None}, "23": {"c": None}}
    apply(profile, batch(mp_deviceid=STAMP, integration_attributes=first))
    apply(profile, batch(mp_deviceid=STAMP, integration_attributes=second))
    assert _device(profile).integration_attributes == {"22": {"a": "9"}}
    late = {"22": {"a": "0", "d": "4"}}
    apply(profile, *historical(NOW - 5 * DAY, mp_deviceid=STAMP, integration_attributes=late))
    assert _device(profile).integration_attributes == {"22": {"a": "9", "d": "4"}}


def test_ad_tracking_is_what_the_latest_batch_that_says_so_says() -> None:
    """spec/profiles.md, 2.1: `limit_ad_tracking`."""
    profile = new_profile()
    assert profile.limit_ad_tracking is None
    for info, expected in [({"limit_ad_tracking": True}, True), ({"brand": "b"}, True)]:
        apply(profile, batch(device_info=info))
        assert profile.limit_ad_tracking is expected
    apply(profile, *historical(NOW - 5 * DAY, device_info={"limit_ad_tracking": False}))
    assert profile.limit_ad_tracking is True


@pytest.mark.parametrize(
    ("count", "kept", "drops"),
    [
        pytest.param(100, range(100), [], id="100 are kept"),
        pytest.param(101, range(1, 101), ["device_count"], id="of 101 the newest 100"),
    ],
)
def test_the_devices_seen_last_are_kept(count: int, kept: range, drops: list[str]) -> None:
    """spec/profiles.md, 11."""
    profile = new_profile()
    dropped: list[str] = []
    for number in range(count):
        source = {"publisher": f"p{number}"}
        sent = batch(mp_deviceid=f"d{number}", attribution_info=source)
        dropped += apply(profile, sent, context(NOW + number)).drops
    assert list(section(profile).devices) == [f"d{number}" for number in kept]
    assert [one.device_key for one in section(profile).attribution] == [f"d{n}" for n in kept]
    assert dropped == drops


def test_a_backfilled_device_does_not_push_out_a_newer_one() -> None:
    """spec/profiles.md, 11: by when they were seen, which history does not move."""
    profile = new_profile()
    one_device = replace(WORKSPACE, limits=Limits(devices=1))
    apply(profile, batch(mp_deviceid="new"), workspace=one_device)
    sent, where = historical(NOW - 5 * DAY, mp_deviceid="old")
    apply(profile, sent, where, workspace=one_device)
    assert list(section(profile).devices) == ["new"]
