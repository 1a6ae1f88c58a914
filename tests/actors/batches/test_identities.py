from typing import Any

import pytest

from actors.batches.identities import (
    BATCH_NAMES,
    DEVICE_IDENTITIES,
    DEVICE_STAMP,
    PROFILE_NAMES,
    USER_IDENTITIES,
    batch_identities,
)
from actors.errors import Problem
from actors.model.batches import Batch
from tests.actors.batches.support import (
    PARTNER,
    client_context,
    context,
    decoded,
    paths,
    problems,
    workspace,
)

ZEROS = "00000000-0000-0000-0000-000000000000"
UUID = "11111111-2222-4333-8444-55555555AAAA"


def test_every_identity_type_has_its_three_names() -> None:
    """spec/identity.md, 2."""
    assert len(USER_IDENTITIES) == 22
    assert USER_IDENTITIES["customer_id"] == "customerid"
    assert USER_IDENTITIES["other_id_2"] == "other2"
    assert USER_IDENTITIES["facebook_custom_audience_id"] == "facebookcustomaudienceid"
    assert BATCH_NAMES["other10"] == "other_id_10"
    assert PROFILE_NAMES["ios_idfv"] == "ios_vendor_id"
    assert set(PROFILE_NAMES) == set(BATCH_NAMES) | set(DEVICE_IDENTITIES.values()) - {"push_token"}


@pytest.mark.parametrize(
    ("sent", "identities"),
    [
        ({"customerid": "c9"}, {"customer_id": "c9"}),
        ({"customerid": "b", "customer_id": "a"}, {"customer_id": "a"}),
        ({"customer_id": "a", "customerid": "b"}, {"customer_id": "a"}),
        ({"customer_id": None, "customerid": "b"}, {"customer_id": "b"}),
        ({"email": "", "customer_id": "c9"}, {"customer_id": "c9"}),
        ({"email": " \t", "other2": " x "}, {"other_id_2": "x"}),
        ({"customer_id": 42}, {"customer_id": "42"}),
        ({"facebookcustomaudienceid": "f"}, {"facebook_custom_audience_id": "f"}),
        (None, {}),
        (
            [
                {"identity_type": "email", "identity": "a@b", "timestamp_unixtime_ms": 5},
                {"identity_type": "other2", "identity": "o"},
                {"identity_type": "google", "identity": None},
            ],
            {"email": "a@b", "other_id_2": "o"},
        ),
    ],
)
def test_user_identities_get_their_canonical_names(sent: Any, identities: dict[str, str]) -> None:
    """spec/events-api.md, worked case 16 and 8.1."""
    assert decoded({"user_identities": sent}).user_identities == identities


@pytest.mark.parametrize(
    ("sent", "problem"),
    [
        (
            {"passport": "x"},
            Problem('Unrecognized user identity type "passport".', "user_identities.passport"),
        ),
        (
            [{"identity_type": "passport", "identity": "x"}],
            Problem(
                'Unrecognized user identity type "passport".',
                "user_identities[0].identity_type",
            ),
        ),
        (
            [{"identity": "x"}],
            Problem(
                'Required field "identity_type" is missing or empty.',
                "user_identities[0].identity_type",
            ),
        ),
        (
            [{"identity_type": "email", "identity": {}}],
            Problem(
                'Invalid value for field "identity": must be a string.',
                "user_identities[0].identity",
            ),
        ),
        (
            {"email": ["x"]},
            Problem('Invalid value for field "email": must be a string.', "user_identities.email"),
        ),
        (
            "x",
            Problem(
                'Invalid value for field "user_identities": must be an object.', "user_identities"
            ),
        ),
    ],
)
def test_an_identity_that_would_get_lost_refuses_the_batch(sent: Any, problem: Problem) -> None:
    """spec/events-api.md, worked case 16."""
    assert problems({"user_identities": sent}) == [problem]


def test_an_identity_has_at_most_4096_characters() -> None:
    longest = "😀" * 4096
    assert decoded({"user_identities": {"other": f" {longest} "}}).user_identities["other"]
    assert paths({"user_identities": {"other": longest + "x"}}) == ["user_identities.other"]
    assert decoded({"device_info": {"push_token": longest}}).device_info["push_token"]
    assert paths({"device_info": {"push_token": longest + "x"}}) == ["device_info.push_token"]


