"""All that the coordinator keeps of audiences, in memory as it is on disk."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from actors.audiences.objects import (
    Audience,
    Counters,
    Download,
    Journey,
    ListChange,
    Removal,
    Subscription,
)
from actors.audiences.variations import forwarded_name
from actors.predictions.objects import Prediction
from actors.store import audiences as table
from actors.store.environment import Store


class AudienceState(Struct):
    """All objects by id. They are frozen: to change one is to put another in its place."""

    audiences: dict[int, Audience]
    journeys: dict[int, Journey]
    subscriptions: dict[int, Subscription]
    list_changes: dict[int, ListChange]
    downloads: dict[str, Download]
    removals: dict[int, Removal]
    predictions: dict[int, Prediction]
    counters: Counters

    def put(self, audience: Audience) -> Audience:
        """Put an audience in the place of the one of its number."""
        self.audiences[audience.number] = audience
        return audience

    def put_subscription(self, subscription: Subscription) -> Subscription:
        """Put a subscription in the place of the one of its number."""
        self.subscriptions[subscription.number] = subscription
        return subscription

    def end_subscription(self, number: int, now_ms: int) -> None:
        """Take a subscription out; if it was active its output is told."""
        ended = self.subscriptions.pop(number)
        audience = self.audiences[ended.audience]
        if ended.is_active:
            self.removals[number] = Removal(
                subscription=number,
                output=ended.output,
                audience=audience.number,
                name=audience.name,
                external_name=forwarded_name(audience.external_name, ended.variation),
                environment=audience.environment,
                removed_ms=now_ms,
                receiver=ended.receiver,
            )

    def take(self, counter: str) -> int:
        """Return the next number of a counter, which nobody gets again."""
        number: int = getattr(self.counters, counter)
        self.counters = replace(self.counters, **{counter: number + 1})
        return number

    def tell_shards(self) -> None:
        """Say that shards have to know of what is changed."""
        self.counters = replace(self.counters, version=self.counters.version + 1)

    def advance_beyond(self, version: int) -> None:
        """Go on from a version that shards do not know yet."""
        self.counters = replace(self.counters, version=max(version, self.counters.version) + 1)

    def subscriptions_of(self, audience: int) -> list[Subscription]:
        """Return the subscriptions of an audience, by number."""
        found = [each for each in self.subscriptions.values() if each.audience == audience]
        return sorted(found, key=lambda each: each.number)

    def copy(self) -> "AudienceState":
        """Return a state that can be changed without this one."""
        return AudienceState(
            audiences=dict(self.audiences),
            journeys=dict(self.journeys),
            subscriptions=dict(self.subscriptions),
            list_changes=dict(self.list_changes),
            downloads=dict(self.downloads),
            removals=dict(self.removals),
            predictions=dict(self.predictions),
            counters=self.counters,
        )

    def become(self, other: "AudienceState") -> None:
        """Take over all of another state, which is not to be used afterwards."""
        for name in self.__struct_fields__:
            setattr(self, name, getattr(other, name))


class AudienceKeeper:
    """Holds the state; what it shows is on disk."""

    def __init__(self, store: Store) -> None:
        self._store = store
        with store.read() as txn:
            self.state = AudienceState(
                **{name: table.read_all(txn, name) for name in table.KINDS},
                counters=table.read_counters(txn),
            )

    @contextmanager
    def changing(self) -> Iterator[AudienceState]:
        """Hand out a copy to be changed, and write what is different at the end.

        On an exception nothing is changed. Raises StoreFull.
        """
        changed = self.state.copy()
        yield changed
        with self._store.write() as txn:
            for name in table.KINDS:
                before: dict[Any, Any] = getattr(self.state, name)
                after: dict[Any, Any] = getattr(changed, name)
                for object_id in before.keys() - after.keys():
                    table.delete(txn, name, object_id)
                for object_id, value in after.items():
                    if value is not before.get(object_id):
                        table.put(txn, name, object_id, value)
            if changed.counters is not self.state.counters:
                table.write_counters(txn, changed.counters)
        self.state = changed
