"""Comparisons of the user, as user-based criteria (spec/audiences.md, 14.1)."""

from actors.audiences.language.kinds.consent import ConsentOperator
from actors.audiences.language.members import Json
from actors.audiences.language.problems import pointer
from actors.audiences.language.sdk.comparisons import (
    ATTRIBUTES,
    CALCULATED,
    Comparison,
    tree_of,
)
from actors.audiences.language.sdk.operands import (
    Audience,
    Literal,
    Location,
    Model,
    NotTranslatable,
    Path,
    check_members,
)

_IDENTITIES = "identities."
_CONSENT = "consent."
_STATE = "consented"  # the member of a consent record that is its state


def user_criterion(comparison: Comparison, path: Path) -> Json:
    """Return the criterion, or group of them, on one member of the user.

    Raises:
        NotTranslatable: there is none.
    """
    name = path.path
    if name == "location":
        return _location(comparison)
    if name.startswith(_CONSENT):
        return _consent(comparison, path)
    if name in ("first_seen", "last_seen"):
        return tree_of(comparison, {"type": name}, "value_type", "date")
    subject: Json
    if name.startswith(CALCULATED):
        attribute = name.removeprefix(CALCULATED)
        subject = {"type": "calculated_attribute", "attribute_name": attribute}
    elif name.startswith(_IDENTITIES):
        subject = {"type": "identity", "identity_type": name.removeprefix(_IDENTITIES)}
    else:
        subject = {"type": "user_attribute", "attribute_name": name.removeprefix(ATTRIBUTES)}
    return tree_of(comparison, subject, "value_type")


def membership(comparison: Comparison, left: Model) -> Json:
    """Return the criterion on membership of an audience.

    Raises:
        NotTranslatable: it is no such comparison.
    """
    if comparison.operator not in ("in", "not_in") or not isinstance(comparison.right, Audience):
        raise NotTranslatable(left.place, "can only be in an audience, or not in one.")
    return {
        "type": "audience_membership",
        "audience_id": comparison.right.number,
        "operator": "is_member" if comparison.operator == "in" else "is_not_member",
    }


def _consent(comparison: Comparison, path: Path) -> Json:
    parts = path.path.removeprefix(_CONSENT).split(".")
    if len(parts) < 3:
        message = "must be consent.<regulation>.<purpose>.<field>."
        raise NotTranslatable(pointer(path.place, "path"), message)
    regulation, *purpose, field = parts
    subject = {"type": "consent", "regulation": regulation, "purpose": ".".join(purpose)}
    if field == _STATE:
        return subject | {"operator": _state(comparison)}
    presence_type = "date" if field == "timestamp" else "string"
    return tree_of(comparison, subject | {"field": field}, "value_type", presence_type)


def _state(comparison: Comparison) -> ConsentOperator:
    right = comparison.right
    if right is None and comparison.operator in ("exists", "not_null"):
        return "exists"
    if right is None:
        return "not_exists"
    operator = comparison.scalar_operator
    if not isinstance(right, Literal) or not isinstance(right.value, bool):
        raise NotTranslatable(right.place, "must be true or false.")
    if operator not in ("equals", "not_equals"):
        raise NotTranslatable(pointer(comparison.place, "operator"), "must be equals.")
    return "consented" if right.value is (operator == "equals") else "not_consented"


def _location(comparison: Comparison) -> Json:
    right = comparison.right
    if comparison.operator != "within" or not isinstance(right, Location):
        place = pointer(comparison.place, "operator")
        raise NotTranslatable(place, "must be within, with a location on the other side.")
    members = right.members
    if not isinstance(members, dict):
        raise NotTranslatable(right.place, "must be an object.")
    check_members(members, right.place, "latitude", "longitude", "distance")
    distance, place = members.get("distance"), pointer(right.place, "distance")
    if not isinstance(distance, dict):
        raise NotTranslatable(place, "must be an object.")
    check_members(distance, place, "value", "unit")
    return {
        "type": "location",
        "operator": "within",
        "latitude": members.get("latitude"),
        "longitude": members.get("longitude"),
        "distance": distance.get("value"),
        "unit": distance.get("unit"),
    }
