"""Criteria on the user (spec/audiences.md, 3.2)."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from actors.audiences.criteria import (
    AttributionCriterion,
    CalculatedAttribute,
    Consent,
    Criterion,
    DeviceCriterion,
    Flag,
    IdentityCriterion,
    LocationEquals,
    LocationWithin,
    LocationWithinBox,
    Prediction,
    SeenAt,
    SegmentMembership,
    UserAttribute,
    UserAttributeList,
    ValueRef,
)
from actors.model.batches import AttributeText
from actors.model.profiles import ConsentRecord, Device, Section
from tests.oracle.audiences.people import Person
from tests.oracle.audiences.value_tests import holds
from tests.oracle.audiences.windows import Now, date_holds
from tests.oracle.texts import MISSING, Stored, folded, text_of

EARTH_RADIUS_M = 6_371_008.8

_PLACES = {
    "country": "country_code",
    "state": "region_code",
    "city": "city_name",
    "zip": "postal_code",
    "dma": "dma_code",
}


def user_holds(criterion: Criterion, person: Person, groups: Mapping[int, str], now: Now) -> bool:
    """Evaluate a criterion that looks at neither events nor audiences."""
    section = person.section
    assert section is not None, "only users of the population are evaluated"

    def refer(reference: ValueRef) -> Stored:
        if reference.calculated_attribute is not None:
            return person.calculated_value(reference.calculated_attribute)
        return user_attribute(section, reference.attribute_name, groups)

    match criterion:
        case UserAttribute() | UserAttributeList():
            value = user_attribute(section, criterion.attribute_name, groups)
            return holds(criterion.test, value, now, refer)
        case CalculatedAttribute():
            value = person.calculated_value(criterion.calculated_attribute)
            return holds(criterion.test, value, now, refer)
        case DeviceCriterion():
            return holds(criterion.test, _of_devices(criterion, section), now, refer)
        case IdentityCriterion():
            value = _several(identities(person, criterion.identity_type))
            return holds(criterion.test, value, now, refer)
        case AttributionCriterion():
            records = [one for one in section.attribution if one.event == criterion.event]
            value = _several(getattr(one, criterion.field) for one in records)
            return holds(criterion.test, value, now, refer)
        case SeenAt():
            is_first = criterion.which == "first_seen"
            seen_ms = section.first_seen_ms if is_first else section.last_seen_ms
            if criterion.test.operator in ("exists", "not_exists", "empty"):
                return criterion.test.operator == "exists"
            return date_holds(criterion.test, seen_ms, now)
        case Consent():
            record = section.consent_state.get(criterion.regulation, {}).get(criterion.purpose)
            if criterion.operator is not None:
                return _consents(criterion.operator, record)
            return _consent_field_holds(criterion, record, now, person, groups)
        case LocationEquals():
            place = (section.location or {}).get(_PLACES[criterion.field])
            wanted = [folded(value) for value in criterion.values]
            return place is not None and folded(text_of(place)) in wanted
        case LocationWithin() | LocationWithinBox():
            return _is_near(criterion, section.location or {})
        case Flag():
            profile = person.profile
            is_opt_out = criterion.name == "opt_out"
            flag = profile.is_opted_out if is_opt_out else profile.limit_ad_tracking
            return flag is not None and flag == criterion.value
        case Prediction():
            score = person.predictions.get((criterion.prediction, criterion.output))
            return score is not None and holds(criterion.test, repr(score), now, refer)
        case SegmentMembership():
            return (criterion.segment in person.segments) == criterion.is_member
    raise AssertionError(criterion)


def user_attribute(section: Section, name: str, groups: Mapping[int, str]) -> Stored:
    """Return a user attribute, one of a group by `<group>:<attribute>`; groups' come first."""
    for number, membership in section.groups.items():
        for attribute, of_group in membership.attributes.items():
            if number in groups and name == f"{groups[number]}:{attribute}":
                return of_group
    found = section.user_attributes.get(name)
    value: AttributeText | None = None if found is None else found.value
    return MISSING if found is None else value


