"""`device` (spec/audiences.md, 3.2)."""

from typing import Literal, get_args

from actors.audiences.criteria import DeviceCriterion
from actors.audiences.language.members import Members
from actors.audiences.language.scope import Scope
from actors.audiences.language.value_tests import read_typed_test

Match = Literal["any", "latest"]

# spec/profiles.md, 2.3; identities have a criterion of their own.
DEVICE_FIELDS = (
    *("device_application_stamp", "platform", "os_version", "device_model"),
    *("device_manufacturer", "brand", "network_carrier", "network_country", "device_country"),
    *("locale_language", "locale_country", "timezone_offset", "is_tablet", "limit_ad_tracking"),
    *("att_authorization_status", "att_timestamp_unixtime_ms", "push_token", "push_registered"),
    *("application_name", "application_version", "application_build_number", "package"),
    *("first_seen_ms", "last_seen_ms"),
)

_MATCHES: tuple[Match, ...] = get_args(Match)


def read_device(members: Members, _: Scope) -> DeviceCriterion:
    """Read a test of a field of the devices."""
    return DeviceCriterion(
        field=members.word("field", DEVICE_FIELDS),
        match=members.optional_word("match", _MATCHES) or "any",
        test=read_typed_test(members, "string"),
    )
