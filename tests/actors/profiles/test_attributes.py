"""User attributes over batches, inputs, channels and time."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.model.batches import AttributeText, Batch, BatchContext, Channel
from tests.actors.profiles.builders import (
    BACKEND,
    DAY,
    IOS,
    MINUTE,
    NOW,
    WEB,
    apply,
    attributes,
    batch,
    context,
    event,
    historical,
    new_profile,
    section,
)


def _change(name: str, **data: Any) -> Batch:
    return batch(event("user_attribute_change", user_attribute_name=name, **data))


@pytest.mark.parametrize(
    ("sent", "left"),
    [
        pytest.param(
            batch(deleted_user_attributes=["color", "nope"], user_attributes={"color": "blue"}),
            {"color": "blue"},
            id="profiles case 3, events-api case 36: deleted and set ends up set",
        ),
        pytest.param(
            batch(deleted_user_attributes=["color", "nope"]),
            {},
            id="profiles case 4, events-api case 35: deleted, unknown names are no error",
        ),
        pytest.param(
            batch(user_attributes={"Color": "blue"}),
            {"color": "red", "Color": "blue"},
            id="names are case-sensitive",
        ),
        pytest.param(
            batch(user_attributes={"color": None}),
            {"color": None},
            id="events-api case 35: null is a tag and removes nothing",
        ),
        pytest.param(
            _change("color", new="blue"), {"color": "blue"}, id="a change event sets the new value"
        ),
        pytest.param(_change("color"), {"color": None}, id="a change without a value sets a tag"),
        pytest.param(
            _change("color", deleted=True, new="blue"), {}, id="a change event can delete"
        ),
        pytest.param(
            batch(
                event("user_attribute_change", user_attribute_name="color", new="1"),
                event("user_attribute_change", user_attribute_name="color", new="2"),
            ),
            {"color": "2"},
            id="change events apply in their order",
        ),
        pytest.param(
            batch(
                event("user_attribute_change", user_attribute_name="color", new="1"),
                deleted_user_attributes=["color"],
            ),
            {},
            id="deletions come after change events",
        ),
    ],
)
def test_a_batch_changes_stored_attributes(sent: Batch, left: dict[str, AttributeText]) -> None:
    """spec/profiles.md, 3.2."""
    profile = new_profile()
    apply(profile, batch(user_attributes={"color": "red"}))
    apply(profile, sent)
    assert attributes(profile) == left


def test_attributes_not_mentioned_stay() -> None:
    """spec/events-api.md, worked case 34."""
    profile = new_profile()
    first: dict[str, AttributeText] = {
        "tier": "gold",
        "tags": ["x", "y", "1"],
        "vip": None,
        "n": "9",
    }
    apply(profile, batch(user_attributes=first))
    assert attributes(profile) == first
    apply(profile, batch(user_attributes={"tags": ["z"]}))
    assert attributes(profile) == {**first, "tags": ["z"]}


def test_an_attribute_may_turn_from_scalar_to_list_and_back() -> None:
    """spec/profiles.md, worked case 7."""
    profile = new_profile()
    values: list[AttributeText] = ["a", ["b", "c"], "d"]
    for value in values:
        apply(profile, batch(user_attributes={"tags": value}))
        assert attributes(profile) == {"tags": value}


def test_the_batch_received_later_wins_whatever_its_input_and_event_times() -> None:
    """spec/profiles.md, worked case 5."""
    profile = new_profile()
    beer = batch(event("user_attribute_change", NOW, user_attribute_name="drink", new="Beer"))
    stamped_earlier = NOW - 60 * MINUTE
    coke = batch(
        event("user_attribute_change", stamped_earlier, user_attribute_name="drink", new="Coke")
    )
    apply(profile, beer, context(NOW, channel="javascript", source=WEB))
    apply(profile, coke, context(NOW + 5 * MINUTE, channel="native", source=IOS))
    stored = section(profile).user_attributes["drink"]
    assert (stored.value, stored.updated_ms, stored.input) == ("Coke", NOW + 5 * MINUTE, IOS)


def test_a_historical_batch_sets_only_what_is_absent_or_older() -> None:
    """spec/profiles.md, worked case 6; spec/events-api.md, worked case 56."""
    profile = new_profile()
    apply(profile, batch(user_attributes={"drink": "Coke"}), context(NOW))
    apply(profile, batch(user_attributes={"food": "Rice"}), context(NOW - 6 * DAY))
    sent: dict[str, AttributeText] = {"drink": "Milk", "size": "L", "food": "Soup"}
    apply(profile, *historical(NOW - 5 * DAY, user_attributes=sent))
    assert attributes(profile) == {"drink": "Coke", "size": "L", "food": "Soup"}


@pytest.mark.parametrize(
    ("stored_ms", "left"),
    [
        pytest.param(NOW - 5 * DAY - 1, "new", id="a millisecond older is replaced"),
        pytest.param(NOW - 5 * DAY, "old", id="equally old stays"),
    ],
)
def test_older_than_the_newest_historical_event_means_strictly_older(
    stored_ms: int, left: str
) -> None:
    """spec/profiles.md, 3.1."""
    profile = new_profile()
    apply(profile, batch(user_attributes={"a": "old"}), context(stored_ms))
    apply(profile, *historical(NOW - 5 * DAY, user_attributes={"a": "new"}))
    assert attributes(profile) == {"a": left}


def test_a_historical_batch_deletes_only_what_is_older() -> None:
    """spec/profiles.md, 3.1: deleting undoes as much as setting does."""
    profile = new_profile()
    apply(profile, batch(user_attributes={"old": "1"}), context(NOW - 6 * DAY))
    apply(profile, batch(user_attributes={"new": "1"}), context(NOW))
    apply(profile, *historical(NOW - 5 * DAY, deleted_user_attributes=["old", "new"]))
    assert attributes(profile) == {"new": "1"}


def test_the_parts_of_one_historical_batch_do_not_stand_in_each_others_way() -> None:
    """spec/profiles.md, 3.2: deleted and set ends up set, in a historical batch too."""
    profile = new_profile()
    sent, where = historical(
        NOW - 5 * DAY, deleted_user_attributes=["a"], user_attributes={"a": "2"}
    )
    sent.events.append(event("user_attribute_change", NOW - 5 * DAY, user_attribute_name="a"))
    apply(profile, sent, where)
    assert attributes(profile) == {"a": "2"}


def test_a_later_historical_batch_with_newer_events_wins_over_an_earlier_one() -> None:
    """spec/profiles.md, 3.1: a backfill may come in any order."""
    profile = new_profile()
    for days in (9, 5, 7):
        apply(profile, *historical(NOW - days * DAY, user_attributes={"a": f"{days} days ago"}))
    assert attributes(profile) == {"a": "5 days ago"}


@pytest.mark.parametrize(
    ("channel", "is_written"),
    [
        ("javascript", False),
        ("native", False),
        ("server_to_server", True),
        ("pixel", True),
        ("partner", True),
    ],
)
def test_a_clients_snapshot_writes_nothing(channel: Channel, is_written: bool) -> None:
    """spec/events-api.md, worked case 45, first half."""
    profile = new_profile()
    apply(profile, batch(user_attributes={"a": "1"}), context(channel=channel, source=WEB))
    assert attributes(profile) == ({"a": "1"} if is_written else {})


@pytest.mark.parametrize("channel", ["javascript", "native"])
def test_a_client_writes_by_change_events_and_deletions(channel: Channel) -> None:
    """spec/events-api.md, worked case 45, second half."""
    profile = new_profile()
    where = context(channel=channel, source=WEB)
    changed = batch(
        event("user_attribute_change", user_attribute_name="a", new="1"),
        user_attributes={"a": "1", "b": "2"},
    )
    apply(profile, changed, where)
    assert attributes(profile) == {"a": "1"}
    apply(profile, batch(deleted_user_attributes=["a"], user_attributes={"b": "2"}), where)
    assert attributes(profile) == {}


def test_an_app_sets_again_what_it_removed_before_the_upload() -> None:
    """spec/profiles.md, 3.2: its list of removed names keeps the name; removed later, it goes."""
    profile = new_profile()
    where = context(channel="native", source=IOS)
    apply(profile, batch(user_attributes={"a": "old", "b": "old"}))
    changes = [
        event("user_attribute_change", user_attribute_name="a", new=None, deleted=True),
        event("user_attribute_change", user_attribute_name="a", new="new", deleted=False),
        event("user_attribute_change", user_attribute_name="b", new="new", deleted=False),
        event("user_attribute_change", user_attribute_name="b", new=None, deleted=True),
    ]
    removed = ["a", "b"]
    sent = batch(*changes, deleted_user_attributes=removed, user_attributes={"a": "new"})
    apply(profile, sent, where)
    assert attributes(profile) == {"a": "new"}


# -- Against a reference --------------------------------------------------------------------------

_names = st.sampled_from("abc")
_values: st.SearchStrategy[AttributeText] = st.one_of(
    st.none(), st.text(max_size=2), st.lists(st.text(max_size=1), max_size=2)
)
_changes = st.builds(
    lambda name, value, is_deleted: event(
        "user_attribute_change", user_attribute_name=name, new=value, deleted=is_deleted
    ),
    _names,
    _values,
    st.booleans(),
)
_batches = st.builds(
    lambda changes, deleted, attributes: batch(
        *changes, deleted_user_attributes=deleted, user_attributes=attributes
    ),
    st.lists(_changes, max_size=3),
    st.lists(_names, max_size=2),
    st.dictionaries(_names, _values, max_size=3),
)
_channels = st.sampled_from(["server_to_server", "javascript", "native"])


def _reference(batches: list[tuple[Batch, BatchContext]]) -> dict[str, AttributeText]:
    """Apply batches one statement at a time, as the specification words it."""
    state: dict[str, AttributeText] = {}
    for sent, where in batches:
        for change in sent.events:
            if change.data["deleted"]:
                state.pop(change.data["user_attribute_name"], None)
            else:
                state[change.data["user_attribute_name"]] = change.data["new"]
        is_set_again = sent.user_attributes if where.channel == "native" else {}
        for name in sent.deleted_user_attributes:
            if name not in is_set_again:
                state.pop(name, None)
        if where.channel == "server_to_server":
            state.update(sent.user_attributes)
        elif where.channel == "javascript":
            # Of a page's snapshot only tags count that nothing else is about, before or now.
            told = {change.data["user_attribute_name"] for change in sent.events}
            told |= set(sent.deleted_user_attributes)
            for name, value in sent.user_attributes.items():
                if value is None and name not in told and name not in state:
                    state[name] = None
    return state


@pytest.mark.parametrize(("channel", "expected"), [("javascript", {"vip": None}), ("native", {})])
def test_a_tag_of_a_page_is_told_in_its_snapshot_alone(
    channel: Channel, expected: dict[str, AttributeText]
) -> None:
    """spec/clients.md, worked case 16; of an app's snapshot nothing counts (case 23)."""
    profile = new_profile()
    sent = batch(user_attributes={"vip": None, "plan": "x"})
    apply(profile, sent, context(NOW, channel=channel))
    assert attributes(profile) == expected


