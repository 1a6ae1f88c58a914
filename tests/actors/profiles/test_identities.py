"""Which identities a profile shows."""

import pytest

from actors.model.profiles import Lookup, Profile, Section
from actors.profiles.identities import apply_identity_call
from actors.store.identities import ProfileChange
from tests.actors.profiles.builders import (
    DAY,
    NOW,
    WORKSPACE,
    apply,
    batch,
    context,
    historical,
    new_profile,
)


def _found_by(*lookups: tuple[str, str]) -> Profile:
    """Make a profile with lookups, oldest link first."""
    profile = new_profile()
    profile.lookups = [Lookup(name, value, 1) for name, value in lookups]
    return profile


def _shown(profile: Profile) -> dict[str, str]:
    return {name: identity.value for name, identity in profile.user_identities.items()}


def test_a_linked_identity_is_shown_as_it_was_sent() -> None:
    """spec/identity.md, 2: matched in canonical form, stored as sent."""
    profile = _found_by(("customerid", "c-1"), ("email", "ann@example.com"))
    sent = {"customer_id": "c-1", "email": "Ann@Example.com"}
    apply(profile, batch(user_identities=sent), context(NOW))
    apply(profile, batch(user_identities=sent), context(NOW + 1))
    assert _shown(profile) == sent
    assert {each.updated_ms for each in profile.user_identities.values()} == {NOW}


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        pytest.param({"email": "other@example.com"}, {}, id="not attached: belongs to another"),
        pytest.param({"customer_id": "C-1"}, {}, id="customer ids are case-sensitive"),
        pytest.param({"alias": "nick"}, {"alias": "nick"}, id="resolution does not look at it"),
        pytest.param({"other_id_2": "x"}, {"other_id_2": "x"}, id="not in the priority list"),
    ],
)
def test_resolution_has_the_last_word_on_the_types_it_looks_at(
    sent: dict[str, str], shown: dict[str, str]
) -> None:
    """spec/profiles.md, 3, step 4: a batch cannot bypass identity rules."""
    profile = _found_by(("customerid", "c-1"), ("email", "ann@example.com"))
    apply(profile, batch(user_identities=sent))
    assert _shown(profile) == shown


def test_of_several_linked_values_the_one_linked_last_is_shown() -> None:
    """spec/identity.md, 1; matching an old link does not renew it."""
    profile = _found_by(("email", "old@example.com"))
    apply(profile, batch(user_identities={"email": "old@example.com"}))
    profile.lookups.append(Lookup("email", "new@example.com", 1))
    apply(profile, batch(user_identities={"email": "new@example.com"}))
    apply(profile, batch(user_identities={"email": "old@example.com"}))
    assert _shown(profile) == {"email": "new@example.com"}


def test_identities_beside_an_mpid_leave_the_profile_as_it_is() -> None:
    """spec/identity.md, 9, row 1 and case E1."""
    profile = _found_by(("email", "ann@example.com"))
    sent = {"email": "ann@example.com", "alias": "nick"}
    apply(profile, batch(mpid=4411, user_identities=sent), by_identities=False)
    assert _shown(profile) == {}


def test_partner_identities_are_merged_by_name_and_history_fills_gaps() -> None:
    """spec/profiles.md, 2.1."""
    profile = new_profile()
    apply(profile, batch(partner_identities={"Ad_id": "1", "Mail_id": "2"}), by_identities=False)
    apply(profile, batch(partner_identities={"Ad_id": "3"}))
    backfill = {"Ad_id": "0", "Shop_id": "4"}
    apply(profile, *historical(NOW - 5 * DAY, partner_identities=backfill))
    assert profile.partner_identities == {"Ad_id": "3", "Mail_id": "2", "Shop_id": "4"}


# -- Identity calls -------------------------------------------------------------------------------


def _called(profile: Profile, *changes: ProfileChange) -> dict[str, str]:
    for change in changes:
        apply_identity_call(profile, change, WORKSPACE.priority)
    return _shown(profile)


