"""Random criteria on users (spec/audiences.md, 3.2)."""

from random import Random
from typing import Any

from actors.audiences.criteria import (
    AttributionCriterion,
    AudienceMembership,
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
    ValueType,
)
from tests.oracle.audiences.random_tests import TYPES, make_test
from tests.oracle.audiences.vocabulary import (
    ATTRIBUTES,
    AUDIENCES,
    CALCULATED,
    GROUP_ATTRIBUTE,
    IDENTITY_TYPES,
    LISTS,
    PLACES,
    PREDICTIONS,
    PURPOSES,
    SEGMENTS,
    STATIC_AUDIENCE,
    chance,
)

_DEVICE_FIELDS: dict[str, ValueType] = {
    "platform": "string",
    "os_version": "version",
    "is_tablet": "boolean",
    "timezone_offset": "number",
    "last_seen_ms": "date",
    "push_registered": "boolean",
}


class UserCriteria:
    """Makes criteria on users; arguments as of `Definitions`."""

    def __init__(self, randomness: Random, now_ms: int, *, nests: bool) -> None:
        self._randomness = randomness
        self._now_ms = now_ms
        self._nests = nests

    def criterion(self) -> Criterion:
        """Return any criterion on users."""
        makers = (
            *((self._attribute,) * 4),
            self._list,
            self._calculated,
            self._device,
            self._identity,
            self._consent,
            self._seen,
            self._location,
            self._other,
        )
        return self._randomness.choice(makers)()

    def _attribute(self) -> Criterion:
        randomness = self._randomness
        name = randomness.choice((*ATTRIBUTES, *ATTRIBUTES, *LISTS, GROUP_ATTRIBUTE))
        usual: dict[str, ValueType] = {"age": "number", "born": "date", "app": "version"}
        usual["vip"] = "boolean"
        type_ = usual.get(name, "string")
        if chance(randomness, 0.2):
            type_ = randomness.choice(TYPES)
        return UserAttribute(name, make_test(randomness, type_, self._now_ms, may_refer=True))

    def _list(self) -> Criterion:
        name = self._randomness.choice((*LISTS, *LISTS, "status", "age"))
        return UserAttributeList(name, make_test(self._randomness, "list", self._now_ms))

    def _calculated(self) -> Criterion:
        randomness = self._randomness
        type_ = randomness.choice(("number", "number", "string", "date"))
        test = make_test(randomness, type_, self._now_ms, may_refer=True)  # type: ignore[arg-type]
        number = randomness.choice(CALCULATED)
        return CalculatedAttribute(number, test, f"ca{number}")

    def _device(self) -> Criterion:
        randomness = self._randomness
        field, type_ = randomness.choice(list(_DEVICE_FIELDS.items()))
        match: Any = randomness.choice(("any", "latest"))
        return DeviceCriterion(field, match, make_test(randomness, type_, self._now_ms))

    def _identity(self) -> Criterion:
        test = make_test(self._randomness, "string", self._now_ms)
        return IdentityCriterion(self._randomness.choice(IDENTITY_TYPES), test)

    def _consent(self) -> Criterion:
        randomness = self._randomness
        regulation, purpose = randomness.choice(PURPOSES)
        if chance(randomness, 0.3):
            field: Any = randomness.choice(("document", "timestamp"))
            type_: ValueType = "date" if field == "timestamp" else "string"
            test = make_test(randomness, type_, self._now_ms)
            return Consent(regulation, purpose, field=field, test=test)
        operators: tuple[Any, ...] = ("consented", "not_consented", "not_true", "exists")
        return Consent(regulation, purpose, randomness.choice((*operators, "not_exists")))

    def _seen(self) -> Criterion:
        which: Any = self._randomness.choice(("first_seen", "last_seen"))
        return SeenAt(which, make_test(self._randomness, "date", self._now_ms))

    def _location(self) -> Criterion:
        randomness = self._randomness
        if chance(randomness, 0.4):
            field: Any = randomness.choice(list(PLACES))
            return LocationEquals(field, (PLACES[field].lower(), "elsewhere"))
        if chance(randomness, 0.5):
            return LocationWithin(40.7128, -74.0060, randomness.choice((14_000.0, 15_000.0)))
        west, east = randomness.choice(((-80.0, -74.1724), (170.0, -74.1724), (-74.0, 0.0)))
        return LocationWithinBox(40.7357, 40.0, east, west)

    def _prediction(self) -> Criterion:
        randomness = self._randomness
        output: Any = randomness.choice(("score", "percentile"))
        test = make_test(randomness, "number", self._now_ms)
        return Prediction(randomness.choice(PREDICTIONS), output, test)

    def _other(self) -> Criterion:
        randomness = self._randomness
        if chance(randomness, 0.15):
            return SegmentMembership(randomness.choice(SEGMENTS), chance(randomness, 0.5))
        if chance(randomness, 0.15):
            return self._prediction()
        if self._nests and chance(randomness, 0.5):
            target = randomness.choice((*AUDIENCES, STATIC_AUDIENCE))
            return AudienceMembership(target, chance(randomness, 0.5))
        if chance(randomness, 0.5):
            name: Any = randomness.choice(("opt_out", "limit_ad_tracking"))
            return Flag(name, chance(randomness, 0.5))
        event: Any = randomness.choice(("install", "uninstall"))
        of: Any = randomness.choice(("publisher", "campaign", "service_provider"))
        return AttributionCriterion(event, of, make_test(randomness, "string", self._now_ms))
