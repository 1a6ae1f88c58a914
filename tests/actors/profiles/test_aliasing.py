"""What an alias does to profiles besides copying events: spec/profiles.md, 9."""

from actors.model.profiles import Attribution, StatusMessage
from actors.profiles.aliasing import (
    MAX_ATTRIBUTIONS,
    MAX_STATUS_MESSAGES,
    SourceFacts,
    is_merged,
    merge_from,
    note,
    source_facts,
)
from actors.profiles.retention import is_overdue
from tests.actors.profiles.builders import (
    DAY,
    NOW,
    STAMP,
    WORKSPACE,
    apply,
    attributes,
    batch,
    event,
    new_profile,
    section,
)

LIFETIME = WORKSPACE.profile_idle_days * DAY


def install(number: int, device: str | None = None) -> Attribution:
    return Attribution("install", None, f"p{number}", "c", NOW + number, device)


def test_a_source_gives_its_installs_as_long_as_it_lives() -> None:
    profile = new_profile()
    apply(
        profile,
        batch(
            event("uninstall"),
            mp_deviceid=STAMP,
            attribution_info={"publisher": "Pub", "campaign": "Spring"},
        ),
    )
    found = source_facts(profile, WORKSPACE, NOW + LIFETIME)
    assert [(each.event, each.publisher) for each in found.installs] == [("install", "Pub")]
    assert found.created_ms == NOW
    assert source_facts(profile, WORKSPACE, NOW + LIFETIME + 1) == SourceFacts(NOW, [])


def test_an_identity_record_alone_becomes_a_profile() -> None:
    """What it has got must be shown, and its lifetime begins."""
    profile = new_profile()
    merge_from(profile, 3, SourceFacts(NOW - DAY, [install(1)]), WORKSPACE, NOW)
    assert (section(profile).first_seen_ms, profile.last_stored_timestamp_ms) == (NOW, NOW)
    assert profile.created_timestamp_ms == NOW - DAY
    assert section(profile).attribution == [install(1)]
    assert is_merged(profile, 3, NOW)


def test_a_destination_that_has_aged_out_begins_anew() -> None:
    profile = new_profile()
    apply(profile, batch(user_attributes={"a": "1"}))
    late = NOW + LIFETIME + 1
    merge_from(profile, 3, SourceFacts(NOW, []), WORKSPACE, late)
    assert attributes(profile) == {}
    assert not section(profile).is_aged_out
    assert not is_overdue(profile, WORKSPACE, late + LIFETIME)
    assert is_overdue(profile, WORKSPACE, late + LIFETIME + 1)


def test_being_a_source_does_not_lengthen_a_life() -> None:
    profile = new_profile()
    apply(profile, batch(user_attributes={"a": "1"}))
    note(profile, "aliased_to", 3, NOW + LIFETIME)
    assert is_overdue(profile, WORKSPACE, NOW + LIFETIME + 1)


def test_a_note_is_made_once() -> None:
    profile = new_profile()
    for _ in range(2):
        note(profile, "aliased_to", 3, NOW)
    assert profile.status_messages == [StatusMessage("aliased_to", 3, NOW)]


def test_a_destination_of_very_many_stays_small() -> None:
    """The newest messages and installs are kept."""
    profile = new_profile()
    many = MAX_ATTRIBUTIONS + 5
    for number in range(many):
        facts = SourceFacts(NOW, [install(number, f"device {number}")])
        merge_from(profile, number, facts, WORKSPACE, NOW + number)
    kept = [each.mpid for each in profile.status_messages]
    assert kept == list(range(many - MAX_STATUS_MESSAGES, many))
    assert section(profile).attribution == [
        install(number, f"device {number}") for number in range(5, many)
    ]
