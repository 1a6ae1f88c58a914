"""How the Profile API and the user activity API show a profile."""

from typing import Any

import pytest

from actors.calculated.definition import Attribute, LiveAttributes
from actors.calculated.live import KnownAttributes
from actors.calculated.reading import canonical, read_definition
from actors.calculated.state import CalculatedState
from actors.model.profiles import Lookup, Profile
from actors.profiles.view import PROFILE_FIELDS, profile_view, user_row, user_view
from tests.actors.profiles.builders import (
    IOS,
    NOW,
    STAMP,
    WORKSPACE,
    apply,
    batch,
    context,
    event,
    new_profile,
)

MPID = -9_223_372_036_854_775_807
ID = "9f0e1d2c-3b4a-4958-8776-655443322110"


def _customer() -> Profile:
    """Make the profile of spec/profiles.md, worked case 1."""
    profile = new_profile()
    profile.lookups = [Lookup("customerid", "c-1", 1)]
    sent = batch(event("custom_event", event_name="Opened"), user_identities={"customer_id": "c-1"})
    apply(profile, sent)
    return profile


def test_a_new_profile_shows_what_was_asked_for_and_nothing_else() -> None:
    """spec/profiles.md, worked case 1."""
    assert profile_view(MPID, _customer(), WORKSPACE, ["user_identities"]) == {
        "mpid": MPID,
        "created_timestamp_ms": NOW,
        "last_stored_timestamp_ms": NOW,
        "is_opted_out": False,
        "limit_ad_tracking": None,
        "user_identities": [{"type": "customer_id", "encoding": "none", "value": "c-1"}],
    }


@pytest.mark.parametrize(
    ("field", "shown"),
    [
        ("device_identities", {"device_identities": []}),
        ("user_identities", {"user_identities": []}),
        ("user_attributes", {"user_attributes": {}, "account_userattributes": None}),
        ("audience_memberships", {"audience_memberships": []}),
        ("attribution", {"attribution": []}),
        ("consent_state", {"consent_state": {}}),
    ],
)
def test_what_is_empty_is_shown_as_empty(field: str, shown: dict[str, Any]) -> None:
    """spec/profiles.md, 7.3 and worked case 14, part on the fields."""
    profile = new_profile()
    apply(profile, batch())
    body = profile_view(MPID, profile, WORKSPACE, [field])
    assert body is not None
    always = body.keys() - shown.keys()
    assert {name: body[name] for name in shown} == shown
    assert always == {
        "mpid",
        "created_timestamp_ms",
        "last_stored_timestamp_ms",
        "is_opted_out",
        "limit_ad_tracking",
    }
    assert field in PROFILE_FIELDS


def test_a_profile_of_another_workspace_is_not_shown() -> None:
    """spec/profiles.md, 7.4: not seen in this workspace."""
    profile = Profile(created_timestamp_ms=NOW)
    assert profile_view(MPID, profile, WORKSPACE, PROFILE_FIELDS) is None
    assert user_view(MPID, profile, WORKSPACE) is None
    assert user_row(MPID, profile, WORKSPACE) is None


def test_user_identities_are_sorted_by_type() -> None:
    """spec/profiles.md, 7.3."""
    profile = new_profile()
    apply(profile, batch(user_identities={"twitter": "t", "alias": "a", "google": "g"}))
    body = profile_view(MPID, profile, WORKSPACE, ["user_identities"])
    assert body is not None
    assert [each["type"] for each in body["user_identities"]] == ["alias", "google", "twitter"]


def test_device_identities_come_most_recently_seen_first_without_doubles() -> None:
    """spec/profiles.md, 7.3; 2.3 for the names of push tokens."""
    profile = new_profile()
    old = {"platform": "Android", "android_advertising_id": ID, "push_token": "g"}
    new = {"platform": "iOS", "ios_idfv": "v", "android_advertising_id": ID, "push_token": "a"}
    apply(profile, batch(mp_deviceid="old", device_info=old), context(NOW))
    apply(profile, batch(mp_deviceid="new", device_info=new), context(NOW + 1))
    web = {"platform": "web", "push_token": "w"}
    apply(profile, batch(mp_deviceid="web", device_info=web), context(NOW - 1))
    body = profile_view(MPID, profile, WORKSPACE, ["device_identities"])
    assert body is not None
    shown = [(each["type"], each["value"]) for each in body["device_identities"]]
    assert sorted(shown[:2]) == [("google_advertising_id", ID), ("ios_vendor_id", "v")]
    assert shown[2:] == [
        ("apple_push_notification_token", "a"),
        ("google_cloud_messaging_token", "g"),
        ("unknown", "w"),
    ]
    assert {each["encoding"] for each in body["device_identities"]} == {"none"}