def test_an_identity_call_shows_what_was_linked_and_what_is_no_lookup() -> None:
    """spec/identity.md, 7.7: as sent; and no longer what was replaced."""
    profile = _found_by(("customerid", "c-1"), ("email", "ann@example.com"))
    shown = {"customerid": "c-1", "email": "Ann@Example.com", "alias": "nick", "other2": "x"}
    assert _called(profile, ProfileChange(1, NOW, shown)) == {
        "customer_id": "c-1",
        "email": "Ann@Example.com",
        "alias": "nick",
        "other_id_2": "x",
    }
    assert {each.updated_ms for each in profile.user_identities.values()} == {NOW}
    profile.lookups[1] = Lookup("email", "new@example.com", 1)
    _called(profile, ProfileChange(1, NOW + 5, {"email": "new@example.com", "customerid": "c-1"}))
    assert profile.user_identities["email"].value == "new@example.com"
    assert profile.user_identities["email"].updated_ms == NOW + 5
    assert profile.user_identities["customer_id"].updated_ms == NOW


def test_a_removal_clears_the_value_only_if_it_is_the_one_that_is_shown() -> None:
    """spec/identity.md, 7.7."""
    profile = _found_by(("email", "ann@example.com"))
    _called(profile, ProfileChange(1, NOW, {"email": "Ann@example.com", "alias": "nick"}))
    profile.lookups.clear()
    other = ProfileChange(1, NOW + 1, {}, [("email", "bob@example.com"), ("alias", "nic")])
    assert _called(profile, other) == {"email": "Ann@example.com", "alias": "nick"}
    gone = ProfileChange(1, NOW + 2, {}, [("email", "ann@example.com"), ("alias", "nick")])
    assert _called(profile, gone) == {}


def test_a_removal_shows_the_value_linked_last_of_those_that_are_left() -> None:
    """spec/identity.md, 1: also one that was hidden by what is removed, as by a wrong login."""
    emails = ("first@example.com", "ann@example.com", "wrong@example.com")
    profile = _found_by(*(("email", each) for each in emails))
    _called(profile, ProfileChange(1, NOW, {"email": "Wrong@example.com"}))
    profile.lookups.pop()
    removal = ProfileChange(1, NOW + 1, {}, [("email", "wrong@example.com")])
    assert _called(profile, removal) == {"email": "ann@example.com"}
    assert profile.user_identities["email"].updated_ms == NOW + 1
    profile.lookups.pop()
    again = {"email": "First@example.com"}
    replacing = ProfileChange(1, NOW + 2, again, [("email", "ann@example.com")])
    assert _called(profile, replacing) == again


def test_a_call_that_is_applied_again_undoes_nothing_that_came_after_it() -> None:
    """A coordinator that has started again writes its last decisions once more."""
    profile = _found_by(("email", "ann@example.com"))
    shown = {"email": "ann@example.com", "alias": "nick"}
    call = ProfileChange(1, NOW, shown, [("alias", "old"), ("email", "old@example.com")], 1)
    _called(profile, call)
    apply(profile, batch(user_identities={"alias": "old"}), context(NOW + 1))
    expected = {"email": "ann@example.com", "alias": "old"}
    sections = dict(profile.workspaces)
    assert _called(profile, call, call) == expected
    assert profile.workspaces == sections
    # What was linked since is a lookup, which this call may not hide.
    profile.lookups.append(Lookup("email", "old@example.com", 2))
    apply(profile, batch(user_identities={"email": "old@example.com"}), context(NOW + 2))
    assert _called(profile, call) == {"email": "old@example.com", "alias": "old"}


def test_the_profile_of_a_new_user_is_readable_at_once() -> None:
    """spec/identity.md, 7.7: first seen when the call was received; case 21."""
    profile = new_profile()
    profile.workspaces.clear()
    _called(profile, ProfileChange(1, NOW))
    assert profile.workspaces == {}
    _called(profile, ProfileChange(1, NOW, new_in=WORKSPACE.number))
    assert profile.workspaces == {WORKSPACE.number: Section(NOW, NOW)}
    assert profile.last_stored_timestamp_ms == NOW
