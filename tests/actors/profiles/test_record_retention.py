"""When the identity record of a user is overdue (spec/profiles.md, 6)."""

from collections.abc import Mapping

import msgspec
import pytest
from msgspec.structs import replace

from actors.model.profiles import Lookup, Profile, Section, StatusMessage
from actors.profiles.record_retention import decode_kept, is_record_overdue
from tests.actors.profiles.builders import DAY, NOW

RETAINED = 730 * DAY
SERVED = {1: 730, 2: 30}
GONE = NOW - RETAINED - 1
AGED = Section(GONE, GONE, is_aged_out=True)
LOOKUP = Lookup("email", "a@b.example", 1, GONE)
FORMER = Profile(GONE, GONE, lookups=[LOOKUP], workspaces={1: AGED})


def is_overdue(profile: Profile, retention: Mapping[int, int] = SERVED) -> bool:
    kept = decode_kept(msgspec.msgpack.encode(profile))
    return is_record_overdue(kept, retention, NOW)


@pytest.mark.parametrize(
    ("profile", "expected"),
    [
        pytest.param(FORMER, True, id="nothing has come for too long"),
        pytest.param(
            replace(FORMER, last_stored_timestamp_ms=NOW - RETAINED), False, id="data came in time"
        ),
        pytest.param(replace(FORMER, created_timestamp_ms=NOW - RETAINED), False, id="a new one"),
        pytest.param(
            replace(FORMER, lookups=[LOOKUP, replace(LOOKUP, linked_ms=NOW - RETAINED)]),
            False,
            id="an identity was linked in time",
        ),
        pytest.param(
            replace(FORMER, status_messages=[StatusMessage("merged_from", 7, NOW - RETAINED)]),
            False,
            id="an alias was applied to it in time",
        ),
        pytest.param(
            replace(FORMER, status_messages=[StatusMessage("aliased_to", 7, NOW)]),
            True,
            id="it was the source of an alias",
        ),
        pytest.param(
            replace(FORMER, workspaces={1: AGED, 2: Section(GONE, GONE)}),
            False,
            id="a workspace still has a section",
        ),
        pytest.param(
            replace(FORMER, workspaces={1: AGED, 3: AGED}), False, id="a workspace is not served"
        ),
        pytest.param(Profile(GONE, lookups=[LOOKUP]), True, id="nobody has ever had data"),
        pytest.param(Profile(NOW - RETAINED, lookups=[LOOKUP]), False, id="and it is younger"),
    ],
)
def test_a_record_is_overdue_when_nothing_has_come_for_the_longest_retention(
    profile: Profile, expected: bool
) -> None:
    assert is_overdue(profile) == expected


def test_a_scope_of_which_nothing_is_served_keeps_all_records() -> None:
    assert not is_overdue(FORMER, {})
    assert not is_overdue(Profile(GONE), {})


@pytest.mark.parametrize(
    ("lookups", "served", "expected"),
    [
        pytest.param([LOOKUP], SERVED, True, id="the record has still to go"),
        pytest.param([], SERVED, True, id="the profile has still to go"),
        pytest.param([LOOKUP], {2: 30}, True, id="the record goes whatever is served"),
        pytest.param([], {2: 30}, False, id="the rest waits for the workspace that has it"),
    ],
)
def test_what_was_decided_is_overdue_until_it_is_done(
    lookups: list[Lookup], served: Mapping[int, int], expected: bool
) -> None:
    """Though a retention is longer by now."""
    going = replace(FORMER, lookups=lookups, last_stored_timestamp_ms=NOW, is_expired=True)
    assert is_overdue(going, served) == expected


def test_a_profile_from_before_there_was_an_end_is_read() -> None:
    kept = decode_kept(msgspec.msgpack.encode(msgspec.to_builtins(FORMER)[:8]))
    assert is_record_overdue(kept, SERVED, NOW)
