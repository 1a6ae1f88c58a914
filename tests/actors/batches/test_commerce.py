from typing import Any

import pytest

from actors.errors import Problem
from tests.actors.batches.support import decoded, event, event_data, paths, problems

PRODUCT_ACTIONS = (
    *("add_to_cart", "remove_from_cart", "checkout", "checkout_option", "click", "view_detail"),
    *("purchase", "refund", "add_to_wishlist", "unknown"),
)


def commerce(**data: Any) -> dict[str, Any]:
    return event_data("commerce_event", data)


def product(**members: Any) -> Any:
    action = {"action": "purchase", "products": [members]}
    return commerce(product_action=action)["product_action"]["products"][0]


def test_amounts_are_numbers_and_totals_are_derived() -> None:
    """spec/events-api.md, worked case 29."""
    products = [{"id": "p1", "price": 10, "quantity": 2}]
    data = commerce(
        product_action={"action": "purchase", "total_amount": "21.49", "products": products}
    )
    assert data == {
        "product_action": {
            "action": "purchase",
            "total_amount": 21.49,
            "products": [{"id": "p1", "price": 10, "quantity": 2, "total_product_amount": 20}],
        },
        "is_non_interactive": False,
        "custom_event_type": "purchase",
    }


@pytest.mark.parametrize(
    ("members", "total"),
    [
        ({"price": 2.5}, 2.5),
        ({"price": 2.5, "quantity": 4}, 10),
        ({"price": 2.5, "quantity": 4, "total_product_amount": 9}, 9),
        ({"quantity": 4}, None),
        ({"price": "", "quantity": 4}, None),
        ({"price": 1e308, "quantity": 10}, None),
        ({"price": 2**62, "quantity": 4}, None),
    ],
)
def test_a_product_without_a_total_gets_price_times_quantity(
    members: dict[str, Any], total: float | None
) -> None:
    """spec/events-api.md, 12.5 and worked case 33."""
    assert product(**members).get("total_product_amount") == total


def test_null_members_of_an_action_and_its_products_are_absent() -> None:
    """spec/events-api.md, 3.2: null is absent."""
    action = {"action": "purchase", "affiliation": None, "total_amount": 5}
    products = [{"id": "p1", "brand": None, "custom_attributes": {"size": None}}]
    data = commerce(product_action=action | {"products": products})
    assert data["product_action"] == {
        "action": "purchase",
        "total_amount": 5,
        "products": [{"id": "p1", "custom_attributes": {"size": None}}],
    }
    data = commerce(product_action=action | {"products": None})
    assert data["product_action"] == {"action": "purchase", "total_amount": 5}


def test_an_empty_price_is_absent_and_another_text_is_refused() -> None:
    """spec/events-api.md, worked case 33."""
    assert product(price="") == {}
    action = {"action": "purchase", "products": [{"price": 1}, {"price": "abc"}]}
    assert problems(event("commerce_event", {"product_action": action})) == [
        Problem(
            'Invalid value for field "price": must be a number.',
            "events[0].data.product_action.products[1].price",
        )
    ]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param({}, id="none"),
        pytest.param({"product_action": {}, "product_impressions": []}, id="empty ones"),
        pytest.param(
            {"product_action": {"action": "click"}, "promotion_action": {"action": "click"}},
            id="two",
        ),
    ],
)
def test_exactly_one_part_is_there(data: Any) -> None:
    """spec/events-api.md, worked case 30."""
    assert problems(event("commerce_event", data)) == [
        Problem(
            'Invalid value for field "data": must have exactly one of product_action, '
            "promotion_action, product_impressions.",
            "events[0].data",
        )
    ]


@pytest.mark.parametrize("nothing", [None, {}, []])
def test_empty_parts_count_as_absent(nothing: Any) -> None:
    """spec/events-api.md, worked case 30."""
    data = commerce(
        product_action={"action": "click"},
        promotion_action=nothing,
        product_impressions=nothing,
    )
    assert "promotion_action" not in data
    assert "product_impressions" not in data


