"""The few names, values and spans of time that generated definitions and users share.

Few, so that they meet; the values have every shape that an attribute may have.
"""

from random import Random
from typing import Final, Literal, TypeVar

from actors.audiences.criteria import Unit
from tests.oracle.audiences.fixture import APP, DAY, HOUR, MINUTE, NOW, SHOP, iso
from tests.oracle.texts import EPOCH, MS, day_start_ms

T = TypeVar("T")

INPUTS = (APP, SHOP)
EVENT_NAMES = ("Login", "login", "Clip Played", "Read")
SCREENS = ("Home", "Cart")
ACTIONS = ("add_to_cart", "purchase", "remove_from_wish_list", "checkout", "refund")
ATTRIBUTES = ("status", "age", "born", "app", "vip")
LISTS = ("tags", "sizes")
EVENT_ATTRIBUTES = ("kind", "n", "due")
PRODUCT_ATTRIBUTES = ("color",)
GROUPS = {5: "club"}  # number of the definition to its id
GROUP_ATTRIBUTE = "club:level"
CALCULATED = (1, 2, 3)
IDENTITY_TYPES = (
    *("email", "customer_id", "android_id", "google_advertising_id", "mpid"),
    *("partner:Acme_Id", "google_cloud_messaging_token"),
)
AUDIENCES: Final = (501, 502)
STATIC_AUDIENCE = 599
SEGMENTS = (71, 72)
PREDICTIONS = (81,)
SCORES = (0.25, 0.5, 10.0)
PURPOSES: Final[tuple[tuple[Literal["gdpr", "ccpa"], str], ...]] = (
    ("gdpr", "ads"),
    ("ccpa", "data_sale_opt_out"),
)
PLACES = {"country": "US", "state": "NY", "city": "New York", "zip": "07102", "dma": "501"}

WORDS = ("Premium", "premium", "PREMIUM", "gold", "Straße", "STRASSE", "Red hat", "red", "", " ")
NUMBERS = (
    *("18", "18.0", " 34 ", "-3", "+5", "1e1", "10", "0.25", ".5", "7.", "1,5", "1e999", "NaN"),
    *("1.1e308", "-1.7e308", "9e307"),
)
VERSIONS = ("17.2", "17.2.0", "17.2.1", "17.10", "17", "0.0.0.1", "1.2.3.4.5", "v1")
BOOLEANS = ("true", "True", "FALSE", "yes", "1")

SPANS: tuple[tuple[int, Unit], ...] = (
    *((1, "minutes"), (90, "minutes"), (1, "hours"), (12, "hours"), (1, "days"), (3, "days")),
    *((1, "weeks"), (1, "months"), (29, "days"), (2, "months")),
)
_STARTS = (  # of a day, a week, a month, a quarter and a year
    NOW,
    NOW - NOW % DAY,
    day_start_ms((EPOCH + NOW * MS).date().replace(day=9)),
    day_start_ms((EPOCH + NOW * MS).date().replace(month=4, day=1)),
    day_start_ms((EPOCH + NOW * MS).date().replace(month=1, day=1)),
)


def chance(randomness: Random, of: float) -> bool:
    """Return true in that share of all cases."""
    return randomness.random() < of


def some(randomness: Random, of: tuple[T, ...], least: int = 0, most: int = 3) -> tuple[T, ...]:
    """Return a few different ones, in their order."""
    count = min(len(of), randomness.randint(least, most))
    chosen = set(randomness.sample(range(len(of)), count))
    return tuple(each for place, each in enumerate(of) if place in chosen)


def make_now(randomness: Random) -> int:
    """Return an instant to evaluate at: often where periods of the calendar meet."""
    return randomness.choice(_STARTS) + randomness.choice((0, 0, -1, 1, 5 * HOUR, -MINUTE))


def make_day(randomness: Random, now_ms: int) -> str:
    """Return a day around now."""
    return iso(now_ms + randomness.randint(-34, 3) * DAY)[:10]


def make_instant(randomness: Random, now_ms: int) -> str:
    """Return a timestamp with an offset around now."""
    at_ms = now_ms + randomness.randint(-34, 3) * DAY + randomness.choice((0, HOUR, -1, 1))
    if chance(randomness, 0.5):
        return iso(at_ms)
    return iso(at_ms + 2 * HOUR)[:-1] + "+02:00"


def make_date_text(randomness: Random, at_ms: int) -> str:
    """Return an instant as text in one of the forms that are read as dates."""
    match randomness.randint(0, 4):
        case 0:
            return iso(at_ms)
        case 1:
            return iso(at_ms)[:-1]  # no offset: UTC
        case 2:
            return str(at_ms)
        case 3:
            return iso(at_ms)[:10]
    return str(at_ms // 1000)


def recased(randomness: Random, text: str) -> str:
    """Return a text that compares as equal, mostly."""
    return randomness.choice((text, text, text.upper(), text.lower(), text.title()))
