from typing import Any

import pytest

from actors.batches.attributes import SOURCE_FEED
from actors.errors import BatchRejected, Problem
from actors.model.workspaces import Limits
from tests.actors.batches.support import (
    FEED,
    IOS,
    context,
    custom,
    decoded,
    decoded_event,
    event,
    event_data,
    paths,
    problems,
    workspace,
)


def event_attributes(attributes: Any, input_number: int = IOS) -> Any:
    [only] = decoded(custom(custom_attributes=attributes), context(input_number)).events
    return only.data["custom_attributes"]


def test_event_attributes_are_texts_or_null() -> None:
    """spec/events-api.md, worked case 21."""
    raw = (
        b'{"events":[{"event_type":"custom_event","data":{"event_name":"e","custom_attributes":'
        b'{"n":3,"f":1.50,"i":2.0,"b":true,"z":null,"s":"x"}}}]}'
    )
    texts = {"n": "3", "f": "1.5", "i": "2", "b": "true", "z": None, "s": "x"}
    assert decoded(raw).events[0].data["custom_attributes"] == texts
    from_feed = decoded(raw, context(FEED)).events[0].data["custom_attributes"]
    assert from_feed == texts | {SOURCE_FEED: "Backend"}


def test_the_source_feed_attribute_is_the_servers() -> None:
    """spec/events-api.md, 2.1."""
    assert event_attributes({SOURCE_FEED: "mine"}, FEED) == {SOURCE_FEED: "Backend"}
    assert event_attributes({SOURCE_FEED: "mine"}, IOS) == {SOURCE_FEED: "mine"}
    data = event_data("session_start", {}, context(FEED))
    assert data == {"custom_attributes": {SOURCE_FEED: "Backend"}}


def test_event_attributes_of_other_kinds_are_left_out() -> None:
    """spec/events-api.md, worked case 22."""
    batch = decoded(custom(custom_attributes={"o": {"a": 1}, "l": [1], "k": "v"}))
    assert batch.events[0].data["custom_attributes"] == {"k": "v"}
    assert batch.drops == ["attribute_type", "attribute_type"]
    assert paths(custom(custom_attributes=[])) == ["events[0].data.custom_attributes"]


HUGE = (
    b'{"iccid":89310410106543789301,"below":-9223372036854775809,"most":18446744073709551615,'
    b'"e":1e20,"vast":1.5e300,"text":"1e20","null":null}'
)
DIGITS = {
    "iccid": "89310410106543789301",
    "below": "-9223372036854775809",
    "most": "18446744073709551615",
    "e": "100000000000000000000",
    "vast": str(int(1.5e300)),
    "text": "1e20",
    "null": None,
}


def test_numbers_beyond_64_bits_have_all_digits_as_attributes() -> None:
    """spec/events-api.md, 6: of the user, of events and of products."""
    raw = (
        b'{"user_attributes":%b,"events":[{"event_type":"custom_event","data":{"event_name":"e",'
        b'"custom_attributes":%b}},{"event_type":"commerce_event","data":{"product_action":'
        b'{"action":"purchase","products":[{"id":"p","custom_attributes":%b}]}}}]}'
    ) % (HUGE, HUGE, HUGE)
    batch = decoded(raw)
    assert batch.user_attributes == DIGITS
    custom_event, purchase = batch.events
    assert custom_event.data["custom_attributes"] == DIGITS
    assert purchase.data["product_action"]["products"][0]["custom_attributes"] == DIGITS
    assert batch.drops == []


@pytest.mark.parametrize("more", [b"", b',"event_num":"1"'], ids=["read exactly", "coerced"])
def test_numbers_beyond_64_bits_have_all_digits_in_changes(more: bytes) -> None:
    """spec/events-api.md, 6 and 12.4."""
    raw = (
        b'{"events":[{"event_type":"user_attribute_change","data":{"user_attribute_name":"a",'
        b'"new":89310410106543789301,"old":["x",89310410106543789302,1e20]%b}}]}'
    ) % more
    batch = decoded(raw)
    assert batch.events[0].get("new") == "89310410106543789301"
    assert batch.events[0].get("old") == ["x", "89310410106543789302", "1" + "0" * 20]
    assert batch.drops == []


