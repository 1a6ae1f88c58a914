"""Memberships that no engine finds: of static and standard audiences, and of those that are gone.

A static audience is a list, a standard one was calculated (spec/audiences.md, 8); neither changes
by what its users do meanwhile.
"""

from collections.abc import Collection, Mapping

from actors.audiences.announce import MemberChange
from actors.audiences.known import KnownAudiences
from actors.model.profiles import Profile, ProfileKey, Section
from actors.store import static_lists
from actors.store.environment import Transaction


def unevaluated_changes(
    txn: Transaction,
    key: ProfileKey,
    profile: Profile,
    section: Section,
    known: KnownAudiences,
    leaving: Collection[int],
    calculated: Mapping[tuple[int, ProfileKey], bool],
) -> list[MemberChange]:
    """Return what changes of a user's memberships in them.

    Memberships of which nobody is to hear are taken out of the section at once.

    Args:
        txn: has the lists of static audiences.
        key, profile, section: of the user.
        known: the audiences that there are.
        leaving: those that are gone, and whose members leave.
        calculated: who is a member of standard audiences, of those that were just looked at.
    """
    changes: list[MemberChange] = []
    for number in [each for each in section.audiences if each not in known.by_number]:
        if number in leaving:
            changes.append(MemberChange(key, number, "delete"))
        else:
            del section.audiences[number]
    is_counted = not section.is_aged_out and not profile.is_opted_out
    wanted = {
        audience: is_counted and static_lists.has(txn, audience, key) for audience in known.static
    }
    for audience in (each.number for each in known.standard):
        is_member = calculated.get((audience, key), audience in section.audiences)
        wanted[audience] = is_member and is_counted
    for audience, is_wanted in wanted.items():
        if is_wanted != (audience in section.audiences):
            changes.append(MemberChange(key, audience, "add" if is_wanted else "delete"))
    return changes
