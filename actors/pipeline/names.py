"""What data points are called that an event belongs to (spec/connections.md, 2.4)."""

from typing import Any

from actors.model.batches import Event

COMMERCE_PARTS = ("product_action", "promotion_action", "product_impressions")

PRODUCT_ACTIONS = (
    *("add_to_cart", "remove_from_cart", "checkout", "checkout_option", "click", "view_detail"),
    *("purchase", "refund", "add_to_wishlist", "remove_from_wish_list", "unknown"),
)
COMMERCE_KEYS = (
    *(f"product_{action}" for action in PRODUCT_ACTIONS),
    *("promotion_view", "promotion_click", "promotion_unknown"),
    "product_impression",
)


def commerce_part(event: Event) -> str:
    """Return which of its three parts a commerce event has."""
    return next((part for part in COMMERCE_PARTS if event.get(part)), COMMERCE_PARTS[-1])


def commerce_key(event: Event) -> str:
    """Return the event type by which a commerce event is switched (spec/rules.md, 7)."""
    part = commerce_part(event)
    if part == "product_impressions":
        return "product_impression"
    action: dict[str, Any] = event.get(part)
    return f"{part.partition('_')[0]}_{action.get('action', 'unknown')}"


def event_key(event: Event) -> tuple[str, str] | None:
    """Return type and name of an event whose attributes can be switched, `None` of another one.

    Commerce events have no name but their type.
    """
    match event.event_type:
        case "custom_event":
            return event.get("custom_event_type") or "other", event.get("event_name") or ""
        case "screen_view":
            return "screen_view", event.get("screen_name") or ""
        case "commerce_event":
            return commerce_key(event), ""
    return None
