"""The engine follows profiles as batches change them (spec/audiences.md, 7; spec/profiles.md, 3).

Batches go through the real decoder and the real step `update_profiles`, live and historical ones.
The engine sees of a batch what it changed; the oracle reads the whole profile anew.
"""

from random import Random

import pytest
from msgspec.structs import replace

from actors.audiences.criteria import Node
from actors.audiences.engine.engine import Engine
from actors.audiences.engine.records import Kept
from actors.model.profiles import ProfileKey
from tests.oracle.audiences.fixture import APP, DAY, HOUR, NOW, SHOP, WORKSPACE
from tests.oracle.audiences.random_bodies import make_body
from tests.oracle.audiences.random_definitions import Definitions
from tests.oracle.audiences.users import Users
from tests.oracle.audiences.vocabulary import chance

HISTORIES, PARTS = 200, 10
AUDIENCES, PEOPLE, BATCHES = 12, 3, 30
LOOKBACK_MS = WORKSPACE.audience_event_days * DAY
LIFETIME_MS = WORKSPACE.profile_idle_days * DAY


def key_of(mpid: int) -> ProfileKey:
    """Return the key of a user."""
    return ProfileKey(WORKSPACE.scope, "production", mpid)


def check_starts(
    engine: Engine,
    users: Users,
    audiences: dict[int, Node],
    packed: dict[int, bytes],
    now_ms: int,
) -> None:
    """Check that engines that know the same users by their records have the same members."""
    from_log, from_entries = (
        Engine(users.workspace, LOOKBACK_MS),
        Engine(users.workspace, LOOKBACK_MS),
    )
    for number, node in reversed(audiences.items()):
        from_log.activate(number, "production", node)
        from_entries.activate(number, "production", node)
    for mpid, profile in users.profiles.items():
        key = key_of(mpid)
        from_log.load(key, profile, Kept())
        from_log.rebuild_events(key, users.batches[mpid], 0, now_ms)
        entries = engine.trim(packed[mpid], now_ms)
        from_entries.load(key, profile, Kept(entries, engine.audiences_of(key)))
    keys = [key_of(mpid) for mpid in users.profiles]
    from_log.evaluate(from_log.rows_of(keys), now_ms)
    assert from_entries.evaluate(from_entries.rows_of(keys), now_ms) == []
    for number in audiences:
        expected = set(engine.members(number))
        assert set(from_log.members(number)) == set(from_entries.members(number)) == expected


def follow(randomness: Random) -> int:
    """Follow one history; return how many memberships were seen."""
    workspace = replace(WORKSPACE, partner_identities=frozenset({"Acme_Id"}))
    users, engine = Users(workspace), Engine(workspace, LOOKBACK_MS)
    definitions = Definitions(randomness, NOW, nests=False)
    audiences = {number: definitions.node() for number in range(AUDIENCES)}
    for number, node in audiences.items():
        engine.activate(number, "production", node)
    now_ms, seen, packed = NOW - 20 * DAY, 0, dict[int, bytes]()
    for _ in range(BATCHES):
        now_ms += randomness.choice((1, HOUR, DAY, DAY))
        if chance(randomness, 0.03):
            now_ms += LIFETIME_MS  # some users' profiles are as good as gone, and begin anew
        mpid = randomness.randint(1, PEOPLE)
        is_historical = chance(randomness, 0.15)
        body = make_body(randomness, now_ms - 4 * DAY if is_historical else now_ms)
        if is_historical and not body["events"]:
            continue  # refused at the door
        source = randomness.choice((APP, SHOP))
        stored = users.send(mpid, body, now_ms, source=source, is_historical=is_historical)
        key = key_of(mpid)
        packed[mpid] = packed.get(mpid, b"") + engine.observe(key, users.profiles[mpid], stored)
        engine.evaluate(engine.rows_of([key]), now_ms)
        engine.evaluate(engine.due(now_ms), now_ms)
        for number, node in audiences.items():
            expected = users.members(node, now_ms)
            found = {each.mpid for each in engine.members(number)}
            assert found == expected, (number, node, body)
            seen += len(expected)
    engine.evaluate(engine.due(now_ms), now_ms)  # the last batch may have been refused
    check_starts(engine, users, audiences, packed, now_ms)
    return seen


@pytest.mark.parametrize("part", range(PARTS))
def test_members_are_right_after_every_batch(part: int) -> None:
    """Attributes, devices, consent, identities, place, opt-outs; and the same after a start."""
    randomness = Random(part)
    seen = sum(follow(randomness) for _ in range(HISTORIES // PARTS))
    assert seen > HISTORIES // PARTS * BATCHES
