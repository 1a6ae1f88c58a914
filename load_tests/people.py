"""The people of a load test: who they are, their devices, their sessions, when they are known.

A person is the same in every run of a seed; what the person does follows from the order in which
batches are asked for. No two people share a device or an identity, so that every event has one
rightful owner.
"""

from collections import deque
from hashlib import blake2b
from typing import Any, NamedTuple
from uuid import UUID

from load_tests.draws import Draws
from load_tests.journeys import SECONDS, Step, make_event, plan_session

Batch = dict[str, Any]

_CITIES = ("Lisbon", "Oslo", "Turin", "Graz", "Lyon", "Ghent", "Cork", "Brno")
_TIERS = ("basic", "silver", "gold")
_INTERESTS = ("sport", "music", "travel", "cooking", "film")
_PHONES = (
    ("iOS", "Apple", "iPhone16,2", "18.1", "ios_advertising_id"),
    ("Android", "Google", "Pixel 9", "15", "android_advertising_id"),
)
_NEVER_KNOWN = 0.15  # share of people who never log in


class Device(NamedTuple):
    """One device: its application stamp and its `device_info`."""

    stamp: str
    info: dict[str, Any]


class Person:
    """One user: identities, devices and where the current session stands."""

    def __init__(self, seed: int, number: int) -> None:
        digest = blake2b(f"{seed}/{number}".encode(), digest_size=64).digest()
        self.customer_id = f"load-{seed}-{number:07d}"
        self.email = f"load-{seed}-{number:07d}@example.test"
        self.devices = [_device(digest, place) for place in range(1 + digest[48] % 3)]
        self.can_log_in = digest[49] >= 256 * _NEVER_KNOWN
        self.is_known = self.can_log_in and digest[50] < 128
        self.city = _CITIES[digest[51] % len(_CITIES)]
        self.age = 18 + digest[52] % 60
        self._device = self.devices[0]
        self._session_uuid = ""
        self._steps: deque[Step] = deque()

    def next_batch(self, event_count: int, draws: Draws) -> Batch:
        """Return this person's next upload: as many events, in the order they happened."""
        events = []
        for index in range(event_count):
            if not self._steps:
                self._begin_session(draws)
            step = self._steps.popleft()
            if step.subject == "Logged In":
                self.is_known = True
            ms = index * 999 // event_count
            events.append(make_event(step, index, self._session_uuid, ms, draws))
        batch: Batch = {
            "environment": "production",
            "mp_deviceid": self._device.stamp,
            "events": events,
        }
        # Senders tell of the device when a session starts, and now and then.
        if events[0]["event_type"] == "session_start" or draws.chance(0.2):
            batch["device_info"] = self._device.info
        if self.is_known:
            batch["user_identities"] = {"customer_id": self.customer_id, "email": self.email}
        if draws.chance(0.35):
            batch["user_attributes"] = self._attributes(draws)
        if draws.chance(0.04):
            batch["consent_state"] = _consent(draws)
        return batch

    def _begin_session(self, draws: Draws) -> None:
        # One in ten sessions of a known person begins logged out.
        if self.is_known and self._session_uuid and draws.chance(0.1):
            self.is_known = False
        logs_in = self.can_log_in and not self.is_known and draws.chance(0.5)
        self._device = draws.pick(self.devices)
        self._session_uuid = draws.uuid()
        self._steps.extend(plan_session(draws, logs_in=logs_in))

    def _attributes(self, draws: Draws) -> dict[str, Any]:
        attributes: dict[str, Any] = {
            "$city": self.city,
            "$age": str(self.age),
            "tier": draws.pick(_TIERS),
            "interests": [draws.pick(_INTERESTS), draws.pick(_INTERESTS)],
        }
        if draws.chance(0.1):
            attributes["newsletter"] = None
        return attributes


def _device(digest: bytes, place: int) -> Device:
    platform, maker, model, version, advertising_key = _PHONES[digest[53 + place] % len(_PHONES)]
    start = 16 * place
    stamp = str(UUID(bytes=digest[start : start + 16], version=4))
    advertising_id = str(UUID(bytes=digest[start : start + 16][::-1], version=4))
    return Device(
        stamp,
        {
            "platform": platform,
            "device_manufacturer": maker,
            "device_model": model,
            "os_version": version,
            "screen_width": 1170,
            "screen_height": 2532,
            "locale_language": "en",
            "locale_country": "IE",
            "timezone_offset": 1,
            "limit_ad_tracking": False,
            advertising_key: advertising_id,
        },
    )


def _consent(draws: Draws) -> dict[str, Any]:
    now_ms = SECONDS * 1000
    if draws.chance(0.3):
        opt_out = {"consented": draws.chance(0.1), "timestamp_unixtime_ms": now_ms}
        return {"ccpa": {"data_sale_opt_out": opt_out}}
    purpose = draws.pick(("marketing", "analytics"))
    record = {
        "consented": draws.chance(0.8),
        "timestamp_unixtime_ms": now_ms,
        "document": "privacy-7",
    }
    return {"gdpr": {purpose: record}}