def test_other_numbers_beyond_64_bits_are_what_they_are_without_such_attributes() -> None:
    """spec/events-api.md, 3.2, 6 and 12.2: also beside half of a surrogate pair."""
    flags = b'{"n":89310410106543789301,"new":1e20,"custom_attributes":{"l":[1e300]}}'
    data = b'"event_name":"\\ud800","lifetime_value_change":1e30,"custom_flags":%b' % flags
    raw = b'{"user_attributes":{"a":%b},"events":[{"event_type":"custom_event","data":{%b}}]}'
    plain, huge = (decoded(raw % (value, data)) for value in (b'"x"', b"1e20"))
    assert huge.user_attributes == {"a": "1" + "0" * 20}
    assert huge.events == plain.events
    assert plain.events[0].data["custom_flags"]["new"] == 1e20
    refused = b'{"user_attributes":{"a":1e20},"mpid":9223372036854775808}'
    with pytest.raises(BatchRejected):
        decoded(refused)


def test_a_number_with_too_many_digits_is_left_out() -> None:
    """spec/events-api.md, 14."""
    small = workspace(limits=Limits(user_attribute_value_length=20, user_attribute_entry_length=20))
    sent = b'{"user_attributes":{"a":1e20,"b":1e19,"l":[1e20]}}'
    batch = decoded(sent, into=small)
    assert batch.user_attributes == {"b": "1" + "0" * 19}
    assert batch.drops == ["attribute_value_length", "list_entry_length"]


def test_custom_flags_are_kept_as_sent() -> None:
    """spec/events-api.md, worked case 22."""
    flags = {"o": {"a": [1, 2]}, "n": None, "x": 1.5}
    [only] = decoded(custom(custom_flags=flags)).events
    assert only.data["custom_flags"] == flags


def test_names_over_the_limit_are_cut() -> None:
    """spec/events-api.md, worked case 63."""
    batch = decoded(event("custom_event", {"event_name": "e" * 300}))
    assert batch.events[0].data["event_name"] == "e" * 256
    assert batch.drops == ["event_name_length"]
    assert decoded(event("custom_event", {"event_name": "😀" * 256})).drops == []

    batch = decoded(custom(custom_attributes={"n" * 300: "1", "m" * 256: "2"}))
    assert batch.events[0].data["custom_attributes"] == {"n" * 256: "1", "m" * 256: "2"}
    assert batch.drops == ["attribute_name_length"]


def test_names_that_become_equal_keep_the_last_value() -> None:
    """spec/events-api.md, 14."""
    attributes = {"n" * 256 + "a": "1", "n" * 256 + "b": "2"}
    assert event_attributes(attributes) == {"n" * 256: "2"}


@pytest.mark.parametrize("character", ["x", "😀"])
def test_an_event_attribute_over_the_limit_is_left_out(character: str) -> None:
    """spec/events-api.md, worked case 63."""
    batch = decoded(
        custom(custom_attributes={"long": character * 4097, "fits": character * 4096, "k": "v"})
    )
    assert batch.events[0].data["custom_attributes"] == {"fits": character * 4096, "k": "v"}
    assert batch.drops == ["attribute_value_length"]


def numbered(count: int) -> dict[str, str]:
    return {f"a{number}": str(number) for number in range(count)}


def test_of_too_many_event_attributes_the_first_are_kept() -> None:
    """spec/events-api.md, worked case 64."""
    assert event_attributes(numbered(100)) == numbered(100)
    assert event_attributes(numbered(101)) == numbered(100)
    with_feed = {SOURCE_FEED: "mine"} | numbered(101)
    assert event_attributes(with_feed, FEED) == numbered(100) | {SOURCE_FEED: "Backend"}


