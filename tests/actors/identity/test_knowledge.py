"""What the coordinator forgets when it knows too much."""

import pytest

from actors.identity import knowledge
from actors.identity.draft import Key
from actors.identity.keys import IdentityName
from actors.identity.knowledge import Knowledge

WRITTEN, IN_FLIGHT = IdentityName("email", "written"), IdentityName("email", "in flight")
RECORD, PROFILE_ALONE = 7, 8


def test_all_is_forgotten_but_what_is_in_flight_and_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an MPID whose profile alone is changed again after a restart no record was read."""
    monkeypatch.setattr(knowledge, "MAX_KNOWN", 1)
    known = Knowledge(1)
    states = known.states  # others have them too
    for each in states.values():
        each.learn_holders(WRITTEN, [])
        each.learn_holders(IN_FLIGHT, [])
        each.learn_record(RECORD, None)
    kept: list[Key] = [
        ("production", IN_FLIGHT),
        ("development", RECORD),
        ("development", PROFILE_ALONE),
    ]
    known.trim(kept)
    assert known.trims == 1
    assert not any(each.knows_holders(WRITTEN) for each in states.values())
    assert not any(each.knows_record(PROFILE_ALONE) for each in states.values())
    assert [each.knows_holders(IN_FLIGHT) for each in states.values()] == [True, False]
    assert [each.knows_record(RECORD) for each in states.values()] == [False, True]


def test_nothing_is_forgotten_while_there_is_room() -> None:
    known = Knowledge(1)
    known.states["production"].learn_holders(WRITTEN, [])
    known.trim([])
    assert known.trims == 0
    assert known.states["production"].knows_holders(WRITTEN)
