"""The engine follows profiles as batches change them (spec/audiences.md, 7; spec/profiles.md, 3).

Batches go through the real decoder and the real step `update_profiles`, live and historical ones.
The engine sees of a batch what it changed; the oracle reads the whole profile anew.
"""

from random import Random

import pytest
from msgspec.structs import replace

from actors.audiences.engine.engine import Engine, Kept
from actors.model import ProfileKey
from actors.profiles.retention import is_overdue
from tests.oracle.audiences.fixture import APP, DAY, HOUR, NOW, SHOP, WORKSPACE
from tests.oracle.audiences.random_bodies import make_body
from tests.oracle.audiences.random_definitions import Definitions
from tests.oracle.audiences.users import Users
from tests.oracle.audiences.vocabulary import chance

HISTORIES, PARTS = 200, 10
AUDIENCES, PEOPLE, BATCHES = 12, 3, 30
LOOKBACK_MS = WORKSPACE.audience_event_days * DAY


def key_of(mpid: int) -> ProfileKey:
    """Return the key of a user."""
    return ProfileKey(WORKSPACE.scope, "production", mpid)


def follow(randomness: Random) -> int:
    """Follow one history; return how many memberships were seen."""
    workspace = replace(WORKSPACE, partner_identities=frozenset({"Acme_Id"}))
    users, engine = Users(workspace), Engine(workspace, LOOKBACK_MS)
    definitions = Definitions(randomness, NOW, nests=False)
    audiences = {number: definitions.node() for number in range(AUDIENCES)}
    for number, node in audiences.items():
        engine.activate(number, "production", node)
    now_ms, seen = NOW - 20 * DAY, 0
    for _ in range(BATCHES):
        now_ms += randomness.choice((1, HOUR, DAY, DAY))
        mpid = randomness.randint(1, PEOPLE)
        is_historical = chance(randomness, 0.15)
        body = make_body(randomness, now_ms - 4 * DAY if is_historical else now_ms)
        if is_historical and not body["events"]:
            continue  # refused at the door
        source = randomness.choice((APP, SHOP))
        stored = users.send(mpid, body, now_ms, source=source, is_historical=is_historical)
        key = key_of(mpid)
        assert not is_overdue(users.profiles[mpid], workspace.profile_idle_days, now_ms)
        engine.observe(key, users.profiles[mpid], stored)
        engine.evaluate(engine.rows_of([key]), now_ms)
        engine.evaluate(engine.due(now_ms), now_ms)
        for number, node in audiences.items():
            expected = users.members(node, now_ms)
            found = {each.mpid for each in engine.members(number)}
            assert found == expected, (number, node, body)
            seen += len(expected)
    anew = Engine(workspace, LOOKBACK_MS)
    for number, node in audiences.items():
        anew.activate(number, "production", node)
    for mpid, profile in users.profiles.items():
        anew.load(key_of(mpid), profile, Kept())
        anew.rebuild_events(key_of(mpid), users.batches[mpid], 0, now_ms)
    anew.evaluate(anew.rows_of(map(key_of, users.profiles)), now_ms)
    for number in audiences:
        assert anew.members(number) == engine.members(number)
    return seen


@pytest.mark.parametrize("part", range(PARTS))
def test_members_are_right_after_every_batch(part: int) -> None:
    """Attributes, devices, consent, identities, place, opt-outs; and the same after a start."""
    randomness = Random(part)
    seen = sum(follow(randomness) for _ in range(HISTORIES // PARTS))
    assert seen > HISTORIES // PARTS * BATCHES
