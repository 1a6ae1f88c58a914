"""What is sent of standard audiences by a whole shard (spec/audiences.md, 8.1)."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from actors.audience_worker import AudienceWorker
from actors.store.resharding import reshard
from tests.actors.audience_shards import Asked, audience
from tests.actors.shards import open_shard, profile_of
from tests.actors.standard_shards import (
    PEOPLE,
    S,
    heard,
    login,
    members,
    open_asked,
    sending,
    slice_by_two,
    standard,
    tell,
)
from tests.oracle.audiences.build import event, negated
from tests.oracle.audiences.fixture import WORKSPACE


@pytest.fixture
def asked(tmp_path: Path) -> Iterator[Asked]:
    opened = open_asked(tmp_path)
    yield opened
    opened.shard.state.close()


def test_45_nothing_is_sent_but_all_members_once_for_each_send(asked: Asked) -> None:
    """Case 45."""
    for mpid in PEOPLE[:5]:
        login(asked, mpid)
    tell(asked, standard(event("Login")), subscriptions=[sending(0)])
    asked.settle()
    assert heard(asked) == []
    everyone = [("add", mpid) for mpid in PEOPLE[:5]]
    for sends in (1, 2):
        tell(asked, standard(event("Login")), subscriptions=[sending(sends)])
        asked.settle()
        assert sorted(heard(asked)) == sorted(everyone * sends)
    tell(asked, standard(negated(event("Login")), 2), subscriptions=[sending(2)])
    asked.settle()
    tell(asked, standard(event("Login"), 3), subscriptions=[sending(2)])
    asked.settle()
    assert len(members(asked)) == 5
    tell(asked, subscriptions=[sending(2)], leaving=frozenset({S}))
    asked.settle()
    assert members_left(asked) == set()
    assert sorted(heard(asked)) == sorted(everyone * 2)


def members_left(asked: Asked) -> set[int]:
    profiles = {mpid: profile_of(asked.shard, mpid) for mpid in PEOPLE}
    return {
        mpid
        for mpid, profile in profiles.items()
        if profile is not None and profile.workspaces[WORKSPACE.number].audiences
    }


@pytest.mark.parametrize("steps", range(5))
def test_a_send_goes_on_where_it_was_interrupted(asked: Asked, steps: int) -> None:
    """And one that is asked for meanwhile follows it."""
    for mpid in PEOPLE:
        login(asked, mpid)
    asked.define(standard(event("Login")))
    tell(asked, standard(event("Login")), subscriptions=[sending(1)])
    for _ in range(steps):
        asked.worker.audience_step()
    tell(asked, standard(event("Login")), subscriptions=[sending(3)])
    asked.restart()
    slice_by_two(asked)
    asked.settle()
    assert sorted(heard(asked)) == sorted([("add", mpid) for mpid in PEOPLE] * 3)
    asked.restart()
    asked.settle()
    assert len(heard(asked)) == 3 * len(PEOPLE)


def test_a_connection_that_is_switched_off_and_on_again_sends_nothing_anew(asked: Asked) -> None:
    for mpid in PEOPLE:
        login(asked, mpid)
    asked.define(standard(event("Login")))
    tell(asked, standard(event("Login")), subscriptions=[sending(1)])
    asked.worker.audience_step()
    tell(asked, standard(event("Login")))
    asked.settle()
    tell(asked, standard(event("Login")), subscriptions=[sending(1)])
    asked.settle()
    assert heard(asked) == []
    tell(asked, standard(event("Login")), subscriptions=[sending(2)])
    asked.settle()
    assert sorted(heard(asked)) == [("add", mpid) for mpid in PEOPLE]


@pytest.mark.parametrize("is_done", [True, False])
def test_another_number_of_shards_calculates_and_sends_what_is_left_only(
    tmp_path: Path, is_done: bool
) -> None:
    asked = open_asked(tmp_path / "old")
    for mpid in PEOPLE[:4]:
        login(asked, mpid)
    asked.define(standard(event("Login")))
    subscriptions = [sending(1)]
    tell(asked, standard(event("Login")), subscriptions=subscriptions)
    asked.settle()
    for mpid in PEOPLE[4:]:
        login(asked, mpid)
    if not is_done:
        subscriptions = [sending(2)]
        tell(asked, standard(event("Login"), 2), subscriptions=subscriptions)
    asked.shard.state.close()
    folders = [tmp_path / "new-0", tmp_path / "new-1"]
    reshard([tmp_path / "old"], folders, 64 * 1024 * 1024)
    found: set[int] = set()
    told: list[tuple[str, int]] = []
    for number, folder in enumerate(folders):
        shard = open_shard(
            folder, number, 2, clock=asked.clock, workspace=WORKSPACE, map_size_bytes=1 << 26
        )
        worker = AudienceWorker(shard, asked.clock)
        while worker.audience_step():
            pass
        found |= {each.mpid for each in shard.audiences.engine.members(S)}
        asked.shard = shard
        told += heard(asked)
        shard.state.close()
    assert found == set(PEOPLE if not is_done else PEOPLE[:4])
    new = PEOPLE if not is_done else ()
    assert sorted(told) == sorted(("add", mpid) for mpid in (*PEOPLE[:4], *new))


def test_who_was_given_lists_and_now_takes_changes_is_told_of_all_members(asked: Asked) -> None:
    """An output `audience_csv` whose mode was `snapshot` (spec/connections.md, 7.6)."""
    for mpid in PEOPLE:
        login(asked, mpid)
    real_time = audience(S, event("Login"))
    tell(asked, real_time, subscriptions=[sending(0)])
    asked.settle()
    login(asked, 100)
    assert heard(asked) == []
    tell(asked, real_time, subscriptions=[replace(sending(0), sends=None)])
    asked.settle()
    everyone = [("add", mpid) for mpid in (*PEOPLE, 100)]
    assert sorted(heard(asked)) == everyone
    tell(asked, real_time, subscriptions=[replace(sending(0), sends=None)])
    asked.settle()
    assert sorted(heard(asked)) == everyone
