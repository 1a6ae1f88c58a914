"""Commerce events: worked cases 29 to 33."""

from typing import Any

from tests.whole.cases import refused, stored, user
from tests.whole.sent import event
from tests.whole.world import World

PURCHASE = {"action": "purchase"}
VIEW = {"action": "view"}
IMPRESSIONS = [{"products": [{"id": "p1"}]}]


def commerce(**data: Any) -> dict[str, Any]:
    """Make a commerce event."""
    return event("commerce_event", **data)


def action(name: str, *products: dict[str, Any]) -> dict[str, Any]:
    """Make a commerce event with a product action."""
    return commerce(product_action={"action": name, "products": list(products)})


async def test_case_29_a_purchase(world: World) -> None:
    """spec/events-api.md, worked case 29."""
    bought = {
        "action": "purchase",
        "total_amount": "21.49",
        "products": [{"id": "p1", "price": 10, "quantity": 2}],
    }
    [data] = await stored(world, commerce(product_action=bought))
    assert data["custom_event_type"] == "purchase"
    assert data["product_action"]["total_amount"] == 21.49
    assert data["product_action"]["products"][0]["total_product_amount"] == 20
    [outgoing] = world.outgoing()
    sent = outgoing["events"][0]["data"]
    assert (sent["custom_event_type"], sent["product_action"]) == (
        "purchase",
        data["product_action"],
    )


async def test_case_29_what_is_derived_and_what_is_not(world: World) -> None:
    """spec/events-api.md, 12.5: quantity counts as 1; `total_amount` is never derived."""
    products: list[dict[str, Any]] = [
        {"id": "one", "price": "2.5"},
        {"id": "given", "price": 2, "quantity": 3, "total_product_amount": 5},
        {"id": "no price", "quantity": 3},
    ]
    [data] = await stored(world, action("purchase", *products))
    amounts = [each.get("total_product_amount") for each in data["product_action"]["products"]]
    assert amounts == [2.5, 5, None]
    assert "total_amount" not in data["product_action"]


async def test_case_30_not_exactly_one_part(world: World) -> None:
    """spec/events-api.md, worked case 30: null and empty parts count as absent."""
    wrong: list[dict[str, Any]] = [
        {"product_action": PURCHASE, "promotion_action": VIEW},
        {"product_action": PURCHASE, "product_impressions": IMPRESSIONS},
        {},
        {"product_action": None, "promotion_action": {}, "product_impressions": []},
    ]
    for data in wrong:
        await refused(world, user(events=[commerce(**data)]), "events[0].data")
    assert await world.find("a") == []


async def test_case_30_an_empty_part_is_absent(world: World) -> None:
    """spec/events-api.md, worked case 30, and 12.5."""
    empty: list[dict[str, Any]] = [
        {"promotion_action": None},
        {"promotion_action": {}},
        {"product_impressions": []},
    ]
    kept = await stored(world, *(commerce(product_action=PURCHASE, **each) for each in empty))
    assert [each["product_action"]["action"] for each in kept] == ["purchase"] * 3


async def test_case_31_names_of_actions(world: World) -> None:
    """spec/events-api.md, worked case 31, and the table of 12.5."""
    same = (
        *("add_to_cart", "remove_from_cart", "checkout", "checkout_option", "click"),
        *("view_detail", "purchase", "refund", "add_to_wishlist", "unknown"),
    )
    removals = ("remove_from_wishlist", "remove_from_wish_list")
    kept = await stored(world, *(action(each) for each in (*same, *removals)))
    assert [each["product_action"]["action"] for each in kept] == [
        *same,
        "remove_from_wish_list",
        "remove_from_wish_list",
    ]
    assert [each["custom_event_type"] for each in kept] == [
        *same,
        "remove_from_wishlist",
        "remove_from_wishlist",
    ]
    for wrong in ("buy", "", None):
        batch = user(events=[commerce(product_action={"action": wrong, "products": []})])
        await refused(world, batch, "events[0].data.product_action.action")


async def test_case_32_impressions_and_promotions(world: World) -> None:
    """spec/events-api.md, worked case 32; the web SDK sends promotion actions as numbers."""
    kept = await stored(
        world,
        commerce(product_impressions=IMPRESSIONS),
        *(commerce(promotion_action={"action": each}) for each in ("view", "click", 0, 1, 2)),
    )
    assert [each["custom_event_type"] for each in kept] == [
        *("impression", "promotion_view", "promotion_click"),
        *("unknown", "promotion_view", "promotion_click"),
    ]
    assert [each["promotion_action"]["action"] for each in kept[1:]] == [
        *("view", "click"),
        *("unknown", "view", "click"),
    ]


async def test_case_33_price_of_a_product(world: World) -> None:
    """spec/events-api.md, worked case 33."""
    [data] = await stored(world, action("purchase", {"id": "p1", "price": ""}))
    assert data["product_action"]["products"] == [{"id": "p1"}]
    wrong = user(events=[action("purchase", {"id": "p1"}, {"id": "p2", "price": "abc"})])
    await refused(world, wrong, "events[0].data.product_action.products[1].price")
