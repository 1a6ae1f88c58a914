"""All that the coordinator keeps of calculated attributes, in memory as it is on disk."""

from collections.abc import Container, Iterator
from contextlib import contextmanager

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from actors.calculated.definition import Attribute, LiveAttributes
from actors.calculated.objects import CalculatedAttribute, Counters
from actors.calculated.readable import readable
from actors.calculated.reading import read_definition
from actors.store import calculated as table
from actors.store.environment import Store


class Registry(Struct):
    """All attributes by number."""

    attributes: dict[int, CalculatedAttribute]
    counters: Counters

    def put(self, attribute: CalculatedAttribute) -> CalculatedAttribute:
        """Put an attribute in the place of the one of its number."""
        self.attributes[attribute.number] = attribute
        return attribute

    def take_number(self, least: int, used: Container[int]) -> int:
        """Return the number of a new attribute: none of those in use, and not below `least`."""
        number = max(self.counters.next_number, least)
        while number in used:
            number += 1
        self.counters = replace(self.counters, next_number=number + 1)
        return number

    def tell_shards(self) -> None:
        """Say that shards have to know of what is changed."""
        self.counters = replace(self.counters, version=self.counters.version + 1)

    def advance_beyond(self, version: int) -> None:
        """Let what shards are told next be newer than what one of them knows."""
        self.counters = replace(self.counters, version=max(self.counters.version, version) + 1)

    def listed(self) -> list[CalculatedAttribute]:
        """Return all attributes, by number."""
        return sorted(self.attributes.values(), key=lambda each: each.number)

    def live(self) -> LiveAttributes:
        """Return what shards have to know."""
        active = [
            Attribute(each.number, each.name, each.revision, read_definition(each.active))
            for each in self.listed()
            if each.active is not None
        ]
        found, left_out = readable(msgspec.to_builtins(active))
        return LiveAttributes(
            self.counters.version,
            found,
            left_out.union(each.number for each in self.attributes.values() if each.active is None),
            self.counters.next_number,
        )


class RegistryKeeper:
    """Holds the registry; what it shows is on disk."""

    def __init__(self, store: Store) -> None:
        self._store = store
        with store.read() as txn:
            self.registry = Registry(table.read_all(txn), table.read_counters(txn))

    @contextmanager
    def changing(self) -> Iterator[Registry]:
        """Hand out a copy to be changed, and write what is different at the end.

        On an exception nothing is changed. Raises StoreFull.
        """
        former = self.registry
        changed = Registry(dict(former.attributes), former.counters)
        yield changed
        with self._store.write() as txn:
            for number in former.attributes.keys() - changed.attributes.keys():
                table.delete(txn, number)
            for number, attribute in changed.attributes.items():
                if attribute is not former.attributes.get(number):
                    table.put(txn, attribute)
            if changed.counters is not former.counters:
                table.write_counters(txn, changed.counters)
        self.registry = changed
