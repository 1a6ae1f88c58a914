"""Calls whose answers were lost: what their repeats do and are told."""

import asyncio
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from actors.audiences.abtests import AbTests
from actors.audiences.downloads import Downloads
from actors.audiences.forwarding import Forwarding
from actors.audiences.journeys import Journeys
from actors.audiences.lifecycle import Lifecycle
from actors.audiences.lists import StaticLists
from actors.audiences.registry import Registry
from actors.audiences.sharing import Sharing
from actors.audiences.subscriptions import Subscriptions
from actors.calculated.desk import CalculatedDesk
from actors.clock import ManualClock
from actors.errors import GroupExists, StoreFull
from actors.groups.desk import GroupDesk
from actors.once import Once, answer_with
from actors.predictions.desk import Predictions
from actors.privacy.desk import PrivacyDesk
from actors.store.calls import RETENTION_MS
from actors.store.environment import Store
from config.sealing import Sealer

SEAL = Sealer("m" * 32)
ID, OTHER = b"\x01" * 16, b"\x02" * 16


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path, 2**24)
    yield made
    made.close()


class Thing:
    """What can be made once; making it is what the calls ask for."""

    def __init__(self, store: Store, clock: ManualClock | None = None) -> None:
        self._store = store
        self._once = Once(store, SEAL, clock or ManualClock())
        self.told = 0
        self.tries = 0
        self.failure: Exception | None = None
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def make(self, call_id: bytes) -> dict[str, str]:
        """Make it; raises GroupExists if it is there."""
        answer: dict[str, str] = await self._once.call(call_id, self._make, self._tell)
        return answer

    async def _make(self) -> dict[str, str]:
        self.tries += 1
        made = {"secret": "s3cret"}
        with self._store.write() as txn:
            if txn.get("meta", b"thing") is not None:
                raise GroupExists("thing")
            txn.put("meta", b"thing", b"made")
            answer_with(made)
            if self.failure is not None:
                raise self.failure
        await self.go_on.wait()
        return made

    async def _tell(self) -> None:
        self.told += 1


async def test_a_repeat_is_answered_as_the_call_that_was_done(store: Store) -> None:
    """Also by the process that comes after the one that did it; another call is none."""
    first = await Thing(store).make(ID)
    thing = Thing(store)
    assert await thing.make(ID) == await thing.make(ID) == first
    assert (thing.tries, thing.told) == (0, 2)
    with pytest.raises(GroupExists):
        await thing.make(OTHER)


async def test_a_call_that_is_cut_off_is_answered_what_it_has_committed(store: Store) -> None:
    thing = Thing(store)
    thing.go_on.clear()
    call = asyncio.create_task(thing.make(ID))
    await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert await thing.make(ID) == {"secret": "s3cret"}
    assert (thing.tries, thing.told) == (1, 1)


async def test_a_call_that_has_changed_nothing_is_made_anew(store: Store) -> None:
    """Its transaction has failed, and took the answer with it."""
    thing = Thing(store)
    thing.failure = StoreFull()
    with pytest.raises(StoreFull):
        await thing.make(ID)
    thing.failure = None
    assert await thing.make(ID) == {"secret": "s3cret"}
    assert thing.tries == 2


async def test_a_repeat_waits_for_a_call_that_is_under_way_all_the_same(store: Store) -> None:
    """Its caller cannot always tell a process that is dead from one that is not reached."""
    thing = Thing(store)
    thing.go_on.clear()
    calls = [asyncio.create_task(thing.make(ID)) for _ in range(3)]
    await asyncio.sleep(0)
    assert not any(each.done() for each in calls)
    thing.go_on.set()
    assert await asyncio.gather(*calls) == [{"secret": "s3cret"}] * 3
    assert thing.tries == 1


async def test_an_answer_is_kept_in_the_store_that_is_asked_and_no_other(
    store: Store, tmp_path: Path
) -> None:
    """A call may write to the store of another desk before it does what it is asked for."""
    other = Store(tmp_path / "other", 2**24)
    elsewhere = Thing(other)
    once = Once(store, SEAL, ManualClock())

    async def both() -> int:
        answer_with(7)
        with other.write() as txn:
            txn.put("meta", b"k", b"v")
        with store.write() as txn:
            txn.put("meta", b"k", b"v")
        return 7

    async def tell() -> None:
        """There is nobody to be told."""

    assert await once.call(ID, both, tell) == 7
    assert await elsewhere.make(ID) == {"secret": "s3cret"}
    assert await once.call(ID, both, tell) == 7
    other.close()


async def test_an_answer_is_given_for_ten_minutes(store: Store) -> None:
    clock = ManualClock()
    thing = Thing(store, clock)
    await thing.make(ID)
    clock.advance(RETENTION_MS)
    assert await thing.make(ID)
    clock.advance(1)
    with pytest.raises(GroupExists):
        await thing.make(ID)


def test_what_an_answer_shows_is_not_kept_in_the_clear(store: Store, tmp_path: Path) -> None:
    asyncio.run(Thing(store).make(ID))
    kept = b"".join(each.read_bytes() for each in tmp_path.rglob("*") if each.is_file())
    assert b"thing" in kept
    assert b"s3cret" not in kept


# What desks do by themselves, and what finds done what it is to bring about.
_MADE_ANEW = {
    *("work", "take_over", "settle_progress", "hand_on", "make_downloads", "run_predictions"),
    *("settle_removal", "fault_subscription", "note_sent", "settle_forwards"),
}


def _changing(desk: type) -> set[str]:
    """Return the methods of a desk that others call, and that change what it keeps."""
    methods = inspect.getmembers(desk, inspect.iscoroutinefunction)
    return {
        name
        for name, method in methods
        if not name.startswith("_") and name not in _MADE_ANEW and _writes(method)
    }


def _writes(method: Callable[..., object]) -> bool:
    source = inspect.getsource(method)
    return ".changing()" in source or ".write()" in source


@pytest.mark.parametrize(
    "desk",
    [
        *(AbTests, Downloads, Forwarding, Journeys, Lifecycle, Predictions, Registry, Sharing),
        *(StaticLists, Subscriptions, CalculatedDesk, GroupDesk, PrivacyDesk),
    ],
)
def test_whatever_changes_something_says_what_it_is_answered(desk: type) -> None:
    """Else a repeat of it would be refused, or done once more."""
    silent = {
        name
        for name in _changing(desk)
        if "answer_with(" not in inspect.getsource(getattr(desk, name))
    }
    assert silent == set()
