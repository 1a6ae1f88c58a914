"""The group job over several shards: its result, its slices, and what a crash leaves."""

import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from actors.clock import ManualClock
from actors.errors import ShardUnavailable, StaleGroupRun
from actors.groups import phases
from actors.groups.runs import GroupRun, RunDefinition
from actors.groups.worker import GroupWorker
from actors.model.profiles import ProfileKey, StatusMessage
from actors.model.workspaces import ENVIRONMENTS
from actors.store.resharding import reshard
from tests.actors.groups.pool import (
    MAP_SIZE_BYTES,
    TYPES,
    Crash,
    Pool,
    User,
    all_of,
    definition,
    expected,
    expected_groups,
    pool,
)
from tests.actors.profiles.builders import DAY, NOW, WORKSPACE
from tests.actors.shards import context, item, micro, opened

# Many commits, and no power cut to be survived.
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
HOME = ("Elm Street", 1)
MPIDS = [number * (2**53 // 40) for number in range(1, 40)]  # of all shards

identifiers = st.sampled_from(["x", " X ", "Y y", "y  Y", "z", "", None, ["x"]])
own_values = st.sampled_from(
    [
        "true",
        "TRUE",
        "false",
        "3",
        "0.1",
        "0.2",
        "-7",
        "1e999",
        "no",
        "p",
        None,
        ["p", "q"],
        ["r"],
        [],
    ]
)
times = st.integers(1, 4)
owned = st.fixed_dictionaries(
    {},
    optional={
        "home": st.tuples(identifiers, times),
        "work": st.tuples(identifiers, times),
        **{each: st.tuples(own_values, times) for each in TYPES},
    },
)
# Often the same, so that users change between two runs.
mpids = st.one_of(st.sampled_from(MPIDS[::6]), st.integers(-(2**63), 2**63 - 1))
populations = st.dictionaries(
    st.tuples(st.sampled_from(ENVIRONMENTS), mpids),
    st.tuples(owned, st.sampled_from([0, 0, 0, 31])),
    max_size=14,
).map(
    lambda drawn: [
        User(mpid, environment, attributes, idle_days)
        for (environment, mpid), (attributes, idle_days) in drawn.items()
    ]
)
DEFINITIONS = (definition("g"), definition("h", "work", TYPES))


async def create_all(made: Pool) -> None:
    for each in DEFINITIONS:
        await made.desk.create_group(each)


async def run_all(made: Pool) -> None:
    """Do the daily job."""
    made.clock.advance(DAY)
    await made.desk.work()


def check(made: Pool, users: Sequence[User]) -> None:
    """Compare with the job in plain lines."""
    assert made.inherited(users) == expected(users, DEFINITIONS)
    for each in DEFINITIONS:
        for (environment, value), members in expected_groups(users, each).items():
            found = made.members(each.id, environment, value)
            assert found == sorted(user.mpid for user in members)
    assert made.kept("group_candidates") == made.kept("group_partials") == 0


def then(first: list[User], second: list[User]) -> list[User]:
    """Return the second population, with those of the first who are not in it as they were."""
    known = {(each.environment, each.mpid): each for each in first}
    known |= {(each.environment, each.mpid): each for each in second}
    return list(known.values())


@settings(max_examples=40, deadline=None)
@given(populations, populations, st.integers(1, 4), st.integers(1, 8), st.none() | st.randoms())
def test_the_result_is_that_of_the_plain_job(
    first: list[User], second: list[User], shards: int, slice_size: int, repeating: Random | None
) -> None:
    """Whatever the number of shards and the size of slices, with late and repeated calls too."""

    async def run(folder: Path) -> None:
        async with pool(folder, shards, slice_size) as made:
            made.calls.repeating = repeating
            await create_all(made)
            made.put(first)
            await run_all(made)
            check(made, first)
            made.put(second)
            await run_all(made)
            check(made, then(first, second))

    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        asyncio.run(run(Path(folder)))


def population(count: int) -> list[User]:
    """Make a varied population."""
    return [
        User(
            mpid,
            "production",
            {
                "home": (f"house {number % 3}", 1),
                "work": (f"office {number % 5}", 1),
                **{each: (str(number), number) for each in TYPES},
            },
        )
        for number, mpid in enumerate(MPIDS[:count])
    ]


# Some live elsewhere, some nowhere any more.
MOVED = [
    User(
        each.mpid,
        each.environment,
        dict(each.attributes) | {"home": ("" if place % 5 == 0 else f"house {place % 4}", 9)},
    )
    for place, each in enumerate(population(16))
]


async def crash_and_go_on(folder: Path, shards: int, shards_after: int, crash_at: int) -> bool:
    """Break a second run off at a call, and go on with new processes; tell if it came to that."""
    clock = ManualClock(NOW)
    async with pool(folder, shards, 2, clock) as made:
        await create_all(made)
        made.put(population(16))
        await run_all(made)
        made.put(MOVED)
        made.calls.crash_at = made.calls.made + crash_at
        try:
            await run_all(made)
        except Crash:
            pass
        else:
            return False
    if shards_after != shards:
        move(folder, shards, shards_after)
    async with pool(folder, shards_after, 2, clock) as made:
        await made.desk.work()
        check(made, MOVED)
    return True


def move(folder: Path, shards: int, shards_after: int) -> None:
    old = [folder / f"shard-{number}" for number in range(shards)]
    new = [folder / f"new-{number}" for number in range(shards_after)]
    reshard(old, new, MAP_SIZE_BYTES)
    for number, each in enumerate(old):
        each.rename(folder / f"old-{number}")
    for number, each in enumerate(new):
        each.rename(folder / f"shard-{number}")


@pytest.mark.parametrize("shards_after", [3, 1, 2], ids="then {}".format)
async def test_a_run_goes_on_where_a_crash_has_cut_it_off(shards_after: int) -> None:
    """At any call; with another number of shards it begins again."""
    crash_at = 1
    step = 1 if shards_after == 3 else 4
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        while await crash_and_go_on(Path(folder, str(crash_at)), 3, shards_after, crash_at):
            crash_at += step
    assert crash_at > 30  # it was cut off in every phase


async def test_a_run_that_goes_on_does_not_begin_again(tmp_path: Path) -> None:
    users = population(39)
    async with pool(tmp_path, 1, 2) as made:
        await made.desk.create_group(DEFINITIONS[0])
        made.put(users)
        await made.desk.run_group("g")
        made.calls.crash_at = made.calls.made + 15
        with pytest.raises(Crash):
            await made.desk.work()
    async with pool(tmp_path, 1, 2) as made:
        worker_of_it = GroupWorker(made.shards[0])
        run = GroupRun(1, NOW, (RunDefinition(1, DEFINITIONS[0]),))
        calls = 0
        while not worker_of_it.group_slice(run, "collect", 2):
            calls += 1
        assert calls < 6  # of 20 in all
        await made.desk.work()
        assert made.inherited(users) == expected(users, DEFINITIONS[:1])


async def test_a_shard_that_does_not_answer_delays_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = population(16)
    async with pool(tmp_path, 2, 4) as made:
        await made.desk.create_group(DEFINITIONS[0])
        made.put(users)
        await made.desk.run_group("g")
        with monkeypatch.context() as broken:
            broken.setattr(GroupWorker, "group_slice", _does_not_answer)
            with pytest.raises(ShardUnavailable):
                await made.desk.work()
        await made.desk.work()
        assert made.inherited(users) == expected(users, DEFINITIONS[:1])


def _does_not_answer(*_: Any) -> bool:
    raise ShardUnavailable("it does not answer")


async def test_values_stay_until_the_next_run(tmp_path: Path) -> None:
    before = population(16)
    async with pool(tmp_path, 3) as made:
        await create_all(made)
        made.put(before)
        await run_all(made)
        made.put(MOVED)
        assert made.inherited(before) == expected(before, DEFINITIONS)


async def test_who_has_no_identifier_any_more_leaves(tmp_path: Path) -> None:
    async with pool(tmp_path, 3) as made:
        await create_all(made)
        made.put(population(16))
        await run_all(made)
        made.put(MOVED)
        await run_all(made)
        check(made, MOVED)


async def test_a_run_does_not_make_profiles_hot(tmp_path: Path) -> None:
    users = all_of("production", MPIDS, {"home": HOME, "max": ("1", 1)})
    async with pool(tmp_path, 1, profile_cache_bytes=0) as made:
        made.put(users)
    async with pool(tmp_path, 1) as made:
        [shard] = made.shards
        await made.desk.create_group(DEFINITIONS[0])
        await made.desk.run_group("g")
        await made.desk.work()
        assert shard.profiles.in_memory == 0
        assert len(made.inherited(users)) == len(users)


async def test_a_run_that_changes_nothing_writes_no_profile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = population(16)
    async with pool(tmp_path, 2) as made:
        await create_all(made)
        made.put(users)
        await run_all(made)
        edited: list[bytes] = []
        for shard in made.shards:
            monkeypatch.setattr(shard.profiles, "edit", lambda _, key, __: edited.append(key))
        await run_all(made)
        assert edited == []


async def test_a_slice_ends_early_when_groups_are_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(phases, "SLICE_BYTES", 10_000)
    users = [
        User(mpid, "production", {"home": HOME, "list_union": (f"{mpid}" + "x" * 3000, mpid)})
        for mpid in MPIDS
    ]
    async with pool(tmp_path, 1) as made:
        made.put(users)
        run = GroupRun(1, NOW, (RunDefinition(1, DEFINITIONS[0]),))
        slices = 1
        while not GroupWorker(made.shards[0]).group_slice(run, "collect", 1000):
            slices += 1
        assert slices > 5
        await made.desk.create_group(DEFINITIONS[0])
        await made.desk.run_group("g")
        await made.desk.work()
        assert made.inherited(users) == expected(users, DEFINITIONS[:1])


async def test_a_late_call_of_an_earlier_run_is_refused(tmp_path: Path) -> None:
    async with pool(tmp_path, 1) as made:
        late = GroupWorker(made.shards[0])
        first, second = (
            GroupRun(number, NOW, (RunDefinition(1, DEFINITIONS[0]),)) for number in (1, 2)
        )
        assert late.group_slice(first, "collect")
        assert late.group_slice(second, "collect")
        with pytest.raises(StaleGroupRun):
            late.group_slice(first, "apply")
        with pytest.raises(StaleGroupRun):
            late.write_group_values(1, [(b"key", b"value")])
        assert made.kept("group_values") == 0


async def test_a_user_whom_an_alias_keeps_alive_stays_in_its_groups(tmp_path: Path) -> None:
    """spec/profiles.md, 6 and 9: the lifetime begins anew with an alias, too."""
    users = all_of("production", MPIDS[:3], {"home": HOME})
    idle = [replace(each, idle_days=WORKSPACE.profile_idle_days + 1) for each in users[:2]]
    async with pool(tmp_path, 1) as made:
        made.put(users)
        [shard] = made.shards
        key = ProfileKey(WORKSPACE.scope, "production", MPIDS[0])
        with shard.transaction() as txn:
            profile = shard.profiles.stage(txn, key, NOW)
            profile.status_messages = [StatusMessage("merged_from", 7, NOW - DAY)]
        made.put(idle)
        await made.desk.create_group(DEFINITIONS[0])
        await made.desk.run_group("g")
        await made.desk.work()
        alive = {("production", MPIDS[0]), ("production", MPIDS[2])}
        assert set(made.inherited(users)) == alive


async def test_a_member_that_ages_out_and_returns_has_left(tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    users = all_of("production", MPIDS[:3], {"home": HOME})
    async with pool(tmp_path, 1, clock=clock) as made:
        made.put(users)
        await made.desk.create_group(DEFINITIONS[0])
        await made.desk.run_group("g")
        await made.desk.work()
        assert set(made.inherited(users)) == {("production", mpid) for mpid in MPIDS[:3]}
        clock.advance((WORKSPACE.profile_idle_days + 1) * 86_400_000)
        [shard] = made.shards
        shard.commit(micro(1, item(opened(MPIDS[0])), where=context(clock.now_ms())))
        assert ("production", MPIDS[0]) not in made.inherited(users)
        await made.desk.run_group("g")
        await made.desk.work()
        assert made.members("g", "production", "elm street") == []


async def test_a_desk_with_an_older_store_goes_on_from_what_the_shards_know(
    tmp_path: Path,
) -> None:
    async with pool(tmp_path, 2) as made:
        for number in range(3):
            await made.desk.create_group(definition(f"g{number}"))
        await made.desk.run_group("g0")
        await made.desk.work()
    (tmp_path / "coordinator").rename(tmp_path / "lost")
    users = population(16)
    async with pool(tmp_path, 2) as made:
        made.put(users)
        await made.desk.create_group(DEFINITIONS[0])
        assert [set(each.groups.by_id) for each in made.shards] == [{"g"}, {"g"}]
        await made.desk.run_group("g")
        await made.desk.work()
        assert made.inherited(users) == expected(users, DEFINITIONS[:1])
