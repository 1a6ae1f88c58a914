"""Members are told when a subscription shares other attributes (spec/connections.md, 5)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from msgspec.structs import replace

from actors.audience_worker import AudienceWorker
from actors.audiences.told import LiveSubscription
from actors.model.profiles import AttributeValue, Profile, ProfileKey
from actors.store.keys import profile_key
from actors.store.resharding import reshard
from tests.actors.audience_shards import Asked, audience
from tests.actors.shards import open_shard
from tests.actors.standard_shards import (
    HOOK,
    PEOPLE,
    S,
    login,
    open_asked,
    sending,
    slice_by_two,
    tell,
)
from tests.oracle.audiences.build import event
from tests.oracle.audiences.fixture import APP, WORKSPACE

EVERYBODY = audience(S, event("Login"))


@pytest.fixture
def asked(tmp_path: Path) -> Iterator[Asked]:
    opened = open_asked(tmp_path / "old")
    for mpid in PEOPLE:
        opened.send(mpid, {"user_attributes": {"tier": f"t{mpid}"}})
        login(opened, mpid)
    opened.define(EVERYBODY)
    yield opened
    opened.shard.state.close()


def sharing(*names: str, withdrawn: tuple[str, ...] = ()) -> LiveSubscription:
    live = replace(sending(0), sends=None)
    told = replace(live.subscription, shared_user_attributes=names, withdrawn_attributes=withdrawn)
    return replace(live, subscription=told)


def by_user(asked: Asked) -> dict[int, list[dict[str, Any]]]:
    """Return what is told of each user, in order."""
    found: dict[int, list[dict[str, Any]]] = {mpid: [] for mpid in PEOPLE}
    for each in asked.shard.outbox.read_outbox(HOOK, 0, 10_000, 1 << 24):
        change = orjson.loads(each.payload)["changes"][0]
        found[change["mpid"]].append(change)
    return found


@pytest.mark.parametrize("loaded", range(5))
@pytest.mark.parametrize("updated", range(5))
def test_everybody_knows_the_newest_list_whatever_was_under_way(
    asked: Asked, loaded: int, updated: int
) -> None:
    """Also if the process ends in between; nobody enters twice."""
    tell(asked, EVERYBODY, subscriptions=[sharing()])
    for _ in range(loaded):
        asked.worker.audience_step()
    tell(asked, EVERYBODY, subscriptions=[sharing("tier")])
    for _ in range(updated):
        asked.worker.audience_step()
    asked.restart()
    slice_by_two(asked)
    asked.settle()
    for mpid, told in by_user(asked).items():
        assert [each["action"] for each in told].count("add") == 1
        assert told[0]["action"] == "add"
        assert told[-1]["user_attributes"] == {"tier": f"t{mpid}"}
        assert len(told) <= 3
    before = by_user(asked)
    asked.restart()
    asked.settle()
    assert by_user(asked) == before


def test_what_is_not_shared_any_more_is_taken_back(asked: Asked) -> None:
    tell(asked, EVERYBODY, subscriptions=[sharing("tier")])
    asked.settle()
    tell(asked, EVERYBODY, subscriptions=[sharing(withdrawn=("tier",))])
    asked.settle()
    for told in by_user(asked).values():
        assert [each["action"] for each in told] == ["add", "attribute_update"]
        assert told[1]["deleted_user_attributes"] == ["tier"]
    tell(asked, EVERYBODY, subscriptions=[sharing(withdrawn=("tier",))])
    asked.settle()
    assert all(len(told) == 2 for told in by_user(asked).values())


def test_another_number_of_shards_tells_those_who_are_left(asked: Asked, tmp_path: Path) -> None:
    tell(asked, EVERYBODY, subscriptions=[sharing()])
    asked.settle()
    tell(asked, EVERYBODY, subscriptions=[sharing("tier")])
    asked.worker.audience_step()
    told = told_by_others(asked, tmp_path)
    assert {each[0] for each in told.values()} == {"add"}
    assert all("attribute_update" in each for each in told.values())


def change_tiers(asked: Asked, *mpids: int) -> None:
    """Change profiles otherwise than by a batch, as an alias does, and tell nobody yet."""

    def change(profile: Profile) -> None:
        section = profile.workspaces[WORKSPACE.number]
        section.user_attributes["tier"] = AttributeValue("gold", 1, APP)

    with asked.shard.transaction() as txn:
        for mpid in mpids:
            key = ProfileKey(WORKSPACE.scope, "production", mpid)
            asked.shard.profiles.edit(txn, profile_key(key), change)


def test_a_change_that_nobody_was_told_of_before_a_crash_is_told_of(asked: Asked) -> None:
    tell(asked, EVERYBODY, subscriptions=[sharing("tier")])
    asked.settle()
    change_tiers(asked, 2, 5)
    asked.restart()
    asked.settle()
    told = by_user(asked)
    assert {mpid for mpid in PEOPLE if len(told[mpid]) > 1} == {2, 5}
    for mpid in (2, 5):
        assert told[mpid][1]["action"] == "attribute_update"
        assert told[mpid][1]["user_attributes"] == {"tier": "gold"}
    asked.restart()
    asked.settle()
    assert by_user(asked) == told


def test_another_number_of_shards_tells_of_a_change_that_nobody_was_told_of(
    asked: Asked, tmp_path: Path
) -> None:
    tell(asked, EVERYBODY, subscriptions=[sharing("tier")])
    asked.settle()
    change_tiers(asked, 2, 5)
    told = told_by_others(asked, tmp_path)
    assert told == {
        mpid: ["add", "attribute_update"] if mpid in (2, 5) else ["add"] for mpid in PEOPLE
    }


def told_by_others(asked: Asked, tmp_path: Path) -> dict[int, list[str]]:
    """Have two shards go on with what one has, and return what is told of each user then."""
    asked.shard.state.close()
    new = [tmp_path / f"new-{number}" for number in range(2)]
    reshard([tmp_path / "old"], new, 64 * 1024 * 1024)
    told: dict[int, list[str]] = {mpid: [] for mpid in PEOPLE}
    for number, folder in enumerate(new):
        shard = open_shard(
            folder, number, 2, clock=asked.clock, workspace=WORKSPACE, map_size_bytes=1 << 26
        )
        worker = AudienceWorker(shard, asked.clock, slice_size=2)
        while worker.audience_step():
            pass
        for each in shard.outbox.read_outbox(HOOK, 0, 10_000, 1 << 24):
            change = orjson.loads(each.payload)["changes"][0]
            told[change["mpid"]].append(change["action"])
        shard.state.close()
    asked.open()
    return told


def test_members_are_told_of_once_an_output_takes_an_identity_that_they_have(
    asked: Asked,
) -> None:
    """Those whom it knows are not told again."""
    for mpid in PEOPLE[:3]:
        asked.identify(mpid, "email", f"{mpid}@example.com")
    for mpid in PEOPLE[2:]:
        asked.identify(mpid, "customer_id", f"c{mpid}")
    tell(asked, EVERYBODY, subscriptions=[accepting("email")])
    asked.settle()
    assert {mpid for mpid, told in by_user(asked).items() if told} == set(PEOPLE[:3])
    tell(asked, EVERYBODY, subscriptions=[accepting("email", "customer_id")])
    asked.settle()
    assert {mpid: [each["action"] for each in told] for mpid, told in by_user(asked).items()} == {
        mpid: ["add"] for mpid in PEOPLE
    }


def accepting(*types: str) -> LiveSubscription:
    live = replace(sending(0), sends=None)
    return replace(live, subscription=replace(live.subscription, identities=frozenset(types)))
