"""What the programs in `tests/clients` have Segment's and RudderStack's SDKs send."""

import json
from typing import Any

from tests.clients.programs import Program, Running

WRITE_KEY = "us1-test-tracking-key"
Message = dict[str, Any]  # in the form that the API takes


def every_call(user: str) -> list[Message]:
    """Return a message for each call of the SDKs, about a user and somebody anonymous."""
    anonymous = f"anonymous-{user}"
    traits = {"email": f"{user}@example.test", "firstName": "Ada", "plan": "pro"}
    product = {"product_id": "p", "quantity": 2}
    order = {"order_id": "o1", "total": 21.0, "products": [product]}
    return [
        {"type": "identify", "userId": user, "traits": traits | {"address": {"city": "Turin"}}},
        {"type": "track", "userId": user, "event": "Opened", "properties": {"n": 1}},
        {"type": "track", "userId": user, "event": "Order Completed", "properties": order},
        {"type": "page", "userId": user, "name": "Pricing", "category": "Docs"},
        {"type": "screen", "userId": user, "name": "Main"},
        {"type": "group", "userId": user, "groupId": "acme", "traits": {"size": 3}},
        {"type": "track", "anonymousId": anonymous, "event": "Visited"},
        {"type": "alias", "previousId": anonymous, "userId": f"known-{user}"},
    ]


def numbered(user: str, count: int) -> list[Message]:
    """Return many messages, which may arrive in any order."""
    return [{"type": "track", "userId": user, "event": f"E{number}"} for number in range(count)]


def start(
    tracker: Program,
    sdk: str,
    host: str,
    messages: list[Message],
    *,
    key: str = WRITE_KEY,
    is_patient: bool = False,
) -> Running:
    """Have an SDK send messages; its result is the errors that it tells.

    `is_patient`: several requests at a time, tried again for minutes; else in order, and what is
    refused for good is soon told.
    """
    environ = {"KEY": key, "HOST": host, "MESSAGES": json.dumps(messages)}
    return tracker.start(sdk, **environ, PATIENT="1" if is_patient else "")
