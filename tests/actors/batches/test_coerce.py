"""spec/events-api.md, 6: the scalar types, through fields that have them."""

from typing import Any

import pytest

from actors.batches import coerce
from actors.batches.coerce import text_of
from actors.errors import BatchRejected
from tests.actors.batches.support import custom, decoded, event, event_data, paths

ABSENT = object()


def kept(event_type: str, name: str, value: Any) -> Any:
    return event_data(event_type, {name: value}).get(name, ABSENT)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (9, "9"),
        (2.0, "2"),
        (1.50, "1.5"),
        (0.1 + 0.2, "0.3"),
        (-0.0, "0"),
        (1e21, "1" + "0" * 21),
        (1e-7, "0.0000001"),
        (-(2**63), "-9223372036854775808"),
        (True, "true"),
        (False, "false"),
    ],
)
def test_numbers_and_booleans_have_one_string_form(value: float, text: str) -> None:
    assert text_of(value) == text


@pytest.mark.parametrize(
    ("value", "integer"),
    [
        (7, 7),
        (7.0, 7),
        ("7", 7),
        ("-7", -7),
        ("007", 7),
        ("", ABSENT),
        (None, ABSENT),
        (2**63 - 1, 2**63 - 1),
        (-(2**63), -(2**63)),
        ("9223372036854775807", 2**63 - 1),
    ],
)
def test_integers_are_taken(value: Any, integer: Any) -> None:
    assert kept("session_start", "event_num", value) == integer


@pytest.mark.parametrize(
    "value",
    [
        *(b"9223372036854775808", b"-9223372036854775809", b"1e19", b'"9223372036854775808"'),
        *(b"1.5", b'"1.5"', b'" 7"', b'"1_000"', b'"\xd9\xa7"', b"true", b"{}", b"[]", b'"x"'),
    ],
)
def test_other_values_are_no_integers(value: bytes) -> None:
    raw = b'{"events":[{"event_type":"session_start","data":{"event_num":%b}}]}' % value
    assert paths(raw) == ["events[0].data.event_num"]


@pytest.mark.parametrize(
    ("value", "is_taken"),
    [(b"18446744073709551615", True), (b"18446744073709551616", False), (b"-1", True)],
)
def test_addresses_use_all_64_bits(value: bytes, is_taken: bool) -> None:
    raw = b'{"events":[{"event_type":"crash_report","data":{"ios_image_size":%b}}]}' % value
    if is_taken:
        assert decoded(raw).events[0].data["ios_image_size"] == int(value)
    else:
        assert paths(raw) == ["events[0].data.ios_image_size"]


@pytest.mark.parametrize(
    ("value", "number"),
    [(1.5, 1.5), (3, 3), ("21.49", 21.49), ("-.5e2", -50), ("", ABSENT), (True, 1), (False, 0)],
)
def test_numbers_are_taken(value: Any, number: Any) -> None:
    assert kept("session_start", "lifetime_value_change", value) == number


@pytest.mark.parametrize("value", ["abc", "nan", "1e999", [1], {}])
def test_other_values_are_no_numbers(value: Any) -> None:
    body = event("session_start", {"lifetime_value_change": value})
    assert paths(body) == ["events[0].data.lifetime_value_change"]


def test_a_long_text_that_is_no_number_costs_no_more_than_its_length() -> None:
    """By the square of it this would take minutes."""
    body = event("session_start", {"lifetime_value_change": "1" * 200_000 + "x"})
    assert paths(body) == ["events[0].data.lifetime_value_change"]


@pytest.mark.parametrize(
    ("value", "boolean"),
    [(True, True), ("TRUE", True), ("False", False), (0, False), (1, True), ("", ABSENT)],
)
def test_booleans_are_taken(value: Any, boolean: Any) -> None:
    assert kept("session_start", "is_main_thread", value) is boolean


@pytest.mark.parametrize("value", ["yes", "1", 2, [], {}])
def test_other_values_are_no_booleans(value: Any) -> None:
    assert paths(event("session_start", {"is_main_thread": value})) == [
        "events[0].data.is_main_thread"
    ]


@pytest.mark.parametrize(
    ("value", "uuid"),
    [
        ("0B6F2C1E-7D43-4A8E-9C55-1F2E3D4C5B6A", "0b6f2c1e-7d43-4a8e-9c55-1f2e3d4c5b6a"),
        ("00000000-0000-0000-0000-000000000000", None),
        ("", None),
    ],
)
def test_uuids_are_kept_in_lower_case(value: str, uuid: str | None) -> None:
    assert decoded({"mp_deviceid": value}).mp_deviceid == uuid


@pytest.mark.parametrize("value", ["not-a-uuid", 5, "0b6f2c1e7d434a8e9c551f2e3d4c5b6a", "\n"])
def test_other_values_are_no_uuids(value: Any) -> None:
    assert paths({"mp_deviceid": value}) == ["mp_deviceid"]


@pytest.mark.parametrize(
    ("value", "stored"),
    [(None, "other"), ("NAVIGATION", "navigation")]
    + [(name, name) for name in ("attribution", "media", "unknown")],
)
def test_a_listed_value_is_stored_as_listed(value: Any, stored: str) -> None:
    """spec/events-api.md, worked case 14."""
    [only] = decoded(custom(custom_event_type=value)).events
    assert only.data["custom_event_type"] == stored


@pytest.mark.parametrize("value", ["foo", "", 3, ["other"]])
def test_an_unlisted_value_is_refused(value: Any) -> None:
    """spec/events-api.md, worked case 14."""
    assert paths(custom(custom_event_type=value)) == ["events[0].data.custom_event_type"]


@pytest.mark.parametrize("value", [{}, [], ["x"]])
def test_objects_and_arrays_are_no_strings(value: Any) -> None:
    assert paths({"sdk_version": value}) == ["sdk_version"]


def test_only_texts_as_long_as_a_uuid_are_remembered() -> None:
    """Else a sender could fill the memory with long ones."""
    before = coerce._known_uuid.cache_info().currsize
    with pytest.raises(BatchRejected):
        decoded({"mp_deviceid": "0" * 100_000})
    assert coerce._known_uuid.cache_info().currsize == before
