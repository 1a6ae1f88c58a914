"""Step `admit`: which batches may go further, and which of their events.

Leaves out uploads that were applied before (spec/events-api.md, 5.4) and events whose names are
more than the workspace may have (14).
"""

from collections.abc import Iterable, Sequence

from actors.model.batches import Event
from actors.model.micro_batches import Deferred, Duplicate, EventName, EventNames, Unregistered
from actors.steps.uploads import keys_as_sent, keys_of_owner
from actors.steps.work import Work
from actors.store import event_names
from actors.store.duplicates import Duplicates
from actors.store.environment import Transaction

_NAMED_BY = {"custom_event": "event_name", "screen_view": "screen_name"}


class KnownNames:
    """The event names that a shard knows to be admitted.

    The coordinator decides, because the limit is the workspace's. Memory follows disk: `learn`
    stages, `published` and `abandon` say what became of the transaction.

    Attributes:
        limit: names that the workspace may have. What was said to be full is so no longer once it
            is raised.
    """

    def __init__(self, names: Iterable[EventName], limit: int) -> None:
        self.limit = limit
        self._names: dict[str, set[str]] = {kind: set() for kind in _NAMED_BY}  # by event type
        for each in names:
            self._names[each.event_type].add(each.name)
        self._is_full = self._was_full = False
        # Said with this micro-batch: it holds though the coordinator may know another limit yet.
        self._is_just_told = False
        self._staged: list[EventName] = []

    def learn(self, txn: Transaction, told: EventNames) -> None:
        """Take in what the coordinator has admitted."""
        fresh = [each for each in told.admitted if each.name not in self._names[each.event_type]]
        event_names.write(txn, fresh)
        self._staged += fresh
        for each in fresh:
            self._names[each.event_type].add(each.name)
        self._is_just_told = told.is_full
        self._is_full = self._is_full or told.is_full

    def sort(self, events: Sequence[Event]) -> tuple[list[EventName], int]:
        """Return the names to ask the coordinator for, and how many events are one too many."""
        unknown: list[EventName] = []
        surplus = 0
        count = sum(map(len, self._names.values()))
        is_full = self._is_just_told or (self._is_full and count >= self.limit)
        for event in events:
            if self.allows(event):
                continue
            if is_full:
                surplus += 1
            elif (name := limited_name(event)) is not None and name not in unknown:
                unknown.append(name)
        return unknown, surplus

    def allows(self, event: Event) -> bool:
        """Tell whether an event's name is admitted, or does not count."""
        member = _NAMED_BY.get(event.event_type)
        if member is None:
            return True
        name = event.get(member)
        return name is None or name in self._names[event.event_type]

    def published(self) -> None:
        """What was learnt is on disk."""
        self._staged.clear()
        self._was_full = self._is_full
        self._is_just_told = False

    def abandon(self) -> None:
        """What was learnt is not on disk: forget it. It will be asked for again."""
        for each in self._staged:
            self._names[each.event_type].discard(each.name)
        self._staged.clear()
        self._is_just_told = False
        self._is_full = self._was_full  # else names that were never learnt would be too many


def limited_name(event: Event) -> EventName | None:
    """Return the name by which an event counts toward the limit, `None` if it does not count."""
    member = _NAMED_BY.get(event.event_type)
    name = None if member is None else event.get(member)
    return None if name is None else EventName(event.event_type, name)


def admit(
    works: Sequence[Work], txn: Transaction, duplicates: Duplicates, names: KnownNames, now_ms: int
) -> None:
    """Give repeats and batches with names to be asked for their result; register the others.

    The first of equal uploads wins; only one that is applied registers its ids.
    """
    held_up: set[int] = set()
    # Users of a request: another unit of it may name one of them in another way.
    held_users: set[tuple[int, str, int]] = set()
    for work in works:
        if work.result is not None:
            continue
        batch = work.decoded
        user = None if work.mpid is None else (id(work.context), batch.environment, work.mpid)
        if work.unit in held_up or user in held_users:
            work.result = Deferred()
            held_up.add(work.unit)
            continue
        unknown, surplus = names.sort(batch.events)
        if ids := work.upload_ids:
            keys = keys_of_owner(work, ids, work.mpid) + keys_as_sent(work, ids)
            look = duplicates.find if unknown else duplicates.remember
            place = look(txn, keys, now_ms)
            if place is not None:
                kind, _ = ids[place % len(ids)]
                work.result = Duplicate(f"duplicate_{kind}")
                continue
        if unknown:
            work.result = Unregistered(unknown)
            held_up.add(work.unit)
            if user is not None:
                held_users.add(user)
            continue
        if surplus:
            batch.events = [event for event in batch.events if names.allows(event)]
            batch.drops += ["event_name_limit"] * surplus