@pytest.mark.parametrize("value", ["platinum", ["a", "b"], None])
def test_a_tag_of_an_old_page_overwrites_nothing(value: AttributeText) -> None:
    """spec/events-api.md, 9: only change events write over what is stored."""
    profile = new_profile()
    apply(profile, batch(user_attributes={"vip": value}), context(NOW))
    page = context(NOW + MINUTE, channel="javascript", source=WEB)
    apply(profile, batch(user_attributes={"vip": None}), page)
    stored = section(profile).user_attributes["vip"]
    assert (stored.value, stored.updated_ms, stored.input) == (value, NOW, BACKEND)
    apply(profile, batch(event("user_attribute_change", user_attribute_name="vip")), page)
    assert section(profile).user_attributes["vip"].input == WEB


@given(st.lists(st.tuples(_batches, _channels), max_size=6))
def test_batches_one_after_another_do_what_the_words_say(
    sent: list[tuple[Batch, Channel]],
) -> None:
    """spec/profiles.md, 3.2, against a reference."""
    profile = new_profile()
    batches = [(each, context(NOW + i, channel=channel)) for i, (each, channel) in enumerate(sent)]
    for each, where in batches:
        apply(profile, each, where)
    if batches:
        assert attributes(profile) == _reference(batches)


@given(
    st.dictionaries(_names, st.integers(0, 20)),
    st.integers(3, 20),
    st.dictionaries(_names, _values),
    st.lists(_names),
)
def test_history_never_undoes_what_is_newer(
    ages: dict[str, int],
    age: int,
    sent: dict[str, AttributeText],
    deleted: list[str],
) -> None:
    """spec/profiles.md, 3.1: in days before now."""
    profile = new_profile()
    for name, days in ages.items():
        apply(profile, batch(user_attributes={name: "live"}), context(NOW - days * DAY))
    apply(
        profile,
        *historical(NOW - age * DAY, user_attributes=sent, deleted_user_attributes=deleted),
    )
    for name, days in ages.items():
        if days <= age:
            stored = section(profile).user_attributes[name]
            assert (stored.value, stored.updated_ms) == ("live", NOW - days * DAY)
            assert stored.input == BACKEND
