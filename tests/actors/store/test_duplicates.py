"""Which uploads are known. Window and keys: spec/events-api.md, 5.4."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.store.duplicates import Duplicates
from actors.store.environment import Store
from actors.store.keys import duplicate_key
from tests.actors.store.builders import DAY, NOW, content, temporary_store

WINDOW_DAYS = 30
KEY, OTHER, OLD = (duplicate_key(0, "key-1", "request_id", f"r-{each}", 5) for each in range(3))


def _remember(store: Store, ages_days: list[int]) -> None:
    with store.write() as txn:
        for number, age in enumerate(ages_days):
            accepted_ms = NOW - age * DAY
            txn.put("duplicates", number.to_bytes(18, "big"), accepted_ms.to_bytes(8, "big"))


def _sweep(store: Store, duplicates: Duplicates, limit: int) -> int:
    with store.write() as txn:
        return duplicates.sweep(txn, NOW, limit)


@pytest.mark.parametrize(
    ("later_ms", "is_known"),
    [
        pytest.param(0, True, id="at once"),
        pytest.param(WINDOW_DAYS * DAY, True, id="at the end of the window"),
        pytest.param(WINDOW_DAYS * DAY + 1, False, id="past the window"),
        pytest.param(-DAY, True, id="with a clock that was put back"),
    ],
)
def test_an_upload_is_known_for_the_window(store: Store, later_ms: int, is_known: bool) -> None:
    """spec/events-api.md, 5.4: at least 30 days from acceptance."""
    duplicates = Duplicates(WINDOW_DAYS)
    with store.write() as txn:
        assert not duplicates.is_known(txn, KEY, NOW)
        duplicates.remember(txn, [KEY], NOW)
        assert duplicates.is_known(txn, KEY, NOW + later_ms) is is_known


def test_an_upload_that_is_known_by_one_key_is_noted_under_no_other(store: Store) -> None:
    """spec/events-api.md, 5.4: only an accepted batch registers an id."""
    duplicates = Duplicates(WINDOW_DAYS)
    with store.write() as txn:
        assert duplicates.remember(txn, [OLD], NOW - WINDOW_DAYS * DAY - 1) is None
        assert duplicates.remember(txn, [KEY], NOW - DAY) is None
        assert duplicates.remember(txn, [OTHER, OLD, KEY], NOW) == 2
        assert not duplicates.is_known(txn, OTHER, NOW)
        assert not duplicates.is_known(txn, OLD, NOW)
        assert not duplicates.is_known(txn, KEY, NOW + WINDOW_DAYS * DAY)
        assert duplicates.remember(txn, [OTHER, OLD], NOW) is None
        assert duplicates.is_known(txn, OTHER, NOW + WINDOW_DAYS * DAY)
        assert duplicates.is_known(txn, OLD, NOW + WINDOW_DAYS * DAY)


def test_an_upload_is_forgotten_with_the_transaction_that_failed(store: Store) -> None:
    """spec/events-api.md, 5.4: only an accepted batch registers an id."""
    duplicates = Duplicates(WINDOW_DAYS)

    def fail() -> None:
        with store.write() as txn:
            duplicates.remember(txn, [KEY], NOW)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    with store.read() as txn:
        assert not duplicates.is_known(txn, KEY, NOW)


def test_a_sweep_forgets_what_is_past_the_window_and_nothing_else(store: Store) -> None:
    """The last day of the window still counts."""
    _remember(store, [31, 30, 0, 400])
    assert _sweep(store, Duplicates(WINDOW_DAYS), limit=10) == 2
    assert [key[-1] for key in content(store, "duplicates")] == [1, 2]


def test_sweeps_go_on_where_the_one_before_ended_and_then_begin_again(store: Store) -> None:
    """Five keys in steps of two, then round again for one that has become old."""
    _remember(store, [0, 31, 31, 0, 31])
    duplicates = Duplicates(WINDOW_DAYS)
    assert [_sweep(store, duplicates, limit=2) for _ in range(3)] == [1, 1, 1]
    _remember(store, [31])
    assert _sweep(store, duplicates, limit=2) == 1
    assert [key[-1] for key in content(store, "duplicates")] == [3]


@settings(max_examples=25, deadline=None)
@given(
    ages_days=st.lists(st.sampled_from([0, 29, 31, 90]), max_size=12),
    limit=st.integers(min_value=1, max_value=5),
)
def test_every_key_is_looked_at_in_one_round_whatever_the_step(
    ages_days: list[int], limit: int
) -> None:
    """Whether or not the number of keys is a multiple of the step."""
    with temporary_store() as store:
        duplicates = Duplicates(WINDOW_DAYS)
        _remember(store, [0] * len(ages_days))
        for _ in range(len(ages_days) // limit + 1):  # a round that finds nothing
            _sweep(store, duplicates, limit)
        _remember(store, ages_days)
        steps = 2 * (len(ages_days) // limit + 1)
        forgotten = sum(_sweep(store, duplicates, limit) for _ in range(steps))
        assert forgotten == sum(age > WINDOW_DAYS for age in ages_days)
        assert len(content(store, "duplicates")) == len(ages_days) - forgotten
