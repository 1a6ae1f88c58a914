"""What people do in a session, and the events that tell of it (spec/events-api.md, 12).

A session is planned as a list of steps; each step becomes one event. Request ids and times are
placeholders of fixed width, which the pool fills in when a batch is sent.
"""

from bisect import bisect
from collections.abc import Callable
from itertools import accumulate
from typing import Any, NamedTuple

from load_tests.draws import Draws

# Stands for the number of a batch as sent: its request id, and the start of its message ids.
TOKEN = "@" * 18
# Stands for the second of sending. Ten digits, and no value that is drawn has this many nines.
SECONDS = 9_999_999_999

Data = dict[str, Any]


class Step(NamedTuple):
    """One thing that a person does; `subject` says what with (a product, an action)."""

    event_type: str
    subject: str = ""
    product: int = 0


_CATEGORIES = ("shoes", "coats", "lamps", "books", "garden", "games")
_SCREENS = ("Home", "Search", "Category", "Product", "Cart", "Account", "Orders", "Help")
_ACTIONS: tuple[tuple[str, str], ...] = (
    ("Searched", "search"),
    ("Opened Menu", "navigation"),
    ("Shared Product", "social"),
    ("Changed Settings", "user_preference"),
    ("Wrote Review", "user_content"),
    ("Applied Filter", "navigation"),
    ("Played Video", "media"),
    ("Chose Store", "location"),
)
_COLORS = ("red", "green", "blue", "black", "white", "yellow")
PRODUCTS = 200
# (action, chance that the person goes on to it): of 100 views about 15 end in a purchase.
_FUNNEL = (("view_detail", 1.0), ("add_to_cart", 0.5), ("checkout", 0.5), ("purchase", 0.6))
_BROWSING = {
    "screen_view": 0.30,
    "custom_event": 0.28,
    "commerce_event": 0.20,
    "network_performance": 0.07,
    "breadcrumb": 0.06,
    "user_attribute_change": 0.05,
    "push_message": 0.04,
}
_BROWSING_TYPES = tuple(_BROWSING)
_BROWSING_LIMITS = tuple(accumulate(_BROWSING.values()))[:-1]


def plan_session(draws: Draws, *, logs_in: bool) -> list[Step]:
    """Plan one session, from its start to its end; `logs_in` puts a login on the way."""
    steps: list[Step] = []
    for _ in range(2 + draws.below(10)):
        steps += _browse(draws)
    if logs_in:
        steps.insert(draws.below(len(steps)), Step("custom_event", "Logged In"))
    return [
        Step("session_start"),
        Step("application_state_transition", "application_foreground"),
        *steps,
        Step("application_state_transition", "application_background"),
        Step("session_end"),
    ]


def _browse(draws: Draws) -> list[Step]:
    event_type = _BROWSING_TYPES[bisect(_BROWSING_LIMITS, draws.unit())]
    if event_type != "commerce_event":
        return [Step(event_type)]
    product = draws.below(PRODUCTS)
    steps: list[Step] = []
    for action, chance in _FUNNEL:
        if not draws.chance(chance):
            break
        steps.append(Step("commerce_event", action, product))
    return steps


def make_event(step: Step, index: int, session_uuid: str, ms: int, draws: Draws) -> Data:
    """Make the event of a step.

    Args:
        step: what is done.
        index: place in the batch; with the batch's token it is the event's unique message id.
        session_uuid: the session it belongs to.
        ms: milliseconds within the second of sending, 0 to 999.
        draws: decides the details.
    """
    data: Data = {
        "timestamp_unixtime_ms": SECONDS * 1000 + ms,
        "source_message_id": f"{TOKEN}-{index:02d}",
        "session_uuid": session_uuid,
    }
    data.update(_DETAILS[step.event_type](step, draws))
    return {"event_type": step.event_type, "data": data}


def _session_start(step: Step, draws: Draws) -> Data:
    return {"custom_attributes": {"entry": draws.pick(("direct", "mail", "search", "push"))}}


def _session_end(step: Step, draws: Draws) -> Data:
    return {"session_duration_ms": 5_000 + draws.below(1_800_000)}


def _application_state_transition(step: Step, draws: Draws) -> Data:
    return {
        "application_transition_type": step.subject,
        "is_first_run": False,
        "is_upgrade": False,
    }


def _screen_view(step: Step, draws: Draws) -> Data:
    return {
        "screen_name": draws.pick(_SCREENS),
        "custom_attributes": {"load_ms": str(draws.below(900)), "theme": draws.pick(_COLORS)},
    }


def _custom_event(step: Step, draws: Draws) -> Data:
    name, kind = (step.subject, "other") if step.subject else draws.pick(_ACTIONS)
    return {
        "event_name": name,
        "custom_event_type": kind,
        "custom_attributes": {
            "category": draws.pick(_CATEGORIES),
            "position": str(draws.below(40)),
            "variant": f"v{draws.below(4)}",
        },
    }


def _commerce_event(step: Step, draws: Draws) -> Data:
    quantity = 1 + draws.below(3)
    price = round(2 + step.product * 1.37, 2)
    action: Data = {
        "action": step.subject,
        "products": [
            {
                "id": f"sku-{step.product:04d}",
                "name": f"{_COLORS[step.product % 6]} {_CATEGORIES[step.product % 5]}",
                "category": _CATEGORIES[step.product % 5],
                "price": price,
                "quantity": quantity,
            }
        ],
    }
    if step.subject == "checkout":
        action["checkout_step"] = 1
    if step.subject == "purchase":
        action["transaction_id"] = f"order-{draws.uuid()}"
        action["total_amount"] = round(price * quantity + 4.9, 2)
        action["shipping_amount"] = 4.9
    return {"product_action": action, "currency_code": "EUR"}


def _push_message(step: Step, draws: Draws) -> Data:
    return {
        "push_message_type": "received",
        "push_message_token": f"push-{draws.below(1_000_000):06d}",
        "push_notification_payload": '{"campaign":"spring"}',
        "network": "fcm",
        "application_state": "background",
        "push_message_behavior": draws.pick(("Received", "DirectOpen", "Read")),
    }


def _breadcrumb(step: Step, draws: Draws) -> Data:
    return {"label": f"tapped {draws.pick(_SCREENS)}", "session_number": 1 + draws.below(50)}


def _network_performance(step: Step, draws: Draws) -> Data:
    return {
        "http_verb": "GET",
        "url": f"https://shop.example.test/api/products/{draws.below(PRODUCTS)}",
        "time_elapsed": 20 + draws.below(800),
        "bytes_in": 200 + draws.below(50_000),
        "bytes_out": 100 + draws.below(2_000),
        "response_code": draws.pick((200, 200, 200, 304, 404)),
    }


def _user_attribute_change(step: Step, draws: Draws) -> Data:
    return {
        "user_attribute_name": "favorite_color",
        "new": draws.pick(_COLORS),
        "old": draws.pick(_COLORS),
        "deleted": False,
        "is_new_attribute": False,
    }


_DETAILS: dict[str, Callable[[Step, Draws], Data]] = {
    "session_start": _session_start,
    "session_end": _session_end,
    "application_state_transition": _application_state_transition,
    "screen_view": _screen_view,
    "custom_event": _custom_event,
    "commerce_event": _commerce_event,
    "push_message": _push_message,
    "breadcrumb": _breadcrumb,
    "network_performance": _network_performance,
    "user_attribute_change": _user_attribute_change,
}
EVENT_TYPES = tuple(_DETAILS)
