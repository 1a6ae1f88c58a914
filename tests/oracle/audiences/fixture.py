"""The five users of the worked cases (spec/audiences.md, Worked cases).

`bodies` gives the batches as JSON, to be sent over HTTP; `make_users` applies the same batches and
gives the profiles and stored batches. Everything may be shifted by whole weeks.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from actors.model.workspaces import InputInfo, WorkspaceInfo
from tests.oracle.audiences.users import Users
from tests.oracle.texts import EPOCH, MS

NOW = 1_773_147_600_000  # N: 2026-03-10T13:00:00Z, a Tuesday
MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
WEEK = 7 * DAY

APP, SHOP = 7, 8
PEOPLE = (1001, 1002, 1003, 1004, 1005)
EMAIL = "e@example.com"

WORKSPACE = WorkspaceInfo(
    number=1,
    id="w1",
    name="One",
    account=2,
    organization=1,
    scope=3,
    inputs={
        APP: InputInfo(APP, "app", "App", "feed", "Unknown"),
        SHOP: InputInfo(SHOP, "shop", "Shop", "feed", "Unknown"),
    },
    priority=("customerid",),  # so that an e-mail address is shown without having been resolved
    login_ids=frozenset({"customerid"}),
    unique_ids=frozenset({"customerid"}),
    immutable_ids=frozenset({"customerid"}),
    gdpr_purposes=frozenset({"ads"}),
    is_ccpa_enabled=True,
)


@dataclass(frozen=True)
class Sent:
    """One batch of the fixture: whose, when it is received, and its JSON without an identity."""

    person: int
    received_ms: int
    body: dict[str, Any]


def at(text: str, shift_ms: int = 0) -> int:
    """Return an instant of 2026, written like `03-08T10:00` with seconds if need be, in ms."""
    return (datetime.fromisoformat(f"2026-{text}").replace(tzinfo=UTC) - EPOCH) // MS + shift_ms


def clip(kind: str, city: str, at_ms: int) -> dict[str, Any]:
    """Make the event `Clip Played`."""
    return custom("Clip Played", at_ms, kind=kind, city=city)


def custom(name: str, at_ms: int, **attributes: str | None) -> dict[str, Any]:
    """Make a custom event."""
    data = {"event_name": name, "timestamp_unixtime_ms": at_ms, "custom_event_type": "other"}
    return {"event_type": "custom_event", "data": {**data, "custom_attributes": attributes}}


def commerce(action: str, at_ms: int, *products: dict[str, Any]) -> dict[str, Any]:
    """Make a commerce event with a product action."""
    return {
        "event_type": "commerce_event",
        "data": {
            "timestamp_unixtime_ms": at_ms,
            "product_action": {"action": action, "products": list(products)},
        },
    }


def bodies(shift_ms: int = 0) -> list[Sent]:
    """Return all batches of the fixture in the order in which they are to be sent.

    Args:
        shift_ms: a whole number of weeks.
    """
    assert shift_ms % WEEK == 0
    sock = {"name": "Blue sock", "brand": "Acme", "price": 5, "quantity": 3}
    hat = {"name": "Red hat", "brand": "Zed", "price": 20, "quantity": 1}
    logins = ("03-04T13:00", "03-06T13:00", "03-08T23:59:59.999", "03-09T00:00")

    def moment(text: str) -> int:
        return at(text, shift_ms)

    def with_event(person: int, event: dict[str, Any], **members: Any) -> Sent:
        return Sent(person, event["data"]["timestamp_unixtime_ms"], {"events": [event], **members})

    sent = [
        Sent(
            1005,
            moment("02-20T12:00"),
            {
                "events": [],
                "mp_deviceid": "11111111-1111-4111-8111-111111111111",
                "device_info": {"platform": "iOS", "os_version": "17.2.1"},
            },
        ),
        Sent(
            1005,
            moment("03-01T12:00"),
            {
                "events": [],
                "mp_deviceid": "22222222-2222-4222-8222-222222222222",
                "device_info": {"platform": "Android", "os_version": "14"},
                "user_identities": {"email": EMAIL},
                "user_attributes": {"status": "gold"},
                "context": {"location": {"latitude": 40.7357, "longitude": -74.1724}},
                "consent_state": {
                    "gdpr": {
                        "ads": {
                            "consented": True,
                            "timestamp_unixtime_ms": moment("03-01T12:00"),
                        }
                    }
                },
            },
        ),
        *[with_event(1004, custom("Login", moment(each))) for each in logins],
        with_event(
            1001,
            clip("Intro", "PARIS", moment("03-08T10:00")),
            user_attributes={"status": "Premium", "age": "34", "tags": ["Jazz", "Rock"]},
        ),
        with_event(1001, clip("intro", "Paris, France", moment("03-09T10:00"))),
        with_event(
            1002,
            clip("intro", "Paris", moment("03-09T11:00")),
            user_attributes={"status": "premium", "age": "abc"},
        ),
        with_event(1002, commerce("purchase", moment("03-09T12:00"), sock, hat)),
        with_event(
            1003,
            commerce("add_to_cart", moment("03-10T11:00")),
            user_attributes={"status": None, "age": "18", "tags": []},
        ),
    ]
    return sorted(sent, key=lambda each: each.received_ms)


def make_users(shift_ms: int = 0, workspace: WorkspaceInfo = WORKSPACE) -> Users:
    """Return the five users with all their batches applied through input `APP`."""
    users = Users(workspace)
    for sent in bodies(shift_ms):
        users.send(sent.person, sent.body, sent.received_ms, source=APP)
    return users


def iso(at_ms: int) -> str:
    """Return an instant as an ISO timestamp, for `as_of`."""
    return (EPOCH + timedelta(milliseconds=at_ms)).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
