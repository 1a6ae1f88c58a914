"""Calculated attributes of one user made anew of stored batches, all or those that are outdated."""

from collections.abc import Callable, Mapping

from actors.audiences.history import History, read_recent
from actors.calculated import applying
from actors.calculated.live import KnownAttributes
from actors.model.profiles import ProfileKey, Section
from actors.store.environment import Transaction
from actors.store.ids import time_of_id

# Of an attribute by its number: the epoch with which it began, and the id of what began it.
Epochs = Mapping[int, tuple[int, int]]


def remake_outdated(
    txn: Transaction,
    key: ProfileKey,
    section: Section,
    attributes: KnownAttributes,
    epochs: Epochs,
    lookback_ms: int,
    now_ms: int,
) -> History:
    """Forget what is not known any more, and make what began after the section was made ready.

    Returns:
        What is stored of the user as far as real-time evaluation sees it.
    """
    outdated = _by_begin(epochs, lambda number: epochs[number][0] > section.epoch)
    begun_ms = min(map(time_of_id, outdated), default=now_ms)
    history = read_recent(txn, key, section, min(now_ms, begun_ms) - lookback_ms)
    applying.forget(section, attributes)
    for begun_id, numbers in outdated.items():
        own, index = history.counted(section, begun_id), attributes.index_of(numbers)
        earliest_ms = time_of_id(begun_id) - lookback_ms
        applying.rebuild(section, own, index, now_ms, earliest_ms)
    return history


def remake_moving(
    txn: Transaction,
    key: ProfileKey,
    section: Section,
    attributes: KnownAttributes,
    epochs: Epochs,
    lookback_ms: int,
    now_ms: int,
) -> History:
    """Make those whose range moves with time; those that only grow keep what they have.

    Returns:
        As `remake_outdated`. Source: spec/calculated-attributes.md, 4.
    """
    earliest_ms = now_ms - lookback_ms
    history = read_recent(txn, key, section, earliest_ms)
    for begun_id, numbers in _by_begin(epochs, attributes.moving.__contains__).items():
        own, index = history.counted(section, begun_id), attributes.index_of(numbers)
        applying.rebuild(section, own, index, now_ms, earliest_ms, is_cut=True)
    return history


def _by_begin(epochs: Epochs, is_wanted: Callable[[int], bool]) -> dict[int, list[int]]:
    """Return the numbers of some attributes by the id of what began them."""
    found: dict[int, list[int]] = {}
    for number, (_, begun_id) in epochs.items():
        if is_wanted(number):
            found.setdefault(begun_id, []).append(number)
    return found
