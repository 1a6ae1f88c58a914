"""Random batches as JSON, which change profiles in every way in which a batch can."""

from random import Random
from typing import Any

from tests.oracle.audiences.fixture import DAY, HOUR, MINUTE, commerce, custom
from tests.oracle.audiences.vocabulary import (
    ATTRIBUTES,
    BOOLEANS,
    EVENT_NAMES,
    LISTS,
    NUMBERS,
    SCREENS,
    VERSIONS,
    WORDS,
    chance,
    make_date_text,
    recased,
)

_STAMPS = tuple(f"{digit * 8}-1111-4111-8111-{digit * 12}" for digit in "12")
_IDENTITIES = ("email", "other_id_2")
_SOME_DAYS = 40


def make_body(randomness: Random, now_ms: int) -> dict[str, Any]:
    """Return a batch that is sent at `now_ms`; its events may be late, or from the future."""
    body: dict[str, Any] = {"events": []}
    for _ in range(randomness.choice((0, 1, 1, 2, 3))):
        body["events"].append(_make_event(randomness, now_ms))
    if chance(randomness, 0.5):
        names = randomness.sample((*ATTRIBUTES, *LISTS), 2)
        body["user_attributes"] = {name: _make_value(randomness, name, now_ms) for name in names}
    if chance(randomness, 0.25):
        body["deleted_user_attributes"] = randomness.sample((*ATTRIBUTES, *LISTS), 2)
    if chance(randomness, 0.5):
        _add_device(randomness, body, now_ms)
    if chance(randomness, 0.2):
        name = randomness.choice(_IDENTITIES)
        body["user_identities"] = {name: randomness.choice(("Premium", "gold"))}
    if chance(randomness, 0.3):
        body["consent_state"] = _make_consent(randomness, now_ms)
    if chance(randomness, 0.2):
        place = randomness.choice(
            (
                {"latitude": 40.7357, "longitude": -74.1724},
                {"latitude": 40.0, "longitude": 170.0, "country_code": "US"},
                {"city_name": "New York", "dma_code": 501},
            )
        )
        body["context"] = {"location": place}
    if chance(randomness, 0.1):
        body["attribution_info"] = {"publisher": randomness.choice(("gold", "red"))}
    return body


def _make_event(randomness: Random, now_ms: int) -> dict[str, Any]:
    at_ms = now_ms - randomness.choice((0, 0, 1, MINUTE, HOUR, 12 * HOUR, DAY, _SOME_DAYS * DAY))
    if chance(randomness, 0.1):
        at_ms = now_ms + HOUR
    choice = randomness.randint(0, 11)
    if choice < 4:
        kind = recased(randomness, randomness.choice(WORDS[:4]))
        return custom(randomness.choice(EVENT_NAMES), at_ms, kind=kind)
    if choice < 6:
        product = {"name": randomness.choice(WORDS[:4]), "price": randomness.choice((5, 10.25))}
        return commerce(randomness.choice(("add_to_cart", "purchase")), at_ms, product)
    data: dict[str, Any] = {"timestamp_unixtime_ms": at_ms}
    match choice:
        case 6:
            name = randomness.choice((*ATTRIBUTES, *LISTS))
            data |= {"user_attribute_name": name}
            if chance(randomness, 0.3):
                data["deleted"] = True
            else:
                data["new"] = _make_value(randomness, name, now_ms)
            return {"event_type": "user_attribute_change", "data": data}
        case 7:
            data["is_opted_out"] = chance(randomness, 0.4)
            return {"event_type": "opt_out", "data": data}
        case 8:
            attributes = {"publisher": randomness.choice(("gold", "red")), "campaign": "premium"}
            data |= {"event_name": "attribution", "custom_event_type": "attribution"}
            return {"event_type": "custom_event", "data": data | {"custom_attributes": attributes}}
        case 9:
            data |= {"register": chance(randomness, 0.6), "registration_token": "Red hat"}
            return {"event_type": "push_registration", "data": data}
        case 10:
            return {"event_type": randomness.choice(("uninstall", "first_run")), "data": data}
    data["screen_name"] = randomness.choice(SCREENS)
    if chance(randomness, 0.3):
        data["location"] = {"latitude": 40.7128, "longitude": -74.0060}
    return {"event_type": "screen_view", "data": data}


def _make_value(randomness: Random, name: str, now_ms: int) -> Any:
    if name in LISTS:
        return randomness.choices((*WORDS, *NUMBERS[:3]), k=randomness.randint(0, 3))
    if chance(randomness, 0.15):
        return randomness.choice((None, "", ["red", "gold"], True, 18, 0.25))
    match name:
        case "age":
            return randomness.choice(NUMBERS)
        case "born":
            return make_date_text(randomness, now_ms + randomness.randint(-3, 3) * DAY)
        case "app":
            return randomness.choice(VERSIONS)
        case "vip":
            return randomness.choice(BOOLEANS)
    return recased(randomness, randomness.choice(WORDS))


def _add_device(randomness: Random, body: dict[str, Any], now_ms: int) -> None:
    if chance(randomness, 0.8):
        body["mp_deviceid"] = randomness.choice(_STAMPS)
    body["device_info"] = {
        name: value
        for name, value in {
            "platform": randomness.choice(("iOS", "Android")),
            "os_version": randomness.choice(VERSIONS),
            "is_tablet": chance(randomness, 0.5),
            "timezone_offset": randomness.choice((5.5, 18)),
            "android_uuid": randomness.choice(("premium", "gold")),
            "limit_ad_tracking": chance(randomness, 0.5),
        }.items()
        if chance(randomness, 0.5)
    }
    body["application_info"] = {"application_version": randomness.choice(VERSIONS[:3])}


def _make_consent(randomness: Random, now_ms: int) -> dict[str, Any]:
    record: dict[str, Any] | None = {
        "consented": chance(randomness, 0.5),
        "timestamp_unixtime_ms": now_ms - randomness.choice((0, HOUR, DAY)),
        "document": randomness.choice(("Premium", "gold")),
    }
    if chance(randomness, 0.2):
        record = None
    if chance(randomness, 0.5):
        return {"gdpr": {"ads": record}}
    return {"ccpa": {"data_sale_opt_out": record}}
