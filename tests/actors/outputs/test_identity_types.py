"""Identity types that outputs may be told to send."""

from collections.abc import Callable

import pytest

from actors.outputs.identity_types import types_of_members, types_of_users

Types = Callable[[list[str]], tuple[str, ...]]


def test_each_type_is_taken_once_under_the_name_that_batches_have() -> None:
    written = ["customerid", "email", "customer_id", "other2"]
    canonical = ("customer_id", "email", "other_id_2")
    assert types_of_users(written) == types_of_members(written) == canonical


def test_what_is_no_identity_of_the_user_alone_is_taken_where_it_is_sent() -> None:
    of_devices = ["ios_advertising_id", "google_cloud_messaging_token", "partner:Acme"]
    assert types_of_members(of_devices) == tuple(of_devices)
    assert types_of_users(["mpid"]) == ("mpid",)


@pytest.mark.parametrize(
    ("types", "name"),
    [
        (types_of_users, "shoe_size"),
        (types_of_users, "ios_advertising_id"),
        (types_of_members, "shoe_size"),
        (types_of_members, "partner:"),
        (types_of_members, "mpid"),
    ],
)
def test_a_type_that_nobody_has_is_refused(types: Types, name: str) -> None:
    with pytest.raises(ValueError, match=f"unknown identity type '{name}'"):
        types(["email", name])