def test_of_too_many_user_attributes_the_first_are_kept() -> None:
    """spec/events-api.md, worked case 64."""
    assert decoded({"user_attributes": numbered(100)}).drops == []
    batch = decoded({"user_attributes": numbered(101)})
    assert batch.user_attributes == numbered(100)
    assert batch.drops == ["attribute_count"]


def test_user_attributes_are_texts_lists_and_tags() -> None:
    """spec/events-api.md, worked case 34 and 9."""
    sent = {"tier": "gold", "tags": ["x", "y", 1, None, "x"], "vip": None, "n": 9, "e": "", "l": []}
    assert decoded({"user_attributes": sent}).user_attributes == {
        "tier": "gold",
        "tags": ["x", "y", "1", "x"],
        "vip": None,
        "n": "9",
        "e": "",
        "l": [],
    }


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        pytest.param({"o": {"a": 1}}, "attribute_type", id="object"),
        pytest.param({"o": [["a"]]}, "attribute_type", id="list in a list"),
        pytest.param({"": "x"}, "attribute_name_empty", id="empty name"),
        pytest.param({"n" * 257: "x"}, "attribute_name_length", id="long name"),
        pytest.param({"o": "x" * 4097}, "attribute_value_length", id="long value"),
        pytest.param({"o": ["x"] * 1001}, "list_length", id="long list"),
        pytest.param({"o": ["x" * 513]}, "list_entry_length", id="long entry"),
    ],
)
def test_a_user_attribute_that_cannot_be_kept_is_left_out(
    sent: dict[str, Any], reason: str
) -> None:
    """spec/events-api.md, worked cases 37 and 65."""
    batch = decoded({"user_attributes": sent | {"ok": "1"}})
    assert batch.user_attributes == {"ok": "1"}
    assert batch.drops == [reason]


@pytest.mark.parametrize(
    ("name", "value"),
    [("n" * 256, "x"), ("o", "x" * 4096), ("o", ["x"] * 1000), ("o", ["x" * 512])],
)
def test_a_user_attribute_just_inside_the_limits_is_kept(name: str, value: Any) -> None:
    """spec/events-api.md, worked case 65 and 14."""
    batch = decoded({"user_attributes": {name: value}})
    assert batch.user_attributes == {name: value}
    assert batch.drops == []


def test_nulls_in_a_list_do_not_count_toward_its_length() -> None:
    batch = decoded({"user_attributes": {"o": ["x", None] * 1000}})
    assert batch.user_attributes == {"o": ["x"] * 1000}


def test_limits_are_the_workspaces() -> None:
    small = workspace(limits=Limits(event_name_length=3, user_attributes=1))
    assert (
        decoded_event("screen_view", {"screen_name": "Home"}, into=small).data["screen_name"]
        == "Hom"
    )
    batch = decoded({"user_attributes": {"a": "1", "b": "2"}}, into=small)
    assert batch.user_attributes == {"a": "1"}


def test_attributes_of_the_wrong_kind_refuse_the_batch() -> None:
    """spec/events-api.md, worked case 37."""
    assert paths({"user_attributes": []}) == ["user_attributes"]
    assert problems({"deleted_user_attributes": ["a", 1, None]}) == [
        Problem(
            f'Invalid value for field "deleted_user_attributes[{index}]": must be a string.',
            f"deleted_user_attributes[{index}]",
        )
        for index in (1, 2)
    ]


def test_a_name_may_be_both_deleted_and_set() -> None:
    """spec/events-api.md, worked case 36."""
    batch = decoded({"deleted_user_attributes": ["t"], "user_attributes": {"t": "1"}})
    assert batch.deleted_user_attributes == ["t"]
    assert batch.user_attributes == {"t": "1"}