def test_consent_is_shown_as_ingested_and_attribution_with_all_members() -> None:
    """spec/profiles.md, 7.3."""
    profile = new_profile()
    record = {"consented": False, "timestamp_unixtime_ms": NOW, "document": "terms-7"}
    state = {"gdpr": {"ads": record}}
    apply(profile, batch(consent_state=state, attribution_info={"publisher": "Paper"}))
    body = profile_view(MPID, profile, WORKSPACE, ["consent_state", "attribution"])
    assert body is not None
    assert body["consent_state"] == state
    assert body["attribution"] == [
        {
            "event": "install",
            "service_provider": None,
            "publisher": "Paper",
            "campaign": None,
            "timestamp_ms": NOW,
        }
    ]


def test_a_user_is_shown_with_all_sections() -> None:
    """spec/profiles.md, 8."""
    profile = _customer()
    names = ["zeta", "$Country", "alpha", "$age", "$firstname"]
    sent = batch(
        mp_deviceid=STAMP,
        device_info={"platform": "iOS", "ios_idfv": "v", "limit_ad_tracking": True},
        user_attributes=dict.fromkeys(names, "x"),
        attribution_info={"service_provider": "Tracker", "publisher": "Paper", "campaign": "May"},
    )
    apply(profile, sent, context(NOW + 5, source=IOS))
    apply(profile, batch(event("uninstall"), mp_deviceid=STAMP), context(NOW + 6, source=IOS))
    vendor_id = {"type": "ios_vendor_id", "encoding": "none", "value": "v"}
    assert user_view(MPID, profile, WORKSPACE) == {
        "user_details": {
            "mpid": MPID,
            "customer_id": "c-1",
            "email": None,
            "first_seen_ms": NOW,
            "last_seen_ms": NOW + 6,
        },
        "workspace_usage": {
            "first_seen_ms": NOW,
            "last_seen_ms": NOW + 6,
            "inputs": [
                {"id": "backend", "name": "Backend", "first_seen_ms": NOW, "last_seen_ms": NOW},
                {
                    "id": "ios",
                    "name": "iOS app",
                    "first_seen_ms": NOW + 5,
                    "last_seen_ms": NOW + 6,
                },
            ],
            "device_id": "v",
        },
        "devices": [
            {
                "platform": "iOS",
                "last_seen_ms": NOW + 6,
                "limit_ad_tracking": True,
                "identities": [vendor_id],
            }
        ],
        "user_identities": [{"type": "customer_id", "encoding": "none", "value": "c-1"}],
        "user_attributes": [
            {"name": name, "value": "x"}
            for name in ("$age", "$firstname", "$Country", "alpha", "zeta")
        ],
        "calculated_attributes": [],
        "consent_state": {},
        "attribution": [{"partner": "Paper", "campaign": "May"}],
        "audience_memberships": [],
        "status_messages": [],
    }


@pytest.mark.parametrize(
    ("info", "device_id"),
    [
        ({"ios_idfv": "v", "ios_advertising_id": ID}, ID),
        ({"ios_idfv": "v", "android_uuid": "u"}, "v"),
        ({"android_uuid": "u"}, None),
    ],
)
def test_the_device_id_is_the_advertising_id_else_the_vendor_id(
    info: dict[str, str], device_id: str | None
) -> None:
    """spec/profiles.md, 8: of the most recently seen device."""
    profile = new_profile()
    apply(profile, batch(mp_deviceid="old", device_info={"ios_idfv": "no"}), context(NOW - 1))
    apply(profile, batch(mp_deviceid=STAMP, device_info=info), context(NOW))
    view = user_view(MPID, profile, WORKSPACE)
    assert view is not None
    assert view["workspace_usage"]["device_id"] == device_id


@pytest.mark.parametrize("has_value", [True, False])
def test_an_attribute_that_a_calculated_one_hides_is_not_listed(*, has_value: bool) -> None:
    """spec/profiles.md, 3.2; whether or not the calculated one has a value."""
    definition = {
        "recipe_type": "event",
        "datapoint": {"type": "event", "event_type": "custom_event", "event_name": "Opened"},
        "calculation_type": "count",
        "time_period": {"type": "since", "date": "2025-12-20T00:00:00"},
    }
    attribute = Attribute(1, "visits", 1, read_definition(canonical(definition)))
    known = KnownAttributes(LiveAttributes(1, (attribute,)), WORKSPACE)
    profile = _customer()
    apply(profile, batch(user_attributes={"visits": "1", "color": "red"}))
    if has_value:
        profile.workspaces[WORKSPACE.number].calculated[1] = CalculatedState(1, "340")
    shown = user_view(MPID, profile, WORKSPACE, attributes=known)
    assert shown is not None
    assert shown["user_attributes"] == [{"name": "color", "value": "red"}]
    value = "340" if has_value else "-"
    assert shown["calculated_attributes"] == [{"name": "visits", "value": value}]


def test_a_search_row_has_what_tells_users_apart() -> None:
    """spec/profiles.md, 8."""
    assert user_row(MPID, _customer(), WORKSPACE) == {
        "mpid": MPID,
        "customer_id": "c-1",
        "email": None,
        "last_seen_ms": NOW,
    }
