"""From changes of memberships to the profiles of a request (spec/connections.md, 4.4).

A profile is in a request once, with all its audiences; of one audience only what came last counts.
"""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from actors.model.batches import AttributeText
from actors.outputs.audience_messages import MembershipChange, MembershipMessage
from actors.outputs.firehose.identities import KnownIdentities, choose
from actors.outputs.firehose.messages import ProfileAudience, UserAttribute, UserProfile
from actors.outputs.firehose.registration import Permissions
from actors.outputs.firehose.words import USER_IDENTITIES

PARTNER_PREFIX = "partner:"


class Member(Struct, frozen=True):
    """A change of one membership, and what messages about its audience carry."""

    connection: int
    message: MembershipMessage
    settings: dict[str, str]


def known_identities(identities: Mapping[str, str]) -> KnownIdentities:
    """Return the identities of a change by the protocol's words."""
    user: dict[str, str] = {}
    device: dict[str, str] = {}
    partner: dict[str, str] = {}
    for name, value in identities.items():
        if name.startswith(PARTNER_PREFIX):
            partner[name.removeprefix(PARTNER_PREFIX)] = value
        elif name in USER_IDENTITIES:
            user[USER_IDENTITIES[name]] = value
        else:
            device[name] = value
    return KnownIdentities(user, device, partner)


def profiles_of(
    members: Sequence[Member], permissions: Permissions
) -> tuple[list[UserProfile], dict[int, str]]:
    """Make the profiles of a request.

    Args:
        members: in order.
        permissions: of the module.

    Returns:
        The profiles, and why a change is not among them: by its place in `members`.
    """
    drops: dict[int, str] = {}
    audiences: dict[int, dict[int, ProfileAudience]] = {}
    identities: dict[int, dict[str, str]] = {}
    places: dict[int, list[int]] = {}
    for place, member in enumerate(members):
        [change] = member.message.changes
        if change.action == "attribute_update" and not permissions.allow_audience_user_attributes:
            drops[place] = "setting"
            continue
        own = audiences.setdefault(change.mpid, {})
        own[member.connection] = _after(
            own.pop(member.connection, None), _audience(member, change, permissions)
        )
        identities[change.mpid] = change.identities  # the newest are the ones that hold
        places.setdefault(change.mpid, []).append(place)
    profiles = []
    for mpid, own in audiences.items():
        chosen = choose(known_identities(identities[mpid]), permissions)
        if chosen is None or not (chosen.user or chosen.device or chosen.partner):
            drops |= dict.fromkeys(places[mpid], "missing_identity")
            continue
        profiles.append(
            UserProfile(
                audiences=list(own.values()),
                user_identities=chosen.user,
                device_identities=chosen.device,
                partner_identities=chosen.partner,
                mpid=str(mpid) if permissions.allow_access_mpid else None,
            )
        )
    return profiles, drops


def _audience(
    member: Member, change: MembershipChange, permissions: Permissions
) -> ProfileAudience:
    attributes: list[UserAttribute] = []
    if permissions.allow_audience_user_attributes and change.action != "delete":
        attributes = [_attribute(*each) for each in change.user_attributes.items()]
        attributes += [UserAttribute(name, "delete") for name in change.deleted_user_attributes]
    audience = member.message.audience
    return ProfileAudience(
        audience_id=audience.id,
        audience_name=audience.external_name,
        action=change.action,
        audience_subscription_settings=member.settings,
        user_attributes=attributes,
    )


def _attribute(name: str, value: AttributeText) -> UserAttribute:
    if isinstance(value, list):
        return UserAttribute(name, "upsert", list_value=value)
    return UserAttribute(name, "upsert", value=value)


def _after(former: ProfileAudience | None, latest: ProfileAudience) -> ProfileAudience:
    """Return what is left of two changes of one membership."""
    if former is None or latest.action != "attribute_update":
        return latest
    if former.action == "delete":
        return former
    merged = {each.key: each for each in (*former.user_attributes, *latest.user_attributes)}
    latest.action = former.action
    latest.user_attributes = list(merged.values())
    return latest
