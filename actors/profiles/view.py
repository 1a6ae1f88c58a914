"""A profile as the Profile API and the user activity API show it (spec/profiles.md, 7.3, 8)."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from actors.audiences.known import NO_AUDIENCES, NO_NAMES, KnownAudiences, shown_memberships
from actors.calculated.applying import values
from actors.calculated.live import KnownAttributes
from actors.groups.membership import NO_GROUPS, group_attributes
from actors.model.batches import AttributeText
from actors.model.profiles import Profile, Section
from actors.model.workspaces import WorkspaceInfo
from actors.profiles.consent import consent_fields
from actors.profiles.device_view import by_last_seen, device_id, listed_identities, shown_device

MEMBERSHIPS = "audience_memberships"
NO_EXPIRATIONS: Mapping[int, int] = {}

_RESERVED = (  # attributes that the user activity API shows first, in this order
    "$age",
    "$firstname",
    "$lastname",
    "$gender",
    "$mobile",
    "$address",
    "$city",
    "$state",
    "$zip",
    "$country",
)


def profile_view(
    mpid: int,
    profile: Profile,
    workspace: WorkspaceInfo,
    fields: Iterable[str],
    groups: Mapping[int, str] = NO_GROUPS,
    audiences: KnownAudiences = NO_AUDIENCES,
    expirations: Mapping[int, int] = NO_EXPIRATIONS,
    attributes: KnownAttributes | None = None,
    joint: Mapping[int, str] = NO_NAMES,
) -> dict[str, Any] | None:
    """Return the body of a Profile API answer.

    Args:
        mpid: the profile's.
        profile: not changed.
        workspace: whose section is shown.
        fields: names of `PROFILE_FIELDS`; others raise `KeyError`.
        groups: number to id of the group definitions that exist.
        audiences: those whose members are kept.
        expirations: number of an audience to when the membership lapses without new data, in ms.
        attributes: the calculated ones; they take the place of others of their names.
        joint: names of the audiences over several workspaces that the user is in, by number.

    Returns:
        The body; `None` if the profile was not seen in the workspace.
    """
    section = profile.workspaces.get(workspace.number)
    if section is None:
        return None
    body: dict[str, Any] = {
        "mpid": mpid,
        "created_timestamp_ms": profile.created_timestamp_ms,
        "last_stored_timestamp_ms": profile.last_stored_timestamp_ms,
        "is_opted_out": profile.is_opted_out,
        "limit_ad_tracking": profile.limit_ad_tracking,
    }
    for field in fields:
        if field == MEMBERSHIPS:
            body[field] = shown_memberships(section, audiences, expirations, joint)
        else:
            body[field] = _FIELDS[field](profile, section, groups)
    if "user_attributes" in body:
        if attributes is not None:
            body["user_attributes"] |= values(section, attributes)
        body["account_userattributes"] = None
    return body


def user_view(
    mpid: int,
    profile: Profile,
    workspace: WorkspaceInfo,
    groups: Mapping[int, str] = NO_GROUPS,
    audiences: KnownAudiences = NO_AUDIENCES,
    expirations: Mapping[int, int] = NO_EXPIRATIONS,
    attributes: KnownAttributes | None = None,
    joint: Mapping[int, str] = NO_NAMES,
) -> dict[str, Any] | None:
    """Return one user as the user activity API shows it; `None` as in `profile_view`."""
    section = profile.workspaces.get(workspace.number)
    if section is None:
        return None
    devices = by_last_seen(section)
    return {
        "user_details": {
            "mpid": mpid,
            "customer_id": _identity(profile, "customer_id"),
            "email": _identity(profile, "email"),
            "first_seen_ms": profile.created_timestamp_ms,
            "last_seen_ms": profile.last_stored_timestamp_ms,
        },
        "workspace_usage": {
            "first_seen_ms": section.first_seen_ms,
            "last_seen_ms": section.last_seen_ms,
            "inputs": _inputs(section, workspace),
            "device_id": device_id(devices),
        },
        "devices": [shown_device(device) for device in devices],
        "user_identities": _user_identities(profile),
        "user_attributes": _listed_attributes(section, groups, attributes),
        "calculated_attributes": _calculated(section, attributes),
        "consent_state": _consent_state(section),
        "attribution": [
            {"partner": one.publisher or one.service_provider, "campaign": one.campaign}
            for one in section.attribution
            if one.event == "install"
        ],
        MEMBERSHIPS: shown_memberships(section, audiences, expirations, joint),
        "status_messages": [
            {"kind": each.kind, "mpid": each.mpid, "timestamp_ms": each.timestamp_ms}
            for each in profile.status_messages
        ],
    }


def _calculated(section: Section, attributes: KnownAttributes | None) -> list[dict[str, Any]]:
    """List the calculated attributes that are active, by name; one without a value has a dash."""
    if attributes is None:
        return []
    found = values(section, attributes)
    names = sorted(attributes.numbers)
    return [{"name": name, "value": found.get(name, "-")} for name in names]


def user_row(mpid: int, profile: Profile, workspace: WorkspaceInfo) -> dict[str, Any] | None:
    """Return one line of a user search; `None` as in `profile_view`."""
    if workspace.number not in profile.workspaces:
        return None
    return {
        "mpid": mpid,
        "customer_id": _identity(profile, "customer_id"),
        "email": _identity(profile, "email"),
        "last_seen_ms": profile.last_stored_timestamp_ms,
    }


def _identity(profile: Profile, name: str) -> str | None:
    shown = profile.user_identities.get(name)
    return None if shown is None else shown.value


def _user_identities(profile: Profile) -> list[dict[str, str]]:
    return [
        {"type": name, "encoding": "none", "value": identity.value}
        for name, identity in sorted(profile.user_identities.items())
    ]


def _user_attributes(section: Section, groups: Mapping[int, str]) -> dict[str, AttributeText]:
    own = {name: attribute.value for name, attribute in section.user_attributes.items()}
    return own | group_attributes(section, groups)


def _listed_attributes(
    section: Section, groups: Mapping[int, str], calculated: KnownAttributes | None
) -> list[dict[str, Any]]:
    """List the attributes: reserved ones first, in their order, then the others by name.

    What a calculated one hides (spec/profiles.md, 3.2) is left out, whether or not it has a value.
    """
    hidden = () if calculated is None else calculated.numbers
    reserved = {name: place for place, name in enumerate(_RESERVED)}
    named = sorted(
        _user_attributes(section, groups).items(),
        key=lambda each: (reserved.get(each[0].lower(), len(reserved)), each[0]),
    )
    return [{"name": name, "value": value} for name, value in named if name not in hidden]


def _attribution(section: Section) -> list[dict[str, Any]]:
    return [
        {
            "event": one.event,
            "service_provider": one.service_provider,
            "publisher": one.publisher,
            "campaign": one.campaign,
            "timestamp_ms": one.timestamp_ms,
        }
        for one in section.attribution
    ]


def _consent_state(section: Section) -> dict[str, Any]:
    return {
        regulation: {purpose: consent_fields(record) for purpose, record in purposes.items()}
        for regulation, purposes in section.consent_state.items()
    }


def _inputs(section: Section, workspace: WorkspaceInfo) -> list[dict[str, Any]]:
    """List the inputs that the user appeared in; one that is gone has only its number."""
    shown = []
    for number, seen in section.inputs.items():
        known = workspace.inputs.get(number)
        shown.append(
            {
                "id": str(number) if known is None else known.id,
                "name": None if known is None else known.name,
                "first_seen_ms": seen.first_seen_ms,
                "last_seen_ms": seen.last_seen_ms,
            }
        )
    return shown


_FIELDS: dict[str, Callable[[Profile, Section, Mapping[int, str]], Any]] = {
    "device_identities": lambda _, section, __: listed_identities(by_last_seen(section)),
    "user_identities": lambda profile, *_: _user_identities(profile),
    "user_attributes": lambda _, section, groups: _user_attributes(section, groups),
    "attribution": lambda _, section, __: _attribution(section),
    "consent_state": lambda _, section, __: _consent_state(section),
}
PROFILE_FIELDS: tuple[str, ...] = (*_FIELDS, MEMBERSHIPS)
