"""Identities in the payloads of deliveries that are nobody's (spec/privacy.md, 5.2)."""

import orjson
import pytest

from actors.identity.keys import IdentityName
from actors.privacy.strangers import named_in

ANN = IdentityName("email", "ann@example.test")


@pytest.mark.parametrize(
    "sent",
    [
        {"user_identities": {"email": "Ann@Example.test"}},
        {"user_identities": [{"identity_type": "email", "identity": "ann@example.test"}]},
    ],
    ids=["as sent", "as handed to outputs"],
)
def test_identities_are_found_in_either_form_of_a_batch(sent: dict[str, object]) -> None:
    assert named_in(orjson.dumps(sent)) == [ANN]


def test_devices_count_as_well() -> None:
    found = named_in(orjson.dumps({"mp_deviceid": "d1", "device_info": {"ios_idfv": "v"}}))
    assert {each.value for each in found} == {"d1", "v"}


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[1]",
        b'{"user_identities": 5, "device_info": []}',
        b'{"user_identities": [7, {}, {"identity_type": ["email"], "identity": "a"}]}',
        b'{"user_identities": {"email": null, "shoe_size": "44"}}',
    ],
)
def test_what_is_no_batch_has_none(payload: bytes) -> None:
    assert named_in(payload) == []
