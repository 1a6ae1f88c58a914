"""What one batch does to a profile, from its JSON on."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import msgpack
from msgspec.structs import replace

from actors.batches.decode import decode_batch
from actors.model.batches import BatchContext, Event
from actors.model.profiles import Lookup, Profile
from actors.model.workspaces import InputInfo
from actors.profiles.view import PROFILE_FIELDS, profile_view
from actors.steps.update_profiles import Update, update_profile
from tests.actors.profiles.builders import (
    BACKEND,
    DAY,
    IOS,
    NOW,
    STAMP,
    WEB,
    WORKSPACE,
    attributes,
    context,
    event,
    new_profile,
    section,
)
from tests.actors.profiles.builders import apply as apply_batch
from tests.actors.profiles.builders import batch as made_batch

PARTNER = 4
KNOWN = replace(
    WORKSPACE,
    inputs={
        **WORKSPACE.inputs,
        PARTNER: InputInfo(PARTNER, "acme", "acme", "feed", "Unknown", is_partner=True),
    },
)


def _apply(profile: Profile, body: dict[str, Any], where: BatchContext | None = None) -> Update:
    """Apply a batch as it was sent."""
    where = where or context()
    sent = decode_batch(json.dumps(body).encode(), where, KNOWN)
    return update_profile(profile, sent, where, KNOWN, by_identities=True)


def _after(*bodies: dict[str, Any]) -> Profile:
    profile = new_profile()
    for body in bodies:
        _apply(profile, body)
    return profile


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        pytest.param(
            {"n": 5.0, "f": 2.50, "b": True, "t": None, "l": ["x", 7, None, "x"]},
            {"n": "5", "f": "2.5", "b": "true", "t": None, "l": ["x", "7", "x"]},
            id="profiles case 2: coercion",
        ),
        pytest.param(
            {"bad": {"x": 1}, "ok": "1"},
            {"ok": "1"},
            id="profiles case 8, events-api case 37: an object is left out",
        ),
        pytest.param(
            {"long": "x" * 4097, "ok": "1"}, {"ok": "1"}, id="profiles case 9: a value too long"
        ),
        pytest.param(
            {"long": "x" * 4096}, {"long": "x" * 4096}, id="profiles case 9: just short enough"
        ),
        pytest.param(
            {f"a{i}": "1" for i in range(101)},
            {f"a{i}": "1" for i in range(100)},
            id="profiles case 9: the first 100",
        ),
    ],
)
def test_attributes_are_stored_as_text_within_limits(
    sent: dict[str, Any], stored: dict[str, Any]
) -> None:
    """spec/profiles.md, 3.2."""
    profile = _after({"user_attributes": sent})
    assert attributes(profile) == stored
    body = profile_view(1, profile, WORKSPACE, ["user_attributes"])
    assert body is not None
    assert body["user_attributes"] == stored


def test_a_tag_stays_until_it_is_deleted() -> None:
    """spec/events-api.md, worked case 35."""
    profile = _after({"user_attributes": {"tier": "gold"}}, {"user_attributes": {"tier": None}})
    assert attributes(profile) == {"tier": None}
    _apply(profile, {"deleted_user_attributes": ["tier", "none"]})
    assert attributes(profile) == {}


@pytest.mark.parametrize(
    ("change", "stored"),
    [
        pytest.param({"new": "2"}, {"a": "2"}, id="set"),
        pytest.param({"new": {"x": 1}}, {"a": "1"}, id="an object changes nothing"),
        pytest.param({"new": "x" * 4097}, {"a": "1"}, id="nor does what is too long"),
        pytest.param({}, {"a": None}, id="nothing new makes a tag"),
        pytest.param({"deleted": True}, {}, id="deleted"),
    ],
)
def test_a_change_event_changes_its_attribute(
    change: dict[str, Any], stored: dict[str, Any]
) -> None:
    """spec/events-api.md, 12.4 and worked case 45."""
    data = {"user_attribute_name": "a", **change}
    profile = _after(
        {"user_attributes": {"a": "1"}},
        {"events": [{"event_type": "user_attribute_change", "data": data}]},
    )
    assert attributes(profile) == stored


@pytest.mark.parametrize(
    ("sent", "is_opted_out"),
    [
        pytest.param([{"is_opted_out": True}], True, id="events-api case 41: opted out"),
        pytest.param([{"is_opted_out": True}, {}], False, id="events-api case 41: back by default"),
        pytest.param(
            [{"is_opted_out": True}, {"is_opted_out": False}], False, id="profiles case 13: last"
        ),
        pytest.param([], False, id="no such event"),
    ],
)
def test_the_last_opt_out_event_counts(sent: list[dict[str, Any]], is_opted_out: bool) -> None:
    """spec/profiles.md, 3, step 3."""
    events = [{"event_type": "opt_out", "data": data} for data in sent]
    assert _after({"events": events}).is_opted_out is is_opted_out
    one_by_one = _after({}, *({"events": [each]} for each in events))
    assert one_by_one.is_opted_out is is_opted_out


@pytest.mark.parametrize(
    ("opted_out_ms", "is_opted_out"),
    [
        pytest.param(NOW - DAY, True, id="a newer opt-out stays"),
        pytest.param(NOW - 9 * DAY, False, id="an older one is replaced"),
    ],
)
def test_history_undoes_no_newer_opt_out(opted_out_ms: int, is_opted_out: bool) -> None:
    """spec/events-api.md, 5.6: a backfill must not undo newer data."""
    profile = new_profile()
    out = event("opt_out", is_opted_out=True)
    apply_batch(profile, made_batch(out), context(opted_out_ms))
    back = event("opt_out", NOW - 5 * DAY, is_opted_out=False)
    apply_batch(profile, made_batch(back), context(is_historical=True))
    assert profile.is_opted_out is is_opted_out


@pytest.mark.parametrize(
    ("purposes", "stored"),
    [
        pytest.param(
            {"newsletter": {"consented": True}},
            {"newsletter": (True, NOW)},
            id="events-api case 42: without a time",
        ),
        pytest.param(
            {"newsletter": {"timestamp_unixtime_ms": 1}}, {}, id="events-api case 42: no answer"
        ),
        pytest.param(
            {"zzz": {"consented": True, "timestamp_unixtime_ms": 1}},
            {},
            id="profiles case 12: not defined",
        ),
        pytest.param(
            {"Newsletter ": {"consented": False, "timestamp_unixtime_ms": 1}},
            {"newsletter": (False, 1)},
            id="events-api case 42: canonical name",
        ),
        pytest.param(
            {"newsletter": {"consented": True, "timestamp_unixtime_ms": NOW + DAY}},
            {"newsletter": (True, NOW + DAY)},
            id="privacy 2.2: 24 h ahead",
        ),
        pytest.param(
            {"newsletter": {"consented": True, "timestamp_unixtime_ms": NOW + DAY + 1}},
            {"newsletter": (True, NOW)},
            id="privacy 2.2: further ahead",
        ),
    ],
)
def test_consent_is_stored_where_it_is_valid_and_defined(
    purposes: dict[str, Any], stored: dict[str, tuple[bool, int]]
) -> None:
    """spec/privacy.md, 2.2; the rest of the batch applies."""
    profile = _after({"consent_state": {"gdpr": purposes}, "user_attributes": {"a": "1"}})
    consent = section(profile).consent_state.get("gdpr", {})
    answers = {name: (each.consented, each.timestamp_ms) for name, each in consent.items()}
    assert answers == stored
    assert attributes(profile) == {"a": "1"}


def test_a_partner_cannot_set_consent() -> None:
    """spec/events-api.md, worked case 42."""
    profile = new_profile()
    said = {"consented": True, "timestamp_unixtime_ms": 1}
    body = {"consent_state": {"gdpr": {"newsletter": said}}, "user_attributes": {"a": "1"}}
    update = _apply(profile, body, context(channel="partner", source=PARTNER))
    assert (section(profile).consent_state, update.consent_changes) == ({}, [])
    assert attributes(profile) == {"a": "1"}


def test_a_historical_batch_writes_only_what_is_absent_or_older() -> None:
    """spec/events-api.md, worked case 56, part on the profile."""
    profile = new_profile()
    _apply(profile, {"user_attributes": {"a": "live"}, "mp_deviceid": STAMP}, context(NOW - DAY))
    opened = {"event_name": "Opened", "timestamp_unixtime_ms": NOW - 5 * DAY}
    late = {
        "mp_deviceid": STAMP,
        "device_info": {"brand": "b"},
        "user_attributes": {"a": "late", "b": "late"},
        "events": [{"event_type": "custom_event", "data": opened}],
    }
    _apply(profile, late, context(is_historical=True))
    assert attributes(profile) == {"a": "live", "b": "late"}
    device = section(profile).devices[STAMP]
    assert (device.fields["brand"], device.last_seen_ms) == ("b", NOW - DAY)
    assert profile.last_stored_timestamp_ms == NOW


def test_every_batch_moves_the_times_of_receipt_on() -> None:
    """spec/profiles.md, 3, steps 1 and 2."""
    profile = new_profile()
    for received_ms, source in [(NOW, BACKEND), (NOW + 5, IOS), (NOW + 3, WEB), (NOW + 9, BACKEND)]:
        _apply(profile, {}, context(received_ms, source=source))
    seen = {
        number: (each.first_seen_ms, each.last_seen_ms)
        for number, each in section(profile).inputs.items()
    }
    assert seen == {BACKEND: (NOW, NOW + 9), IOS: (NOW + 5, NOW + 5), WEB: (NOW + 3, NOW + 3)}
    assert (section(profile).first_seen_ms, section(profile).last_seen_ms) == (NOW, NOW + 9)
    assert (profile.created_timestamp_ms, profile.last_stored_timestamp_ms) == (NOW, NOW + 9)


def test_workspaces_of_one_scope_keep_their_sections_apart() -> None:
    """spec/profiles.md, 1: attributes are per section, identities and opt-out are not."""
    profile = new_profile()
    other = replace(WORKSPACE, number=12, inputs={BACKEND: WORKSPACE.inputs[BACKEND]})
    apply_batch(profile, made_batch(user_attributes={"a": "1"}))
    out = event("opt_out", is_opted_out=True)
    apply_batch(profile, made_batch(out, user_attributes={"a": "2"}), workspace=other)
    shown = [profile_view(1, profile, each, ["user_attributes"]) for each in (WORKSPACE, other)]
    assert [each and each["user_attributes"] for each in shown] == [{"a": "1"}, {"a": "2"}]
    assert [each and each["is_opted_out"] for each in shown] == [True, True]


# -- Any batch ------------------------------------------------------------------------------------

_texts = st.text(max_size=3)
_events = st.lists(
    st.one_of(
        st.builds(lambda flag: event("opt_out", is_opted_out=flag), st.booleans()),
        st.builds(
            lambda number: event("session_start", session_id=number),
            st.integers(-(2**63), 2**63 - 1),
        ),
        st.builds(
            lambda token, flag: event("push_registration", register=flag, registration_token=token),
            _texts,
            st.booleans(),
        ),
        st.just(event("uninstall")),
    ),
    max_size=3,
)
_members = st.fixed_dictionaries(
    {},
    optional={
        "mp_deviceid": st.sampled_from([STAMP, "other"]),
        "user_identities": st.dictionaries(st.sampled_from(["email", "alias"]), _texts),
        "user_attributes": st.dictionaries(
            _texts, st.one_of(st.none(), _texts, st.lists(_texts, max_size=2)), max_size=3
        ),
        "device_info": st.dictionaries(
            st.sampled_from(["brand", "ios_idfv", "push_token"]), _texts
        ),
        "location": st.just({"latitude": 1.5, "longitude": 2}),
        "consent_state": st.just(
            {"gdpr": {"ads": {"consented": True, "timestamp_unixtime_ms": NOW}}}
        ),
        "integration_attributes": st.just({"22": {"a": "1"}}),
        "attribution_info": st.just({"publisher": "Paper"}),
        "partner_identities": st.just({"Ad_id": "1"}),
    },
)


@given(st.lists(st.tuples(_events, _members), max_size=4))
def test_a_profile_survives_being_stored(sent: list[tuple[list[Event], dict[str, Any]]]) -> None:
    """What is written to disk and read again is the same profile, and can be shown."""
    profile = new_profile()
    profile.lookups = [Lookup("email", "ann@example.com", 3)]
    for number, (events, members) in enumerate(sent):
        apply_batch(profile, made_batch(*events, **members), context(NOW + number))
    again = msgpack.decode(msgpack.encode(profile), type=Profile)
    assert again == profile
    assert profile_view(1, again, WORKSPACE, PROFILE_FIELDS) == profile_view(
        1, profile, WORKSPACE, PROFILE_FIELDS
    )
