"""Shards and a desk of groups without Ray, and the job as a few plain lines to compare with."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from decimal import Decimal
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, cast

from msgspec import Struct

from actors.batches.coerce import text_of
from actors.clock import ManualClock, SystemRandomness
from actors.errors import StaleGroupRun
from actors.groups.definitions import GroupAttribute, GroupDefinition
from actors.groups.desk import GroupDesk
from actors.groups.handles import GroupShard
from actors.groups.membership import group_attributes, group_value
from actors.groups.views import GroupViews
from actors.groups.worker import GroupWorker
from actors.model.batches import AttributeText
from actors.model.profiles import AttributeValue, Profile, ProfileKey, Section
from actors.model.workspaces import ENVIRONMENTS, Environment
from actors.profiles.retention import DAY_MS
from actors.shard import Shard
from actors.shard_views import ShardViews
from actors.store.environment import Store, Table
from actors.store.keys import shard_of_slot, slot_of_mpid
from tests.actors.profiles.builders import BACKEND, NOW, WORKSPACE
from tests.actors.shards import open_shard, profile_of

MAP_SIZE_BYTES = 16 * 1024 * 1024
TYPES = ("boolean_or", "boolean_and", "sum", "max", "min", "latest", "list_union")

Owned = Mapping[str, tuple[AttributeText, int]]  # attribute to value and when it was updated


class User(Struct, frozen=True):
    """One profile as far as groups depend on it."""

    mpid: int
    environment: Environment
    attributes: Owned
    idle_days: int = 0


class Crash(Exception):
    """The process that called, and the one that was called, are gone."""


class Calls:
    """Everything that a desk asks of its shards; can break off, and repeat what came before."""

    def __init__(self) -> None:
        self.made = 0
        self.crash_at: int | None = None  # number of the call; it is made, but not answered
        self.repeating: Random | None = None
        self._earlier: list[Callable[[], Any]] = []

    def make(self, call: Callable[[], Any]) -> Any:
        self.made += 1
        result = call()
        if self.repeating is not None:
            self._earlier.append(call)
            with suppress(StaleGroupRun):  # too late to do anything
                self.repeating.choice(self._earlier)()
        if self.made == self.crash_at:
            raise Crash
        return result


class LocalShard:
    """A handle to a shard in this process."""

    def __init__(self, worker: GroupWorker, calls: Calls) -> None:
        self._worker = worker
        self._calls = calls

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._worker, name)

        async def call(*arguments: Any) -> Any:
            await asyncio.sleep(0)
            return self._calls.make(partial(method, *arguments))

        return call


class Pool:
    """Shards with users, and the desk."""

    def __init__(
        self, shards: list[Shard], desk: GroupDesk, calls: Calls, clock: ManualClock
    ) -> None:
        self.shards = shards
        self.desk = desk
        self.calls = calls
        self.clock = clock

    def owner(self, mpid: int) -> Shard:
        return self.shards[shard_of_slot(slot_of_mpid(mpid), len(self.shards))]

    def put(self, users: Sequence[User]) -> None:
        """Store users in the place of those that are there; memberships stay."""
        for user in users:
            shard = self.owner(user.mpid)
            key = ProfileKey(WORKSPACE.scope, user.environment, user.mpid)
            with shard.store.write() as txn:
                profile = shard.profiles.stage(txn, key, NOW)
                self._set(profile, user)
                shard.profiles.flush(txn)
            shard.profiles.published()

    def _set(self, profile: Profile, user: User) -> None:
        profile.last_stored_timestamp_ms = self.clock.now_ms() - user.idle_days * DAY_MS
        section = profile.workspaces.setdefault(WORKSPACE.number, Section(NOW, NOW))
        section.user_attributes = {
            name: AttributeValue(value, updated_ms, BACKEND)
            for name, (value, updated_ms) in user.attributes.items()
        }

    def inherited(self, users: Sequence[User]) -> dict[tuple[Environment, int], dict[str, Any]]:
        """Return what users have by their groups, without those who have nothing."""
        found = {}
        for user in users:
            shard = self.owner(user.mpid)
            profile = profile_of(shard, user.mpid, user.environment)
            assert profile is not None
            section = profile.workspaces[WORKSPACE.number]
            if section.groups:
                ids = shard.groups.ids
                found[user.environment, user.mpid] = group_attributes(section, ids)
        return found

    def members(self, definition_id: str, environment: Environment, value: str) -> list[int]:
        """Return the members of a group over all shards, ascending."""
        mpids: list[int] = []
        for shard in self.shards:
            views = GroupViews(shard, ShardViews(shard, self.clock))
            page = views.group_members(definition_id, environment, value, None, 1000)
            mpids += page.mpids if page is not None else []
        return sorted(mpids)

    def kept(self, table: Table) -> int:
        """Return how many entries the shards have in a table."""
        total = 0
        for shard in self.shards:
            with shard.store.read() as txn:
                total += txn.entries(table)
        return total


@asynccontextmanager
async def pool(
    folder: Path,
    shards: int,
    slice_size: int = 100,
    clock: ManualClock | None = None,
    **options: Any,
) -> AsyncIterator[Pool]:
    """Open a pool on a folder; it can be opened again on the same one."""
    clock = clock or ManualClock(NOW)
    owners = [
        open_shard(folder / f"shard-{number}", number, shards, clock=clock, **options)
        for number in range(shards)
    ]
    store = Store(folder / "coordinator", MAP_SIZE_BYTES)
    calls = Calls()
    desk = GroupDesk(
        store,
        [cast(GroupShard, LocalShard(GroupWorker(each), calls)) for each in owners],
        86_400.0,
        clock,
        SystemRandomness(),
        partial(asyncio.sleep, 0),
        slice_size,
    )
    try:
        yield Pool(owners, desk, calls, clock)
    finally:
        store.close()
        for each in owners:
            each.state.close()


def definition(
    definition_id: str = "g",
    source: str = "home",
    types: Sequence[str] = TYPES,
    attribute: str | None = None,
) -> GroupDefinition:
    """Make a definition with an attribute of each type, named after it unless said otherwise."""
    attributes = tuple(GroupAttribute(attribute or each, each) for each in types)
    return GroupDefinition(definition_id, "", source, attributes)


# -- The job in plain lines -----------------------------------------------------------------------


def expected_groups(
    users: Sequence[User], wanted: GroupDefinition
) -> dict[tuple[Environment, str], list[User]]:
    """Return the groups of a definition, by environment and value."""
    groups: dict[tuple[Environment, str], list[User]] = {}
    for user in users:
        identifier, _ = user.attributes.get(wanted.source_user_attribute, (None, 0))
        value = group_value(identifier)
        if value is not None and user.idle_days <= WORKSPACE.profile_idle_days:
            groups.setdefault((user.environment, value), []).append(user)
    return {key: members for key, members in groups.items() if len(members) > 1}


def expected(
    users: Sequence[User], definitions: Sequence[GroupDefinition]
) -> dict[tuple[Environment, int], dict[str, Any]]:
    """Return what every member of any group has by its groups."""
    result: dict[tuple[Environment, int], dict[str, Any]] = {}
    for each in definitions:
        for members in expected_groups(users, each).values():
            values = {}
            for attribute in each.attributes:
                own = sorted(
                    (user.attributes[attribute.id][1], user.mpid, user.attributes[attribute.id][0])
                    for user in sorted(members, key=lambda user: user.mpid)
                    if attribute.id in user.attributes
                )
                value = _aggregate(attribute.type, [value for _, _, value in own])
                if own and value != "nothing":
                    values[f"{each.id}:{attribute.id}"] = value
            for user in members:
                result.setdefault((user.environment, user.mpid), {}).update(values)
    return result


def _aggregate(kind: str, values: list[AttributeText]) -> Any:
    """Aggregate values in the order of their updates; `"nothing"` if none of them counts."""
    truths = [isinstance(value, str) and value.lower() == "true" for value in values]
    numbers = [number for value in values if (number := _number(value)) is not None]
    match kind:
        case "boolean_or":
            return text_of(any(truths))
        case "boolean_and":
            return text_of(all(truths))
        case "latest":
            return values[-1] if values else "nothing"
        case "list_union":
            entries = [
                entry
                for value in values
                for entry in ([value] if isinstance(value, str) else value or [])
            ]
            return list(dict.fromkeys(entries))[:1000]
    if not numbers:
        return "nothing"
    total: Decimal = {"sum": sum, "max": max, "min": min}[kind](numbers)  # type: ignore[operator]
    return text_of(int(total) if total == int(total) else float(total))


def _number(value: AttributeText) -> Decimal | None:
    try:
        number = float(cast(Any, value))
    except (TypeError, ValueError):
        return None
    return Decimal(str(value)) if abs(number) < 1e308 else None


def all_of(environment: Environment, mpids: Sequence[int], attributes: Owned) -> list[User]:
    """Make users with the same attributes."""
    assert environment in ENVIRONMENTS
    return [User(mpid, environment, attributes) for mpid in mpids]