def test_an_identity_that_the_parser_would_round_is_refused() -> None:
    raw = b'{"user_identities":{"customer_id":18446744073709551617}}'
    assert paths(raw) == ["user_identities.customer_id"]
    raw = b'{"user_identities":{"customer_id":18446744073709551615}}'
    assert decoded(raw).user_identities == {"customer_id": "18446744073709551615"}


def test_a_request_id_that_the_parser_would_round_is_refused() -> None:
    """Else the next one, rounded to the same, would count as a repetition."""
    assert paths(b'{"source_request_id":123456789012345678901234}') == ["source_request_id"]


def test_the_identities_for_lookups_have_idsync_keys() -> None:
    """spec/identity.md, 2 and 9."""
    batch = decoded(
        {
            "mp_deviceid": UUID,
            "user_identities": {"customerid": " c ", "other_id_3": "o3", "alias": "old name"},
            "device_info": {
                "ios_advertising_id": UUID,
                "android_uuid": "A1",
                "amp_id": " ",
                "microsoft_advertising_id": ZEROS,
                "fire_advertising_id": ZEROS,
                "push_token": "Tok",
                "brand": "b",
            },
        }
    )
    assert batch.user_identities["alias"] == "old name"
    assert batch_identities(batch) == {
        "customerid": "c",
        "other3": "o3",
        "ios_idfa": UUID.lower(),
        "android_uuid": "A1",
        "push_token": "Tok",
        DEVICE_STAMP: UUID.lower(),
    }


def test_blank_values_made_elsewhere_find_nobody() -> None:
    batch = Batch(
        environment="production",
        timestamp_ms=1,
        user_identities={"email": " "},
        device_info={"android_advertising_id": ZEROS, "amp_id": ""},
    )
    assert batch_identities(batch) == {}


@pytest.mark.parametrize(
    ("value", "is_kept"),
    [("", False), ("00000000-0000-0000-0000-000000000000", False), (UUID, True)],
)
def test_an_all_zero_advertising_id_joins_nobody(value: str, is_kept: bool) -> None:
    """spec/events-api.md, worked case 19."""
    batch = decoded({"device_info": {"android_advertising_id": value}})
    assert ("android_advertising_id" in batch.device_info) is is_kept
    assert ("android_aaid" in batch_identities(batch)) is is_kept


def test_a_malformed_advertising_id_refuses_the_batch() -> None:
    """spec/events-api.md, worked case 19."""
    body = {"device_info": {"android_advertising_id": "not-a-uuid"}}
    assert paths(body) == ["device_info.android_advertising_id"]


def test_partner_identities_must_be_registered() -> None:
    """spec/events-api.md, worked case 43."""
    body = {"partner_identities": {"Foo_id": "1", "Bar_id": None}}
    assert problems(body) == [
        Problem('Unregistered partner identity "Foo_id".', "partner_identities.Foo_id")
    ]
    registered = workspace(partner_identities=frozenset({"Foo_id"}))
    assert decoded(body, into=registered).partner_identities == {"Foo_id": "1"}


def test_a_partner_feed_sends_only_its_own_partner_identities() -> None:
    """spec/events-api.md, 11.4."""
    registered = workspace(partner_identities=frozenset({"Acme_id", "Foo_id"}))
    body = {"partner_identities": {"Acme_id": "1"}}
    assert decoded(body, context(PARTNER), registered).partner_identities == {"Acme_id": "1"}
    body = {"partner_identities": {"Foo_id": "1"}}
    assert problems(body, context(PARTNER), registered) == [
        Problem('Unregistered partner identity "Foo_id".', "partner_identities.Foo_id")
    ]


def test_unregistered_partner_identities_of_the_web_sdk_are_dropped() -> None:
    """spec/events-api.md, 11.4."""
    batch = decoded({"partner_identities": {"click_id": "1"}}, client_context())
    assert batch.partner_identities == {}
    assert batch.drops == ["unregistered_partner_identity"]
