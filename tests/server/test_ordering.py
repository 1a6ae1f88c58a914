"""Which batches of a request go at once, and which wait. Source: spec/events-api.md, 5.2."""

from actors.identity.keys import IdentityName
from actors.store.keys import SLOTS
from server.ordering import Entry, Order, Unit
from server.routing import Route

ANN, BOB = (IdentityName("customerid", name) for name in ("ann", "bob"))
EMAIL, OTHER_EMAIL = (IdentityName("email", f"{name}@example.com") for name in ("ann", "a"))
LOW, HIGH = 0, SLOTS - 1  # slots of two shards


def entries(*named: tuple[int, tuple[object, ...]]) -> list[Entry]:
    """Make batches of a request by slot and what they name."""
    return [
        Entry(index, b"", Route(slot, keys, None), slot, None)
        for index, (slot, keys) in enumerate(named)
    ]


def order_of(batches: list[Entry]) -> Order:
    return Order(batches, lambda slot: slot * 2 // SLOTS, frozenset({"customerid"}))


def indices(order: Order) -> tuple[list[list[int]], bool]:
    units, is_question = order.next_round()
    return [_indices(unit) for unit in units], is_question


def _indices(unit: Unit) -> list[int]:
    return [entry.index for entry in unit]


def test_batches_that_share_an_identity_are_a_unit_also_through_others() -> None:
    batches = entries(
        (LOW, (ANN,)), (HIGH, (BOB,)), (LOW, (ANN, EMAIL)), (LOW, ()), (HIGH, (BOB, EMAIL))
    )
    order = order_of(batches)
    assert indices(order) == ([[0, 1, 2, 4], [3]], False)
    batches[1].is_done = batches[3].is_done = True
    assert indices(order) == ([[0, 2, 4]], False)


def test_users_named_in_one_way_go_at_once() -> None:
    assert indices(order_of(entries((LOW, (ANN,)), (HIGH, (BOB,)), (HIGH, ())))) == (
        [[0], [1], [2]],
        False,
    )
    assert indices(order_of(entries((LOW, (5,)), (HIGH, (7,)), (LOW, (5,))))) == (
        [[0, 2], [1]],
        False,
    )


def test_users_named_by_what_one_may_have_several_of_are_asked_about() -> None:
    """As an e-mail address is, unless the settings say that it is unique."""
    several = entries((LOW, (EMAIL,)), (HIGH, (OTHER_EMAIL,)), (HIGH, ()))
    assert indices(order_of(several)) == ([[0], [1], [2]], True)
    one = entries((LOW, (EMAIL,)), (HIGH, (EMAIL,)), (HIGH, ()))
    assert indices(order_of(one)) == ([[0, 1], [2]], False)


def test_whose_batches_are_is_asked_until_it_is_known_of_all() -> None:
    batches = entries((LOW, (ANN,)), (HIGH, (5,)), (LOW, (EMAIL,)), (HIGH, ()), (LOW, (ANN,)))
    order = order_of(batches)
    assert indices(order) == ([[0, 4], [1], [2], [3]], True)
    batches[0].redirect(HIGH, 5, is_guess=False)
    batches[1].redirect(HIGH, 5, is_guess=False)
    batches[2].redirect(LOW, 7, is_guess=True)
    batches[3].redirect(HIGH, None, is_guess=False)
    assert indices(order) == ([[4], [2]], True)
    batches[2].redirect(LOW, 7, is_guess=False)
    batches[4].is_done = True  # such as one that is refused
    assert indices(order) == ([[0, 1], [2], [3]], False)
    batches[0].is_done = True
    assert indices(order) == ([[1], [2], [3]], False)


def test_what_goes_to_one_shard_is_one_unit_until_something_of_it_comes_back() -> None:
    batches = entries((LOW, (ANN,)), (LOW, (5,)), (LOW, (ANN,)), (LOW, ()))
    order = order_of(batches)
    assert indices(order) == ([[0, 1, 2, 3]], False)
    batches[0].is_done = True
    batches[1].redirect(HIGH, 5, is_guess=False)
    assert indices(order) == ([[2], [3]], True)