def identities(person: Person, identity_type: str) -> list[str]:
    """Return all values of an identity type."""
    section = person.section
    assert section is not None
    if identity_type == "mpid":
        return [str(person.mpid)]
    if identity_type.startswith("partner:"):
        partner = person.profile.partner_identities.get(identity_type.removeprefix("partner:"))
        return [] if partner is None else [partner]
    found = []
    shown = person.profile.user_identities.get(identity_type)
    if shown is not None:
        found.append(shown.value)
    for device in section.devices.values():
        if identity_type in device.identities:
            found.append(device.identities[identity_type])
        if device.push_token is not None and identity_type == _push_type(device):
            found.append(device.push_token)
    return found


def distance_m(
    latitude: float, longitude: float, other_latitude: float, other_longitude: float
) -> float:
    """Return the great-circle distance of two points given in degrees."""
    one, other = math.radians(latitude), math.radians(other_latitude)
    across = math.radians(other_longitude - longitude)
    chord = (
        math.sin((other - one) / 2) ** 2
        + math.cos(one) * math.cos(other) * math.sin(across / 2) ** 2
    )
    return 2 * EARTH_RADIUS_M * math.asin(math.sqrt(min(1.0, chord)))


def device_value(device: Device, name: str) -> Any:
    """Return a field of a device, `None` if it has none (spec/profiles.md, 2.3)."""
    if name in ("first_seen_ms", "last_seen_ms", "push_token", "push_registered"):
        return getattr(device, name)
    return device.fields.get(name)


def _of_devices(criterion: DeviceCriterion, section: Section) -> Stored:
    devices = list(section.devices.values())
    if criterion.match == "latest" and devices:
        devices = [max(devices, key=lambda device: device.last_seen_ms)]
    return _several(device_value(device, criterion.field) for device in devices)


def _several(values: Iterable[Any]) -> Stored:
    """Return values of several records as one; missing if no record has any."""
    found = [text_of(value) for value in values if value is not None]
    return found or MISSING


def _push_type(device: Device) -> str:
    match device.fields.get("platform"):
        case "iOS" | "tvOS":
            return "apple_push_notification_token"
        case "Android":
            return "google_cloud_messaging_token"
    return "unknown"


def _consents(operator: str, record: ConsentRecord | None) -> bool:
    match operator:
        case "consented":
            return record is not None and record.consented
        case "not_consented":
            return record is not None and not record.consented
        case "not_true":
            return record is None or not record.consented
        case "exists":
            return record is not None
        case "not_exists":
            return record is None
    raise AssertionError(operator)


def _consent_field_holds(
    criterion: Consent,
    record: ConsentRecord | None,
    now: Now,
    person: Person,
    groups: Mapping[int, str],
) -> bool:
    assert criterion.test is not None
    assert criterion.field is not None
    operator = criterion.test.operator
    if criterion.field == "timestamp":
        if record is None or operator in ("exists", "not_exists", "empty"):
            return operator == ("not_exists" if record is None else "exists")
        return date_holds(criterion.test, record.timestamp_ms, now)
    text = None if record is None else getattr(record, criterion.field)
    value = MISSING if text is None else text

    def refer(reference: ValueRef) -> Stored:
        section = person.section
        assert section is not None
        return user_attribute(section, reference.attribute_name, groups)

    return holds(criterion.test, value, now, refer)


def _is_near(criterion: LocationWithin | LocationWithinBox, location: Mapping[str, Any]) -> bool:
    latitude, longitude = location.get("latitude"), location.get("longitude")
    if latitude is None or longitude is None:
        return False
    if isinstance(criterion, LocationWithin):
        away = distance_m(criterion.latitude, criterion.longitude, latitude, longitude)
        return away <= criterion.distance_m
    if not criterion.south <= latitude <= criterion.north:
        return False
    if criterion.west <= criterion.east:
        return bool(criterion.west <= longitude <= criterion.east)
    return bool(longitude >= criterion.west or longitude <= criterion.east)