@pytest.mark.parametrize("action", PRODUCT_ACTIONS)
def test_the_event_type_is_that_of_the_product_action(action: str) -> None:
    data = commerce(product_action={"action": action.upper()}, custom_event_type="search")
    assert data["product_action"]["action"] == action
    assert data["custom_event_type"] == action


@pytest.mark.parametrize("action", ["remove_from_wish_list", "remove_from_wishlist"])
def test_removal_from_the_wish_list_has_two_spellings(action: str) -> None:
    """spec/events-api.md, worked case 31."""
    data = commerce(product_action={"action": action})
    assert data["product_action"]["action"] == "remove_from_wish_list"
    assert data["custom_event_type"] == "remove_from_wishlist"


@pytest.mark.parametrize(
    ("action", "message"),
    [
        ({"action": "buy"}, "Invalid value for field"),
        ({"transaction_id": "t"}, 'Required field "action" is missing or empty.'),
        ({"action": ""}, 'Required field "action" is missing or empty.'),
    ],
)
def test_a_product_action_needs_a_known_action(action: Any, message: str) -> None:
    """spec/events-api.md, worked case 31."""
    [problem] = problems(event("commerce_event", {"product_action": action}))
    assert problem.path == "events[0].data.product_action.action"
    assert problem.message.startswith(message)


@pytest.mark.parametrize(
    ("action", "name", "derived"),
    [
        ("view", "view", "promotion_view"),
        ("click", "click", "promotion_click"),
        ("unknown", "unknown", "unknown"),
        (0, "unknown", "unknown"),
        (1, "view", "promotion_view"),
        (2, "click", "promotion_click"),
    ],
)
def test_promotions_may_be_numbered(action: Any, name: str, derived: str) -> None:
    """spec/events-api.md, worked case 32; spec/clients.md, 4.4."""
    data = commerce(promotion_action={"action": action, "promotions": [{"position": 3}]})
    assert data["promotion_action"] == {"action": name, "promotions": [{"position": "3"}]}
    assert data["custom_event_type"] == derived


@pytest.mark.parametrize("action", [3, -1, True, 1.5, "buy"])
def test_other_promotion_actions_are_refused(action: Any) -> None:
    body = event("commerce_event", {"promotion_action": {"action": action}})
    assert paths(body) == ["events[0].data.promotion_action.action"]


def test_impressions_have_their_own_type() -> None:
    """spec/events-api.md, worked case 32."""
    data = commerce(product_impressions=[{"products": [{"id": "p1"}, None]}])
    assert data["product_impressions"] == [{"products": [{"id": "p1"}]}]
    assert data["custom_event_type"] == "impression"


def test_other_fields_are_kept() -> None:
    data = commerce(
        product_action={"action": "view_detail", "products": None, "foo": 1},
        shopping_cart={"products": [{"id": "p", "added_to_cart_time_ms": "5"}]},
        currency_code="EUR",
        screen_name="Detail",
        is_non_interactive=True,
    )
    assert data == {
        "product_action": {"action": "view_detail"},
        "shopping_cart": {"products": [{"id": "p", "added_to_cart_time_ms": 5}]},
        "currency_code": "EUR",
        "screen_name": "Detail",
        "is_non_interactive": True,
        "custom_event_type": "view_detail",
    }


def test_texts_of_products_and_promotions_have_the_limit_of_attributes() -> None:
    """spec/events-api.md, 14."""
    attributes = {f"a{number}": "1" for number in range(101)}
    sent = {"id": "x" * 4096, "name": "x" * 4097, "custom_attributes": attributes}
    action = {"action": "click", "products": [sent]}
    batch = decoded(event("commerce_event", {"product_action": action}))
    [kept] = batch.events[0].data["product_action"]["products"]
    assert kept["id"] == "x" * 4096
    assert "name" not in kept
    assert len(kept["custom_attributes"]) == 100
    assert batch.drops == ["attribute_value_length", "attribute_count"]
