"""Random users: attributes of every shape, devices, consent, identities, place and events."""

from random import Random
from typing import Any

from actors.model.batches import AttributeText
from actors.model.profiles import (
    AttributeValue,
    Attribution,
    ConsentRecord,
    Device,
    GroupMembership,
    IdentityValue,
    Profile,
    Section,
)
from actors.model.workspaces import WorkspaceInfo
from tests.oracle.audiences.fixture import APP, DAY
from tests.oracle.audiences.people import Person
from tests.oracle.audiences.random_events import Events
from tests.oracle.audiences.vocabulary import (
    ATTRIBUTES,
    BOOLEANS,
    CALCULATED,
    GROUPS,
    LISTS,
    NUMBERS,
    PREDICTIONS,
    PURPOSES,
    SCORES,
    SEGMENTS,
    STATIC_AUDIENCE,
    VERSIONS,
    WORDS,
    chance,
    make_date_text,
    recased,
    some,
)

_PLACES: tuple[dict[str, Any], ...] = (
    {"latitude": 40.7357, "longitude": -74.1724},  # 14.25 km from New York
    {"latitude": 40.7128, "longitude": -74.0060, "city_name": "new york", "dma_code": 501},
    {"latitude": 40.0, "longitude": 170.0, "country_code": "us", "region_code": "NY"},
    {"country_code": "FR", "postal_code": "07102"},
)
_FEW_DAYS = 5


class People:
    """Makes users whose data all was received by `now_ms`; times are those of `events`."""

    def __init__(
        self, randomness: Random, events: Events, now_ms: int, workspace: WorkspaceInfo
    ) -> None:
        self._randomness = randomness
        self._events = events
        self._now_ms = now_ms
        self._workspace = workspace

    def person(self, mpid: int) -> Person:
        """Return a user, at times one outside the population."""
        randomness = self._randomness
        batches = self._events.batches(mpid)
        calculated: dict[int, AttributeText] = {}
        for number in CALCULATED:
            if chance(randomness, 0.6):
                calculated[number] = self._calculated(number)
        return Person(
            mpid,
            self._profile([each.received_ms for each in batches]),
            tuple(batches),
            self._workspace,
            calculated,
            frozenset({STATIC_AUDIENCE}) if chance(randomness, 0.5) else frozenset(),
            frozenset(some(randomness, SEGMENTS)),
            {
                (prediction, output): randomness.choice(SCORES)
                for prediction in PREDICTIONS
                for output in ("score", "percentile")
                if chance(randomness, 0.6)
            },
        )

    def _profile(self, received: list[int]) -> Profile:
        randomness, now_ms = self._randomness, self._now_ms
        stored_ms = max(received, default=now_ms - randomness.randint(0, 20) * DAY)
        if chance(randomness, 0.7):
            stored_ms = max(stored_ms, now_ms - randomness.randint(0, _FEW_DAYS) * DAY)
        profile = Profile(created_timestamp_ms=min([stored_ms, *received]))
        profile.last_stored_timestamp_ms = stored_ms
        profile.is_opted_out = chance(randomness, 0.05)
        profile.limit_ad_tracking = randomness.choice((None, True, False))
        for name in ("email", "customer_id"):
            if chance(randomness, 0.5):
                value = recased(randomness, randomness.choice(("premium", "gold", "18")))
                profile.user_identities[name] = IdentityValue(value, stored_ms, stored_ms)
        if chance(randomness, 0.3):
            profile.partner_identities["Acme_Id"] = "Premium"
        if chance(randomness, 0.97):
            first_ms = min(stored_ms, self._events.moment())
            profile.workspaces[self._workspace.number] = self._section(first_ms, stored_ms)
        return profile

    def _section(self, first_ms: int, stored_ms: int) -> Section:
        randomness = self._randomness
        section = Section(first_ms, stored_ms)
        if chance(randomness, 0.03):
            section.is_aged_out = True
            return section
        for name in ATTRIBUTES:
            if chance(randomness, 0.75):
                value = self._attribute(name)
                section.user_attributes[name] = AttributeValue(value, stored_ms, APP)
        for name in LISTS:
            if chance(randomness, 0.6):
                section.user_attributes[name] = AttributeValue(self._list(), stored_ms, APP)
        for place in range(randomness.choice((0, 1, 1, 2, 3))):
            device = self._device(f"device-{place}", stored_ms)
            section.devices[device.key] = device
        if chance(randomness, 0.5):
            level = {"level": self._attribute("status")}
            section.groups[next(iter(GROUPS))] = GroupMembership("gold", level)
        for regulation, purpose in PURPOSES:
            if chance(randomness, 0.5):
                section.consent_state.setdefault(regulation, {})[purpose] = ConsentRecord(
                    chance(randomness, 0.5),
                    self._events.moment(),
                    stored_ms,
                    document=randomness.choice((None, "Premium", "gold")),
                )
        if chance(randomness, 0.6):
            section.location = dict(randomness.choice(_PLACES))
        if chance(randomness, 0.3):
            source = randomness.choice((None, "gold")), randomness.choice((None, "Premium"))
            section.attribution.append(Attribution("install", *source, "red", stored_ms))
        if chance(randomness, 0.1):
            section.attribution.append(Attribution("uninstall", None, None, None, stored_ms))
        return section

    def _attribute(self, name: str) -> AttributeText:
        randomness = self._randomness
        choice = randomness.randint(0, 19)
        if choice == 0:
            return None
        if choice == 1:
            return ""
        if choice == 2:
            return self._list()
        if choice == 3:
            return randomness.choice((*WORDS, *NUMBERS, *BOOLEANS, *VERSIONS))
        match name:
            case "age":
                return randomness.choice(NUMBERS)
            case "born":
                ahead_ms = randomness.choice((0, 0, DAY, 7 * DAY, 2 * DAY + 1))
                return make_date_text(randomness, self._events.moment() + ahead_ms)
            case "app":
                return randomness.choice(VERSIONS)
            case "vip":
                return randomness.choice(BOOLEANS)
        return recased(randomness, randomness.choice(WORDS))

    def _list(self) -> list[str]:
        randomness = self._randomness
        words = (*WORDS, *NUMBERS[:4], *VERSIONS[:2], "2026-03-08")
        return randomness.choices(words, k=randomness.randint(0, 3))

    def _device(self, key: str, stored_ms: int) -> Device:
        randomness = self._randomness
        # All different: which of two devices that were seen at once is the latest is not said.
        seen_ms = stored_ms - (randomness.randint(0, 9) * DAY + int(key[-1]))
        device = Device(key, seen_ms, seen_ms)
        options: dict[str, tuple[Any, ...]] = {
            "platform": ("iOS", "Android", "web"),
            "os_version": VERSIONS,
            "is_tablet": (True, False),
            "timezone_offset": (18, 5.5, 10.0),
        }
        for name, values in options.items():
            if chance(randomness, 0.7):
                device.fields[name] = randomness.choice(values)
        if chance(randomness, 0.4):
            device.identities["android_id"] = randomness.choice(("premium", "gold"))
        if chance(randomness, 0.3):
            device.push_token, device.push_registered = "Red hat", chance(randomness, 0.7)
        return device

    def _calculated(self, number: int) -> AttributeText:
        randomness = self._randomness
        if number == 1:
            return randomness.choice(("18", "34", "10", "0.25", None))
        if number == 2:
            return make_date_text(randomness, self._events.moment())
        return self._list() if chance(randomness, 0.5) else randomness.choice(WORDS)
